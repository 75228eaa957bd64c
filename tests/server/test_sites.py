"""Two sites in one installation: each has its own zone, hours, capacity, doors and guardians."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from access.ids import BadgeDigest, DoorId, MemberId, SiteId
from access.instants import Span
from access.journal import SERVER, Head, chained, verify
from access.messages import AccessDecision, AccessRequest
from access.model import Plan
from access.time_bank import Account, Month
from runtime.settings import MqttSettings
from runtime.written import Duration, Window
from server import ledger, registry, time_bank
from server.database import Database
from server.effects import Answer
from server.events import Asked, Event, GuestsChanged, Reported, Ticked
from server.gatehouse import Gatehouse
from server.policy_source import PolicySource, UnknownSiteError
from server.settings import (
    DatabaseUrl,
    DoorSettings,
    ServerSettings,
    SiteSettings,
    WeekHours,
    ZoneName,
)

LYON, REUNION = SiteId("lyon"), SiteId("reunion")
FRONT, LAB = DoorId("front"), DoorId("lab")
BOTH, HERE, THERE = frozenset({LYON, REUNION}), frozenset({LYON}), frozenset({REUNION})
ANNA, BRUNO, CARL, DORA, SONIA = (MemberId(m) for m in ("anna", "bruno", "carl", "dora", "sonia"))
PEOPLE = (
    registry.Person(id=ANNA, name="Anna", is_guardian=True, sites=BOTH),
    registry.Person(id=BRUNO, name="Bruno", is_guardian=True, sites=THERE),
    registry.Person(id=CARL, name="Carl", sites=BOTH),
    registry.Person(id=DORA, name="Dora", sites=HERE),
    registry.Person(id=SONIA, name="Sonia", plan=Plan.STAFF, sites=HERE),
)
# On a Tuesday in winter: Lyon is an hour ahead of UTC, La Réunion four.
DAY = datetime(2026, 11, 24, tzinfo=UTC)
OFFICE = (Window((time(9), time(18))),)
TALK = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//tests//EN
BEGIN:VEVENT
UID:talk@example.org
SUMMARY:Talk
DTSTART:20261124T193000
DTEND:20261124T210000
X-GARDIEN-GUARDIAN:anna
X-GARDIEN-GUARDIAN:bruno
END:VEVENT
END:VCALENDAR
"""


def utc(clock: str) -> datetime:
    hours, minutes = clock.split(":")
    return DAY + timedelta(hours=int(hours), minutes=int(minutes))


def badge_of(member: MemberId) -> BadgeDigest:
    return BadgeDigest(member.encode().hex().ljust(32, "0"))


def site(id_: SiteId, zone: str, capacity: int, *doors: DoorId, **changes: Any) -> SiteSettings:
    return SiteSettings(
        id=id_,
        name=id_.title(),
        zone=ZoneName(zone),
        capacity=capacity,
        hours=WeekHours(mon=OFFICE, tue=OFFICE, wed=OFFICE, thu=OFFICE, fri=OFFICE),
        doors=tuple(
            DoorSettings(id=door, name=door, contact=True, readers=("in", "out")) for door in doors
        ),
        **changes,
    )


class SetClock:
    """A clock that shows what it is set to."""

    def __init__(self) -> None:
        self.at = utc("08:00")

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


@dataclass
class Places:
    """Both sites, as their doors see them."""

    database: Database
    clock: SetClock = field(default_factory=SetClock)
    heads: dict[tuple[SiteId, DoorId], Head] = field(default_factory=dict)
    ids: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.policies = PolicySource(
            database=self.database,
            clock=self.clock,
            settings=ServerSettings(
                database=DatabaseUrl("sqlite:////none"),
                mqtt=MqttSettings(
                    host="127.0.0.1", port=1883, username="server", password_file=Path("none")
                ),
                sites=(
                    site(LYON, "Europe/Paris", 2, FRONT, LAB),
                    site(REUNION, "Indian/Reunion", 60, FRONT, closing_delay=Duration(minutes=5)),
                ),
            ),
        )
        self.gatehouse = Gatehouse(database=self.database, policy_of=self.policies.current)

    def tell(self, where: SiteId, event: Event, clock: str) -> list[Any]:
        self.clock.at = utc(clock)
        return list(self.gatehouse.handle(where, [event], self.clock.at))

    def ask(
        self, where: SiteId, member: MemberId, clock: str, door: DoorId = FRONT, number: int = 0
    ) -> AccessDecision:
        request = AccessRequest(
            id=f"00000000-0000-7000-8000-{number or next(self.ids):012x}",
            at=utc(clock),
            reader="in",
            badge=badge_of(member),
        )
        effects = self.tell(where, Asked(door=door, request=request), clock)
        answer: AccessDecision = next(e.decision for e in effects if isinstance(e, Answer))
        return answer

    def record(self, where: SiteId, kind: str, clock: str, **data: Any) -> None:
        head = self.heads.get((where, FRONT), Head())
        record, self.heads[where, FRONT] = chained(
            head, site=where, source=FRONT, kind=kind, time=utc(clock), data=data
        )
        self.tell(where, Reported(door=FRONT, records=(record,)), clock)

    def enter(self, where: SiteId, member: MemberId, clock: str) -> str:
        answer = self.ask(where, member, clock)
        if answer.granted:
            self.pass_door(where, member, clock, "in", request=answer.request)
        return answer.reason

    def leave(self, where: SiteId, member: MemberId, clock: str) -> None:
        self.pass_door(where, member, clock, "out")

    def pass_door(
        self, where: SiteId, member: MemberId, clock: str, reader: str, **data: Any
    ) -> None:
        self.record(where, "access.granted", clock, reader=reader, member=member, **data)
        self.record(where, "door.opened", clock)
        self.record(where, "door.closed", clock, open_s=2.0)
        self.record(where, "lock.locked", clock)

    def inside(self, where: SiteId) -> set[MemberId]:
        return set(self.gatehouse.look(where).presence.inside)


@pytest.fixture
def places(database: Database) -> Places:
    with database.writing() as connection:
        for person in PEOPLE:
            registry.add_member(connection, person, DAY)
            registry.assign_badge(connection, badge_of(person.id), person.id, at=DAY)
    return Places(database)


def read_talk_at(places: Places, *sites: SiteId) -> None:
    with places.database.writing() as connection:
        for where in sites:
            registry.put_calendar(
                connection, site=where, kind="file", location="x.ics", body=TALK, at=DAY
            )


@pytest.mark.parametrize(
    ("clock", "in_lyon", "in_reunion"),
    [
        ("04:59", "no_guardian", "no_guardian"),
        ("05:00", "no_guardian", "opening_hours"),
        ("08:00", "opening_hours", "opening_hours"),
        ("13:59", "opening_hours", "opening_hours"),
        ("14:00", "opening_hours", "no_guardian"),
        ("17:00", "no_guardian", "no_guardian"),
    ],
)
def test_each_site_opens_at_nine_by_its_own_clock(
    places: Places, clock: str, in_lyon: str, in_reunion: str
) -> None:
    assert places.ask(LYON, CARL, clock).reason == in_lyon
    assert places.ask(REUNION, CARL, clock).reason == in_reunion


def test_a_member_may_belong_to_one_site_or_to_both(places: Places) -> None:
    assert places.enter(LYON, CARL, "08:00") == "opening_hours"
    assert places.enter(REUNION, CARL, "08:01") == "opening_hours"
    assert places.enter(LYON, DORA, "08:02") == "opening_hours"
    assert places.enter(REUNION, DORA, "08:03") == "unknown_badge"
    # Not even staff of one site is known at the other.
    assert places.enter(REUNION, SONIA, "08:04") == "unknown_badge"


def test_who_is_inside_and_how_full_it_is_are_each_sites_own(places: Places) -> None:
    places.enter(LYON, CARL, "08:00")
    places.enter(LYON, DORA, "08:01")
    assert (places.inside(LYON), places.inside(REUNION)) == ({CARL, DORA}, set())
    places.tell(REUNION, GuestsChanged(by=MemberId("operator"), change=5), "08:02")
    with places.database.writing() as connection:
        extra = registry.Person(id=MemberId("eve"), name="Eve", sites=BOTH)
        registry.add_member(connection, extra, DAY)
        registry.assign_badge(connection, badge_of(extra.id), extra.id, at=DAY)
    for where in (LYON, REUNION):
        # New rules hold from the next look at the clock.
        places.gatehouse.has_due(where, utc("08:03"))
    assert places.enter(LYON, extra.id, "08:03") == "site_full"
    assert places.enter(REUNION, extra.id, "08:03") == "opening_hours"


def test_each_site_has_its_own_doors_and_closing_delay(places: Places) -> None:
    of = {one: places.policies.current(one) for one in (LYON, REUNION)}
    assert set(of[LYON].doors) == {FRONT, LAB}
    assert set(of[REUNION].doors) == {FRONT}
    assert of[REUNION].closing_delay == timedelta(minutes=5)
    assert places.ask(LYON, CARL, "08:00", LAB).granted
    with pytest.raises(UnknownSiteError):
        places.policies.current(SiteId("nowhere"))


def test_one_request_at_two_sites_is_decided_at_each(places: Places) -> None:
    assert places.ask(LYON, DORA, "08:00", number=7).reason == "opening_hours"
    assert places.ask(REUNION, DORA, "08:00", number=7).reason == "unknown_badge"


def test_an_event_in_local_time_is_at_each_sites_own_time_and_for_its_own_guardians(
    places: Places,
) -> None:
    read_talk_at(places, LYON, REUNION)
    of = {one: places.policies.current(one).authorizations for one in (LYON, REUNION)}
    assert set(of[LYON]) == {ANNA}
    assert set(of[REUNION]) == {ANNA, BRUNO}
    assert of[LYON][ANNA][0].span.start == utc("18:30")
    assert of[REUNION][ANNA][0].span.start == utc("15:30")


def test_a_watch_at_one_site_opens_no_other(places: Places) -> None:
    read_talk_at(places, LYON, REUNION)
    assert places.enter(REUNION, BRUNO, "15:10") == "watch_opened"
    assert places.enter(REUNION, CARL, "15:20") == "watch"
    assert places.enter(LYON, ANNA, "17:20") == "guardian_not_authorized"
    assert places.enter(LYON, CARL, "17:30") == "no_guardian"
    assert places.enter(LYON, ANNA, "18:10") == "watch_opened"
    watches = [places.gatehouse.look(one).watch for one in (REUNION, LYON)]
    assert [None if one is None else one.guardian for one in watches] == [BRUNO, ANNA]


def test_an_authorization_at_one_site_is_none_at_the_other(places: Places) -> None:
    read_talk_at(places, LYON)
    with places.database.writing() as connection:
        span = Span(start=utc("18:30"), end=utc("20:00"))
        registry.authorize(connection, site=REUNION, guardian=BRUNO, span=span)
        with pytest.raises(registry.RegistryError, match="does not belong to site lyon"):
            registry.authorize(connection, site=LYON, guardian=BRUNO, span=span)
    assert places.ask(REUNION, ANNA, "18:15").reason == "guardian_not_authorized"
    assert places.ask(REUNION, BRUNO, "18:15").reason == "watch_opened"


def test_a_guardian_of_both_sites_has_one_balance_and_each_site_its_own_account(
    places: Places,
) -> None:
    read_talk_at(places, LYON, REUNION)
    places.enter(REUNION, ANNA, "15:00")
    places.leave(REUNION, ANNA, "16:30")
    places.enter(LYON, ANNA, "18:00")
    places.leave(LYON, ANNA, "18:45")
    with places.database.writing() as connection:
        november = Month(year=2026, month=11)
        assert registry.balance(connection, ANNA) == 135
        assert registry.balances(connection, REUNION) == {ANNA: 90}
        time_bank.spend(
            connection,
            place=site(LYON, "Europe/Paris", 2, FRONT, LAB),
            member=ANNA,
            minutes=100,
            month=november,
            by=ANNA,
            at=utc("20:00"),
        )
        assert registry.accounts(connection) == {
            Account(owner=ANNA): 35,
            Account(owner=LYON, is_site=True): 55,
            Account(owner=REUNION, is_site=True): -90,
        }


def test_timers_of_one_site_do_nothing_at_the_other(places: Places) -> None:
    read_talk_at(places, LYON, REUNION)
    places.enter(REUNION, ANNA, "15:00")
    for clock in ("17:30", "17:35", "18:10", "20:30", "20:45"):
        if clock == "18:10":
            places.enter(LYON, ANNA, clock)
        for where in (LYON, REUNION):
            places.clock.at = utc(clock)
            if places.gatehouse.has_due(where, places.clock.at):
                places.tell(where, Ticked(), clock)
    with places.database.reading() as connection:
        closed = {
            where: [
                one.time for one in ledger.read(connection, where, kinds=["gardien.watch.closed"])
            ]
            for where in (LYON, REUNION)
        }
        for where in (LYON, REUNION):
            end = verify(ledger.chain(connection, where, SERVER))
            assert end == places.gatehouse.look(where).own
    # La Réunion's talk is over at 21:00 there, 17:00 UTC, with half an hour of grace and 5 minutes.
    assert closed == {LYON: [utc("20:45")], REUNION: [utc("17:35")]}
