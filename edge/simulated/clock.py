"""The time that an emulated chip lives in: counted by its transfers in tests, real in the demo."""

import time
from typing import Protocol


class ChipClock(Protocol):
    """What the emulated chip asks about time."""

    def now_us(self) -> float:
        """Microseconds since some start; never goes back."""

    def on_transfer(self) -> None:
        """Be told that one SPI transfer was made."""


class VirtualClock:
    """Time that passes only by transfers and by `sleep`: exact, and without waiting.

    Give `monotonic` and `sleep` to the reader under test, so that both ends share one time.
    """

    def __init__(self, *, transfer_us: float = 30.0) -> None:
        """Start at zero.

        Args:
            transfer_us: what one SPI transfer costs, in microseconds; 30 is a Pi 4 at 1 MHz,
                500 a Pi Zero.
        """
        self.transfer_us = transfer_us
        self._now_us = 0.0

    def now_us(self) -> float:
        """Virtual microseconds since the start."""
        return self._now_us

    def on_transfer(self) -> None:
        """Let the time of one transfer pass."""
        self._now_us += self.transfer_us

    def monotonic(self) -> float:
        """Virtual seconds since the start, as `time.monotonic`."""
        return self._now_us / 1e6

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass; returns at once."""
        self._now_us += seconds * 1e6


class RealClock:
    """The machine's own monotonic time; a transfer costs what it costs."""

    def now_us(self) -> float:
        """Real microseconds since some start."""
        return time.monotonic_ns() / 1e3

    def on_transfer(self) -> None:
        """Nothing: real time passes by itself."""
