"""Calendars by address, read again and again: the last good copy stays while the source is away."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from access.ids import SiteId
from runtime.clock import Clock
from server import registry
from server.calendar_fetch_urllib3 import Fetched, FetchError, Stamp, host_of
from server.calendar_ics import EventError, read_events
from server.database import Database, DatabaseError
from server.events import CalendarFailed
from server.registry import Calendar

_log = logging.getLogger(__name__)

ALERT_AFTER: Final = timedelta(hours=1)
"""How long a calendar may be away or broken before somebody hears of it."""

_AT_ONCE: Final = 4


class Fetch(Protocol):
    """Gets a calendar, or None if it is the copy that there is; raises FetchError."""

    def __call__(self, url: str, stamp: Stamp | None = None, /) -> Fetched | None:
        """See `server.calendar_fetch_urllib3.Fetcher.fetch`."""


class CalendarRefresher:
    """Reads calendars by address again.

    Args:
        database: of the registry.
        zones: the time zone of each site.
        clock: the time.
        fetch: gets a calendar.
        tell: hands an alert to the gate of a site.
    """

    def __init__(
        self,
        *,
        database: Database,
        zones: Mapping[SiteId, ZoneInfo],
        clock: Clock,
        fetch: Fetch,
        tell: Callable[[SiteId, CalendarFailed], None],
    ) -> None:
        self._database, self._zones, self._clock = database, zones, clock
        self._fetch, self._tell = fetch, tell
        self._stamps: dict[int, Stamp | None] = {}

    def run(self, stop: threading.Event, interval_s: float) -> None:
        """Read all of them every `interval_s` seconds, until `stop` is set."""
        while not stop.is_set():
            try:
                self.step()
            except DatabaseError as error:
                _log.warning("calendars wait: %s", error)
            except Exception:  # noqa: BLE001 (calendars may be late, but never silently at an end)
                _log.exception("a fault keeps calendars from being read")
            stop.wait(interval_s)

    def step(self) -> int:
        """Read each calendar by address once; blocks for the slowest of them.

        Returns:
            How many have changed.

        Raises:
            DatabaseError: not now.
        """
        with self._database.reading() as connection:
            found = [
                one
                for site in self._zones
                for one in registry.list_calendars(connection, site)
                if one.kind == "url"
            ]
        self._forget_others(found)
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="calendar") as pool:
            answers = list(pool.map(self._asked, found))
        return sum(self._take(one, answer) for one, answer in zip(found, answers, strict=True))

    def _forget_others(self, found: Iterable[Calendar]) -> None:
        self._stamps = {one.id: self._stamps.get(one.id) or _stamp_of(one) for one in found}

    def _asked(self, calendar: Calendar) -> Fetched | Exception | None:
        """Ask for changes; a calendar that can't be understood is as good as none."""
        try:
            fetched = self._fetch(calendar.location, self._stamps[calendar.id])
            if fetched is not None and fetched.body != calendar.body:
                read_events(fetched.body, self._zones[calendar.site])
        except (FetchError, EventError) as error:
            return error
        return fetched

    def _take(self, calendar: Calendar, answer: Fetched | Exception | None) -> bool:
        if isinstance(answer, Exception):
            self._fail(calendar, answer)
            return False
        if calendar.failing_since is not None:
            _log.info("calendar %d of %s is back", calendar.id, host_of(calendar.location))
            self._note(calendar, None)
        if answer is None:
            return False
        is_changed = answer.body != calendar.body and self._keep(calendar, answer)
        self._stamps[calendar.id] = answer.stamp
        return is_changed

    def _keep(self, calendar: Calendar, answer: Fetched) -> bool:
        with self._database.writing() as connection:
            is_kept = registry.renew_calendar(
                connection,
                calendar.id,
                body=answer.body,
                etag=answer.stamp.etag,
                at=self._clock.now(),
            )
        if is_kept:
            _log.info("calendar %d of %s has changed", calendar.id, host_of(calendar.location))
        return is_kept

    def _fail(self, calendar: Calendar, error: Exception) -> None:
        """Note since when, which a restart must not forget; an hour after that, tell it once."""
        now, host = self._clock.now(), host_of(calendar.location)
        since = calendar.failing_since
        if since is None:
            since = now
            self._note(calendar, since)
            _log.warning("calendar %d of %s keeps its last copy: %s", calendar.id, host, error)
        if calendar.told_at is None and now - since >= ALERT_AFTER:
            self._tell(
                calendar.site,
                CalendarFailed(calendar=calendar.id, host=host, since=since, why=str(error)[:200]),
            )
            self._note(calendar, since, told_at=now)

    def _note(
        self, calendar: Calendar, since: datetime | None, told_at: datetime | None = None
    ) -> None:
        with self._database.writing() as connection:
            registry.note_failing(connection, calendar.id, since, told_at)


def _stamp_of(calendar: Calendar) -> Stamp | None:
    return None if calendar.etag is None else Stamp(etag=calendar.etag)
