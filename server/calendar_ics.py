"""Events from iCalendar text, and back (RFC 5545).

Local times that the clock shows twice, or never, mean what they mean for opening hours.
"""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Final
from zoneinfo import ZoneInfo

import icalendar
import recurring_ical_events
from icalendar.timezone import tzp

from access.instants import Span, to_rfc3339
from access.model import Audience
from server.calendar_checks import (
    Component,
    EventError,
    check_blocks,
    check_event,
    named_errors,
)
from server.calendar_people import (
    AUDIENCE,
    EXPECTED,
    audience_of,
    emails_of,
    expected_of,
    guardians_of,
    people_of,
)
from server.calendar_zones import to_instant

__all__ = [
    "EventError",
    "EventSource",
    "Listed",
    "Occurrence",
    "occurrences",
    "read_events",
    "write_calendar",
]

# Which component of its event an occurrence was made from; written while reading, never sent.
_ORIGIN: Final = "X-GARDIEN-ORIGIN"
_PRODUCT: Final = "-//gardien//gardien//EN"
# Occurrences are looked for this much wider, since a floating time may lie in any zone.
_AROUND: Final = timedelta(days=2)
# What the library reads of zones is kept for the whole process, by name: two files that define
# the same name would share the first one's. It is forgotten before each reading.
_reading: Final = Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSource:
    """One event of a calendar, with all its repetitions and their exceptions.

    Attributes:
        uid: of the event.
        title: its summary; empty when it has none.
        site_zone: in which its floating times and whole days are.
    """

    uid: str
    title: str
    site_zone: ZoneInfo
    _components: tuple[Component, ...] = field(repr=False, compare=False)

    @property
    def is_recurring(self) -> bool:
        """Whether it may take place more than once."""
        return any({"RRULE", "RDATE", "RECURRENCE-ID"} & set(one) for one in self._components)

    @property
    def people(self) -> frozenset[str]:
        """Whom it names, by member id or e-mail, in lower case."""
        return frozenset[str]().union(*map(people_of, self._components))


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One time that an event takes place.

    Attributes:
        uid: of the event.
        recurrence: when this one would have started if nobody had moved it, RFC 3339 in UTC; None
            for an event that takes place once.
        title: for people.
        start: first instant, UTC.
        end: first instant after it, UTC; later than `start`.
        expected: how many people are expected, if it is known.
        audience: whom it is for.
        guardians: who answer for it, by member id or e-mail, in lower case.
        attendees: e-mails of who were invited and have not declined, in lower case.
    """

    uid: str
    recurrence: str | None
    title: str
    start: datetime
    end: datetime
    expected: int | None = None
    audience: Audience = Audience.MEMBERS
    guardians: frozenset[str] = frozenset()
    attendees: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        """What it is known by: unique in a calendar, and the same when it is moved."""
        return self.uid if self.recurrence is None else f"{self.uid}/{self.recurrence}"

    @property
    def span(self) -> Span:
        """When it takes place, without lead and grace."""
        return Span(start=self.start, end=self.end)


def read_events(text: str, site_zone: ZoneInfo) -> tuple[EventSource, ...]:
    """Read a calendar's events, in the order of their first appearance.

    Reading is strict: one event that can't be understood makes the calendar unusable, so that a
    file that is cut off or broken never takes the place of the last good one.

    Args:
        text: one or more iCalendar objects.
        site_zone: for floating times and whole days.

    Raises:
        EventError: it is not iCalendar, is cut off, or an event in it can't be understood.
    """
    by_uid: dict[str, list[Component]] = {}
    for calendar in _calendars(text.removeprefix("\ufeff")):
        if str(calendar.get("METHOD", "")).upper() == "CANCEL":
            continue
        for event in calendar.walk("VEVENT"):
            with named_errors(event):
                check_event(event)
            by_uid.setdefault(str(event["UID"]), []).append(event)
    sources = tuple(_source(uid, components, site_zone) for uid, components in by_uid.items())
    for source in sources:
        _try(source)
    return sources


def occurrences(
    sources: Iterable[EventSource], first: datetime, last: datetime
) -> tuple[Occurrence, ...]:
    """Give the times at which events take place, those that are cancelled left out.

    An event that lasts no time at all is left out too.

    Args:
        sources: of any number of calendars.
        first: first instant that is asked for, aware.
        last: first instant after that, aware.

    Returns:
        What overlaps that span, in order of start.

    Raises:
        EventError: a repetition can't be followed, or says something that can't be understood.
    """
    found = (one for source in sources for one in _unrolled(source, first, last))
    return tuple(sorted(found, key=lambda one: (one.start, one.end, one.id)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An occurrence as a calendar shows it.

    Attributes:
        occurrence: what takes place, and when.
        watched_by: names of the guardians who answer for it, as members may see them.
    """

    occurrence: Occurrence
    watched_by: tuple[str, ...] = ()


def write_calendar(
    name: str, listed: Iterable[Listed], *, at: datetime, language: str = "fr"
) -> str:
    """Write occurrences and who watches them as one iCalendar object.

    Each occurrence is an event of its own; e-mails are not written.

    Args:
        name: of the calendar.
        listed: what to write, in this order.
        at: time of writing, aware.
        language: `fr` or `en`, of the words for who watches; French for any other.

    Returns:
        The text, lines ended by CR LF as RFC 5545, 3.1, asks.
    """
    calendar = icalendar.Calendar()
    calendar.add("PRODID", _PRODUCT)
    calendar.add("VERSION", "2.0")
    calendar.add("METHOD", "PUBLISH")
    calendar.add("X-WR-CALNAME", name)
    for one in listed:
        calendar.add_component(_written(one, at, language))
    return str(calendar.to_ical(), "utf-8")


def _written(listed: Listed, at: datetime, language: str) -> icalendar.Event:
    one, event = listed.occurrence, icalendar.Event()
    event.add("UID", one.id)
    event.add("DTSTAMP", at.astimezone(UTC))
    event.add("SUMMARY", one.title)
    event.add("DTSTART", one.start.astimezone(UTC))
    event.add("DTEND", one.end.astimezone(UTC))
    event.add(AUDIENCE, one.audience.value)
    if one.expected is not None:
        event.add(EXPECTED, str(one.expected))
    if listed.watched_by:
        event.add("DESCRIPTION", _watched_by(listed.watched_by, language))
    return event


def _watched_by(names: tuple[str, ...], language: str) -> str:
    words = "On watch: " if language == "en" else "De permanence : "
    return words + ", ".join(names)


def _calendars(text: str) -> list[Component]:
    check_blocks(text)
    try:
        with _reading, warnings.catch_warnings():
            # It guesses names such as /freeassociation.sourceforge.net/Europe/Paris, and warns.
            warnings.simplefilter("ignore")
            tzp.use_default()
            return list(icalendar.Calendar.from_ical(text, multiple=True))
    except (ValueError, KeyError, IndexError, OverflowError, TypeError) as error:
        raise EventError(f"this is not iCalendar that can be read: {error}") from error


def _source(uid: str, components: list[Component], site_zone: ZoneInfo) -> EventSource:
    title = str(components[0].get("SUMMARY", ""))
    for number, component in enumerate(components):
        component[_ORIGIN] = str(number)
    return EventSource(uid=uid, title=title, site_zone=site_zone, _components=tuple(components))


def _try(source: EventSource) -> None:
    """Look for trouble now: what can't be followed later is no good calendar either."""
    for component in source._components:  # noqa: SLF001 (made for this module)
        with named_errors(component):
            audience_of(component)
            expected_of(component)
            start = to_instant(component["DTSTART"].dt, source.site_zone, is_end=False)
            list(_unrolled(source, start, start + _AROUND))


def _unrolled(source: EventSource, first: datetime, last: datetime) -> Iterator[Occurrence]:
    calendar = icalendar.Calendar()
    for component in source._components:  # noqa: SLF001 (made for this module)
        calendar.add_component(component)
    with named_errors(source._components[0]):  # noqa: SLF001 (made for this module)
        query = recurring_ical_events.of(calendar)
        found = query.between(first.astimezone(UTC) - _AROUND, last.astimezone(UTC) + _AROUND)
        taking_place = [one for one in found if _status(one) != "CANCELLED"]
        made = [_occurrence(source, component) for component in taking_place]
    yield from (one for one in made if one is not None and one.start < last and first < one.end)


def _status(component: Component) -> str:
    return str(component.get("STATUS", "")).upper()


def _occurrence(source: EventSource, component: Component) -> Occurrence | None:
    start = to_instant(component["DTSTART"].dt, source.site_zone, is_end=False)
    end = _end(source, component)
    if end <= start:
        return None
    return Occurrence(
        uid=source.uid,
        recurrence=_recurrence(source, component) if source.is_recurring else None,
        title=str(component.get("SUMMARY", "")),
        start=start,
        end=end,
        expected=expected_of(component),
        audience=audience_of(component),
        guardians=guardians_of(component),
        attendees=frozenset(emails_of(component)),
    )


def _origin(source: EventSource, component: Component) -> Component:
    return source._components[int(component[_ORIGIN])]  # noqa: SLF001 (made for this module)


def _end(source: EventSource, component: Component) -> datetime:
    """Give the end: a local time as it is written; with DURATION, days on the clock, hours exact.

    RFC 5545, 3.3.6: a day of a duration may have 23 or 25 hours, two hours are always two hours.
    """
    start, end = component["DTSTART"].dt, component["DTEND"].dt
    length = getattr(_origin(source, component).get("DURATION"), "dt", None)
    # A period of RDATE has a length of its own.
    if length is None or not isinstance(start, datetime) or end - start != length:
        return to_instant(end, source.site_zone, is_end=True)
    days = timedelta(days=length.days)
    on_the_clock = to_instant(start + days, source.site_zone, is_end=False)
    exact: timedelta = length - days
    return on_the_clock + exact


def _recurrence(source: EventSource, component: Component) -> str:
    """Say when this one would have started if nobody had moved it."""
    start = component["DTSTART"].dt
    original = component.get("RECURRENCE-ID", component["DTSTART"])
    if "RANGE" not in original.params:
        moment = original.dt
    else:
        # One change for this and all that follow: each of them was moved by as much.
        moved = _origin(source, component)
        moment = start - (moved["DTSTART"].dt - moved["RECURRENCE-ID"].dt)
    return to_rfc3339(to_instant(moment, source.site_zone, is_end=False))
