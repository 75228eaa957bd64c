"""The policy as it is now: what it is made of, and when it is made anew."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from sqlalchemy import Connection

from access.ids import BadgeDigest, DoorId, MemberId, SiteId
from access.instants import Span
from access.model import (
    AntiPassback,
    Audience,
    Authorization,
    Badge,
    BadgeLevel,
    BadgeStatus,
    Door,
    Plan,
    Reader,
    Status,
    Validity,
)
from runtime.settings import MqttSettings
from runtime.written import DateSpan, Day, Duration, Window
from server import registry
from server.calendar_ics import Occurrence
from server.database import Database
from server.opening import HolidayError
from server.policy_compiler import (
    AHEAD,
    BEFORE,
    Hours,
    compile_policy,
    horizon,
    unrolled,
)
from server.policy_source import PolicySource, UnknownSiteError
from server.registry import BadgeRecord, Grant, Person
from server.settings import (
    DatabaseUrl,
    DoorSettings,
    ExceptionSettings,
    PlanHours,
    ServerSettings,
    SiteSettings,
    WeekHours,
    ZoneName,
)

LYON = SiteId("lyon")
ANNA = MemberId("anna")
BOB = MemberId("bob")
CARD = BadgeDigest("0123456789abcdef" * 2)
PARIS_TIME = ZoneInfo("Europe/Paris")
MONDAY = datetime(2026, 11, 2, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)

OFFICE = (Window((time(9), time(18))),)
SITE = SiteSettings(
    id="lyon",
    name="Lyon",
    zone=ZoneName("Europe/Paris"),
    capacity=60,
    anti_passback="hard",
    level_after_hours="L1",
    rate=Decimal("1.5"),
    hours=WeekHours(mon=OFFICE, tue=OFFICE, wed=OFFICE, thu=OFFICE, fri=OFFICE),
    plan_hours=PlanHours(resident=WeekHours(sat=OFFICE)),
    closures=(DateSpan((MONDAY.date() + timedelta(days=1),) * 2),),
    exceptions=(ExceptionSettings(on=Day((MONDAY.date() + timedelta(days=2),) * 2), windows=()),),
    doors=(
        DoorSettings(
            id="front",
            name="Front",
            contact=True,
            readers=("in", "out"),
            unlock=Duration(seconds=7),
            plans=("staff", "nomad"),
        ),
    ),
)


class SetClock:
    """A clock that shows what it is set to."""

    def __init__(self, now: datetime) -> None:
        self.at = now

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


def person(id_: str, *, is_guardian: bool = True, site: str = "lyon") -> Person:
    return Person(
        id=MemberId(id_),
        name=id_.title(),
        email=f"{id_}@example.org",
        is_guardian=is_guardian,
        sites=frozenset({SiteId(site)}),
    )


def grant(start: datetime, length: timedelta = 3 * HOUR, *, is_weekly: bool = False) -> Grant:
    return Grant(
        id="g1",
        site=LYON,
        guardian=ANNA,
        span=Span(start=start, end=start + length),
        is_weekly=is_weekly,
        title="Chess",
    )


def local(moment: datetime) -> str:
    return moment.astimezone(PARIS_TIME).strftime("%a %d %b %H:%M")


def spans_of(one: Grant, now: datetime) -> list[tuple[str, str]]:
    found = unrolled(one, PARIS_TIME, horizon(now))
    return [(local(each.span.start), local(each.span.end)) for each in found]


def compiled(
    *people: Person,
    grants: tuple[Grant, ...] = (),
    events: tuple[Occurrence, ...] = (),
    badges: tuple[BadgeRecord, ...] = (),
) -> dict[MemberId, tuple[Authorization, ...]]:
    policy = compile_policy(
        SITE,
        version=1,
        issued=MONDAY,
        people=people,
        badges=badges,
        grants=grants,
        occurrences=events,
        hours=Hours(plans={}),
    )
    return dict(policy.authorizations)


@pytest.fixture
def clock() -> SetClock:
    return SetClock(MONDAY)


def source_of(database: Database, clock: SetClock, site: SiteSettings = SITE) -> PolicySource:
    return PolicySource(
        database=database,
        settings=ServerSettings(
            database=DatabaseUrl("sqlite:////none"),
            mqtt=MqttSettings(
                host="127.0.0.1", port=1883, username="server", password_file=Path("none")
            ),
            sites=(site,),
        ),
        clock=clock,
    )


@pytest.fixture
def source(database: Database, clock: SetClock) -> PolicySource:
    return source_of(database, clock)


def change(database: Database, what: Callable[[Connection], object]) -> None:
    with database.writing() as connection:
        what(connection)


def test_a_policy_holds_what_the_settings_and_the_registry_say(
    database: Database, source: PolicySource
) -> None:
    evening = Span(start=MONDAY + 11 * HOUR, end=MONDAY + 14 * HOUR)
    with database.writing() as connection:
        registry.add_member(connection, person("anna"), MONDAY)
        registry.add_member(connection, person("zoe", site="rome"), MONDAY)
        registry.assign_badge(connection, CARD, ANNA, at=MONDAY, level=BadgeLevel.L1)
        registry.assign_badge(connection, BadgeDigest("f" * 32), MemberId("zoe"), at=MONDAY)
        given = registry.authorize(connection, site=LYON, guardian=ANNA, span=evening)
    policy = source.current(LYON)
    assert policy.site == LYON
    assert policy.issued == MONDAY
    assert policy.relies_until == MONDAY + timedelta(hours=72)
    assert policy.capacity == 60
    assert policy.anti_passback is AntiPassback.HARD
    assert policy.level_after_hours is BadgeLevel.L1
    assert policy.watch_rate == "1.5"
    assert policy.doors == {
        DoorId("front"): Door(
            id=DoorId("front"),
            name="Front",
            plans=frozenset({Plan.STAFF, Plan.NOMAD}),
            readers=(Reader.IN, Reader.OUT),
            unlock_s=7.0,
        )
    }
    assert policy.members == {ANNA: person("anna").for_rules()}
    assert policy.badges == {CARD: Badge(digest=CARD, member=ANNA, level=BadgeLevel.L1)}
    assert policy.authorization(ANNA, evening.start) == Authorization(
        id=given.id, guardian=ANNA, span=evening
    )


def test_opening_hours_are_local_and_know_closures_and_exceptions(source: PolicySource) -> None:
    policy = source.current(LYON)
    assert policy.is_open(MONDAY)
    assert not policy.is_open(MONDAY - HOUR / 60)
    assert not policy.is_open(MONDAY + timedelta(days=1)), "a closure"
    assert not policy.is_open(MONDAY + timedelta(days=2)), "an exception without hours"
    assert policy.is_open(MONDAY + timedelta(days=3))
    assert policy.is_open(MONDAY + timedelta(days=14))
    saturday = MONDAY + timedelta(days=5)
    assert policy.has_plan_hours(Plan.RESIDENT, saturday)
    assert not policy.has_plan_hours(Plan.NOMAD, saturday)
    assert not policy.is_open(saturday)


def test_the_same_policy_serves_while_nothing_changes(
    source: PolicySource, clock: SetClock
) -> None:
    first = source.current(LYON)
    clock.at += timedelta(hours=5, minutes=59)
    assert source.current(LYON) is first


def test_a_change_of_the_registry_makes_a_new_policy_at_once(
    database: Database, source: PolicySource
) -> None:
    first = source.current(LYON)
    change(database, lambda one: registry.add_member(one, person("anna"), MONDAY))
    second = source.current(LYON)
    change(database, lambda one: registry.change_status(one, ANNA, Status.SUSPENDED))
    third = source.current(LYON)
    assert first.version < second.version < third.version
    assert (first.members, second.members[ANNA].status) == ({}, Status.ACTIVE)
    assert third.members[ANNA].status is Status.SUSPENDED


def test_a_lost_badge_is_in_the_next_policy(database: Database, source: PolicySource) -> None:
    change(database, lambda one: registry.add_member(one, person("anna"), MONDAY))
    change(database, lambda one: registry.assign_badge(one, CARD, ANNA, at=MONDAY))
    assert source.current(LYON).badges[CARD].status is BadgeStatus.ACTIVE
    change(database, lambda one: registry.mark_badge(one, CARD, BadgeStatus.LOST))
    assert source.current(LYON).badges[CARD].status is BadgeStatus.LOST


@pytest.mark.parametrize(
    ("start", "later"),
    [
        (MONDAY, timedelta(hours=6)),
        (datetime(2026, 11, 2, 22, 59, tzinfo=UTC), timedelta(minutes=1)),
        (MONDAY, -timedelta(minutes=1)),
    ],
    ids=["after six hours", "at local midnight", "when the clock was put back"],
)
def test_time_makes_a_new_policy(
    source: PolicySource, clock: SetClock, start: datetime, later: timedelta
) -> None:
    clock.at = start
    first = source.current(LYON)
    clock.at += later
    second = source.current(LYON)
    assert second.version > first.version
    assert second.issued == clock.at


@pytest.mark.parametrize("what", ["member.since", "member.until", "badge.since", "badge.until"])
def test_a_date_in_the_policy_makes_a_new_one_when_it_comes(
    database: Database, source: PolicySource, clock: SetClock, what: str
) -> None:
    due = MONDAY + timedelta(minutes=7)
    whose, end = what.split(".")
    validity = Validity(**{end: due})
    held = replace(person("anna"), validity=validity if whose == "member" else Validity())
    change(database, lambda one: registry.add_member(one, held, MONDAY))
    on_badge = validity if whose == "badge" else Validity()
    change(
        database,
        lambda one: registry.assign_badge(one, CARD, ANNA, at=MONDAY, validity=on_badge),
    )
    before = source.current(LYON)
    clock.at = due - timedelta(microseconds=1)
    assert source.current(LYON) is before
    clock.at = due
    after = source.current(LYON)
    assert after.version > before.version
    clock.at = due + HOUR
    assert source.current(LYON) is after


def test_versions_grow_after_a_restart_too(
    database: Database, source: PolicySource, clock: SetClock
) -> None:
    first = source.current(LYON)
    clock.at += timedelta(seconds=1)
    assert source_of(database, clock).current(LYON).version > first.version


def test_an_unknown_site_is_said(source: PolicySource) -> None:
    with pytest.raises(UnknownSiteError, match="rome"):
        source.current(SiteId("rome"))


def test_a_weekly_grant_keeps_its_local_time_through_autumn_and_spring() -> None:
    weekly = grant(datetime(2026, 10, 12, 17, tzinfo=UTC), is_weekly=True)
    assert spans_of(weekly, datetime(2026, 10, 20, tzinfo=UTC)) == [
        ("Mon 19 Oct 19:00", "Mon 19 Oct 22:00"),
        ("Mon 26 Oct 19:00", "Mon 26 Oct 22:00"),
        ("Mon 02 Nov 19:00", "Mon 02 Nov 22:00"),
    ]
    assert spans_of(weekly, datetime(2027, 3, 24, tzinfo=UTC)) == [
        ("Mon 22 Mar 19:00", "Mon 22 Mar 22:00"),
        ("Mon 29 Mar 19:00", "Mon 29 Mar 22:00"),
        ("Mon 05 Apr 19:00", "Mon 05 Apr 22:00"),
    ]


def test_a_weekly_grant_in_the_night_of_the_change_is_as_the_rules_say() -> None:
    """Sunday 02:00 to 03:00: twice in autumn, so it lasts two hours; never in spring."""
    weekly = grant(datetime(2026, 10, 4, 0, tzinfo=UTC), HOUR, is_weekly=True)
    autumn = list(unrolled(weekly, PARIS_TIME, horizon(datetime(2026, 10, 24, tzinfo=UTC))))
    assert [one.span.length for one in autumn] == [2 * HOUR, HOUR, HOUR]
    assert autumn[0].span.start == datetime(2026, 10, 25, 0, tzinfo=UTC)
    spring = spans_of(weekly, datetime(2027, 3, 27, tzinfo=UTC))
    assert [start for start, _ in spring] == ["Sun 04 Apr 02:00", "Sun 11 Apr 02:00"]


def test_a_weekly_grant_begins_with_its_first_time() -> None:
    weekly = grant(MONDAY + timedelta(days=7), is_weekly=True)
    assert spans_of(weekly, MONDAY) == [
        ("Mon 09 Nov 09:00", "Mon 09 Nov 12:00"),
        ("Mon 16 Nov 09:00", "Mon 16 Nov 12:00"),
    ]


@given(
    first=st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31)),  # noqa: DTZ001 (hypothesis)
    after=st.timedeltas(timedelta(days=-30), timedelta(days=400)),
    length=st.timedeltas(timedelta(minutes=1), timedelta(days=6)),
)
def test_no_week_that_touches_the_horizon_is_missed_and_none_beside_it_is_given(
    first: datetime, after: timedelta, length: timedelta
) -> None:
    start = first.replace(tzinfo=UTC)
    weekly = grant(start, length, is_weekly=True)
    now = start + after
    found = list(unrolled(weekly, PARIS_TIME, horizon(now)))
    assert len({one.id for one in found}) == len(found)
    for one in found:
        assert one.span.start - one.lead < now + AHEAD
        assert one.over_by > now - BEFORE
    inside = [
        week
        for week in range(70)
        if now - BEFORE + 2 * HOUR < start + week * timedelta(days=7) < now + AHEAD - 2 * HOUR
    ]
    assert len(found) >= len(inside) - 1, "one may fall into the gap of spring"


def test_a_grant_outside_the_horizon_is_left_out() -> None:
    assert spans_of(grant(MONDAY + timedelta(days=17)), MONDAY) == []
    assert spans_of(grant(MONDAY - timedelta(days=3)), MONDAY) == []
    assert len(spans_of(grant(MONDAY), MONDAY)) == 1


def test_only_guardians_of_the_site_are_authorized() -> None:
    given = grant(MONDAY)
    assert compiled(person("anna"), grants=(given,)).keys() == {ANNA}
    assert compiled(person("anna", is_guardian=False), grants=(given,)) == {}
    assert compiled(person("anna", site="rome"), grants=(given,)) == {}
    assert compiled(grants=(given,)) == {}


def test_an_event_authorizes_its_guardians_by_email_or_id() -> None:
    event = Occurrence(
        uid="e1",
        recurrence=None,
        title="Chess",
        start=MONDAY,
        end=MONDAY + HOUR,
        guardians=frozenset({"anna@example.org", "bob", "eve@example.org"}),
        audience=Audience.REGISTERED,
        attendees=frozenset({"zoe@example.org", "stranger@example.org"}),
    )
    zoe = person("zoe", is_guardian=False)
    found = compiled(person("anna"), person("bob"), zoe, events=(event,))
    assert found.keys() == {ANNA, BOB}
    (one,) = found[ANNA]
    assert (one.title, one.audience, one.registered) == (
        "Chess",
        Audience.REGISTERED,
        frozenset([zoe.id]),
    )
    assert (one.lead, one.grace) == (SITE.lead, SITE.grace)


def test_authorizations_of_a_guardian_are_in_order_of_start() -> None:
    events = tuple(
        Occurrence(
            uid="e",
            recurrence=str(number),
            title="",
            start=MONDAY + number * HOUR,
            end=MONDAY + (number + 2) * HOUR,
            guardians=frozenset({"anna"}),
        )
        for number in (5, 1, 3)
    )
    found = compiled(person("anna"), events=events, grants=(grant(MONDAY + 2 * HOUR),))[ANNA]
    assert [one.span.start for one in found] == sorted(one.span.start for one in found)
    assert len({one.id for one in found}) == 4


CHESS = """\
BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//example//EN\r
BEGIN:VEVENT\r
UID:chess\r
DTSTAMP:20261001T000000Z\r
DTSTART;TZID=Europe/Paris:20261005T190000\r
DTEND;TZID=Europe/Paris:20261005T220000\r
RRULE:FREQ=WEEKLY\r
SUMMARY:Chess\r
ATTENDEE;ROLE=CHAIR:mailto:Anna@example.org\r
END:VEVENT\r
END:VCALENDAR\r
"""


def put(database: Database, body: str, at: datetime, location: str = "chess.ics") -> None:
    change(
        database,
        lambda one: registry.put_calendar(
            one, site=LYON, kind="file", location=location, body=body, at=at
        ),
    )


def titles(source: PolicySource) -> list[tuple[str | None, str]]:
    found = source.current(LYON).authorizations.get(ANNA, ())
    return [(one.title, local(one.span.start)) for one in found]


def test_a_calendar_authorizes_until_it_is_changed_or_removed(
    database: Database, source: PolicySource, clock: SetClock
) -> None:
    change(database, lambda one: registry.add_member(one, person("anna"), MONDAY))
    put(database, CHESS, MONDAY)
    assert titles(source) == [
        ("Chess", "Mon 02 Nov 19:00"),
        ("Chess", "Mon 09 Nov 19:00"),
        ("Chess", "Mon 16 Nov 19:00"),
    ]
    clock.at += timedelta(days=7)
    assert titles(source)[-1] == ("Chess", "Mon 23 Nov 19:00")
    put(database, CHESS.replace("SUMMARY:Chess", "SUMMARY:Go"), clock.at)
    assert {title for title, _ in titles(source)} == {"Go"}
    with database.writing() as connection:
        (calendar,) = registry.list_calendars(connection, LYON)
        registry.remove_calendar(connection, calendar.id)
    assert titles(source) == []


def test_a_broken_calendar_is_left_out_and_the_others_count(
    database: Database, source: PolicySource, caplog: pytest.LogCaptureFixture
) -> None:
    change(database, lambda one: registry.add_member(one, person("anna"), MONDAY))
    put(database, CHESS[:200], MONDAY, "broken.ics")
    put(database, CHESS, MONDAY)
    assert len(titles(source)) == 3
    assert "broken.ics is left out" in caplog.text


def test_public_holidays_are_closed(database: Database, clock: SetClock) -> None:
    clock.at = datetime(2026, 11, 9, 8, tzinfo=UTC)
    armistice = datetime(2026, 11, 11, 10, tzinfo=UTC)
    assert source_of(database, clock).current(LYON).is_open(armistice)
    french = structs.replace(SITE, holidays="FR")
    assert not source_of(database, clock, french).current(LYON).is_open(armistice)


def test_holidays_that_nobody_knows_are_said_at_the_start(
    database: Database, clock: SetClock
) -> None:
    with pytest.raises(HolidayError, match="XX"):
        source_of(database, clock, structs.replace(SITE, holidays="XX"))
