"""Ten minutes of a very busy place: memory stays flat, files stay bounded, the count is right."""

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from access.ids import DoorId
from tests.torture.audit import Audit
from tests.torture.door_process import DoorProcess, ended_afterwards
from tests.torture.entrance import BOUND_S, Entrance
from tests.torture.place import people_of, wait_for
from tests.torture.report import Outcome, Run, Torment
from tests.torture.server_kills import ERRORS, rounds_of
from tests.torture.server_load import crowd
from tests.torture.server_place import HOME_S, ServerPlace, no_mosquitto

_REAL: Final = DoorId("d1")
_PLAYED: Final = (DoorId("d2"), DoorId("d3"), DoorId("d4"))
_ROUND_S: Final = 6.0
_MOST_WAL_MB: Final = 64.0
_MOST_OUTBOX_MB: Final = 8.0

_ENOUGH: Final = 30
"""Fewer rounds than this say nothing of how memory goes: it grows until all has been used once."""

_MOST_GROWTH: Final = 1.1
_PAGE_KB: Final = os.sysconf("SC_PAGE_SIZE") / 1024


@dataclass(slots=True, kw_only=True)
class _Measured:
    """What was seen of the programs and their files, once a round; in MB."""

    memory: dict[str, list[float]] = field(default_factory=dict)
    wal: list[float] = field(default_factory=list)
    outbox: list[float] = field(default_factory=list)

    def look(self, programs: dict[str, int], place: ServerPlace, door: DoorProcess) -> None:
        """Measure now."""
        for name, pid in programs.items():
            self.memory.setdefault(name, []).append(_memory_mb(pid))
        self.wal.append(_size_mb(place.path / "gardien.db-wal"))
        outbox = door.settings.outbox
        self.outbox.append(_size_mb(outbox) + _size_mb(outbox.with_name(f"{outbox.name}-wal")))

    def judge(self, outcome: Outcome) -> None:
        """Say what was measured, and what is too much."""
        check, facts = outcome.check, outcome.facts
        for name, seen in self.memory.items():
            facts[f"memory of the {name} at first, MB"] = round(seen[0], 1)
            facts[f"memory of the {name} at the end, MB"] = round(seen[-1], 1)
            if len(seen) >= _ENOUGH:
                part = len(seen) // 5
                early, late = statistics.mean(seen[part : 2 * part]), statistics.mean(seen[-part:])
                is_flat = late <= early * _MOST_GROWTH
                check("at the end", f"{name}: from {early:.1f} to {late:.1f} MB", is_so=is_flat)
        for name, sizes, most in (
            ("the database's log", self.wal, _MOST_WAL_MB),
            ("the door's outbox", self.outbox, _MOST_OUTBOX_MB),
        ):
            facts[f"{name} at most, MB"] = round(max(sizes), 1)
            check("at the end", f"{name}: {max(sizes):.1f} MB", is_so=max(sizes) <= most)


def be_busy(run: Run) -> Outcome:
    """Let people come and go at four doors as fast as they can; look at all once a round."""
    outcome, measured = Outcome(), _Measured()
    try:
        with ServerPlace(run.folder / "p", (_REAL, *_PLAYED)) as place:
            place.start()
            dice = [run.dice(name) for name in _PLAYED]
            with (
                _real_door(place, outcome) as entrance,
                crowd(place, dice, ids=_PLAYED, is_wild=False) as doors,
            ):
                audit = Audit(doors, outcome)
                programs = place.pids | {"door": entrance.door.pid}
                begun = time.monotonic()
                for number in rounds_of(run, outcome):
                    _come_and_go(entrance, f"round {number}")
                    audit.look(place.inside.database, f"round {number}")
                    measured.look(programs, place, entrance.door)
                took_s = time.monotonic() - begun
                wait_for(lambda: entrance.is_home, "the door hands in all", HOME_S)
                place.bring_home(doors, audit, outcome)
            place.check_verify(outcome)
        visits = int(outcome.facts.get("visits", 0))
        outcome.facts["visits a minute"] = round(visits * 60 / took_s)
        measured.judge(outcome)
    except ERRORS as error:
        outcome.failures.append(repr(error))
    return outcome


@contextmanager
def _real_door(place: ServerPlace, outcome: Outcome) -> Iterator[Entrance]:
    with ended_afterwards(DoorProcess(place.door_settings(_REAL))) as door:
        door.start()
        door.wait_until_there()
        wait_for(lambda: place.head(_REAL).seq > 0, "the door is in touch")
        yield Entrance(place=place, door=door, outcome=outcome)


def _come_and_go(entrance: Entrance, where: str) -> None:
    """Let everybody of the real door in and out again, for a round's time."""
    ends_at = time.monotonic() + _ROUND_S
    while time.monotonic() < ends_at:
        for member in people_of(_REAL):
            for reader in ("in", "out"):
                answer, took_s = entrance.tap(member, reader)
                entrance.outcome.check(where, f"{answer}", is_so=bool(answer.opened))
                entrance.outcome.check(where, f"{took_s:.1f} s", is_so=took_s < BOUND_S)
                entrance.outcome.count("visits at the real door")


def _memory_mb(pid: int) -> float:
    """Give the resident memory of a program and its children, in MB (proc(5), statm)."""
    pages = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int(folder.name) == pid or os.getpgid(int(folder.name)) == pid:
                pages += int((folder / "statm").read_text().split()[1])
    return pages * _PAGE_KB / 1024


def _size_mb(file: Path) -> float:
    return file.stat().st_size / 1_000_000 if file.exists() else 0.0


BUSY: Final = Torment(
    name="busy-minutes",
    faults=(),
    says="in ten minutes in which people come and go as fast as they can, memory stays flat, "
    "files stay bounded, and who is inside is what a replay of the ledger gives",
    full=100,
    few=1,
    run=be_busy,
    missing=no_mosquitto,
)


def every() -> Iterator[Torment]:
    """Give the torment of this module."""
    yield BUSY
