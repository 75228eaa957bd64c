"""The events of a site and who watches them, as members' calendar programs read them."""

import hashlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final

from access.ids import SiteId
from access.instants import Span
from access.model import Status
from runtime.clock import Clock
from server import registry
from server.calendar_ics import Listed, Occurrence, write_calendar
from server.database import Database
from server.policy_calendar import SiteCalendar
from server.registry import Person
from server.settings import SiteSettings

BEFORE: Final = timedelta(days=31)
"""How far back events are given."""

AHEAD: Final = timedelta(days=366)
"""How far ahead events are given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A calendar, and the mark that is another one whenever it is.

    Attributes:
        text: iCalendar.
        etag: of the text, without quotes.
    """

    text: str
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stamp:
    """What a calendar was written from."""

    revision: int
    day: datetime


class MemberCalendars:
    """Writes the calendars of the sites; safe to use from several threads.

    A calendar is written anew only on another day or when the registry was changed.

    Args:
        database: of the registry.
        sites: from the settings.
        clock: the time.
    """

    def __init__(self, *, database: Database, sites: Sequence[SiteSettings], clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._sites = {SiteId(site.id): site for site in sites}
        self._calendars = {site: SiteCalendar(one) for site, one in self._sites.items()}
        self._written: dict[tuple[SiteId, str], tuple[_Stamp, Written]] = {}
        self._lock: Final = threading.Lock()

    def written(self, site: SiteId, language: str) -> Written:
        """Write a site's events from a month back to a year ahead. Blocks for the database.

        Args:
            site: one of the settings' sites.
            language: `fr` or `en`; French for any other.

        Raises:
            DatabaseError: not now.
        """
        today = self._clock.now().astimezone(UTC).date()
        day = datetime.combine(today, time(), tzinfo=UTC)
        with self._lock, self._database.reading() as connection:
            stamp = _Stamp(revision=registry.revision(connection), day=day)
            known = self._written.get((site, language))
            if known is not None and known[0] == stamp:
                return known[1]
            within = Span(start=day - BEFORE, end=day + AHEAD)
            found = self._calendars[site].events(connection, within)
            people = registry.list_members(connection, site)
            listed = _listed(found, people)
            # As of midnight, so that the same events are the same text all day.
            text = write_calendar(self._sites[site].name, listed, at=day, language=language)
            written = Written(text=text, etag=hashlib.sha256(text.encode()).hexdigest())
            self._written[site, language] = stamp, written
            return written


def _listed(found: Iterable[Occurrence], people: Iterable[Person]) -> Iterator[Listed]:
    guardians = [one for one in people if one.is_guardian and one.status is Status.ACTIVE]
    names = {one.email: one.name for one in guardians if one.email is not None}
    names |= {str(one.id): one.name for one in guardians}
    for one in found:
        watched_by = {names[key] for key in one.guardians if key in names}
        yield Listed(occurrence=one, watched_by=tuple(sorted(watched_by)))
