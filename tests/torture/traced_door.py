"""Runs `gardien door` with pins whose levels outlive the process, as those of a Raspberry Pi do.

Started by `door_process`, as a program. Each change of the lock's pin is one line at the end of a
file: monotonic time, level, and the number of the last `lock.unlocked` that was committed then.
"""

import os
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import edge.simulated.pins
from edge.simulated.pins import SimulatedPin, SimulatedPins
from gardien.main import main

TRACE, PIN, OUTBOX, KILL = (
    f"GARDIEN_TORTURE_{name}" for name in ("TRACE", "PIN", "OUTBOX", "KILL")
)
_LAST = """
SELECT seq FROM record WHERE body LIKE '%"type":"gardien.lock.unlocked"%' ORDER BY seq DESC LIMIT 1
"""


class Board:
    """The level of the lock's pin, as the kernel keeps it."""

    def __init__(self) -> None:
        self.pin = int(os.environ[PIN])
        self._outbox = Path(os.environ[OUTBOX])
        self._trace = os.open(os.environ[TRACE], os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        lines = os.read(self._trace, 100_000_000).splitlines()
        self._level = bool(int(lines[-1].split()[1])) if lines else False
        self._when, _, number = os.environ.get(KILL, "never:0").partition(":")
        self._changes_left = int(number)

    def drive(self, *, level: bool) -> None:
        """Put the pin at a level, and die before or after if that was asked for."""
        if level == self._level:
            return
        self._changes_left -= 1
        self._die_if("before")
        last = self._last_unlocked() if level else 0
        self._level = level
        os.write(self._trace, f"{time.monotonic():.6f} {int(level)} {last}\n".encode())
        self._die_if("after")

    def _die_if(self, when: str) -> None:
        if when == self._when and self._changes_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def _last_unlocked(self) -> int:
        uri = f"file:{self._outbox}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=5)) as outbox:
            row = outbox.execute(_LAST).fetchone()
        return 0 if row is None else int(row[0])


board = Board()


class TracedPin(SimulatedPin):
    """A simulated pin that drives the board's."""

    def _change_state(self, value: float) -> bool:
        changed = super()._change_state(value)
        if self.info.name == f"GPIO{board.pin}" and self.function == "output":
            board.drive(level=bool(value))
        return changed


class TracedPins(SimulatedPins):
    """Simulated pins, one of which drives the board's."""

    def __init__(self) -> None:
        super().__init__()
        self.pin_class = TracedPin


if __name__ == "__main__":
    edge.simulated.pins.SimulatedPins = TracedPins  # type: ignore[misc]
    sys.exit(main())
