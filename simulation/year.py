"""A year of one site, night by night: nothing may grow, or be known for too long (11, 12)."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from access.journal import SERVER
from server.state import from_json
from simulation.archive import KEPT, Archive
from simulation.discretion import Person
from simulation.evening import Evening, Plan, Result, simulate
from simulation.rulebook import L1_CARDS
from simulation.traces import bytes_in, names_in, places, words_in
from simulation.turnover import Gone, Turnover

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

UNKNOWN_KEPT: Final = timedelta(hours=24)
"""How long the digest of a badge that nobody has may be known."""

_RELIED_ON: Final = timedelta(days=5)
_OLDEST_STAY: Final = timedelta(hours=36)
_THOROUGH_EVERY: Final = 30
"""After so many nights the files are written anew, as `docs/privacy.md` asks for large ones."""

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
        gone: how many the registry has forgotten or erased so far.
    """

    day: int
    resident_mb: float
    body: int
    queued: int
    kept: int
    retained: int
    present: int
    forgotten: int
    gone: int


@dataclass(slots=True, kw_only=True)
class Year:
    """Looks at a simulation each night.

    Attributes:
        turnover: who comes and goes.
        nights: what was seen.
        on_night: called after each.
    """

    archive: Archive
    turnover: Turnover
    nights: list[Night] = field(default_factory=list)
    on_night: Callable[[], object] = lambda: None
    _evening: Evening | None = None

    def __call__(self, evening: Evening) -> None:
        """It is night: put the day away, forget, look, and let go of what is over."""
        now, self._evening = evening.world.now, evening
        self.archive.add(evening.settling.take())
        self.turnover.live(evening)
        self._look_for_erased(evening)
        is_thorough = len(self.nights) % _THOROUGH_EVERY == _THOROUGH_EVERY - 1
        gone, told = self.archive.forget(evening.books, now, is_thorough=is_thorough)
        evening.settling.vouch(SERVER, [kept.record for kept in told])
        self.turnover.settle(evening)
        self._look_for_names(evening)
        self._look_for_rows(evening)
        if is_thorough or self.archive.is_small:
            self._look_for_gone(evening)
        self.nights.append(self._measured(evening, gone))
        self._look_for_growth(evening, self.nights[-1])
        _let_go(evening)
        self.on_night()

    def _look_for_names(self, evening: Evening) -> None:
        """Nobody is known for longer than they may be (11)."""
        before = evening.world.now - KEPT
        filed = self.archive.named_before(before)
        who = self.turnover.ever()
        # What was forgotten in an earlier night is never written again.
        named = self.archive.naming(before - 2 * _A_DAY, before, who)
        if filed or named:
            text = f"{filed} entries are filed under somebody, {len(named)} name them: {named[:1]}"
            evening.witness.protest(11, f"after {KEPT.days} days {text}")

        over = evening.world.now - UNKNOWN_KEPT
        unknown = {one for gone in self._gone_since(_RELIED_ON) for one in gone.badges}
        if self.archive.naming(over - 2 * _A_DAY, over - _A_DAY, unknown):
            evening.witness.protest(11, "a badge that nobody has is known after a day")

    def _look_for_erased(self, evening: Evening) -> None:
        """Nothing is left of who was erased a moment ago, not in a page nor in the log (11)."""
        with self.archive.files() as files:
            left = names_in(files, self.turnover.erased) if self.archive.is_small else []
        self.turnover.erased.clear()
        if left:
            evening.witness.protest(11, f"after they were erased there is {left[0]}")

    def _look_for_rows(self, evening: Evening) -> None:
        """No row is older than it may be; of whom the registry has forgotten, nothing is left."""
        protest = evening.witness.protest
        if old := self.archive.rows_too_old(evening.world.now, self.turnover.left):
            protest(11, f"kept for too long: {', '.join(old)}")
        if left := self._forgotten_words() & _words_at(evening):
            protest(11, f"server, broker or doors still keep {sorted(left)}")

    def _look_for_gone(self, evening: Evening) -> None:
        """The files have no name of those whom the registry has forgotten."""
        with self.archive.files() as files:
            names = names_in(files, _persons(self.turnover.gone.values()))
        if names:
            evening.witness.protest(11, f"whom the registry has forgotten: {names[0]}")

    def remains(self) -> list[str]:
        """Say what is left, when all is mended, of whom and what the site has forgotten. Blocks."""
        if self._evening is None:
            return []
        self.archive.write_anew()
        still = {one.member: one for one in self._gone_since(_A_DAY)}
        kept_by_doors = {
            word
            for where, text in places(self._evening)
            if where.startswith("what ")
            for word in words_in(text)
        }
        with self.archive.files() as files:
            secrets = bytes_in(files, self.turnover.secrets)
            forgotten = bytes_in(files, self._forgotten_words())
        return [
            *(f"a secret, {one}" for one in secrets),
            *forgotten,
            *(
                f"{one} at a door or the broker"
                for one in _words_of(still.values()) & kept_by_doors
            ),
        ]

    def _forgotten_words(self) -> frozenset[str]:
        """Give the ids and badges that may be nowhere any more, but in the time bank."""
        gone = self._gone_since(KEPT + 2 * _A_DAY)
        # What is found at a door once more is known as a badge that nobody has, for a day.
        lately = self._now() - 3 * _A_DAY
        found = {badge for badge, at in self.turnover.found.items() if at > lately}
        return _words_of(gone) - found

    def _gone_since(self, length: timedelta) -> list[Gone]:
        """Give those whom the registry has forgotten for so long."""
        before = self._now() - length
        return [one for one in self.turnover.gone.values() if one.since < before]

    def _now(self) -> datetime:
        if self._evening is None:
            raise LookupError("there was no night yet")
        return self._evening.world.now

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
            gone=len(self.turnover.gone),
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
        What became of it, what was seen each night, and what is wrong with the whole ledger, or
        left of those whom it has forgotten.
    """
    plan = Plan(seed=seed, hours=24.0 * days, has=PLAN_HAS, pace=PACE)
    with Archive(folder) as archive:
        year = Year(archive=archive, turnover=Turnover(archive=archive), on_night=on_night)
        result = simulate(plan, year)
        return result, year, [*archive.problems(), *year.remains()]


def _words_of(gone: Iterable[Gone]) -> frozenset[str]:
    return frozenset(word for one in gone for word in (one.member, *one.badges))


def _words_at(evening: Evening) -> frozenset[str]:
    return frozenset(word for _, text in places(evening) for word in words_in(text))


def _persons(gone: Iterable[Gone]) -> list[Person]:
    return [one.person for one in gone]


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
