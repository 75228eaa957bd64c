"""Watches through the gatehouse: restarts, hand-overs, revocations, and journals that come late."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from access.ids import BadgeDigest, DoorId, MemberId, SiteId
from access.instants import Span
from access.journal import Head, chained
from access.messages import AccessDecision, AccessRequest, DoorState
from access.model import (
    Audience,
    Authorization,
    Badge,
    BadgeStatus,
    Door,
    Member,
    Plan,
    Policy,
    Reader,
    Status,
    Validity,
)
from server import ledger, registry
from server.database import Database, open_database
from server.desk import DeskError, NotAllowedError
from server.effects import Answer
from server.events import (
    Asked,
    CloseAsked,
    DoorSaid,
    Event,
    GuestsChanged,
    Reported,
    RollCallSigned,
    Ticked,
    WatchOffered,
    WatchTaken,
)
from server.gatehouse import Gatehouse
from tests.server.migrated import open_migrated

SITE = SiteId("malakoff")
MAIN, LAB = DoorId("main"), DoorId("lab")
ANNA, BRUNO, CARL, DORA, STAFF = (
    MemberId(one) for one in ("anna", "bruno", "carl", "dora", "sophie")
)
PEOPLE = (
    Member(id=ANNA, plan=Plan.NOMAD, is_guardian=True),
    Member(id=BRUNO, plan=Plan.RESIDENT, is_guardian=True),
    Member(id=CARL, plan=Plan.NOMAD),
    Member(id=DORA, plan=Plan.NOMAD),
    Member(id=STAFF, plan=Plan.STAFF),
)
NIGHT = datetime(2026, 11, 24, tzinfo=UTC)


def at(clock: str) -> datetime:
    """A time of 24 November 2026, UTC; after 24:00 of the next day."""
    hours, minutes = clock.split(":")
    return NIGHT + timedelta(hours=int(hours), minutes=int(minutes))


def badge_of(member: MemberId) -> BadgeDigest:
    return BadgeDigest(member.encode().hex().ljust(32, "0"))


def talk(guardian: MemberId, end: str = "21:00", **changes: Any) -> Authorization:
    span = Span(start=at("18:30"), end=at(end))
    return replace(Authorization(id=f"talk/{guardian}", guardian=guardian, span=span), **changes)


def rules(*authorizations: Authorization, **changes: Any) -> Policy:
    granted = authorizations or (talk(ANNA), talk(BRUNO))
    readers = (Reader.IN, Reader.OUT)
    values: dict[str, Any] = {
        "version": 1,
        "site": SITE,
        "issued": NIGHT,
        "relies_until": NIGHT + timedelta(hours=72),
        "capacity": 60,
        "doors": {
            door: Door(id=door, name=door, plans=frozenset(Plan), readers=readers)
            for door in (MAIN, LAB)
        },
        "members": {one.id: one for one in PEOPLE},
        "badges": {badge_of(m.id): Badge(digest=badge_of(m.id), member=m.id) for m in PEOPLE},
        "opening": (
            Span(start=at("08:00"), end=at("17:30")),
            Span(start=at("32:00"), end=at("41:30")),
        ),
        "authorizations": {one.guardian: (one,) for one in granted},
    }
    return Policy(**(values | changes))


def changed(policy: Policy, **changes: Any) -> Policy:
    return replace(policy, version=policy.version + 1, **changes)


def request_id(number: int) -> str:
    return str(UUID(int=(7 << 76) | (8 << 60) | number))


@dataclass
class Journal:
    """What one door has recorded."""

    door: DoorId
    head: Head = field(default_factory=Head)
    records: list[dict[str, Any]] = field(default_factory=list)

    def add(self, kind: str, time: datetime, **data: Any) -> None:
        record, self.head = chained(
            self.head, site=SITE, source=self.door, kind=kind, time=time, data=data
        )
        self.records.append(record)

    def enter(self, member: MemberId, time: datetime, request: str | None = None) -> None:
        self.add("access.granted", time, reader="in", member=member, request=request)
        self.add("door.opened", time)
        self.add("door.closed", time, open_s=2.0)
        self.add("lock.locked", time)

    def leave(self, member: MemberId, time: datetime) -> None:
        self.add("access.granted", time, reader="out", member=member)
        self.add("door.opened", time)
        self.add("door.closed", time, open_s=2.0)
        self.add("lock.locked", time)

    def open_watch(self, guardian: MemberId, time: datetime, request: str) -> None:
        self.add("watch.opened", time, guardian=guardian, member=guardian, request=request)
        self.enter(guardian, time, request)


@dataclass
class House:
    """A site with two doors, as its doors and its people see it."""

    database: Database
    policy: Policy = field(default_factory=rules)
    journals: dict[DoorId, Journal] = field(
        default_factory=lambda: {door: Journal(door=door) for door in (MAIN, LAB)}
    )
    ids: Iterator[int] = field(default_factory=lambda: count(1))
    gatehouse: Gatehouse = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget all that is not in the database."""
        self.gatehouse = Gatehouse(database=self.database, policy_of=lambda _: self.policy)

    def tell(self, event: Event, clock: str) -> list[Any]:
        return list(self.gatehouse.handle(SITE, [event], at(clock)))

    def tick(self, clock: str) -> None:
        """Let the clock bring about what it would, as the server does four times a second."""
        if self.gatehouse.has_due(SITE, at(clock)):
            self.tell(Ticked(), clock)

    def ask(self, member: MemberId, clock: str, door: DoorId = MAIN) -> AccessDecision:
        effects = self.tell(asked(member, clock, next(self.ids), door), clock)
        decision: AccessDecision = next(e.decision for e in effects if isinstance(e, Answer))
        return decision

    def enter(self, member: MemberId, clock: str, door: DoorId = MAIN) -> AccessDecision:
        decision = self.ask(member, clock, door)
        if decision.granted:
            self.journals[door].enter(member, at(clock), decision.request)
            self.report(door, clock)
        return decision

    def leave(self, member: MemberId, clock: str, door: DoorId = MAIN) -> None:
        self.journals[door].leave(member, at(clock))
        self.report(door, clock)

    def report(self, door: DoorId, clock: str) -> None:
        """Send the whole journal, as a door does that has heard of no acknowledgement."""
        self.tell(Reported(door=door, records=tuple(self.journals[door].records)), clock)

    @property
    def watch(self) -> Any:
        return self.gatehouse.look(SITE).watch

    def told(self, *kinds: str) -> list[tuple[str, datetime, dict[str, Any]]]:
        """Give what the server has recorded, of all kinds about watches or of some."""
        with self.database.reading() as connection:
            entries = ledger.read(connection, SITE, limit=100_000)
        found = [
            (e.kind.removeprefix("gardien."), e.time, e.record["data"])
            for e in entries
            if e.source == "server"
        ]
        return [one for one in found if one[0] in kinds or (not kinds and _is_of_watch(one[0]))]

    def kinds(self) -> list[str]:
        return [kind for kind, *_ in self.told()]

    def balances(self) -> dict[MemberId, int]:
        with self.database.reading() as connection:
            assert sum(registry.accounts(connection).values()) == 0
            return registry.balances(connection)


def _is_of_watch(kind: str) -> bool:
    return kind.startswith(("watch.", "alert."))


def asked(member: MemberId, clock: str, number: int, door: DoorId = MAIN) -> Asked:
    request = AccessRequest(
        id=request_id(number), at=at(clock), reader="in", badge=badge_of(member)
    )
    return Asked(door=door, request=request)


@pytest.fixture
def house(database: Database) -> House:
    return House(database)


@contextmanager
def new_house(policy: Policy | None = None) -> Iterator[House]:
    """Make a house in a new SQLite file, for each example of a property."""
    with (
        TemporaryDirectory() as folder,
        open_migrated(Path(folder) / "gardien.db") as database,
    ):
        yield House(database, policy=policy or rules())


# Two guardians at once


def test_two_guardians_in_the_same_second_open_one_watch(house: House) -> None:
    first, second = house.ask(ANNA, "18:15"), house.ask(BRUNO, "18:15", LAB)
    assert (first.reason, second.reason) == ("watch_opened", "watch")
    assert first.watch == second.watch
    assert house.kinds() == ["watch.opened"]


def test_two_guardians_whose_requests_come_together_open_one_watch(house: House) -> None:
    events = [asked(ANNA, "18:15", 1), asked(BRUNO, "18:15", 2, LAB)]
    effects = house.gatehouse.handle(SITE, events, at("18:15"))
    reasons = [e.decision.reason for e in effects if isinstance(e, Answer)]
    assert reasons == ["watch_opened", "watch"]


def test_two_guardians_whom_two_servers_answer_open_one_watch(
    house: House, database_url: str
) -> None:
    def ask(who: tuple[MemberId, int]) -> str:
        with open_database(database_url) as own:
            gatehouse = Gatehouse(database=own, policy_of=lambda _: house.policy)
            effects = gatehouse.handle(SITE, [asked(who[0], "18:15", who[1])], at("18:15"))
        return next(e.decision.reason for e in effects if isinstance(e, Answer))

    with ThreadPoolExecutor(2) as pool:
        reasons = list(pool.map(ask, [(ANNA, 1), (BRUNO, 2)]))
    assert sorted(reasons) == ["watch", "watch_opened"]
    assert house.kinds() == ["watch.opened"]


@pytest.mark.parametrize("order", [(MAIN, LAB), (LAB, MAIN)])
def test_of_two_watches_that_doors_opened_on_their_own_the_first_stands(
    house: House, order: tuple[DoorId, DoorId]
) -> None:
    house.journals[MAIN].open_watch(ANNA, at("18:15"), request_id(1))
    house.journals[LAB].open_watch(BRUNO, at("18:20"), request_id(2))
    for door in order:
        house.report(door, "18:30")
    assert (house.watch.guardian, house.watch.opened_at) == (ANNA, at("18:15"))
    assert house.watch.is_confirmed
    assert house.kinds().count("alert.two_watches") == 1
    house.tick("21:30")
    house.tick("21:45")
    assert house.balances() == {ANNA: 210}


# The guardian on watch


@pytest.mark.parametrize(
    "member",
    [
        Member(id=ANNA, plan=Plan.NOMAD, is_guardian=True, status=Status.SUSPENDED),
        Member(id=ANNA, plan=Plan.NOMAD, is_guardian=True, status=Status.ENDED),
        Member(id=ANNA, plan=Plan.NOMAD, is_guardian=False),
        Member(id=ANNA, plan=Plan.NOMAD, is_guardian=True, validity=Validity(until=at("19:00"))),
    ],
)
def test_a_guardian_who_is_barred_during_their_watch_leaves_it_to_an_heir(
    house: House, member: Member
) -> None:
    house.enter(ANNA, "18:15")
    house.enter(BRUNO, "18:30", LAB)
    house.policy = changed(house.policy, members={**house.policy.members, ANNA: member})
    house.tick("19:00")
    assert house.watch.guardian == BRUNO
    assert house.watch.authorization == f"talk/{BRUNO}"
    ((_, when, data),) = house.told("alert.guardian_barred")
    assert (when, data["guardian"], data["to"]) == (at("19:00"), ANNA, BRUNO)
    assert not house.gatehouse.has_due(SITE, at("19:01"))
    house.tick("21:30")
    house.tick("21:45")
    assert house.balances() == {ANNA: 45, BRUNO: 165}


def test_a_barred_guardian_without_an_heir_begins_to_close(house: House) -> None:
    house.enter(ANNA, "18:15")
    house.enter(CARL, "18:20")
    suspended = replace(PEOPLE[0], status=Status.SUSPENDED)
    house.policy = changed(house.policy, members={**house.policy.members, ANNA: suspended})
    house.tick("19:00")
    assert house.kinds()[-2:] == ["alert.guardian_barred", "watch.closing"]
    assert house.told("watch.closing")[0][2]["why"] == "guardian_barred"
    assert house.ask(CARL, "19:01").reason == "watch_closing"
    assert not house.gatehouse.has_due(SITE, at("19:02"))


@pytest.mark.parametrize("status", [BadgeStatus.REVOKED, BadgeStatus.LOST])
def test_a_guardian_whose_badge_is_revoked_during_their_watch_holds_it_no_more(
    house: House, status: BadgeStatus
) -> None:
    house.enter(ANNA, "18:15")
    badge = Badge(digest=badge_of(ANNA), member=ANNA, status=status)
    house.policy = changed(house.policy, badges={**house.policy.badges, badge.digest: badge})
    house.tick("19:00")
    assert "watch.closing" in house.kinds()
    assert house.told("alert.guardian_barred")


def test_a_guardian_with_a_second_badge_goes_on_when_one_is_lost(house: House) -> None:
    house.enter(ANNA, "18:15")
    lost = Badge(digest=badge_of(ANNA), member=ANNA, status=BadgeStatus.LOST)
    new = Badge(digest=badge_of(MemberId("another")), member=ANNA)
    badges = {**house.policy.badges, lost.digest: lost, new.digest: new}
    house.policy = changed(house.policy, badges=badges)
    house.tick("19:00")
    assert house.kinds() == ["watch.opened", "watch.confirmed"]


def test_an_heir_who_is_barred_as_well_takes_nothing(house: House) -> None:
    house.enter(ANNA, "18:15")
    house.enter(BRUNO, "18:30")
    members = {
        **house.policy.members,
        **{m.id: replace(m, status=Status.SUSPENDED) for m in PEOPLE[:2]},
    }
    house.policy = changed(house.policy, members=members)
    house.tick("19:00")
    assert "watch.closing" in house.kinds()


def test_who_was_barred_since_the_offer_cannot_take_the_watch(house: House) -> None:
    house.enter(ANNA, "18:15")
    house.enter(BRUNO, "18:30")
    house.tell(WatchOffered(by=ANNA, to=BRUNO), "18:40")
    suspended = replace(PEOPLE[1], status=Status.SUSPENDED)
    house.policy = changed(house.policy, members={**house.policy.members, BRUNO: suspended})
    with pytest.raises(NotAllowedError, match="whose membership runs"):
        house.tell(WatchTaken(by=BRUNO), "18:41")


# The authorization


def test_an_authorization_that_is_revoked_during_the_watch_begins_to_close_it(
    house: House,
) -> None:
    house.enter(ANNA, "18:15")
    house.enter(CARL, "18:20")
    house.policy = changed(house.policy, authorizations={})
    house.tick("19:00")
    ((_, when, data),) = house.told("watch.closing")
    assert (when, data["why"]) == (at("19:00"), "authorization_revoked")
    house.tick("19:15")
    assert house.balances() == {ANNA: 60}


def test_an_event_that_is_moved_to_another_day_begins_to_close_the_watch(house: House) -> None:
    house.enter(ANNA, "18:15")
    tomorrow = Span(start=at("42:30"), end=at("45:00"))
    moved = {ANNA: (talk(ANNA, span=tomorrow),)}
    house.policy = changed(house.policy, authorizations=moved)
    house.tick("19:00")
    assert house.told("watch.closing")[0][2]["why"] == "authorization_revoked"


def test_an_event_that_is_made_longer_or_shorter_takes_the_watch_with_it(house: House) -> None:
    house.enter(ANNA, "18:15")
    for end, over in (("22:00", "22:30"), ("20:00", "20:30")):
        house.policy = changed(house.policy, authorizations={ANNA: (talk(ANNA, end),)})
        house.tick("19:00")
        assert house.watch.over_by == at(over)
    house.tick("20:30")
    assert house.told("watch.closing")[0][1] == at("20:30")


def test_a_clock_that_is_put_back_closes_nothing(house: House) -> None:
    house.enter(ANNA, "18:15")
    house.policy = changed(house.policy)
    house.tick("17:40")
    assert house.watch.closing_since is None


def test_who_is_put_on_the_list_during_the_watch_may_come(house: House) -> None:
    listed = talk(ANNA, audience=Audience.REGISTERED, registered=frozenset({DORA}))
    house.policy = rules(listed)
    house.enter(ANNA, "18:15")
    assert house.ask(CARL, "18:20").reason == "not_in_audience"
    longer = replace(listed, registered=frozenset({CARL, DORA}))
    house.policy = changed(house.policy, authorizations={ANNA: (longer,)})
    house.tick("18:21")
    assert house.ask(CARL, "18:22").reason == "watch"


def test_another_authorization_of_the_guardian_takes_the_place_of_a_revoked_one(
    house: House,
) -> None:
    house.enter(ANNA, "18:15")
    other = talk(ANNA, "20:00", id="direct")
    house.policy = changed(house.policy, authorizations={ANNA: (other,)})
    house.tick("19:00")
    assert (house.watch.authorization, house.watch.over_by) == ("direct", at("20:30"))


def test_a_watch_that_was_passed_on_depends_on_the_authorization_it_was_opened_under(
    house: House,
) -> None:
    house.policy = rules(talk(ANNA))
    house.enter(ANNA, "18:15")
    house.enter(BRUNO, "18:30")
    house.tell(WatchOffered(by=ANNA, to=BRUNO), "19:00")
    house.tell(WatchTaken(by=BRUNO), "19:00")
    house.policy = changed(house.policy, sweep_after=timedelta(minutes=40))
    house.tick("19:05")
    assert house.watch.closing_since is None
    house.policy = changed(house.policy, authorizations={})
    house.tick("19:10")
    assert house.watch.closing_since == at("19:10")


# The limit


def test_a_watch_that_is_not_renewed_closes_and_one_that_is_goes_on(house: House) -> None:
    house.policy = rules(talk(ANNA, "31:00"), longest_watch=timedelta(hours=4))
    house.enter(ANNA, "18:15")
    house.enter(CARL, "18:20")
    house.leave(CARL, "22:00")
    house.enter(ANNA, "22:00")
    assert house.told("watch.renewed")[0][2]["over_by"] == "2026-11-25T02:00:00Z"
    house.tick("25:59")
    assert house.watch.closing_since is None
    house.tick("26:00")
    ((_, when, data),) = house.told("watch.closing")
    assert (when, data["why"]) == (at("26:00"), "not_renewed")
    assert house.ask(CARL, "26:01").reason == "watch_closing"


def test_a_members_badge_renews_nothing(house: House) -> None:
    house.policy = rules(talk(ANNA, "31:00"), longest_watch=timedelta(hours=4))
    house.enter(ANNA, "18:15")
    house.enter(CARL, "22:00")
    assert house.watch.over_by == at("22:15")


# The end


def test_a_guardian_is_credited_until_they_leave_though_others_stay(house: House) -> None:
    house.enter(ANNA, "18:15")
    house.enter(CARL, "18:20")
    house.leave(ANNA, "20:15")
    house.leave(CARL, "20:29")
    assert house.watch is None
    assert house.balances() == {ANNA: 120}


def test_a_guardian_who_comes_back_while_it_closes_holds_it_until_it_has_closed(
    house: House,
) -> None:
    house.enter(ANNA, "18:15")
    house.enter(CARL, "18:20")
    house.leave(ANNA, "20:15")
    house.enter(ANNA, "20:16")
    house.tick("20:30")
    assert house.balances() == {ANNA: 135}


def test_news_that_come_late_end_the_watch_when_the_last_one_left(house: House) -> None:
    house.enter(ANNA, "18:15")
    house.enter(CARL, "18:20", LAB)
    house.tell(CloseAsked(by=ANNA), "20:00")
    house.leave(CARL, "20:02", LAB)
    house.journals[MAIN].leave(ANNA, at("20:05"))
    house.report(MAIN, "20:14")
    assert house.told("watch.closed")[0][1] == at("20:05")


def test_guests_who_are_counted_out_end_it_when_they_were(house: House) -> None:
    house.enter(ANNA, "18:15")
    house.tell(GuestsChanged(by=ANNA, change=2), "18:30")
    house.leave(ANNA, "20:00")
    house.tell(GuestsChanged(by=STAFF, change=-2), "20:10")
    assert house.told("watch.closed")[0][1] == at("20:10")
    assert house.balances() == {ANNA: 105}


def test_a_guardian_who_left_by_another_door_before_the_watch_was_heard_of_has_left(
    house: House,
) -> None:
    house.journals[MAIN].open_watch(ANNA, at("18:15"), request_id(1))
    house.journals[LAB].leave(ANNA, at("19:30"))
    house.report(LAB, "19:31")
    # In two parts, for the door may have been cut off in between.
    opened = house.journals[MAIN].records
    house.tell(Reported(door=MAIN, records=tuple(opened[:1])), "19:40")
    house.report(MAIN, "19:40")
    house.tick("19:45")
    assert house.watch is None
    assert house.balances() == {ANNA: 75}


# Restarts


def _enter(member: MemberId, door: DoorId = MAIN) -> Callable[[House, str], object]:
    return lambda house, clock: house.enter(member, clock, door)


def _leave(member: MemberId, door: DoorId = MAIN) -> Callable[[House, str], object]:
    return lambda house, clock: house.leave(member, clock, door)


def _tell(event: Event) -> Callable[[House, str], object]:
    return lambda house, clock: house.tell(event, clock)


def _suspend(member: MemberId) -> Callable[[House, str], object]:
    def change(house: House, _: str) -> None:
        barred = replace(house.policy.members[member], status=Status.SUSPENDED)
        house.policy = changed(house.policy, members={**house.policy.members, member: barred})

    return change


Step = tuple[str, Callable[[House, str], object]]

EVENINGS: dict[str, Sequence[Step]] = {
    "handed over, closed by hand, everyone out": (
        ("18:15", _enter(ANNA)),
        ("18:20", _enter(CARL)),
        ("18:30", _enter(BRUNO, LAB)),
        ("19:00", _tell(WatchOffered(by=ANNA, to=BRUNO))),
        ("19:01", _tell(WatchTaken(by=BRUNO))),
        ("20:00", _leave(ANNA)),
        ("20:30", _tell(CloseAsked(by=BRUNO))),
        ("20:35", _leave(CARL)),
        ("20:40", _leave(BRUNO, LAB)),
    ),
    "until its authorization is over, somebody stays": (
        ("18:15", _enter(ANNA)),
        ("18:20", _enter(CARL)),
        ("21:29", lambda *_: None),
        ("21:30", lambda *_: None),
        ("21:44", lambda *_: None),
        ("21:45", lambda *_: None),
        ("21:46", lambda *_: None),
    ),
    "left to an heir, who signs the roll-call": (
        ("18:15", _enter(ANNA)),
        ("18:30", _enter(BRUNO)),
        ("18:40", _tell(GuestsChanged(by=ANNA, change=3))),
        ("19:10", _leave(ANNA)),
        ("20:00", _tell(CloseAsked(by=BRUNO))),
        ("20:05", _tell(RollCallSigned(by=BRUNO))),
    ),
    "its guardian is suspended": (
        ("18:15", _enter(ANNA)),
        ("18:30", _enter(CARL)),
        ("19:00", _suspend(ANNA)),
        ("19:01", lambda *_: None),
        ("19:10", _leave(CARL)),
        ("19:20", lambda *_: None),
    ),
    "opened twice on one evening": (
        ("18:15", _enter(ANNA)),
        ("19:00", _leave(ANNA)),
        ("19:30", _enter(BRUNO)),
        ("20:00", _leave(BRUNO)),
    ),
    "never opened": (
        ("18:10", _tell(DoorSaid(door=MAIN, state=DoorState(online=True)))),
        ("18:15", lambda house, clock: house.ask(ANNA, clock)),
        ("18:17", lambda *_: None),
        ("18:30", _enter(CARL)),
    ),
}
LATER = ("22:00", "23:59", "33:00", "33:01")


def play(house: House, evening: Sequence[Step], *, restart_after: Callable[[int], bool]) -> None:
    steps = [*evening, *((clock, _nothing) for clock in LATER)]
    for number, (clock, do) in enumerate(steps):
        house.tick(clock)
        do(house, clock)
        if restart_after(number):
            house.restart()
        house.tick(clock)


def _at(point: int | None) -> Callable[[int], bool]:
    return lambda number: point is None or number == point


def _nothing(_house: House, _clock: str) -> None:
    """Let the clock go on."""


@pytest.mark.parametrize("name", EVENINGS)
def test_a_restart_at_any_point_of_a_watch_changes_nothing_of_it(name: str) -> None:
    with new_house() as without:
        play(without, EVENINGS[name], restart_after=lambda _: False)
        expected = (without.told(), without.balances())
    kinds = [kind for kind, *_ in expected[0]]
    assert kinds.count("watch.closed") == kinds.count("watch.confirmed")
    length = len(EVENINGS[name]) + len(LATER)
    for point in (*range(length), None):
        with new_house() as house:
            play(house, EVENINGS[name], restart_after=_at(point))
            assert (house.told(), house.balances()) == expected


@pytest.mark.parametrize("clock", ["21:30", "21:45", "22:00", "35:00"])
def test_a_server_that_was_away_does_what_was_due_once_and_as_of_then(clock: str) -> None:
    with new_house() as house:
        house.enter(ANNA, "18:15")
        house.enter(CARL, "18:20")
        for _ in range(3):
            house.restart()
            house.tick(clock)
        for later in LATER:
            house.tick(later if at(later) > at(clock) else "36:00")
        assert house.balances() == {ANNA: 210}
        for kind in ("watch.closing", "watch.closed"):
            assert house.kinds().count(kind) == 1


# Replays


@st.composite
def evenings(draw: st.DrawFn) -> list[tuple[int, str, MemberId, DoorId]]:
    """Draw who comes and goes when, by which door: a guardian opens, and maybe leaves by theirs."""
    members = draw(
        st.lists(
            st.tuples(
                st.integers(1, 120),
                st.sampled_from(["enter", "leave"]),
                st.sampled_from([CARL, DORA]),
                st.sampled_from([MAIN, LAB]),
            ),
            max_size=8,
        )
    )
    leaving = draw(st.none() | st.integers(5, 120))
    own = [] if leaving is None else [(leaving, "leave", ANNA, MAIN)]
    return sorted([*members, *own], key=lambda one: one[0])


def recorded(evening: Sequence[tuple[int, str, MemberId, DoorId]]) -> dict[DoorId, Journal]:
    journals = {door: Journal(door=door) for door in (MAIN, LAB)}
    journals[MAIN].open_watch(ANNA, at("18:15"), request_id(1))
    for minute, what, member, door in evening:
        moment = at("18:15") + timedelta(minutes=minute)
        (journals[door].enter if what == "enter" else journals[door].leave)(member, moment)
    return journals


def outcome(house: House) -> tuple[list[Any], dict[MemberId, int]]:
    for clock in ("21:30", "21:45", "23:00"):
        house.tick(clock)
    watches = [
        (data["watch"], data["opened"], data["held"], data["minutes"])
        for _, _, data in house.told("watch.closed")
    ]
    return watches, house.balances()


@settings(max_examples=60, deadline=None)
@given(evenings(), st.data())
def test_journals_of_doors_in_any_order_and_any_number_give_the_same_watches_and_balances(
    evening: list[tuple[int, str, MemberId, DoorId]], data: st.DataObject
) -> None:
    journals = recorded(evening)
    with new_house() as house:
        house.journals = journals
        house.report(MAIN, "20:30")
        house.report(LAB, "20:30")
        expected = outcome(house)
    assert len(expected[0]) == 1
    pieces = st.tuples(st.sampled_from([MAIN, LAB]), st.integers(0, 40), st.integers(1, 12))
    with new_house() as house:
        for door, start, length in data.draw(st.lists(pieces, max_size=15)):
            some = tuple(journals[door].records[start : start + length])
            house.tell(Reported(door=door, records=some), "20:30")
        for door in data.draw(st.permutations([MAIN, LAB])):
            house.journals = journals
            house.report(door, "20:30")
        assert outcome(house) == expected


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(EVENINGS)), st.data())
def test_what_is_told_again_after_the_evening_changes_nothing(
    name: str, data: st.DataObject
) -> None:
    with new_house() as house:
        play(house, EVENINGS[name], restart_after=lambda _: False)
        before = (house.told(), house.balances())
        pieces = st.tuples(st.sampled_from([MAIN, LAB]), st.integers(0, 20), st.integers(1, 9))
        for door, start, length in data.draw(st.lists(pieces, min_size=1, max_size=10)):
            some = tuple(house.journals[door].records[start : start + length])
            house.tell(Reported(door=door, records=some), "33:02")
        repeated = asked(ANNA, "18:15", 1)
        house.tell(repeated, "33:02")
        assert (house.told(), house.balances()) == before


def test_the_desk_still_says_no_to_who_is_no_guardian(house: House) -> None:
    house.enter(ANNA, "18:15")
    with pytest.raises(DeskError):
        house.tell(CloseAsked(by=CARL), "19:00")
