"""A year of one site, night by night: nothing may grow, or be known for too long (11, 12)."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from access.journal import SERVER
from server.state import from_json
from simulation.archive import KEPT, Archive
from simulation.evening import Evening, Plan, Result, simulate
from simulation.rulebook import L1_CARDS

DAYS: Final = 365

PLAN_HAS: Final = frozenset(
    {
        *("cut", "broker", "server", "power", "ledger", "boot_lags", "clock_off", "fire"),
        *("tailgates", "turns_away", "impatient", "forgets", "hands_over", "counts_guests"),
        *("holds", "strangers", "pulls", L1_CARDS),
    }
)
PACE: Final = 24.0
"""A year of the usual faults would be a year of outages."""

_OLDEST_STAY: Final = timedelta(hours=36)
_A_DAY: Final = timedelta(days=1)
_MOST_QUEUED: Final = 2_000
_MOST_BODY: Final = 100_000
_MOST_KEPT_BYTES: Final = 300_000
_MOST_RETAINED: Final = 100
_REMEMBERED_S: Final = 140 * 3600.0
_LATELY: Final = 5_000
_LINES: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """What there is in one night.

    Attributes:
        resident_mb: what the process has in memory, in MB (proc(5)).
        body: bytes of the site's state.
        queued: the most records that wait at a door.
        kept: the most bytes that a door's disk keeps beside them.
        retained: messages that the broker keeps.
        present: how many people the site is taken to hold, in the middle of the night.
        forgotten: entries out of which persons were taken.
    """

    day: int
    resident_mb: float
    body: int
    queued: int
    kept: int
    retained: int
    present: int
    forgotten: int


@dataclass(slots=True, kw_only=True)
class Year:
    """Looks at a simulation each night.

    Attributes:
        nights: what was seen.
        on_night: called after each.
    """

    archive: Archive
    nights: list[Night] = field(default_factory=list)
    on_night: Callable[[], object] = lambda: None

    def __call__(self, evening: Evening) -> None:
        """It is night: put the day away, forget, look, and let go of what is over."""
        now = evening.world.now
        self.archive.add(evening.settling.take())
        gone, told = self.archive.forget(evening.books, now)
        evening.settling.vouch(SERVER, [kept.record for kept in told])
        self._look_for_names(evening)
        self.nights.append(self._measured(evening, gone))
        self._look_for_growth(evening, self.nights[-1])
        _let_go(evening)
        self.on_night()

    def _look_for_names(self, evening: Evening) -> None:
        """Nobody is known for longer than they may be (11)."""
        before = evening.world.now - KEPT
        filed = self.archive.named_before(before)
        who = [*evening.rules.members, *evening.rules.badges]
        # What was forgotten in an earlier night is never written again.
        named = self.archive.naming(before - 2 * _A_DAY, before, who)
        if filed or named:
            text = f"{filed} entries are filed under somebody, {len(named)} name them: {named[:1]}"
            evening.witness.protest(11, f"after {KEPT.days} days {text}")

    def _measured(self, evening: Evening, gone: int) -> Night:
        doors = list(evening.doors.values())
        return Night(
            day=len(self.nights) + 1,
            resident_mb=resident_mb(),
            body=len(evening.books.body),
            queued=max(len(door.platter.records) for door in doors),
            kept=max(sum(map(len, door.platter.kept.values())) for door in doors),
            retained=len(evening.broker.retained),
            present=from_json(evening.books.body).presence.present,
            forgotten=gone,
        )

    def _look_for_growth(self, evening: Evening, night: Night) -> None:
        """Queues and files stay small (12), and nobody stays inside for ever (10)."""
        protest = evening.witness.protest
        for name, most in (
            ("queued", _MOST_QUEUED),
            ("body", _MOST_BODY),
            ("kept", _MOST_KEPT_BYTES),
            ("retained", _MOST_RETAINED),
        ):
            if getattr(night, name) > most:
                protest(12, f"in night {night.day} {name} is {getattr(night, name)}, over {most}")
        for member, stay in from_json(evening.books.body).presence.inside.items():
            if evening.world.now - stay.since > _OLDEST_STAY:
                protest(10, f"{member} is taken to be inside since {stay.since}")


def simulate_year(
    seed: int, days: int, folder: Path, on_night: Callable[[], object] = lambda: None
) -> tuple[Result, Year, list[str]]:
    """Simulate one site for so many days; blocks for about a second for each three.

    Returns:
        What became of it, what was seen each night, and what is wrong with the whole ledger.
    """
    plan = Plan(seed=seed, hours=24.0 * days, has=PLAN_HAS, pace=PACE)
    with Archive(folder) as archive:
        year = Year(archive=archive, on_night=on_night)
        result = simulate(plan, year)
        return result, year, archive.problems()


def resident_mb() -> float:
    """Give what this process has in memory, in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _let_go(evening: Evening) -> None:
    """Let go of what only the simulation remembers, and needs no more."""
    books, witness, world = evening.books, evening.witness, evening.world
    heads = evening.settling.heads
    books.numbers = {
        (source, seq) for source, seq in books.numbers if seq > heads[source].seq - _LATELY
    }
    _keep_last(books.decisions)
    _keep_last(witness.decided)
    _keep_last(witness.copies.shown_by)
    evening.rules.let_go(_REMEMBERED_S)
    del world.trace[:-_LINES]


def _keep_last(lately: dict[Any, Any]) -> None:
    for key in list(lately)[:-_LATELY]:
        del lately[key]
