"""Instants and spans of time: UTC, to the microsecond, half-open.

Text form is RFC 3339 with `Z`.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


class NaiveTimeError(ValueError):
    """A time was given without its zone."""


class FarTimeError(ValueError):
    """A time whose UTC lies outside the years 1 to 9999."""


def utc(moment: datetime) -> datetime:
    """Give the same instant in UTC.

    Raises:
        NaiveTimeError: `moment` has no time zone, so which instant it means is unknown.
        FarTimeError: in UTC it is before the year 1, or after the year 9999.
    """
    if moment.tzinfo is None:
        raise NaiveTimeError(f"{moment.isoformat()} has no time zone; add one, such as Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise FarTimeError(f"{moment.isoformat()} is not in the years 1 to 9999 in UTC") from error


def to_rfc3339(moment: datetime) -> str:
    """Write an instant as RFC 3339, section 5.6, in UTC with `Z`.

    Raises:
        NaiveTimeError: `moment` has no time zone.
    """
    return utc(moment).isoformat().replace("+00:00", "Z")


def from_rfc3339(text: str) -> datetime:
    """Read an instant written as RFC 3339.

    Raises:
        ValueError: it is not a date and time.
        NaiveTimeError: it has no offset.
        FarTimeError: in UTC it is before the year 1, or after the year 9999.
    """
    return utc(datetime.fromisoformat(text))


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Span:
    """A half-open span of time: `start` belongs to it, `end` does not.

    Attributes:
        start: first instant, UTC.
        end: first instant after it, UTC; later than `start`.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if utc(self.end) <= utc(self.start):
            raise ValueError(f"a span must end after it starts: {self.start} to {self.end}")

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    @property
    def length(self) -> timedelta:
        """How long the span lasts."""
        return self.end - self.start


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Sort spans and join those that touch or overlap.

    Returns:
        Spans in order, each ending before the next one starts: the same instants, covered once.
    """
    out: list[Span] = []
    for span in sorted(spans):
        if out and span.start <= out[-1].end:
            if span.end > out[-1].end:
                out[-1] = Span(start=out[-1].start, end=span.end)
        else:
            out.append(span)
    return tuple(out)


def find(spans: Sequence[Span], moment: datetime) -> Span | None:
    """Find the span that holds `moment`, among spans in order that don't overlap.

    Takes time in the logarithm of their number.
    """
    index = bisect_right(spans, moment, key=lambda span: span.start) - 1
    if index >= 0 and moment in spans[index]:
        return spans[index]
    return None


def last_end(spans: Sequence[Span], moment: datetime) -> datetime | None:
    """Give the latest end at or before `moment`, among spans in order that don't overlap."""
    index = bisect_right(spans, moment, key=lambda span: span.end) - 1
    return spans[index].end if index >= 0 else None
