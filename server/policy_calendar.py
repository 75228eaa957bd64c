"""A site's hours and events around now, for the compiler of policies; worked out once a day."""

import logging
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from access.ids import SiteId
from access.instants import Span
from server.calendar_ics import EventError, EventSource, Occurrence, occurrences, read_events
from server.opening import opening_of, plan_hours_of, public_holidays
from server.policy_compiler import Hours
from server.registry import Calendar, calendar_stamps, list_calendars
from server.settings import SiteSettings

_LOG: Final = logging.getLogger(__name__)
_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Events:
    """Events that were worked out, and what from."""

    stamps: tuple[tuple[int, datetime], ...]
    day: date
    found: tuple[Occurrence, ...]


class SiteCalendar:
    """The hours and the events of one site. Not safe to share between threads.

    To unroll events takes long, and a badge may wait for the policy: so it is done again only on
    another day, or when a calendar was read anew.

    Args:
        site: its settings.
    """

    def __init__(self, site: SiteSettings) -> None:
        self._site = site
        self._zone = ZoneInfo(site.zone)
        self._hours: tuple[date, Hours] | None = None
        self._events: _Events | None = None

    def check(self, today: date) -> None:
        """Make sure that the settings can be followed.

        Raises:
            HolidayError: nobody knows the public holidays that they name.
        """
        public_holidays(self._site.holidays, self._site.region, today, today)

    def hours(self, within: Span) -> Hours:
        """Give the opening hours, and the extra hours of each plan; some beyond `within` too."""
        day = within.start.date()
        if self._hours is None or self._hours[0] != day:
            wide = _wide(within)
            plans = plan_hours_of(self._site, wide)
            self._hours = (day, Hours(opening=opening_of(self._site, wide), plans=plans))
        return self._hours[1]

    def events(self, connection: Connection, within: Span) -> tuple[Occurrence, ...]:
        """Give the times at which events take place; some beyond `within` too.

        An event that can't be followed is left out and logged: the others count.
        """
        site, day = SiteId(self._site.id), within.start.date()
        stamps = calendar_stamps(connection, site)
        known = self._events
        if known is None or (known.stamps, known.day) != (stamps, day):
            found = self._unrolled(list_calendars(connection, site), _wide(within))
            known = self._events = _Events(stamps=stamps, day=day, found=found)
        return known.found

    def _unrolled(self, calendars: list[Calendar], within: Span) -> tuple[Occurrence, ...]:
        found: list[Occurrence] = []
        for calendar in calendars:
            for source in self._read(calendar):
                try:
                    found += occurrences([source], within.start, within.end)
                except EventError as error:
                    _LOG.warning("an event of %s is left out: %s", calendar.location, error)
        return tuple(found)

    def _read(self, calendar: Calendar) -> tuple[EventSource, ...]:
        try:
            return read_events(calendar.body, self._zone)
        except EventError as error:
            _LOG.warning("calendar %s is left out: %s", calendar.location, error)
            return ()


def _wide(within: Span) -> Span:
    """Add a day at each end, for what is worked out serves until the day is over."""
    return Span(start=within.start - _ONE_DAY, end=within.end + _ONE_DAY)
