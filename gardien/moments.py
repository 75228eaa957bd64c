"""Times as people type them: local to the site, or RFC 3339 with its offset."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from access.calendar import instant
from access.instants import Span, utc
from gardien.errors import CommandError

NOW: Final = "now"
HOW: Final = "'2026-11-24 19:10', '19:10' for today, or 2026-11-24T18:10:00Z"

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK: Final = r"(?:[01]?\d|2[0-3]):[0-5]\d"
_WEEKLY: Final = re.compile(
    rf"({'|'.join(_DAYS)})[a-z]*\s+({_CLOCK})\s*-\s*({_CLOCK}|24:00)", re.IGNORECASE
)


class MomentError(CommandError):
    """A time that can't be read, or does not fit the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """Where and when a time is typed: the site's zone, and the time now, UTC."""

    zone: ZoneInfo
    now: datetime

    @property
    def today(self) -> date:
        """The date at the site."""
        return self.now.astimezone(self.zone).date()

    def told(self, moment: datetime | None) -> str:
        """Tell an instant in the site's time, to the minute; a dash for none."""
        return "-" if moment is None else f"{moment.astimezone(self.zone):%Y-%m-%d %H:%M}"


def parse_moment(text: str, here: Here, *, is_end: bool = False) -> datetime:
    """Read a time as it is typed.

    Args:
        text: `now`; a date and time with an offset (RFC 3339); or without one, local to the site;
            a time of day alone is today's; a date alone is its midnight.
        here: the site's zone and the time now.
        is_end: whether it ends a span, which matters when the clock shows it twice.

    Returns:
        The instant, UTC.

    Raises:
        MomentError: it is none of these.
    """
    if text.strip().lower() == NOW:
        return here.now
    for read in _READERS:
        try:
            found = read(text.strip(), here)
        except ValueError:
            continue
        try:
            return utc(found) if found.tzinfo else instant(found, here.zone, is_end=is_end)
        except (ValueError, OverflowError):
            break
    raise MomentError(f"{text[:60]!r} is no time; write {HOW}")


def parse_span(start: str, end: str, here: Here) -> Span:
    """Read a span from two times as they are typed; a time of day for its end is on the same day.

    Raises:
        MomentError: one is no time, or the end is not after the start.
    """
    first = parse_moment(start, here)
    there = Here(zone=here.zone, now=first)
    last = parse_moment(end, here if end.strip().lower() == NOW else there, is_end=True)
    if last <= first:
        raise MomentError(f"the end, {end!r}, must be after the start, {start!r}")
    return Span(start=first, end=last)


def parse_weekly(text: str, here: Here, first_day: date | None = None) -> Span:
    """Read a weekly time such as `tue 18:30-22:00`; an end at or before the start is next day.

    Args:
        text: as typed.
        here: the site's zone and the time now.
        first_day: the day from which it holds; None for today.

    Returns:
        Its first occurrence: on that day, or the first such weekday after it.

    Raises:
        MomentError: it is no weekly time.
    """
    found = _WEEKLY.fullmatch(text.strip())
    if found is None:
        raise MomentError(f"{text[:60]!r} is no weekly time; write one such as 'tue 18:30-22:00'")
    since = first_day or here.today
    day = since + timedelta(days=(_DAYS.index(found[1].lower()) - since.weekday()) % 7)
    start, end = _time_of(found[2]), _time_of(found[3])
    last_day = day + timedelta(days=1) if end <= start else day
    return Span(
        start=instant(datetime.combine(day, start), here.zone, is_end=False),
        end=instant(datetime.combine(last_day, end), here.zone, is_end=True),
    )


def told_weekly(span: Span, zone: ZoneInfo) -> str:
    """Tell a weekly time as it is typed."""
    start, end = span.start.astimezone(zone), span.end.astimezone(zone)
    return f"{_DAYS[start.weekday()]} {start:%H:%M}-{end:%H:%M}"


def _time_of(text: str) -> time:
    hours, minutes = text.split(":")
    return time(int(hours) % 24, int(minutes))


def _full(text: str, _here: Here) -> datetime:
    return datetime.fromisoformat(text)


def _clock(text: str, here: Here) -> datetime:
    if not re.fullmatch(_CLOCK, text):
        raise ValueError(text)
    return datetime.combine(here.today, _time_of(text))


_READERS: Final[tuple[Callable[[str, Here], datetime], ...]] = (_clock, _full)


def here_now(zone: str, now: datetime | None = None) -> Here:
    """Give the place and time of a site; the machine's time if none is given."""
    return Here(zone=ZoneInfo(zone), now=now or datetime.now(UTC))
