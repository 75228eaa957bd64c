"""The `Input` port over a wire on a pin of the Raspberry Pi: contact, exit button, tamper."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Self

from gpiozero import DigitalInputDevice

from edge.hardware.debounce import DEFAULT_DEBOUNCE_S, Debouncer
from edge.hardware.pins import PinFactory, translated

_log = logging.getLogger(__name__)

_LOOK_ANYWAY_S: Final = 1.0


class GpiozeroInput:
    """One input with the Pi's own pull-up, debounced here and not by the library.

    gpiozero's pin factories debounce each in its own way, or not at all. A thread sleeps until
    an edge comes; once a second it looks anyway, so that an edge which the kernel lost is made
    good. Callbacks run in that thread.
    """

    def __init__(
        self,
        *,
        pin: int,
        active_high: bool,
        pin_factory: PinFactory,
        debounce_s: float = DEFAULT_DEBOUNCE_S,
    ) -> None:
        """Take the pin and begin to watch it.

        Args:
            pin: BCM number, 0 to 27.
            active_high: whether the input is on while the wire is high. With the pull-up, a wire
                that is cut reads high; there is no default.
            pin_factory: from `open_pins`.
            debounce_s: how long a level must last to be taken; 0 to 0.4 seconds.

        Raises:
            ValueError: `debounce_s` is out of range.
            PinsError: the pin cannot be used.
        """
        self._active_high = active_high
        self._callbacks: list[Callable[[bool], None]] = []
        self._changes: deque[bool] = deque()
        self._wake = threading.Condition()
        self._is_closed = False
        with translated(f"input, pin {pin}"):
            self._device = DigitalInputDevice(pin, pull_up=True, pin_factory=pin_factory)
        try:
            self._debouncer = Debouncer(is_active=self._level(), debounce_s=debounce_s)
        except ValueError:
            self._device.close()
            raise
        self._device.when_activated = self._edge
        self._device.when_deactivated = self._edge
        self._thread = threading.Thread(target=self._run, name=f"input-{pin}", daemon=True)
        self._thread.start()

    @property
    def is_active(self) -> bool:
        """Whether the input is on now, after debouncing."""
        return self._debouncer.is_active

    def on_change(self, callback: Callable[[bool], None]) -> None:
        """Call `callback(is_active)` at each change, from the input's thread; must not block."""
        self._callbacks.append(callback)

    def close(self) -> None:
        """Let go of the pin. Closing twice is harmless."""
        with self._wake:
            self._is_closed = True
            self._wake.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._device.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _level(self) -> bool:
        # With a pull-up, gpiozero calls a low wire active.
        return bool(self._device.value) is not self._active_high

    def _edge(self) -> None:
        with self._wake:
            if not self._is_closed:
                self._look()
                self._wake.notify_all()

    def _look(self) -> None:
        change = self._debouncer.note(self._level(), time.monotonic())
        if change is not None:
            self._changes.append(change)

    def _run(self) -> None:
        while (change := self._next_change()) is not None:
            self._tell(change)

    def _next_change(self) -> bool | None:
        """Wait for a change; None when the input is closed."""
        with self._wake:
            while not self._is_closed:
                self._look()
                if self._changes:
                    return self._changes.popleft()
                self._wake.wait(self._pause_s())
        return None

    def _pause_s(self) -> float:
        due_s = self._debouncer.due_at_s()
        return _LOOK_ANYWAY_S if due_s is None else max(due_s - time.monotonic(), 0.0)

    def _tell(self, is_active: bool) -> None:  # noqa: FBT001 - as the callback takes it
        for callback in tuple(self._callbacks):
            try:
                callback(is_active)
            except Exception:  # noqa: BLE001 - a fault in the door must not blind its inputs
                _log.exception("a change of an input was not taken")
