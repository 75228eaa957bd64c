"""The people at a simulated door: they hold a card to a reader, look at the light, and walk in."""

import threading
import time
from typing import Final

from edge.ports import Signal
from edge.signals import recognise
from edge.simulated.messages import Answer, ExitButton, Push, Tap
from edge.simulated.surroundings import LOCKED, UNLOCKED, Surroundings
from edge.simulated.wallet import Wallet

_BLINK_S: Final = 0.004
_CALM_S: Final = 0.15
_LONGEST_UNREST_S: Final = 1.0
_LAST_LOOK_S: Final = 0.3
_CLOSING_S: Final = 0.06
_ANSWERS: Final = frozenset({Signal.GRANTED, Signal.REFUSED})


class NobodyThereError(RuntimeError):
    """The world ended before the person was done."""


class _Eye:
    """Watches light and lock from the moment that a card is presented.

    A colour is believed when it is seen twice; green that was there before the card is not an
    answer to it, until the light has gone out in between.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._was_unlocked = surroundings.is_unlocked()
        self._last = surroundings.light()
        self._has_changed = False
        self.signal: Signal | None = None
        self.is_unlocked = self._was_unlocked

    def look(self) -> None:
        self.is_unlocked = self.is_unlocked or self._surroundings.is_unlocked()
        light = self._surroundings.light()
        is_steady, self._last = light == self._last, light
        signal = recognise(light)
        if signal not in _ANSWERS:
            self._has_changed = True
        elif is_steady and self._has_changed:
            self.signal = signal

    @property
    def is_answered(self) -> bool:
        return self.signal is not None or (self.is_unlocked and not self._was_unlocked)

    @property
    def is_settled(self) -> bool:
        """Both light and lock have said their say."""
        return self.signal is not None and (self.is_unlocked or self.signal is Signal.REFUSED)

    def what_it_was(self) -> Signal | None:
        return self.signal or recognise(self._surroundings.light())


class Person:
    """Does what people do at a door. One at a time: the world queues them."""

    def __init__(
        self, *, surroundings: Surroundings, stopping: threading.Event, wallet: Wallet
    ) -> None:
        """Stand at a door.

        Args:
            surroundings: of the door.
            stopping: set when the world ends; whoever is at the door then goes away.
            wallet: the cards that people have.
        """
        self._surroundings, self._stopping, self._wallet = surroundings, stopping, wallet

    def tap(self, wish: Tap) -> Answer:
        """Hold a card to a reader, wait for the answer and perhaps walk in; blocks meanwhile.

        Raises:
            ValueError: no such reader, or no card can have this UID.
            OSError: the card's memory can't be read or kept.
            NobodyThereError: the world ended.
        """
        chip = self._surroundings.chips[wish.reader]
        uid = bytes.fromhex(wish.uid)
        card = self._wallet.card(uid, wish.copy, is_uid_only=wish.uid_only)
        card.leave_after(air_bytes=wish.pull_after)
        self._wait_for_calm()
        eye = _Eye(self._surroundings)
        begun_s = time.monotonic()
        chip.put(card)
        try:
            self._watch(eye, begun_s + min(wish.hold_ms, wish.wait_ms) / 1000)
        finally:
            chip.take()
            self._wallet.put_away(uid, wish.copy)
        self._watch(eye, begun_s + wish.wait_ms / 1000)
        if eye.is_answered:
            self._watch(eye, time.monotonic() + _LAST_LOOK_S, until_settled=True)
        return self._conclude(wish, eye)

    def push(self, wish: Push) -> Answer:
        """Try the door; it opens only if it is unlocked. Blocks while it is open.

        Raises:
            NobodyThereError: the world ended.
        """
        is_unlocked = self._surroundings.is_unlocked()
        if is_unlocked:
            self._walk_through(wish.open_ms)
        return Answer(ok=True, lock=UNLOCKED if is_unlocked else LOCKED, opened=is_unlocked)

    def leave(self, wish: ExitButton) -> Answer:
        """Press the exit button and walk out; hardware frees the lock, whatever software says.

        Raises:
            ValueError: the door has no exit button.
            NobodyThereError: the world ended.
        """
        self._surroundings.press_exit(is_pressed=True)
        try:
            self._pause(wish.press_ms)
        finally:
            self._surroundings.press_exit(is_pressed=False)
        lock = UNLOCKED if self._surroundings.is_unlocked() else LOCKED
        self._walk_through(wish.open_ms)
        return Answer(ok=True, lock=lock, opened=True)

    def _conclude(self, wish: Tap, eye: _Eye) -> Answer:
        signal = eye.what_it_was()
        opens = wish.push and eye.is_unlocked and signal is not Signal.REFUSED
        if opens:
            self._walk_through(wish.open_ms)
        return Answer(
            ok=True,
            lock=UNLOCKED if eye.is_unlocked else LOCKED,
            opened=opens,
            signal=None if signal is None else signal.value,
        )

    def _watch(self, eye: _Eye, end_s: float, *, until_settled: bool = False) -> None:
        while time.monotonic() < end_s:
            eye.look()
            if eye.is_settled if until_settled else eye.is_answered:
                return
            self._pause(_BLINK_S * 1000)

    def _wait_for_calm(self) -> None:
        """Wait, not for long, until the light no longer blinks from the one before."""
        light, since_s = self._surroundings.light(), time.monotonic()
        end_s = since_s + _LONGEST_UNREST_S
        while since_s + _CALM_S > time.monotonic() < end_s:
            self._pause(_BLINK_S * 1000)
            if self._surroundings.light() != light:
                light, since_s = self._surroundings.light(), time.monotonic()

    def _walk_through(self, open_ms: int) -> None:
        self._surroundings.set_open(is_open=True)
        try:
            self._pause(open_ms)
        finally:
            self._surroundings.set_open(is_open=False)
        self._pause(_CLOSING_S * 1000)

    def _pause(self, pause_ms: float) -> None:
        if self._stopping.wait(pause_ms / 1000):
            raise NobodyThereError("the world ended")
