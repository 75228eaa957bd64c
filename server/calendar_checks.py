"""What makes a calendar unusable: blocks that do not end, and events that say what can't be.

Reading is strict, so that a broken calendar never takes the place of the last good one. The
components are those of `icalendar`, which gives their properties no types.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from server.calendar_zones import to_instant

Component = Any
"""A component of `icalendar`."""

_TIMES: Final = ("DTSTART", "DTEND", "DURATION", "RECURRENCE-ID", "RDATE", "EXDATE")
_NEEDED: Final = frozenset({*_TIMES, "RRULE", "STATUS", "ATTENDEE", "CATEGORIES"})
_TOO_OFTEN: Final = frozenset({"SECONDLY", "MINUTELY", "HOURLY"})
_MOST_A_DAY: Final = 24
_BLOCK: Final = re.compile(r"(BEGIN|END):[ \t]*(\S+)[ \t]*", re.IGNORECASE)
_UTC: Final = ZoneInfo("UTC")


class EventError(ValueError):
    """A calendar that can't be used; the message says which event, and what is wrong with it."""


def check_blocks(text: str) -> None:
    """Make sure that each block that begins ends, which the library does not.

    Raises:
        EventError: the text is no calendar, or a part of one.
    """
    inside: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        block = _BLOCK.fullmatch(line)
        if block is None:
            continue
        name = block[2].upper()
        if block[1].upper() == "BEGIN":
            if not inside and name != "VCALENDAR":
                raise EventError(f"line {number}: {name} is in no VCALENDAR")
            inside.append(name)
        elif not inside or inside.pop() != name:
            raise EventError(f"line {number}: END:{name} ends nothing that began")
    if inside:
        raise EventError(f"the calendar is cut off: {inside[-1]} does not end")
    if "BEGIN:VCALENDAR" not in text.upper():
        raise EventError("this is not iCalendar: there is no BEGIN:VCALENDAR")


def check_event(event: Component) -> None:
    """Make sure that an event has what an event needs, and that it can be understood.

    Raises:
        EventError: it can't; the message names the event and the property.
    """
    for name, problem in event.errors:
        if name is None or name.upper() in _NEEDED:
            raise EventError(f"{named(event)}: {name} can't be understood: {problem}")
    if not str(event.get("UID", "")).strip():
        raise EventError(f"{named(event)}: it has no UID")
    if "DTSTART" not in event:
        raise EventError(f"{named(event)}: it has no DTSTART")
    for name in _TIMES:
        _check_zone(event, name)
    _check_rule(event)
    _check_end(event)


def _check_zone(event: Component, name: str) -> None:
    for value in all_of(event, name):
        zone = value.params.get("TZID")
        times = [part.dt for part in value.dts] if hasattr(value, "dts") else [value.dt]
        for moment in times:
            start = moment[0] if isinstance(moment, tuple) else moment
            if zone is not None and isinstance(start, datetime) and start.tzinfo is None:
                raise EventError(
                    f"{named(event)}: {name} is in the time zone {zone!r}, "
                    "which the calendar does not define and nobody else knows"
                )


def _check_rule(event: Component) -> None:
    for rule in all_of(event, "RRULE"):
        often = {str(frequency).upper() for frequency in rule.get("FREQ", [])}
        a_day = 1
        for part in ("BYHOUR", "BYMINUTE", "BYSECOND"):
            a_day *= max(1, len(rule.get(part, [])))
        if often & _TOO_OFTEN or a_day > _MOST_A_DAY:
            raise EventError(
                f"{named(event)}: RRULE repeats more than {_MOST_A_DAY} times a day; "
                "an event takes place on days"
            )


def _check_end(event: Component) -> None:
    if "DURATION" in event and event["DURATION"].dt < timedelta(0):
        raise EventError(f"{named(event)}: DURATION is less than nothing")
    if "DTEND" not in event:
        return
    start, end = event["DTSTART"].dt, event["DTEND"].dt
    if isinstance(start, datetime) != isinstance(end, datetime):
        raise EventError(f"{named(event)}: one of DTSTART and DTEND is a date, the other a time")
    if to_instant(end, _UTC, is_end=True) < to_instant(start, _UTC, is_end=False):
        raise EventError(f"{named(event)}: DTEND is before DTSTART")


@contextmanager
def named_errors(event: Component) -> Iterator[None]:
    """Turn what the libraries, or sums of dates, raise into our error, with the event's name."""
    try:
        yield
    except EventError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise EventError(f"{named(event)}: it can't be understood: {error}") from error


def all_of(event: Component, name: str) -> list[Component]:
    """Give all values of a property that may be written more than once."""
    found = event.get(name, [])
    return found if isinstance(found, list) else [found]


def named(event: Component) -> str:
    """Name an event for a message: its title and its UID."""
    return f"event {str(event.get('SUMMARY', ''))!r} ({event.get('UID', 'no UID')})"
