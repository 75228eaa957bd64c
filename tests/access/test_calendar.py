"""Opening hours in local time, on the nights when the clock changes too."""

import zoneinfo
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from access.calendar import Hours, Window, instant, opening_spans
from access.instants import Span, find, from_rfc3339, last_end, merged

PARIS = ZoneInfo("Europe/Paris")
# Half an hour of change; a date line that moved; twice a year around Ramadan; negative DST.
ODD_ZONES = [
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Europe/Dublin",
    "America/St_Johns",
    "America/Sao_Paulo",
    "Asia/Gaza",
    "Antarctica/Troll",
    "Asia/Kathmandu",
    "Africa/Monrovia",
    "UTC",
]
ZONES = sorted(zoneinfo.available_timezones())


def window(text: str) -> Window:
    start, end = text.split("-")
    return Window(start=time.fromisoformat(start), end=time.fromisoformat(end))


def on(day: str, *windows: str) -> Hours:
    return Hours(weekly={}, exceptions={date.fromisoformat(day): tuple(map(window, windows))})


def spans(hours: Hours, first: str, last: str | None = None, zone: ZoneInfo = PARIS) -> list[str]:
    found = opening_spans(hours, zone, date.fromisoformat(first), date.fromisoformat(last or first))
    return [f"{span.start:%m-%dT%H:%M:%S}/{span.end:%m-%dT%H:%M:%S}" for span in found]


@pytest.mark.parametrize(
    ("local", "is_end", "utc"),
    [
        ("2026-11-24T09:00:00", False, "2026-11-24T08:00:00Z"),
        ("2026-07-14T09:00:00", False, "2026-07-14T07:00:00Z"),
        ("2026-10-25T02:30:00", False, "2026-10-25T00:30:00Z"),
        ("2026-10-25T02:30:00", True, "2026-10-25T01:30:00Z"),
        ("2026-10-25T02:00:00", False, "2026-10-25T00:00:00Z"),
        ("2026-10-25T02:00:00", True, "2026-10-25T01:00:00Z"),
        ("2026-10-25T02:59:59.999999", True, "2026-10-25T01:59:59.999999Z"),
        ("2026-10-25T03:00:00", False, "2026-10-25T02:00:00Z"),
        ("2026-10-25T03:00:00", True, "2026-10-25T02:00:00Z"),
        ("2027-03-28T01:59:59.999999", False, "2027-03-28T00:59:59.999999Z"),
        ("2027-03-28T02:00:00", False, "2027-03-28T01:00:00Z"),
        ("2027-03-28T02:00:00", True, "2027-03-28T01:00:00Z"),
        ("2027-03-28T02:30:00", False, "2027-03-28T01:00:00Z"),
        ("2027-03-28T02:30:00", True, "2027-03-28T01:00:00Z"),
        ("2027-03-28T02:59:59.999999", True, "2027-03-28T01:00:00Z"),
        ("2027-03-28T03:00:00", True, "2027-03-28T01:00:00Z"),
        ("2028-02-29T12:00:00", False, "2028-02-29T11:00:00Z"),
    ],
)
def test_a_local_time_is_the_instant_that_the_rules_say(
    *, local: str, is_end: bool, utc: str
) -> None:
    found = instant(datetime.fromisoformat(local), PARIS, is_end=is_end)
    assert found == from_rfc3339(utc)
    assert found.tzinfo is UTC


def test_a_day_that_a_place_skipped_is_the_first_instant_after_it() -> None:
    apia = ZoneInfo("Pacific/Apia")
    for hour in (0, 12, 23):
        skipped = datetime.combine(date(2011, 12, 30), time(hour))
        for is_end in (False, True):
            assert instant(skipped, apia, is_end=is_end) == datetime(2011, 12, 30, 10, tzinfo=UTC)


def test_a_change_of_half_an_hour_is_a_change_of_half_an_hour() -> None:
    lord_howe = ZoneInfo("Australia/Lord_Howe")
    skipped = datetime.fromisoformat("2026-10-04T02:15:00")
    assert instant(skipped, lord_howe, is_end=False) == from_rfc3339("2026-10-03T15:30:00Z")


def test_a_gap_next_to_another_change_is_left_at_its_own_end() -> None:
    # The clocks of Palestine changed twice within six weeks, and Tunis and others within days of
    # midnight; here the change itself is what counts, not what the offset was two days before.
    cairo = ZoneInfo("Africa/Cairo")
    skipped = datetime.fromisoformat("2014-07-31T23:59:59")
    assert instant(skipped, cairo, is_end=False).astimezone(cairo).replace(tzinfo=None) == skipped
    gap = datetime.fromisoformat("2014-08-01T00:30:00")
    assert instant(gap, cairo, is_end=False) == from_rfc3339("2014-07-31T22:00:00Z")


def test_a_day_has_its_weekly_windows() -> None:
    hours = Hours(weekly={1: (window("09:00-12:30"), window("13:30-18:30"))})
    assert spans(hours, "2026-11-23", "2026-11-25") == [
        "11-24T08:00:00/11-24T11:30:00",
        "11-24T12:30:00/11-24T17:30:00",
    ]


def test_a_closure_takes_the_weekly_windows_of_its_date() -> None:
    hours = Hours(weekly={1: (window("09:00-12:30"),)}, closed={date(2026, 11, 24)})
    assert hours.on(date(2026, 11, 24)) == ()
    assert hours.on(date(2026, 12, 1)) == (window("09:00-12:30"),)


def test_a_dated_exception_is_stronger_than_a_closure() -> None:
    day = date(2026, 11, 24)
    hours = Hours(
        weekly={1: (window("09:00-12:30"),)},
        closed={day},
        exceptions={day: (window("14:00-15:00"),)},
    )
    assert hours.on(day) == (window("14:00-15:00"),)


def test_an_exception_without_windows_is_a_closed_day() -> None:
    day = date(2026, 11, 24)
    hours = Hours(weekly={1: (window("09:00-12:30"),)}, exceptions={day: ()})
    assert hours.on(day) == ()


def test_a_window_starts_at_the_first_and_ends_at_the_second_of_two_half_past_twos() -> None:
    assert spans(on("2026-10-25", "02:30-04:00"), "2026-10-25") == ["10-25T00:30:00/10-25T03:00:00"]
    assert spans(on("2026-10-25", "01:00-02:30"), "2026-10-25") == ["10-24T23:00:00/10-25T01:30:00"]
    assert spans(on("2026-10-25", "02:15-02:30"), "2026-10-25") == ["10-25T00:15:00/10-25T01:30:00"]


@pytest.mark.parametrize("local", ["2026-10-25T02:30:00", "2027-03-28T02:30:00"])
@pytest.mark.parametrize("is_end", [True, False])
def test_which_of_two_times_is_meant_is_said_by_the_rules_not_by_the_fold(
    *, local: str, is_end: bool
) -> None:
    moment = datetime.fromisoformat(local)
    folded = moment.replace(fold=1)
    assert instant(folded, PARIS, is_end=is_end) == instant(moment, PARIS, is_end=is_end)


def test_a_window_across_midnight_ends_on_the_next_day() -> None:
    assert window("22:00-02:00").crosses_midnight
    assert window("00:00-00:00").crosses_midnight
    assert not window("22:00-23:00").crosses_midnight
    assert spans(on("2026-12-31", "22:00-02:00"), "2026-12-31") == ["12-31T21:00:00/01-01T01:00:00"]


def test_a_window_that_ends_at_midnight_ends_the_day() -> None:
    assert spans(on("2026-11-24", "20:00-00:00"), "2026-11-24") == ["11-24T19:00:00/11-24T23:00:00"]


def test_the_whole_day_is_25_hours_in_autumn_and_23_in_spring() -> None:
    for day, hours in (("2026-10-25", 25), ("2027-03-28", 23), ("2026-11-24", 24)):
        whole = date.fromisoformat(day)
        (span,) = opening_spans(on(day, "00:00-00:00"), PARIS, whole, whole)
        assert span.length == timedelta(hours=hours)


def test_windows_of_one_day_and_the_next_are_joined_where_they_touch() -> None:
    hours = Hours(weekly={day: (window("00:00-00:00"),) for day in range(7)})
    assert spans(hours, "2026-10-24", "2026-10-26") == ["10-23T22:00:00/10-26T23:00:00"]


def test_a_window_that_the_spring_gap_swallows_is_left_out() -> None:
    assert spans(on("2027-03-28", "02:10-02:50"), "2027-03-28") == []
    assert spans(on("2027-03-28", "02:10-03:00"), "2027-03-28") == []
    assert spans(on("2027-03-28", "02:10-03:01"), "2027-03-28") == ["03-28T01:00:00/03-28T01:01:00"]


def test_only_the_days_that_are_asked_for_are_given() -> None:
    hours = Hours(weekly={day: (window("09:00-10:00"),) for day in range(7)})
    assert len(spans(hours, "2028-02-28", "2028-03-01")) == 3
    assert spans(hours, "2026-11-24", "2026-11-23") == []


times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 59]))
windows = st.builds(Window, start=times, end=times)
timetables = st.builds(
    Hours,
    weekly=st.dictionaries(st.integers(0, 6), st.lists(windows, max_size=3).map(tuple)),
    closed=st.frozensets(st.dates(date(2026, 1, 1), date(2026, 12, 31)), max_size=5),
)
zone_names = st.sampled_from(ZONES) | st.sampled_from([z for z in ODD_ZONES if z in ZONES])
days = st.dates(date(1950, 1, 1), date(2037, 1, 1))


@given(timetables, zone_names, days, st.integers(0, 40))
@settings(deadline=None)
def test_spans_are_in_order_and_never_meet_in_any_zone(
    hours: Hours, zone: str, first: date, days_more: int
) -> None:
    found = opening_spans(hours, ZoneInfo(zone), first, first + timedelta(days=days_more))
    assert all(span.start < span.end for span in found)
    assert all(one.end < following.start for one, following in pairwise(found))


@given(st.datetimes(datetime(1950, 1, 1), datetime(2037, 1, 1)), zone_names)  # noqa: DTZ001
@settings(deadline=None)
def test_an_instant_shows_its_local_time_or_is_the_end_of_a_gap(local: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    start, end = (instant(local, zone, is_end=is_end) for is_end in (False, True))
    assert start <= end
    shown = start.astimezone(zone).replace(tzinfo=None)
    if shown == local:
        assert end.astimezone(zone).replace(tzinfo=None) == local
    else:
        assert start == end
        just_before = (start - timedelta(microseconds=1)).astimezone(zone).replace(tzinfo=None)
        assert just_before < local < shown


@given(zone_names, days, times, times)
@settings(deadline=None)
def test_local_order_is_kept_in_any_zone(zone: str, day: date, one: time, other: time) -> None:
    first, second = sorted([one, other])
    place = ZoneInfo(zone)
    starts = [instant(datetime.combine(day, t), place, is_end=False) for t in (first, second)]
    assert instant(datetime.combine(day, first), place, is_end=True) >= starts[0]
    assert instant(datetime.combine(day, second), place, is_end=True) >= starts[0]


ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
hours_in = st.integers(0, 40).map(lambda n: ORIGIN + timedelta(hours=n))
any_spans = st.lists(
    st.builds(
        lambda start, n: Span(start=start, end=start + timedelta(hours=n)),
        hours_in,
        st.integers(1, 9),
    ),
    max_size=8,
)


@given(any_spans, hours_in)
def test_merging_keeps_exactly_the_same_instants(unsorted: list[Span], moment: datetime) -> None:
    joined = merged(unsorted)
    assert any(moment in span for span in unsorted) == (find(joined, moment) is not None)
    assert all(one.end < following.start for one, following in pairwise(joined))
    assert merged(joined) == joined


@given(any_spans, hours_in)
def test_the_last_end_is_the_latest_that_is_not_after_the_moment(
    unsorted: list[Span], moment: datetime
) -> None:
    joined = merged(unsorted)
    ends = [span.end for span in joined if span.end <= moment]
    assert last_end(joined, moment) == max(ends, default=None)
