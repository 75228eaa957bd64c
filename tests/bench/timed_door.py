"""Runs `gardien door` on emulated hardware, and notes when a card comes and when the lock unlocks.

A program: it takes the words after `gardien`. Each line of the file that `GARDIEN_BENCH_TRACE`
names is `card` or `lock` with the monotonic time, in seconds.
"""

import os
import sys
import time
from typing import Final

import edge.simulated.pins
from edge.simulated.card import VirtualCard
from edge.simulated.chip import Chip
from edge.simulated.pins import SimulatedPin, SimulatedPins
from gardien.main import main

TRACE: Final = "GARDIEN_BENCH_TRACE"
LOCK_PIN: Final = "GPIO17"
"""As the settings of simulated doors say."""


def note(what: str) -> None:
    """Write one line at the end of the file."""
    line = f"{what} {time.monotonic():.6f}\n".encode()
    os.write(_trace, line)


class TimedPin(SimulatedPin):
    """A simulated pin that says when it releases the lock."""

    def _change_state(self, value: float) -> bool:
        changed = super()._change_state(value)
        if changed and value and self.info.name == LOCK_PIN and self.function == "output":
            note("lock")
        return changed


class TimedPins(SimulatedPins):
    """Simulated pins, of which that of the lock is timed."""

    def __init__(self) -> None:
        super().__init__()
        self.pin_class = TimedPin


_put: Final = Chip.put


def put(chip: Chip, card: VirtualCard) -> None:
    """Bring a card into the field, and say when."""
    note("card")
    _put(chip, card)


if __name__ == "__main__":
    _trace = os.open(os.environ[TRACE], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    edge.simulated.pins.SimulatedPins = TimedPins  # type: ignore[misc]
    Chip.put = put  # type: ignore[method-assign, assignment]
    sys.exit(main())
