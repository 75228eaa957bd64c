"""Events from calendars as Google, Outlook, Nextcloud and Thunderbird write them, and back."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import icalendar
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from access.calendar import instant
from access.model import Audience
from server.calendar_ics import (
    EventError,
    Listed,
    Occurrence,
    occurrences,
    read_events,
    write_calendar,
)

PARIS = ZoneInfo("Europe/Paris")
YEAR = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC))

GOOGLE = """BEGIN:VCALENDAR
PRODID:-//Google Inc//Google Calendar 70.9054//EN
VERSION:2.0
CALSCALE:GREGORIAN
METHOD:PUBLISH
X-WR-CALNAME:Évènements
X-WR-TIMEZONE:Europe/Paris
BEGIN:VTIMEZONE
TZID:Europe/Paris
X-LIC-LOCATION:Europe/Paris
BEGIN:DAYLIGHT
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
TZNAME:CEST
DTSTART:19700329T020000
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
END:DAYLIGHT
BEGIN:STANDARD
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
TZNAME:CET
DTSTART:19701025T030000
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
DTSTART;TZID=Europe/Paris:20261013T193000
DTEND;TZID=Europe/Paris:20261013T213000
RRULE:FREQ=WEEKLY;WKST=MO;UNTIL=20261124T225959Z;BYDAY=TU
EXDATE;TZID=Europe/Paris:20261020T193000
DTSTAMP:20261001T101010Z
ORGANIZER;CN=Accueil:mailto:accueil@example.org
UID:6s1b2c3d4e5f@google.com
ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED;CN=Nora
 ;X-NUM-GUESTS=0:mailto:Nora@Example.org
ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=CHAIR;PARTSTAT=ACCEPTED;CN=Gaelle;X-NUM-GUESTS=0:mailto:
 gaelle@example.org
ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=CHAIR;PARTSTAT=DECLINED;CN=Hugo:mailto:hugo@example.org
ATTENDEE;CUTYPE=RESOURCE;ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED;CN=Grande salle:mailto:c_18@
 resource.calendar.google.com
CREATED:20260901T090000Z
DESCRIPTION:Parole libre\\, avec\\nplusieurs lignes
LAST-MODIFIED:20261001T101010Z
LOCATION:Grande salle
SEQUENCE:2
STATUS:CONFIRMED
SUMMARY:Les mardis\\, la parole
TRANSP:OPAQUE
END:VEVENT
BEGIN:VEVENT
DTSTART;TZID=Europe/Paris:20261104T200000
DTEND;TZID=Europe/Paris:20261104T220000
DTSTAMP:20261001T101010Z
UID:6s1b2c3d4e5f@google.com
RECURRENCE-ID;TZID=Europe/Paris:20261103T193000
SEQUENCE:3
STATUS:CONFIRMED
SUMMARY:Les mardis\\, un mercredi
END:VEVENT
BEGIN:VEVENT
DTSTART;TZID=Europe/Paris:20261110T193000
DTEND;TZID=Europe/Paris:20261110T213000
DTSTAMP:20261001T101010Z
UID:6s1b2c3d4e5f@google.com
RECURRENCE-ID;TZID=Europe/Paris:20261110T193000
SEQUENCE:3
STATUS:CANCELLED
SUMMARY:Les mardis\\, la parole
END:VEVENT
END:VCALENDAR
"""

OUTLOOK = """BEGIN:VCALENDAR
METHOD:PUBLISH
PRODID:Microsoft Exchange Server 2010
VERSION:2.0
X-WR-CALNAME:Calendrier
BEGIN:VTIMEZONE
TZID:Romance Standard Time
BEGIN:STANDARD
DTSTART:16010101T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
BEGIN:VEVENT
UID:040000008200E00074C5B7101A82E00800000000B0
SUMMARY:Débat public
DTSTART;TZID=Romance Standard Time:20270326T200000
DTEND;TZID=Romance Standard Time:20270326T223000
RRULE:FREQ=DAILY;COUNT=4
CLASS:PUBLIC
PRIORITY:5
DTSTAMP:20261001T101010Z
TRANSP:OPAQUE
STATUS:CONFIRMED
SEQUENCE:0
CATEGORIES:Public,Rouge
X-MICROSOFT-CDO-BUSYSTATUS:BUSY
X-GARDIEN-EXPECTED:60
X-GARDIEN-GUARDIAN:gaelle,mailto:Hugo@example.org
BEGIN:VALARM
DESCRIPTION:REMINDER
TRIGGER;RELATED=START:-PT15M
ACTION:DISPLAY
END:VALARM
END:VEVENT
END:VCALENDAR
"""

NEXTCLOUD = """BEGIN:VCALENDAR
CALSCALE:GREGORIAN
VERSION:2.0
PRODID:-//IDN nextcloud.com//Calendar app 4.7.4//EN
BEGIN:VEVENT
CREATED:20260912T090000Z
DTSTAMP:20260912T090100Z
LAST-MODIFIED:20260912T090100Z
SEQUENCE:2
UID:7f6f0f2c-97a1-4f6b-8d0b-5f7e4e4f5a11
DTSTART;TZID=Europe/Paris:20261126T193000
DTEND;TZID=Europe/Paris:20261126T220000
STATUS:CONFIRMED
SUMMARY:Atelier
CATEGORIES:atelier
CATEGORIES:inscrits
ATTENDEE;CN=Paul;CUTYPE=INDIVIDUAL;PARTSTAT=NEEDS-ACTION;ROLE=REQ-PARTICIPANT;RSVP=TRUE;LANGUAGE=fr:mailto:paul@example.org
ATTENDEE;CN=Inès;CUTYPE=INDIVIDUAL;PARTSTAT=DECLINED;ROLE=REQ-PARTICIPANT:mailto:ines@example.org
X-GARDIEN-GUARDIAN:hugo
END:VEVENT
BEGIN:VEVENT
DTSTAMP:20260912T090100Z
UID:all-day
DTSTART;VALUE=DATE:20261025
DTEND;VALUE=DATE:20261026
SUMMARY:Journée des membres
END:VEVENT
BEGIN:VEVENT
DTSTAMP:20260912T090100Z
UID:floating
DTSTART:20261201T180000
DURATION:PT1H30M
SUMMARY:Apéro
RDATE:20270105T180000,20270202T180000
X-GARDIEN-AUDIENCE:public
END:VEVENT
BEGIN:VTIMEZONE
TZID:Europe/Paris
BEGIN:DAYLIGHT
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
TZNAME:CEST
DTSTART:19700329T020000
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
END:DAYLIGHT
BEGIN:STANDARD
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
TZNAME:CET
DTSTART:19701025T030000
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
END:STANDARD
END:VTIMEZONE
END:VCALENDAR
"""

ZONED = "DTSTART:20261124T180000Z\nDURATION:PT1H"

OWN_ZONE = """BEGIN:VTIMEZONE
TZID:Customized Time Zone
BEGIN:STANDARD
DTSTART:16010101T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
"""


def found(text: str, zone: ZoneInfo = PARIS) -> tuple[Occurrence, ...]:
    return occurrences(read_events(text.replace("\n", "\r\n"), zone), *YEAR)


def calendar(event: str, before: str = "") -> str:
    return (
        "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:test\n"
        f"{before}BEGIN:VEVENT\nUID:one\nSUMMARY:Talk\n{event.strip()}\nEND:VEVENT\nEND:VCALENDAR\n"
    )


def spans(text: str, zone: ZoneInfo = PARIS) -> list[str]:
    return [f"{one.start:%Y-%m-%dT%H:%M}/{one.end:%H:%M}" for one in found(text, zone)]


def refusal(text: str) -> str:
    with pytest.raises(EventError) as caught:
        read_events(text.replace("\n", "\r\n"), PARIS)
    return str(caught.value)


def test_a_weekly_event_of_google_keeps_its_local_time_and_its_exceptions() -> None:
    assert spans(GOOGLE) == [
        "2026-10-13T17:30/19:30",
        "2026-10-27T18:30/20:30",
        "2026-11-04T19:00/21:00",
        "2026-11-17T18:30/20:30",
        "2026-11-24T18:30/20:30",
    ]


def test_an_event_of_google_has_its_guardian_and_its_attendees() -> None:
    first = found(GOOGLE)[0]
    assert first.title == "Les mardis, la parole"
    assert first.guardians == {"gaelle@example.org"}
    assert first.attendees == {"nora@example.org", "gaelle@example.org"}
    assert (first.audience, first.expected) == (Audience.MEMBERS, None)


def test_an_occurrence_that_is_moved_keeps_its_identity_and_has_its_own_words() -> None:
    moved = found(GOOGLE)[2]
    assert moved.title == "Les mardis, un mercredi"
    assert moved.id == "6s1b2c3d4e5f@google.com/2026-11-03T18:30:00Z"
    assert moved.guardians == set()
    everyone = found(GOOGLE)
    assert len({one.id for one in everyone}) == len(everyone)


def test_an_event_of_outlook_in_a_windows_zone_goes_through_the_change_of_time() -> None:
    assert spans(OUTLOOK) == [
        "2027-03-26T19:00/21:30",
        "2027-03-27T19:00/21:30",
        "2027-03-28T18:00/20:30",
        "2027-03-29T18:00/20:30",
    ]
    debate = found(OUTLOOK)[0]
    assert (debate.audience, debate.expected) == (Audience.PUBLIC, 60)
    assert debate.guardians == {"gaelle", "hugo@example.org"}


def test_a_windows_zone_is_known_without_its_definition() -> None:
    event = "DTSTART;TZID=Romance Standard Time:20261124T193000\nDURATION:PT1H"
    assert spans(calendar(event)) == ["2026-11-24T18:30/19:30"]


def test_events_of_nextcloud_are_read_whole_days_and_floating_times_in_the_sites_zone() -> None:
    whole_day, workshop, *aperitifs = found(NEXTCLOUD)
    assert (whole_day.start, whole_day.end) == (
        datetime(2026, 10, 24, 22, tzinfo=UTC),
        datetime(2026, 10, 25, 23, tzinfo=UTC),
    )
    assert workshop.start == datetime(2026, 11, 26, 18, 30, tzinfo=UTC)
    assert workshop.audience is Audience.REGISTERED
    assert workshop.guardians == {"hugo"}
    assert workshop.attendees == {"paul@example.org"}
    assert workshop.id == "7f6f0f2c-97a1-4f6b-8d0b-5f7e4e4f5a11"
    assert [one.start.isoformat() for one in aperitifs] == [
        "2026-12-01T17:00:00+00:00",
        "2027-01-05T17:00:00+00:00",
        "2027-02-02T17:00:00+00:00",
    ]
    assert {one.end - one.start for one in aperitifs} == {timedelta(minutes=90)}
    assert {one.audience for one in aperitifs} == {Audience.PUBLIC}


def test_a_floating_time_is_that_of_the_site_wherever_it_is() -> None:
    event = "DTSTART:20261124T193000\nDTEND:20261124T213000"
    assert spans(calendar(event), ZoneInfo("Pacific/Kiritimati")) == ["2026-11-24T05:30/07:30"]
    assert spans(calendar(event), ZoneInfo("Pacific/Pago_Pago")) == ["2026-11-25T06:30/08:30"]


@pytest.mark.parametrize("zone", ["Europe/Paris", "Customized Time Zone", "Romance Standard Time"])
@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("20261025T023000", "20261025T024500", ["2026-10-25T00:30/01:45"]),
        ("20261025T013000", "20261025T023000", ["2026-10-24T23:30/01:30"]),
        ("20270328T020000", "20270328T040000", ["2027-03-28T01:00/02:00"]),
        ("20270328T023000", "20270328T033000", ["2027-03-28T01:00/01:30"]),
        ("20270328T010000", "20270328T023000", ["2027-03-28T00:00/01:00"]),
        ("20270328T020500", "20270328T025500", []),
    ],
)
def test_on_the_nights_of_the_change_events_mean_what_opening_hours_mean(
    zone: str, start: str, end: str, expected: list[str]
) -> None:
    event = f"DTSTART;TZID={zone}:{start}\nDTEND;TZID={zone}:{end}"
    assert spans(calendar(event, OWN_ZONE)) == expected


@given(st.integers(0, 4 * 24 * 400), st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_zone_that_the_file_defines_is_read_like_the_known_one(quarter: int, whole: bool) -> None:  # noqa: FBT001
    local = datetime(2026, 3, 1) + timedelta(minutes=15) * quarter  # noqa: DTZ001
    end = local + timedelta(hours=24 if whole else 3)
    event = (
        f"DTSTART;TZID=Customized Time Zone:{local:%Y%m%dT%H%M%S}\n"
        f"DTEND;TZID=Customized Time Zone:{end:%Y%m%dT%H%M%S}"
    )
    (one,) = found(calendar(event, OWN_ZONE))
    assert one.start == instant(local, PARIS, is_end=False)
    assert one.end == instant(end, PARIS, is_end=True)


def test_two_files_that_define_a_zone_of_the_same_name_have_each_their_own() -> None:
    zone = (
        "BEGIN:VTIMEZONE\nTZID:Local\nBEGIN:STANDARD\nDTSTART:16010101T000000\n"
        "TZOFFSETFROM:+0100\nTZOFFSETTO:+0100\nEND:STANDARD\nEND:VTIMEZONE\n"
    )
    event = "DTSTART;TZID=Local:20261124T193000\nDTEND;TZID=Local:20261124T203000"
    assert spans(calendar(event, zone)) == ["2026-11-24T18:30/19:30"]
    other = zone.replace("+0100", "+0500")
    assert spans(calendar(event, other)) == ["2026-11-24T14:30/15:30"]


def test_a_globally_unique_zone_name_is_understood() -> None:
    event = (
        "DTSTART;TZID=/freeassociation.sourceforge.net/Europe/Paris:20261124T193000\nDURATION:PT1H"
    )
    assert spans(calendar(event)) == ["2026-11-24T18:30/19:30"]


def test_an_event_without_an_end_lasts_its_whole_day_or_not_at_all() -> None:
    assert spans(calendar("DTSTART;VALUE=DATE:20261124")) == ["2026-11-23T23:00/23:00"]
    assert spans(calendar("DTSTART:20261124T100000Z")) == []


@pytest.mark.parametrize(
    ("start", "duration", "expected"),
    [
        ("20270328T013000", "PT2H", "2027-03-28T00:30/02:30"),
        ("20261025T013000", "PT2H", "2026-10-24T23:30/01:30"),
        ("20270327T013000", "P1DT1H", "2027-03-27T00:30/01:30"),
        ("20270327T120000", "P1D", "2027-03-27T11:00/10:00"),
    ],
)
def test_hours_of_a_duration_are_exact_and_its_days_are_those_of_the_clock(
    start: str, duration: str, expected: str
) -> None:
    event = f"DTSTART;TZID=Europe/Paris:{start}\nDURATION:{duration}"
    assert spans(calendar(event)) == [expected]
    again = calendar(f"{event}\nRRULE:FREQ=DAILY;COUNT=2")
    assert spans(again)[0] == expected


def test_a_period_among_the_dates_has_a_length_of_its_own() -> None:
    event = (
        "DTSTART:20270327T100000Z\nDURATION:PT1H\n"
        "RDATE;VALUE=PERIOD:20270401T100000Z/PT3H,20270402T100000Z/20270402T120000Z"
    )
    assert spans(calendar(event)) == [
        "2027-03-27T10:00/11:00",
        "2027-04-01T10:00/13:00",
        "2027-04-02T10:00/12:00",
    ]


def test_a_change_for_this_and_all_that_follow_leaves_each_its_identity() -> None:
    zoned = "TZID=Europe/Paris"
    event = (
        f"DTSTART;{zoned}:20261020T193000\nDTEND;{zoned}:20261020T213000\n"
        "RRULE:FREQ=WEEKLY;COUNT=4\nEND:VEVENT\n"
        f"BEGIN:VEVENT\nUID:one\nRECURRENCE-ID;RANGE=THISANDFUTURE;{zoned}:20261103T193000\n"
        f"DTSTART;{zoned}:20261103T203000\nDTEND;{zoned}:20261103T213000"
    )
    assert spans(calendar(event))[2:] == ["2026-11-03T19:30/20:30", "2026-11-10T19:30/20:30"]
    assert [one.recurrence for one in found(calendar(event))] == [
        "2026-10-20T17:30:00Z",
        "2026-10-27T18:30:00Z",
        "2026-11-03T18:30:00Z",
        "2026-11-10T18:30:00Z",
    ]


def test_a_monthly_event_on_the_last_friday_is_found_where_it_is() -> None:
    event = (
        "DTSTART;TZID=Europe/Paris:20260130T190000\nDTEND;TZID=Europe/Paris:20260130T220000\n"
        "RRULE:FREQ=MONTHLY;BYDAY=-1FR;COUNT=3"
    )
    assert spans(calendar(event)) == [
        "2026-01-30T18:00/21:00",
        "2026-02-27T18:00/21:00",
        "2026-03-27T18:00/21:00",
    ]


def test_a_yearly_event_on_29_february_takes_place_in_leap_years_only() -> None:
    event = "DTSTART;VALUE=DATE:20240229\nRRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29"
    sources = read_events(calendar(event), PARIS)
    long = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2033, 1, 1, tzinfo=UTC))
    assert [one.start.year for one in occurrences(sources, *long)] == [2024, 2028, 2032]


def test_only_what_overlaps_the_span_is_given() -> None:
    sources = read_events(calendar("DTSTART:20261124T180000Z\nDTEND:20261124T200000Z"), PARIS)
    start, end = datetime(2026, 11, 24, 18, tzinfo=UTC), datetime(2026, 11, 24, 20, tzinfo=UTC)
    tick = timedelta(seconds=1)
    assert occurrences(sources, end, end + tick) == ()
    assert occurrences(sources, start - tick, start) == ()
    assert len(occurrences(sources, end - tick, end)) == 1
    assert len(occurrences(sources, start, start + tick)) == 1


def test_an_event_that_is_cancelled_does_not_take_place() -> None:
    event = "DTSTART:20261124T180000Z\nDTEND:20261124T200000Z\nSTATUS:CANCELLED"
    assert spans(calendar(event)) == []
    assert spans(GOOGLE.replace("METHOD:PUBLISH", "METHOD:CANCEL")) == []


@pytest.mark.parametrize(
    ("written", "audience"),
    [
        ("", Audience.MEMBERS),
        ("CATEGORIES:Cuisine", Audience.MEMBERS),
        ("CATEGORIES:PUBLIC", Audience.PUBLIC),
        ("CATEGORIES:a,membres", Audience.MEMBERS),
        ("CATEGORIES:public\nX-GARDIEN-AUDIENCE:Registered", Audience.REGISTERED),
    ],
)
def test_the_audience_is_named_by_a_category_or_by_the_property(
    written: str, audience: Audience
) -> None:
    (one,) = found(calendar(f"DTSTART:20261124T180000Z\nDURATION:PT1H\n{written}"))
    assert one.audience is audience


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("X-GARDIEN-AUDIENCE:everybody", "X-GARDIEN-AUDIENCE must be members, registered or pub"),
        ("CATEGORIES:public,registered", "names more than one audience: public, registered"),
        ("X-GARDIEN-EXPECTED:many", "X-GARDIEN-EXPECTED must be one whole number"),
        ("X-GARDIEN-EXPECTED:1\nX-GARDIEN-EXPECTED:2", "must be one whole number"),
        ("X-GARDIEN-EXPECTED:100001", "must be at most 100000"),
        ("X-GARDIEN-EXPECTED:-1", "must be one whole number"),
        ("RRULE:FREQ=FOO", "RRULE can't be understood"),
        ("RRULE:FREQ=SECONDLY", "repeats more than 24 times a day"),
        ("RRULE:FREQ=DAILY;BYHOUR=1,2,3,4,5;BYMINUTE=0,10,20,30,40", "more than 24 times a day"),
        ("RDATE;TZID=Nowhere:20261125T180000", "RDATE is in the time zone 'Nowhere'"),
        ("EXDATE;TZID=Nowhere:20261125T180000", "EXDATE is in the time zone 'Nowhere'"),
        ("RRULE:FREQ=DAILY;UNTIL=yesterday", "RRULE can't be understood"),
    ],
)
def test_what_can_not_be_understood_is_named_with_its_event(written: str, problem: str) -> None:
    told = refusal(calendar(f"DTSTART:20261124T180000Z\nDTEND:20261124T190000Z\n{written}"))
    assert told.startswith("event 'Talk' (one): ")
    assert problem in told


@pytest.mark.parametrize(
    ("times", "problem"),
    [
        ("DTEND:20261124T180000Z", "it has no DTSTART"),
        ("DTSTART:yesterday", "DTSTART can't be understood"),
        ("DTSTART;TZID=Nowhere:20261124T180000", "the time zone 'Nowhere', which the calendar"),
        ("DTSTART:20261124T180000Z\nDTEND:20261124T170000Z", "DTEND is before DTSTART"),
        ("DTSTART:20261124T180000Z\nDTEND;VALUE=DATE:20261125", "is a date, the other a time"),
        ("DTSTART:20261124T180000Z\nDURATION:PXX", "DURATION can't be understood"),
        ("DTSTART:99991231T230000\nDTEND;TZID=America/New_York:99991231T235959", "understood"),
        (f"{ZONED}\nRECURRENCE-ID;RANGE=THISANDFUTURE:20261124T180000", "it can't be understood"),
        ("DTSTART:20261124T180000Z\nDURATION:-PT1H", "DURATION is less than nothing"),
    ],
)
def test_a_time_that_can_not_be_is_named(times: str, problem: str) -> None:
    assert problem in refusal(calendar(times))


def test_an_event_without_a_uid_is_refused_by_its_title() -> None:
    text = calendar("DTSTART:20261124T180000Z").replace("UID:one\n", "")
    assert refusal(text) == "event 'Talk' (no UID): it has no UID"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "there is no BEGIN:VCALENDAR"),
        ("<html>Sign in</html>", "there is no BEGIN:VCALENDAR"),
        (GOOGLE[: len(GOOGLE) // 2], "the calendar is cut off: VEVENT does not end"),
        ("BEGIN:VEVENT\nEND:VEVENT\n", "line 1: VEVENT is in no VCALENDAR"),
        ("BEGIN:VCALENDAR\nEND:VEVENT\n", "line 2: END:VEVENT ends nothing that began"),
        ("BEGIN:VCALENDAR\nnonsense\nEND:VCALENDAR\n", "not iCalendar that can be read"),
    ],
)
def test_what_is_no_calendar_or_only_a_part_of_one_is_refused(text: str, problem: str) -> None:
    assert problem in refusal(text)


def test_every_cut_of_a_file_is_noticed() -> None:
    lines = GOOGLE.splitlines(keepends=True)
    for number in range(1, len(lines)):
        with pytest.raises(EventError):
            read_events("".join(lines[:number]), PARIS)


def test_an_empty_calendar_has_no_events() -> None:
    assert found("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nEND:VCALENDAR\n") == ()


def test_a_byte_order_mark_and_several_calendars_in_one_file_are_read() -> None:
    (debate, *_, aperitif) = found("\ufeff" + OUTLOOK + NEXTCLOUD)
    assert (debate.title, aperitif.title) == ("Journée des membres", "Débat public")
    assert len(found("\ufeff" + OUTLOOK + NEXTCLOUD)) == 4 + 5


def test_an_occurrence_is_a_span_without_lead_and_grace() -> None:
    first = found(OUTLOOK)[0]
    assert (first.span.start, first.span.end) == (first.start, first.end)
    assert first.span.length == timedelta(hours=2.5)


def test_an_attendee_without_an_address_is_nobody() -> None:
    event = "DTSTART:20261124T180000Z\nDURATION:PT1H\nATTENDEE;ROLE=CHAIR:invalid:nomail"
    (one,) = found(calendar(event))
    assert (one.guardians, one.attendees) == (frozenset(), frozenset())
    known = event.replace("ROLE=CHAIR", "ROLE=CHAIR;EMAIL=Ines@example.org")
    assert found(calendar(known))[0].guardians == {"ines@example.org"}


def test_a_source_tells_what_it_is_and_not_its_insides() -> None:
    first, *_ = read_events(NEXTCLOUD, PARIS)
    assert (first.title, first.is_recurring) == ("Atelier", False)
    assert "_components" not in repr(first)


def test_a_calendar_that_is_written_names_who_watches_and_no_address() -> None:
    (one, *_) = found(GOOGLE)
    at = datetime(2026, 11, 1, 12, tzinfo=UTC)
    text = write_calendar("Malakoff", [Listed(occurrence=one, watched_by=("Gaëlle",))], at=at)
    assert "\r\n" in text
    assert "@example.org" not in text
    (event,) = icalendar.Calendar.from_ical(text).walk("VEVENT")
    assert event["DESCRIPTION"] == "De permanence : Gaëlle"
    assert event.decoded("DTSTAMP") == at
    english = write_calendar(
        "M", [Listed(occurrence=one, watched_by=("A", "B"))], at=at, language="en"
    )
    (event,) = icalendar.Calendar.from_ical(english).walk("VEVENT")
    assert event["DESCRIPTION"] == "On watch: A, B"


titles = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\u2028\u2029\x85")
)
written_ones = st.builds(
    lambda title, start, minutes, expected, audience: Occurrence(
        uid="one",
        recurrence=None,
        title=title.strip(),
        start=start,
        end=start + timedelta(minutes=minutes),
        expected=expected,
        audience=audience,
    ),
    titles,
    st.datetimes(datetime(2026, 1, 2), datetime(2027, 12, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
        lambda moment: moment.replace(microsecond=0)
    ),
    st.integers(1, 3000),
    st.none() | st.integers(0, 100_000),
    st.sampled_from(Audience),
)


@given(written_ones)
@settings(deadline=None)
def test_what_is_written_is_read_back(one: Occurrence) -> None:
    text = write_calendar("Malakoff", [Listed(occurrence=one)], at=one.start)
    assert occurrences(read_events(text, PARIS), *YEAR) == (one,)


@given(st.text() | st.lists(st.sampled_from(GOOGLE.splitlines()) | st.text()).map("\r\n".join))
@settings(deadline=None)
def test_any_text_is_a_calendar_or_refused_as_one(text: str) -> None:
    try:
        sources = read_events(text, PARIS)
    except EventError:
        return
    occurrences(sources, *YEAR)


changed_lines = st.sampled_from(OUTLOOK.splitlines()).flatmap(
    lambda line: st.tuples(st.just(line), st.text(max_size=12), st.integers(0, len(line)))
)


@given(st.lists(changed_lines, min_size=1, max_size=2))
@settings(deadline=None, max_examples=300)
def test_any_change_in_a_calendar_leaves_a_calendar_or_is_refused(
    changes: list[tuple[str, str, int]],
) -> None:
    text = OUTLOOK
    for line, put_in, position in changes:
        text = text.replace(line, line[:position] + put_in, 1)
    try:
        sources = read_events(text, PARIS)
    except EventError:
        return
    occurrences(sources, *YEAR)
