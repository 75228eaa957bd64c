"""What else the machine does while something is measured on it: Linux's own account, proc(5)."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tests.bench.shape import Beside

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_BUSY: Final = (0, 1, 2, 5, 6, 7)
"""Of the first line of /proc/stat: all but idle and waiting; guests are counted in the first."""


@dataclass(frozen=True, slots=True)
class Watching:
    """Compares what the machine did with what this process and its ended children did."""

    _started: float
    _busy_s: float
    _own_s: float

    @classmethod
    def begin(cls) -> Self:
        """Begin to watch."""
        return cls(time.monotonic(), _machine_s(), _own_s())

    def seen(self) -> Beside:
        """Say what else was done since the beginning; to be asked when all children have ended."""
        seconds = time.monotonic() - self._started
        others_s = _machine_s() - self._busy_s - (_own_s() - self._own_s)
        return Beside(
            other_cores=max(0.0, others_s) / max(seconds, 1e-9),
            load=os.getloadavg()[0],
            seconds=seconds,
        )


def cpu_s(pid: int) -> float:
    """Give the processor seconds that a running process has used."""
    # Fields 14 and 15 of proc(5), counted after the name, which may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def resident_mb(pid: int) -> float:
    """Give the megabytes of memory that a running process holds, shared ones included."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES / 1e6


def children_of(pid: int) -> list[int]:
    """Give the processes that a process has started and not ended yet, and theirs."""
    parents = {int(entry.name): _parent(entry) for entry in Path("/proc").glob("[0-9]*")}
    family = [pid]
    for one in family:
        family += [child for child, parent in parents.items() if parent == one]
    return family[1:]


def _parent(entry: Path) -> int | None:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:  # it has just ended
        return None


def _machine_s() -> float:
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    return sum(int(fields[place]) for place in _BUSY) / TICKS_PER_S


def _own_s() -> float:
    return sum(os.times()[:4])
