"""Verifying the state: it is what follows from the ledger, and a change of it is found."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any

import pytest
from sqlalchemy import text as sql

from access.ids import BadgeDigest, DoorId, MemberId, SiteId
from access.instants import Span
from access.journal import SERVER, Head, chained
from access.messages import AccessRequest
from access.model import Authorization, Badge, Door, Member, Plan, Policy
from access.presence import Stay
from server import ledger
from server.database import Database
from server.desk import OPERATOR, DeskError
from server.effects import Answer
from server.events import (
    Asked,
    CloseAsked,
    Event,
    GuestsChanged,
    Recounted,
    RecountedTotal,
    Reported,
    Ticked,
)
from server.forgetting_ledger import take_out
from server.forgotten import What
from server.gatehouse import Gatehouse
from server.state import SiteState, from_json, to_json
from server.verify import verify_site
from server.verify_state import StateReport, verify_state

LYON = SiteId("lyon")
FRONT, BACK = DoorId("front"), DoorId("back")
DOORS = (FRONT, BACK)
GUARDIAN = MemberId("guardian")
MEMBERS = (GUARDIAN, *(MemberId(f"member-{number}") for number in range(6)))
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def badge_of(member: MemberId) -> BadgeDigest:
    return BadgeDigest(member.encode().hex().ljust(32, "0")[:32])


def rules() -> Policy:
    """Open from 8 to 18 each day of two weeks; in the evenings a guardian may open."""
    morning = NOON.replace(hour=8)
    days = range(14)
    evenings = tuple(
        Authorization(
            id=f"evening-{day}",
            guardian=GUARDIAN,
            span=Span(start=morning + day * DAY + 11 * DAY / 24, end=morning + (day + 0.5) * DAY),
        )
        for day in days
    )
    return Policy(
        version=1,
        site=LYON,
        issued=NOON,
        relies_until=NOON + 3 * DAY,
        capacity=60,
        doors={
            FRONT: Door(id=FRONT, name="Front", plans=frozenset(Plan)),
            BACK: Door(id=BACK, name="Back", plans=frozenset(Plan), has_contact=False),
        },
        members={
            one: Member(id=one, plan=Plan.NOMAD, is_guardian=one == GUARDIAN) for one in MEMBERS
        },
        badges={badge_of(one): Badge(digest=badge_of(one), member=one) for one in MEMBERS},
        opening=tuple(
            Span(start=morning + day * DAY, end=morning + day * DAY + 10 * DAY / 24) for day in days
        ),
        authorizations={GUARDIAN: evenings},
    )


@dataclass
class Place:
    """A site whose doors hand in what people do there."""

    database: Database
    dice: Random = field(default_factory=lambda: Random(5))  # noqa: S311 (not for secrets)
    now: datetime = NOON
    heads: dict[DoorId, Head] = field(default_factory=dict)
    waiting: dict[DoorId, list[dict[str, Any]]] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        policy = rules()
        self.house = Gatehouse(database=self.database, policy_of=lambda _: policy)

    def handle(self, *events: Event) -> list[Any]:
        try:
            return self.house.handle(LYON, events, self.now)
        except DeskError:
            return []

    def record(self, door: DoorId, kind: str, **data: Any) -> None:
        late = timedelta(seconds=self.dice.choice([0, 0, 5, 600]))
        record, self.heads[door] = chained(
            self.heads.get(door, Head()),
            site=LYON, source=door, kind=kind, time=self.now - late, data=data,
        )  # fmt: skip
        self.waiting.setdefault(door, []).append(record)

    def hand_in(self, door: DoorId) -> None:
        if records := self.waiting.pop(door, []):
            self.handle(Reported(door=door, records=tuple(records)))

    def come(self, member: MemberId, door: DoorId = FRONT) -> None:
        request = AccessRequest(
            id=f"00000000-0000-7000-8000-{next(self.numbers):012x}",
            at=self.now,
            reader="in",
            badge=badge_of(member),
        )
        effects = self.handle(Asked(door=door, request=request))
        answers = [one.decision for one in effects if isinstance(one, Answer)]
        kind = "access.granted" if answers[0].granted else "access.denied"
        self.record(door, kind, reader="in", request=request.id, member=member)
        if answers[0].granted:
            self.open(door, request=request.id, cause="grant")

    def go(self, member: MemberId, door: DoorId = FRONT) -> None:
        self.record(door, "access.granted", reader="out", request="out", member=member)
        self.open(door, cause="grant")

    def leave_by_button(self) -> None:
        self.record(FRONT, "exit.requested")
        self.open(FRONT, cause="exit")

    def open(self, door: DoorId, **data: Any) -> None:
        self.record(door, "lock.unlocked")
        if self.dice.random() < 0.9:
            self.record(door, "door.opened", **data)
            self.record(door, "door.closed", open_s=1.0)
        self.record(door, "lock.locked")

    def live(self) -> None:
        """Let one thing happen, by the dice."""
        self.now += timedelta(minutes=self.dice.randrange(1, 90))
        member, door = self.dice.choice(MEMBERS), self.dice.choice(DOORS)
        change: list[Callable[[], object]] = [
            lambda: self.come(member, door),
            lambda: self.come(member, door),
            lambda: self.go(member, door),
            self.leave_by_button,
            lambda: self.handle(Ticked()),
            lambda: self.handle(GuestsChanged(by=OPERATOR, change=self.dice.choice([2, -1]))),
            lambda: self.handle(Recounted(by=OPERATOR, members=MEMBERS[:2], guests=1)),
            lambda: self.handle(RecountedTotal(by=OPERATOR, people=self.dice.randrange(4))),
            lambda: self.handle(CloseAsked(by=OPERATOR)),
        ]
        self.dice.choices(change, weights=[9, 9, 9, 3, 3, 3, 1, 1, 1])[0]()
        for one in DOORS:
            if self.dice.random() < 0.7:
                self.hand_in(one)

    def verified(self) -> StateReport:
        with self.database.reading() as connection:
            chains = verify_site(connection, LYON)
            return verify_state(connection, LYON, chains, frozenset({BACK}))

    def change(self, how: Callable[[SiteState], None]) -> None:
        """Change the state behind the ledger's back."""
        with self.database.writing() as connection:
            loaded = ledger.load_state(connection, LYON)
            assert loaded is not None
            state = from_json(loaded[1])
            how(state)
            connection.execute(sql("UPDATE site_state SET body = :body"), {"body": to_json(state)})


@pytest.fixture
def place(database: Database) -> Place:
    return Place(database)


@pytest.mark.parametrize("seed", range(2))
def test_whatever_happens_the_state_is_what_follows_from_the_ledger(
    place: Place, seed: int
) -> None:
    place.dice = Random(seed)  # noqa: S311 (not for secrets)
    watches = 0
    for number in range(300):
        place.live()
        watches += place.house.look(LYON).watch is not None
        if number % 50 == 49:
            assert place.verified() == StateReport(site=LYON)
    assert watches, "the evenings are lived through too"


def test_whoever_comes_in_after_the_clock_was_ahead_is_counted_as_inside(place: Place) -> None:
    place.dice = Random(3)  # noqa: S311 (not for secrets)
    place.now = NOON.replace(hour=10)
    place.come(MEMBERS[1])
    place.hand_in(FRONT)
    place.now += DAY
    place.come(MEMBERS[2])
    place.hand_in(FRONT)
    place.now = place.now.replace(hour=19)
    place.handle(Ticked())
    assert not place.house.look(LYON).presence.inside, "it was swept, a day too soon"
    place.now = NOON.replace(hour=11)
    for member in MEMBERS[1:4]:
        place.come(member)
        place.hand_in(FRONT)
    assert set(place.house.look(LYON).presence.inside) == set(MEMBERS[1:4])
    assert place.verified() == StateReport(site=LYON)
    place.now += timedelta(minutes=30)
    place.go(MEMBERS[2])
    place.hand_in(FRONT)
    assert set(place.house.look(LYON).presence.inside) == {MEMBERS[1], MEMBERS[3]}
    assert place.verified() == StateReport(site=LYON)


@pytest.mark.parametrize("seed", range(2))
def test_whatever_the_servers_clock_does_the_state_is_what_follows_from_the_ledger(
    place: Place, seed: int
) -> None:
    place.dice = Random(seed)  # noqa: S311 (not for secrets)
    for number in range(120):
        if number % 20 == 19:
            place.now += place.dice.choice([DAY, -DAY, timedelta(hours=-1)])
        place.live()
        if number % 20 == 18:
            assert place.verified() == StateReport(site=LYON)


def test_a_site_in_which_nothing_has_happened_is_whole(place: Place) -> None:
    assert place.verified() == StateReport(site=LYON)


@pytest.fixture
def evening(place: Place) -> Place:
    """The guardian has opened, one member is inside, and one left by the button."""
    place.dice = Random(3)  # noqa: S311 (not for secrets)
    place.now = NOON.replace(hour=19)
    for member in (GUARDIAN, MEMBERS[1], MEMBERS[2]):
        place.come(member)
        place.hand_in(FRONT)
        place.now += timedelta(minutes=1)
    place.leave_by_button()
    place.hand_in(FRONT)
    assert place.house.look(LYON).watch is not None
    assert place.verified() == StateReport(site=LYON)
    return place


def without(state: SiteState, member: MemberId) -> None:
    state.presence.inside.pop(member)


def enter(state: SiteState) -> None:
    state.presence.inside[MEMBERS[5]] = Stay(since=NOON, door=FRONT)


def wind_back(state: SiteState) -> None:
    state.doors[FRONT].head = Head(seq=1, hash="a" * 64)


def barge_in(state: SiteState) -> None:
    assert state.watch is not None
    (tenure,) = state.watch.tenures
    state.watch = replace(state.watch, tenures=(replace(tenure, guardian=MEMBERS[1]),))


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (lambda state: without(state, GUARDIAN), "inside by the ledger only: guardian"),
        (enter, "inside by the state only: member-4"),
        (lambda state: state.presence.change_guests(3), "guests: 3 by the state, 0"),
        (lambda state: state.presence.change_guests(3), "the ledger's last count says 2 and 1"),
        (wind_back, "the state knows front up to 1"),
        (lambda state: setattr(state, "own", Head()), "the state knows server up to 0"),
        (lambda state: state.doors.pop(FRONT), "the state knows front up to 0"),
        (lambda state: setattr(state, "watch", None), "by the state no watch runs"),
        (barge_in, "of member-0 (confirmed) runs, by the ledger watch"),
    ],
)
def test_a_change_of_the_state_is_found(
    evening: Place, how: Callable[[SiteState], None], says: str
) -> None:
    evening.change(how)
    report = evening.verified()
    assert not report.is_whole
    assert says in "\n".join(report.problems)


def test_a_state_that_is_gone_or_cannot_be_read_is_found(evening: Place) -> None:
    with evening.database.writing() as connection:
        connection.execute(sql("UPDATE site_state SET body = '{'"))
    assert "can't be read" in evening.verified().problems[0]
    with evening.database.writing() as connection:
        connection.execute(sql("DELETE FROM site_state"))
    assert evening.verified().problems == ("there is a ledger, and no state",)


def test_records_that_are_missing_at_the_end_of_a_chain_are_found_by_the_state(
    evening: Place,
) -> None:
    last = evening.house.look(LYON).doors[FRONT].head.seq
    with evening.database.writing() as connection:
        connection.execute(sql("INSERT INTO purge_permit (id) VALUES (1)"))
        gone = sql("DELETE FROM ledger WHERE source = 'front' AND seq = :last")
        assert connection.execute(gone, {"last": last}).rowcount == 1
        connection.execute(sql("DELETE FROM purge_permit"))
        assert all(report.is_whole for report in verify_site(connection, LYON))
    assert f"the state knows front up to {last}" in evening.verified().problems[0]


def test_a_record_set_aside_at_the_end_of_a_chain_is_no_difference(evening: Place) -> None:
    evening.record(FRONT, "door.forced")
    evening.waiting[FRONT][-1]["hash"] = "b" * 64
    evening.hand_in(FRONT)
    with evening.database.reading() as connection:
        assert len(ledger.list_set_aside(connection, LYON)) == 1
    assert evening.verified() == StateReport(site=LYON)


def test_what_is_forgotten_is_not_compared_and_all_else_is(evening: Place) -> None:
    later = evening.now + 100 * DAY
    done = take_out(evening.database, LYON, What.MEMBERS, before=later, now=later)
    assert done > 0
    report = evening.verified()
    assert report.is_whole
    assert report.unknown == "who is inside: the ledger has forgotten it"
    evening.change(wind_back)
    assert not evening.verified().is_whole


def test_a_sweep_makes_it_known_again(evening: Place) -> None:
    later = evening.now + DAY
    take_out(evening.database, LYON, What.MEMBERS, before=later, now=later)
    evening.now = later.replace(hour=7)
    evening.handle(Ticked())
    evening.now = later.replace(hour=9)
    evening.come(MEMBERS[3])
    evening.hand_in(FRONT)
    report = evening.verified()
    assert report == StateReport(site=LYON)
    with evening.database.reading() as connection:
        assert ledger.head(connection, LYON, SERVER).seq > 5
