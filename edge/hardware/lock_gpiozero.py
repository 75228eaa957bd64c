"""The `Lock` port over a relay on a pin of the Raspberry Pi."""

import logging
import threading
from collections.abc import Callable
from typing import Final, Self

from gpiozero import DigitalOutputDevice

from edge.hardware.pins import PinFactory, translated

_log = logging.getLogger(__name__)

DEFAULT_MAX_UNLOCKED_S: Final = 60.0


class GpiozeroLock:
    """The lock of one door. Starts locked; locks itself when it is forgotten.

    The end of an opening is the door's own business. The fuse here is for the day on which the
    door's loop hangs with the lock released: after `max_unlocked_s` the pin is locked all the
    same, unless `unlock` was called again, or was told that the lock is held on purpose.
    Safe for several threads.
    """

    def __init__(
        self,
        *,
        pin: int,
        active_high: bool,
        pin_factory: PinFactory,
        max_unlocked_s: float = DEFAULT_MAX_UNLOCKED_S,
        on_fuse: Callable[[], None] | None = None,
    ) -> None:
        """Take the pin and lock.

        Args:
            pin: BCM number, 0 to 27.
            active_high: whether a high pin unlocks; False: a low pin unlocks. It follows from
                relay board and lock together, so there is no default.
            pin_factory: from `open_pins`.
            max_unlocked_s: seconds, above zero.
            on_fuse: is called from another thread after the fuse has locked.

        Raises:
            ValueError: `max_unlocked_s` is not above zero.
            PinsError: the pin cannot be used.
        """
        if not max_unlocked_s > 0:
            raise ValueError(f"max_unlocked_s is {max_unlocked_s}: must be above 0")
        self._max_unlocked_s, self._on_fuse = max_unlocked_s, on_fuse
        self._guard = threading.Lock()
        self._fuse: threading.Timer | None = None
        with translated(f"lock, pin {pin}"):
            self._relay = DigitalOutputDevice(
                pin, active_high=active_high, initial_value=False, pin_factory=pin_factory
            )

    @property
    def is_unlocked(self) -> bool:
        """Whether the lock is being held unlocked now; False once closed."""
        with self._guard:
            return not self._relay.closed and bool(self._relay.value)

    def unlock(self, *, held: bool = False) -> None:
        """Release the lock until `lock` is called, or the fuse blows. Repeating renews the fuse.

        Args:
            held: on purpose and for long, as in passage mode: without the fuse.

        Raises:
            PinsError: the lock is closed.
        """
        with self._guard, translated("lock"):
            self._stop_fuse()
            self._relay.on()
            if not held:
                self._start_fuse()

    def lock(self) -> None:
        """Put the lock in its locked state.

        Raises:
            PinsError: the lock is closed.
        """
        with self._guard, translated("lock"):
            self._stop_fuse()
            self._relay.off()

    def close(self) -> None:
        """Lock and let go of the pin. Closing twice is harmless."""
        with self._guard:
            self._stop_fuse()
            if not self._relay.closed:
                self._relay.off()
                self._relay.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start_fuse(self) -> None:
        fuse = threading.Timer(self._max_unlocked_s, lambda: self._blow(fuse))
        fuse.daemon = True
        self._fuse = fuse
        fuse.start()

    def _stop_fuse(self) -> None:
        if self._fuse is not None:
            self._fuse.cancel()
            self._fuse = None

    def _blow(self, fuse: threading.Timer) -> None:
        with self._guard:
            # A timer that was renewed while it waited for the guard must not lock.
            if self._fuse is not fuse or self._relay.closed:
                return
            self._fuse = None
            self._relay.off()
        _log.error(
            "the lock was unlocked for %s s and was locked by its fuse", self._max_unlocked_s
        )
        if self._on_fuse is not None:
            self._on_fuse()
