"""Plays one pattern at a time, in a thread of its own."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Self

from edge.signals import DARK, Pattern, Step

_log = logging.getLogger(__name__)

OFF: Final = Step(light=DARK)


class PatternPlayer:
    """Walks through the steps of the pattern last given, and hands each to `show_step`.

    The thread sleeps between steps, and for good where a step has no end.
    """

    def __init__(self, *, show_step: Callable[[Step], None]) -> None:
        """Start the thread, dark and silent.

        Args:
            show_step: sets lights and sound; is called from the player's thread only.
        """
        self._show_step = show_step
        self._wake = threading.Condition()
        self._pattern = Pattern(steps=(OFF,))
        self._turn = 0
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="signals", daemon=True)
        self._thread.start()

    def play(self, pattern: Pattern) -> None:
        """Begin `pattern` at once, in place of the one before; does not block."""
        with self._wake:
            self._pattern = pattern
            self._turn += 1
            self._wake.notify_all()

    def close(self) -> None:
        """Dark and silent, and stop the thread. Closing twice is harmless."""
        with self._wake:
            self._is_closed = True
            self._wake.notify_all()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        turn = -1
        while not self._is_closed:
            with self._wake:
                pattern, turn = self._pattern, self._turn
            self._play_through(pattern, turn)
        self._show(OFF)

    def _play_through(self, pattern: Pattern, turn: int) -> None:
        at: int | None = 0
        while at is not None and self._play_step(pattern.steps[at], turn):
            at = at + 1 if at + 1 < len(pattern.steps) else pattern.repeat_from
        self._wait(turn, None)

    def _play_step(self, step: Step, turn: int) -> bool:
        self._show(step)
        return self._wait(turn, step.for_s)

    def _wait(self, turn: int, for_s: float | None) -> bool:
        """Wait for a step to pass; False as soon as something else is to be played."""
        end_s = None if for_s is None else time.monotonic() + for_s
        with self._wake:
            while not self._is_closed and self._turn == turn:
                left_s = None if end_s is None else end_s - time.monotonic()
                if left_s is not None and left_s <= 0:
                    return True
                self._wake.wait(left_s)
        return False

    def _show(self, step: Step) -> None:
        try:
            self._show_step(step)
        except Exception:  # noqa: BLE001 - a broken lamp must not end the next signal
            _log.exception("a step of a signal could not be shown")
