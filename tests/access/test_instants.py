"""Instants are UTC, and are read and written without loss."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.instants import (
    FarTimeError,
    NaiveTimeError,
    Span,
    from_rfc3339,
    to_rfc3339,
    utc,
)

MOMENT = datetime(2026, 11, 24, 19, 30, tzinfo=UTC)
offsets = st.integers(-23 * 60, 23 * 60).map(lambda n: timezone(timedelta(minutes=n)))
near = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=offsets)  # noqa: DTZ001


@given(near)
def test_an_instant_is_read_as_it_was_written(moment: datetime) -> None:
    text = to_rfc3339(moment)
    assert text.endswith("Z")
    assert from_rfc3339(text) == moment
    assert from_rfc3339(text).tzinfo is UTC
    assert to_rfc3339(from_rfc3339(text)) == text


@given(st.text() | near.map(str))
def test_a_text_is_an_instant_or_a_value_error(text: str) -> None:
    try:
        from_rfc3339(text)
    except ValueError:
        return


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(NaiveTimeError, match="has no time zone"):
        utc(MOMENT.replace(tzinfo=None))
    with pytest.raises(NaiveTimeError):
        from_rfc3339("2026-11-24T19:30:00")


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_a_time_beyond_the_years_that_utc_has_is_refused(text: str) -> None:
    with pytest.raises(FarTimeError, match="years 1 to 9999"):
        from_rfc3339(text)


def test_a_span_holds_its_start_and_not_its_end() -> None:
    span = Span(start=MOMENT, end=MOMENT + timedelta(seconds=1))
    assert MOMENT in span
    assert MOMENT + timedelta(microseconds=999_999) in span
    assert MOMENT + timedelta(seconds=1) not in span
    assert MOMENT - timedelta(microseconds=1) not in span
    assert span.length == timedelta(seconds=1)


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_span_ends_after_it_starts(seconds: int) -> None:
    with pytest.raises(ValueError, match="must end after it starts"):
        Span(start=MOMENT, end=MOMENT + timedelta(seconds=seconds))
