"""Opening hours: weekly windows in local time turned into spans of UTC.

Local times that do not exist (spring) mean the first instant after the gap; local times that exist
twice (autumn) mean the first for a start and the second for an end (`rules.md`, *Time*). Python's
`fold` (PEP 495) tells the two apart.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from access.instants import Span, merged

_ONE_DAY: Final = timedelta(days=1)
_ONE_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A span of local time in a day.

    Attributes:
        start: local time at which it starts.
        end: local time at which it ends; at or before `start` means on the next day, so 00:00 is
            the end of the day.
    """

    start: time
    end: time

    @property
    def crosses_midnight(self) -> bool:
        """Whether the window ends on the next day."""
        return self.end <= self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Weekly windows with their exceptions.

    Attributes:
        weekly: windows by weekday, Monday 0 to Sunday 6.
        exceptions: windows of single dates, in place of the weekly ones, closures and holidays.
        closed: dates without windows: closures and public holidays.
    """

    weekly: Mapping[int, tuple[Window, ...]]
    exceptions: Mapping[date, tuple[Window, ...]] = field(default_factory=dict)
    closed: AbstractSet[date] = frozenset()

    def on(self, day: date) -> tuple[Window, ...]:
        """Give the windows that start on `day`; a dated exception is stronger than a closure."""
        if day in self.exceptions:
            return self.exceptions[day]
        if day in self.closed:
            return ()
        return self.weekly.get(day.weekday(), ())


def instant(local: datetime, zone: ZoneInfo, *, is_end: bool) -> datetime:
    """Turn a local time into an instant.

    Args:
        local: date and time without zone.
        zone: the site's time zone.
        is_end: whether it ends a span, which matters when the clock shows it twice.

    Returns:
        The instant, UTC. For a time in the gap of spring, the first instant after the gap.
    """
    aware = local.replace(tzinfo=zone, fold=1 if is_end else 0)
    moment = aware.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local:
        return moment
    return _after_gap(local, zone)


def _after_gap(local: datetime, zone: ZoneInfo) -> datetime:
    """Find the end of the gap that `local` lies in, by halving.

    PEP 495: read with the offset after the gap (fold 1) a time in it is an instant before the
    change; read with the offset before it (fold 0), one at or after it. Changes are whole seconds.
    """
    low = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    high = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    before = low.astimezone(zone).utcoffset()
    while high - low > _ONE_SECOND:
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


def opening_spans(hours: Hours, zone: ZoneInfo, first: date, last: date) -> tuple[Span, ...]:
    """Give the spans of opening of the days from `first` to `last`, both included.

    Returns:
        Spans in UTC, in order, joined where they touch. A window that the spring gap swallows
        whole is left out.
    """
    return merged(_spans(hours, zone, first, last))


def _spans(hours: Hours, zone: ZoneInfo, first: date, last: date) -> Iterator[Span]:
    for offset in range((last - first).days + 1):
        day = first + offset * _ONE_DAY
        for window in hours.on(day):
            end_day = day + _ONE_DAY if window.crosses_midnight else day
            start = instant(datetime.combine(day, window.start), zone, is_end=False)
            end = instant(datetime.combine(end_day, window.end), zone, is_end=True)
            if end > start:
                yield Span(start=start, end=end)
