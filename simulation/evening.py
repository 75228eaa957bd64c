"""One simulation from beginning to end: build the site, let it live, mend it, judge it."""

import hashlib
import hmac
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from random import Random
from typing import Final

from access.ids import DoorId
from simulation.clocks import NodeClock
from simulation.doors import DoorNode
from simulation.faults import Fault, Trouble
from simulation.invariants import Violation, Witness
from simulation.network import Broker
from simulation.overheard import overheard
from simulation.people import Habits, People
from simulation.rulebook import (
    BADGE_KEY,
    DOORS,
    L1_AFTER_HOURS,
    L1_CARDS,
    MEMBERS,
    SITE,
    Rulebook,
    populated,
)
from simulation.servers import Books, ServerNode
from simulation.thieves import EXAM_STEP_S, Thieves
from simulation.verdicts import Settling, converged, discreet
from simulation.world import Happened, World

CONVERGE_S: Final = 60.0
"""How long all may take to come right once everything is mended (12)."""

LONGEST_WATCH_S: Final = 8 * 3600.0
_STEP_S: Final = 600.0
_A_DAY_S: Final = 86_400.0
_FIRST_NIGHT_S: Final = 12 * 3600.0
"""From the beginning, at three in the afternoon UTC, to the middle of the night."""
_STARTS: Final = (
    datetime(2026, 3, 10, 15, 0, tzinfo=UTC),
    datetime(2026, 3, 28, 15, 0, tzinfo=UTC),  # the night in which summer time begins
    datetime(2026, 10, 24, 15, 0, tzinfo=UTC),  # the night in which it ends
)
_KEY: Final = b"the simulated server's key"


def sign(body: bytes) -> bytes:
    """Sign as the simulated server: a keyed hash, which costs little and needs no library."""
    return hashlib.blake2b(body, key=_KEY, digest_size=32).digest()


def verify(signature: bytes, body: bytes) -> bool:
    """Say whether the simulated server signed it."""
    return hmac.compare_digest(signature, sign(body))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one simulation is to be.

    Attributes:
        hours: how long it lasts before everything is mended.
        without: what it must not have, by name: faults, habits, features of the site, people; for
            looking for the cause.
        from_h: hours after its beginning before which nobody comes and nothing goes wrong.
        until_h: hours after its beginning at which everything is mended; None: at its end.
        has: what it has, by name, in place of what chance decides; None: chance decides.
        pace: how many times longer than usual it is from one fault to the next.
    """

    seed: int
    hours: float = 14.0
    without: frozenset[str] = frozenset()
    from_h: float = 0.0
    until_h: float | None = None
    has: frozenset[str] | None = None
    pace: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of it.

    Attributes:
        has: the faults and habits that it had, by name.
        people: those who came, by name.
        counts: how often what happened.
        digest: of the whole trace; the same for the same plan.
        start: the true time at which it began, UTC.
    """

    plan: Plan
    has: tuple[str, ...]
    people: tuple[str, ...]
    violation: Violation | None
    counts: Counter[str]
    steps: int
    digest: str
    start: datetime
    trace: Sequence[Happened] = field(repr=False)
    lines: Sequence[str] = field(repr=False)

    def tail(self, length: int = 40) -> str:
        """Give the last lines of the trace."""
        return "\n".join(self.lines[-length:])


def names() -> frozenset[str]:
    """Give the names of all that a plan can be `without`."""
    habits = (one.name for one in fields(Habits))
    return frozenset({*(kind.value for kind in Fault), *habits, L1_CARDS, L1_AFTER_HOURS, *MEMBERS})


def simulate(plan: Plan, nightly: "Callable[[Evening], object] | None" = None) -> Result:
    """Run one simulation; blocks for some tenths of a second a simulated evening.

    Args:
        plan: what it is to be.
        nightly: is shown the simulation each night, for those that last.
    """
    evening = Evening(plan, nightly)
    with overheard(evening.witness.discretion.logged):
        return evening.run()


class Evening:
    """One simulation: everything that is in it.

    Args:
        plan: what it is to be.
        nightly: see `simulate`.
    """

    def __init__(self, plan: Plan, nightly: "Callable[[Evening], object] | None" = None) -> None:
        self.plan, self._nightly = plan, nightly
        first = Random(f"{plan.seed}/start")  # noqa: S311 (no secret hangs on it)
        self.world = World(plan.seed, first.choice(_STARTS))
        self.rules: Rulebook = populated(
            self.world,
            days=max(1, round(plan.hours / 24)),
            has=plan.has,
            without=plan.without,
        )
        self.witness = Witness(world=self.world, rules=self.rules)
        self.broker = Broker(world=self.world)
        self.books = Books(witness=self.witness)
        self.settling = Settling(witness=self.witness, books=self.books)
        self.broker.on_publish = self.witness.discretion.sent
        self.witness.decision_of = self.books.decisions.get
        self.server = self._make_server()
        self.doors = {door.id: self._make_door(door.id) for door in DOORS}
        self.witness.in_reach = self._is_in_reach
        self.people = People(
            world=self.world,
            rules=self.rules,
            doors=self.doors,
            server=self.server,
            habits=self._habits(),
            absent=plan.without,
            from_s=plan.from_h * 3600.0,
        )
        self.thieves = Thieves(world=self.world, rules=self.rules, people=self.people)
        for badge, token in self.rules.enrolled.items():
            self.books.enrol(badge, token, self.world.start)
        self.trouble = Trouble(
            world=self.world,
            witness=self.witness,
            broker=self.broker,
            rules=self.rules,
            server=self.server,
            doors=self.doors,
            sign=sign,
            kinds=self._kinds(),
            on_fire=self.people.evacuate,
            from_s=plan.from_h * 3600.0,
            pace=plan.pace,
        )

    def run(self) -> Result:
        """Live, mend, judge."""
        self._live()
        if self.witness.violation is None:
            self._mend()
        if self.witness.violation is None:
            self.settling.conclude()
            discreet(self.witness, self.books, self.doors.values())
        return self._result()

    def _live(self) -> None:
        self.server.start()
        for door in self.doors.values():
            door.power_on()
        self._until(10.0)
        self.trouble.begin()
        self.people.plan(self.plan.hours)
        if self._nightly is not None:
            self.world.after(_FIRST_NIGHT_S, self._night)
        if self.people.habits.copies:
            self.thieves.plan(self.plan.hours)
        until_h = self.plan.hours if self.plan.until_h is None else self.plan.until_h
        self._until(until_h * 3600.0)

    def _night(self) -> None:
        if self._nightly is not None and not self.people.is_over:
            self._nightly(self)
            self.world.after(_A_DAY_S, self._night)

    def _mend(self) -> None:
        self.people.is_over = True
        self.trouble.heal()
        self._until(self.world.now_s + CONVERGE_S)
        if self.witness.violation is None:
            version = self.rules.editions[-1].policy.version
            converged(self.witness, self.books, self.doors.values(), version)
        self._examine()
        end_s = self.world.now_s + LONGEST_WATCH_S
        while self.witness.violation is None and self._is_watched() and self.world.now_s < end_s:
            self._until(self.world.now_s + _STEP_S)
        self._until(self.world.now_s + CONVERGE_S)

    def _examine(self) -> None:
        """Use copied badges and their copies once more, at a door alone and at the server (8)."""
        door, link = next((one, one.link) for one in self.doors.values())
        if self.people.habits.pulls:
            self._until(self.world.now_s + self.thieves.examine_torn(door))
        if not self.thieves.copies or link is None:
            return
        link.cut()
        self._until(self.world.now_s + self.thieves.examine(door))
        link.heal()
        self._until(self.world.now_s + CONVERGE_S)
        self._until(self.world.now_s + self.thieves.examine(door) + EXAM_STEP_S)
        self.witness.copies.examined()

    def _is_watched(self) -> bool:
        return any(not watch.ends for watch in self.witness.watches.values())

    def _until(self, end_s: float) -> None:
        if self.witness.violation is None:
            self.world.run_until(end_s, lambda: self.witness.violation is not None)

    def _is_in_reach(self, door: DoorId) -> bool:
        links = (self.doors[door].link, self.server.link)
        is_linked = all(link is not None and link.is_up and not link.is_cut for link in links)
        stalled_s = max(self.server.stalled_until_s, self.doors[door].stalled_until_s)
        is_awake = self.server.service is not None and self.world.now_s > stalled_s
        return is_linked and is_awake and self.broker.is_up and not self.books.is_refusing

    def _make_server(self) -> ServerNode:
        return ServerNode(
            world=self.world,
            witness=self.witness,
            broker=self.broker,
            site=SITE,
            doors=frozenset(door.id for door in DOORS),
            policy_of=self.rules.policy_of,
            sign=sign,
            clock=NodeClock(self.world),
            books=self.books,
        )

    def _make_door(self, door: DoorId) -> DoorNode:
        return DoorNode(
            world=self.world,
            witness=self.witness,
            broker=self.broker,
            site=SITE,
            id=door,
            readers=next(one.readers for one in DOORS if one.id == door),
            verify=verify,
            badge_key=BADGE_KEY,
            clock=NodeClock(self.world, drift=self.world.chance("clocks").uniform(-1e-4, 1e-4)),
        )

    def _kinds(self) -> frozenset[Fault]:
        chance = self.world.chance("swarm")
        part = chance.choice([0.0, 0.15, 0.4, 0.6])
        chosen = [kind for kind in Fault if chance.random() < part]
        if self.plan.has is not None:
            chosen = [kind for kind in Fault if kind.value in self.plan.has]
        return frozenset(kind for kind in chosen if kind.value not in self.plan.without)

    def _habits(self) -> Habits:
        chance = self.world.chance("habits")
        names = [one.name for one in fields(Habits)]
        chosen = {name for name in names if chance.random() < 0.5}  # noqa: PLR2004
        if self.plan.has is not None:
            chosen = set(names) & self.plan.has
        return Habits(**{name: name in chosen - self.plan.without for name in names})

    def _result(self) -> Result:
        habits = [f.name for f in fields(Habits) if getattr(self.people.habits, f.name)]
        faults = [kind.value for kind in Fault if kind in self.trouble.kinds]
        return Result(
            plan=self.plan,
            has=(*faults, *habits, *self.rules.features),
            people=tuple(m for m in self.rules.members if m not in self.plan.without),
            violation=self.witness.violation,
            counts=self.world.counts,
            steps=self.world.steps,
            digest=self.world.digest(),
            start=self.world.start,
            trace=self.world.trace,
            lines=[self.world.line(one) for one in self.world.trace[-400:]],
        )
