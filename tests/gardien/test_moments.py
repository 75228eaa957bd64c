"""Times as people type them."""

import contextlib
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gardien.moments import Here, MomentError, parse_moment, parse_span, parse_weekly, told_weekly

PARIS = Here(zone=ZoneInfo("Europe/Paris"), now=datetime(2026, 11, 24, 18, 10, tzinfo=UTC))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("now", datetime(2026, 11, 24, 18, 10, tzinfo=UTC)),
        ("19:10", datetime(2026, 11, 24, 18, 10, tzinfo=UTC)),
        ("9:05", datetime(2026, 11, 24, 8, 5, tzinfo=UTC)),
        ("2026-07-14 19:10", datetime(2026, 7, 14, 17, 10, tzinfo=UTC)),
        ("2026-07-14T19:10", datetime(2026, 7, 14, 17, 10, tzinfo=UTC)),
        ("2026-07-14", datetime(2026, 7, 13, 22, 0, tzinfo=UTC)),
        ("2026-07-14T17:10:00Z", datetime(2026, 7, 14, 17, 10, tzinfo=UTC)),
        ("2026-07-14T19:10:00+02:00", datetime(2026, 7, 14, 17, 10, tzinfo=UTC)),
        # The clock shows 02:30 twice in this night; it means the first for a start.
        ("2026-10-25 02:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        # The clock never shows 02:30 in this night; it means the first instant after the gap.
        ("2026-03-29 02:30", datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
    ],
)
def test_a_time_is_local_unless_it_says_otherwise(typed: str, meant: datetime) -> None:
    assert parse_moment(typed, PARIS) == meant


def test_an_end_that_the_clock_shows_twice_means_the_second() -> None:
    found = parse_moment("2026-10-25 02:30", PARIS, is_end=True)
    assert found == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize("typed", ["", "soon", "25:00", "2026-13-01 10:00", "0001-01-01 00:00"])
def test_what_is_no_time_is_refused_with_an_example(typed: str) -> None:
    with pytest.raises(MomentError, match="2026-11-24 19:10"):
        parse_moment(typed, PARIS)


def test_an_end_as_a_time_alone_is_on_the_day_of_the_start() -> None:
    span = parse_span("2026-12-01 19:30", "22:00", PARIS)
    assert span.length == timedelta(hours=2, minutes=30)
    with pytest.raises(MomentError, match="after the start"):
        parse_span("2026-12-01 19:30", "02:00", PARIS)


@pytest.mark.parametrize(
    ("typed", "start", "hours"),
    [
        ("tue 18:30-22:00", datetime(2026, 11, 24, 17, 30, tzinfo=UTC), 3.5),
        ("Tuesday 18:30 - 22:00", datetime(2026, 11, 24, 17, 30, tzinfo=UTC), 3.5),
        ("mon 22:00-02:00", datetime(2026, 11, 30, 21, 0, tzinfo=UTC), 4),
        ("sun 20:00-24:00", datetime(2026, 11, 29, 19, 0, tzinfo=UTC), 4),
    ],
)
def test_a_weekly_time_begins_on_the_next_such_day(
    typed: str, start: datetime, hours: float
) -> None:
    span = parse_weekly(typed, PARIS)
    assert (span.start, span.length) == (start, timedelta(hours=hours))


def test_a_weekly_time_may_begin_later() -> None:
    span = parse_weekly("tue 18:30-22:00", PARIS, date(2027, 7, 1))
    assert span.start == datetime(2027, 7, 6, 16, 30, tzinfo=UTC)
    assert told_weekly(span, PARIS.zone) == "tue 18:30-22:00"


@given(st.text(max_size=30))
def test_whatever_is_typed_is_a_time_or_refused_in_our_words(typed: str) -> None:
    for parse in (parse_moment, parse_weekly):
        with contextlib.suppress(MomentError):
            parse(typed, PARIS)
