"""Forget what has been kept for long enough: once a day, each step of it harmless when repeated.

How long what is kept: `docs/privacy.md`. Persons are taken out of the ledger, and counts stay;
rows of the registry go; the history keeps hours instead of moments.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, bindparam, func, select

from access.ids import SiteId
from access.instants import utc
from server import forgetting_registry, schema
from server.database import Database, DatabaseError
from server.forgetting_ledger import (
    Mark,
    count_due,
    forget_in_state,
    mark_of,
    set_mark,
    sites_of,
    take_out,
)
from server.forgetting_registry import TakenOut
from server.forgotten import What
from server.history import RAW_KEPT, History, HistoryError
from server.history_embedded import EmbeddedHistory
from server.history_hourly import downsample
from server.installation import Installation
from server.presence_accounts import keep_before
from server.settings import MOST_KEPT_DAYS
from server.tables import metadata

_log = logging.getLogger(__name__)

QUIET: Final = time(4)
"""When it is done each day, in the time zone of the first site."""

UNKNOWN_KEPT: Final = timedelta(hours=24)
"""How long the digest of a badge that nobody has is kept: long enough to enrol it."""

_UNKNOWN_EVERY: Final = timedelta(hours=1)
_LOOK_EVERY_S: Final = 30.0
_RETRY_S: Final = 300.0
_REST_S: Final = 0.1
_TRIES: Final = 20
_TRY_EVERY_S: Final = 0.25
_DAY: Final = timedelta(days=1)
# SQLite wipes what it deletes, but not what it has moved from one page to another before. To write
# the index of members anew wipes that, and is quick; to write a whole file anew is for small ones.
_INDEX: Final = "REINDEX ix_ledger_member_time"
_REGISTRY: Final = (
    "member",
    "member_site",
    "badge",
    "badge_token",
    "authorization",
    "account",
    "web_session",
    "api_token",
    "calendar_address",
)
_WHOLE: Final = "VACUUM"
_SMALL_BYTES: Final = 32_000_000
# Points that came late, after an outage of the history, are counted in as well.
_AGAIN: Final = timedelta(days=31)
_RUN: Final = "run"
_UNKNOWN_RUN: Final = "unknown_run"
_HOURS: Final = "hours"
_HOURS_OF_STAND_IN: Final = "hours.embedded"
_ALL_SITES: Final = ""

Advance = Callable[[int], None]

_select_first: Final = select(func.min(schema.ledger.c.time)).where(
    schema.ledger.c.site == bindparam("site")
)


def last_run(database: Database) -> datetime | None:
    """Say when all that was due was last forgotten; None for never. Blocks for the database.

    Raises:
        DatabaseError: not now.
    """
    with database.reading() as connection:
        run = mark_of(connection, _ALL_SITES, _RUN)
    return None if run is None else run.until


class StoppedError(RuntimeError):
    """The server stops: the rest is forgotten at the next run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What one run has forgotten, or would.

    Attributes:
        entries: of the ledger, from which persons were taken out.
        unknown_badges: entries from which the digest of a badge that nobody has was taken out.
        rows: of the registry and what hangs on it.
        points: of the embedded history, older than 13 months; InfluxDB sees to that by itself.
        history_problem: why the history could not be seen to; None when it was.
        is_log_empty: whether the database's log holds nothing old any more.
    """

    entries: int
    unknown_badges: int
    rows: TakenOut
    points: int = 0
    history_problem: str | None = None
    is_log_empty: bool = True


class Forgetter:
    """Forgets, for one open installation.

    Args:
        installation: open, and closed by the caller.
        rest_s: how long to leave the database to others between two batches, in seconds.
        stop: set it to break off; None for never.
    """

    def __init__(
        self,
        installation: Installation,
        *,
        rest_s: float = _REST_S,
        stop: threading.Event | None = None,
    ) -> None:
        self._installation = installation
        self._database: Database = installation.database
        self._rest_s = rest_s
        self._stop = stop or threading.Event()
        self._kept = {
            SiteId(site.id): timedelta(days=site.keep_days) for site in installation.settings.sites
        }

    def count(self, now: datetime) -> int:
        """Count the entries of the ledger that `forget` will look at, but for those told late."""
        with self._database.reading() as connection:
            sites = sites_of(connection)
        return sum(
            count_due(self._database, site, what, before)
            for site in sites
            for what, before in self._terms(site, now)
        )

    def forget(
        self,
        now: datetime,
        *,
        is_dry: bool = False,
        is_thorough: bool = False,
        advance: Advance = lambda _: None,
    ) -> Forgotten:
        """Forget all that has been kept for long enough. Blocks until it is done.

        Each step may be broken off and done again. A badge waits for one batch at most.

        Args:
            now: the time of the server, aware.
            is_dry: change nothing, and say what would be forgotten.
            is_thorough: write SQLite's file anew however large it is, or the tables of PostgreSQL:
                nobody else can write meanwhile. Small files are in any case.
            advance: told how many entries of the ledger were looked at.

        Raises:
            DatabaseError: not now; what is done stays done.
            StoppedError: it was told to stop.
        """
        now = utc(now)
        done = dict.fromkeys(What, 0)
        if not is_dry:
            self._keep_presence(now)
        for site in self._sites():
            for what, before in self._terms(site, now):
                done[what] += self._take_out(site, what, before, now, is_dry, advance)
        rows = self._rows(now, is_dry=is_dry)
        if is_dry:
            return Forgotten(
                entries=done[What.MEMBERS], unknown_badges=done[What.UNKNOWN_BADGES], rows=rows
            )
        for site in self._sites():
            forget_in_state(self._database, site, now - self._kept_at(site))
        points, problem = self._history(now)
        self._wipe(is_thorough=is_thorough)
        self._mark(_RUN, now)
        self._mark(_UNKNOWN_RUN, now)
        return Forgotten(
            entries=done[What.MEMBERS],
            unknown_badges=done[What.UNKNOWN_BADGES],
            rows=rows,
            points=points,
            history_problem=problem,
            is_log_empty=self._empty(self._database),
        )

    def forget_unknown(self, now: datetime) -> int:
        """Forget the digests of badges that nobody has, of more than a day ago. Blocks.

        Returns:
            From how many entries they were taken out.

        Raises:
            DatabaseError: not now.
            StoppedError: it was told to stop.
        """
        now = utc(now)
        what, before = What.UNKNOWN_BADGES, now - UNKNOWN_KEPT
        done = sum(
            self._take_out(site, what, before, now, False, lambda _: None)  # noqa: FBT003 (not dry)
            for site in self._sites()
        )
        self._mark(_UNKNOWN_RUN, now)
        if done:
            self._empty(self._database)
        return done

    def wipe(self) -> bool:
        """Overwrite what the registry has left of a member who was erased just now. Blocks.

        SQLite's file is written anew however large it is, 1.6 s for 294 MB: they asked for
        it, and old copies lie in any page from which a row was moved.

        Returns:
            Whether the database's log is empty too; else it is emptied at the next run.

        Raises:
            DatabaseError: not now.
        """
        self._database.rewrite(_REGISTRY)
        self._database.maintain(_WHOLE)
        return self._empty(self._database)

    def step(self) -> None:
        """Do what is due by now, if anything; what was missed while the server was away is due.

        Raises:
            DatabaseError: not now.
            StoppedError: it was told to stop.
        """
        now = self._installation.clock.now()
        zone = ZoneInfo(self._installation.settings.sites[0].zone)
        with self._database.reading() as connection:
            run = mark_of(connection, _ALL_SITES, _RUN)
            unknown = mark_of(connection, _ALL_SITES, _UNKNOWN_RUN)
        if run is None or run.until < _last_quiet(now, zone):
            _log.info("forgotten: %s", self.forget(now))
        elif unknown is None or now - unknown.until >= _UNKNOWN_EVERY:
            self.forget_unknown(now)

    def run(self) -> None:
        """Do what is due, when it is due, until `stop` is set."""
        wait_s = 0.0
        while not self._stop.wait(wait_s):
            wait_s = _LOOK_EVERY_S
            try:
                self.step()
            except StoppedError:
                return
            except (DatabaseError, HistoryError) as error:
                _log.warning("forgetting waits: %s", error)
                wait_s = _RETRY_S
            except Exception:  # noqa: BLE001 (the next day may go better; but never silently)
                _log.exception("a fault keeps the server from forgetting")
                wait_s = _RETRY_S

    def _keep_presence(self, now: datetime) -> None:
        """Count how long nomads were inside, from the records that are about to name nobody."""
        for place in self._installation.settings.sites:
            keep_before(self._database, place, now - self._kept_at(SiteId(place.id)))

    def _sites(self) -> list[SiteId]:
        with self._database.reading() as connection:
            return sites_of(connection)

    def _kept_at(self, site: SiteId) -> timedelta:
        return self._kept.get(site, timedelta(days=MOST_KEPT_DAYS))

    def _terms(self, site: SiteId, now: datetime) -> tuple[tuple[What, datetime], ...]:
        """Say what is kept from when on. Badges come first: what they lose, nobody is named in."""
        return (
            (What.UNKNOWN_BADGES, now - UNKNOWN_KEPT),
            (What.MEMBERS, now - self._kept_at(site)),
        )

    def _take_out(  # noqa: PLR0917 (one step of `forget`)
        self,
        site: SiteId,
        what: What,
        before: datetime,
        now: datetime,
        is_dry: bool,  # noqa: FBT001
        advance: Advance,
    ) -> int:
        def on_batch(looked_at: int) -> None:
            advance(looked_at)
            self._may_go_on()

        return take_out(
            self._database,
            site,
            what,
            before=before,
            now=now,
            is_dry=is_dry,
            on_batch=on_batch,
        )

    def _rows(self, now: datetime, *, is_dry: bool) -> TakenOut:
        otherwise = timedelta(days=MOST_KEPT_DAYS)
        with self._database.writing() as connection:
            rows = forgetting_registry.take_out(connection, now, self._kept, otherwise)
            if is_dry:
                connection.rollback()
        return rows

    def _history(self, now: datetime) -> tuple[int, str | None]:
        """Keep hours for ever, and then let go of the moments; without a history, next time."""
        try:
            with self._installation.open_history() as (history, kept_in):
                stand_in = self._installation.stand_in(kept_in)
                gone = 0
                # First the one that is always there: the other may be away.
                if stand_in is not None:
                    gone += self._shorten(stand_in, kept_in, now, _HOURS_OF_STAND_IN)
                gone += self._shorten(history, kept_in, now, _HOURS)
        except HistoryError as error:
            _log.warning("the history can't be seen to now: %s", error)
            return 0, str(error)
        else:
            return gone, None

    def _shorten(self, history: History, kept_in: Database, now: datetime, mark: str) -> int:
        """Make hours of the moments of one store; say how many moments were let go of."""
        history.prepare()
        for site in self._sites():
            self._keep_hours(history, site, now, mark)
        if not isinstance(history, EmbeddedHistory):
            return 0
        gone = history.forget(now - RAW_KEPT)
        self._empty(kept_in)
        return gone

    def _keep_hours(self, history: History, site: SiteId, now: datetime, mark: str) -> None:
        with self._database.reading() as connection:
            start = _undone(connection, site, mark)
        while start is not None and start < now:
            end = min(start + _AGAIN, now)
            downsample(history, site, start=start, end=end)
            self._mark(mark, end, site)
            start = end
            self._may_go_on()

    def _may_go_on(self) -> None:
        """Leave the database to others for a moment."""
        if self._stop.wait(self._rest_s):
            raise StoppedError("the server stops; the rest is forgotten at its next start")

    def _mark(self, what: str, now: datetime, site: str = _ALL_SITES) -> None:
        with self._database.writing() as connection:
            set_mark(connection, site, what, Mark(until=now))

    def _wipe(self, *, is_thorough: bool) -> None:
        """Overwrite what the database has left in the gaps of its pages."""
        if is_thorough:
            self._database.rewrite(sorted(metadata.tables))
        file = self._database.engine.url.database
        if not self._database.is_sqlite or file is None:
            return
        is_small = Path(file).stat().st_size <= _SMALL_BYTES
        self._database.maintain(_WHOLE if is_thorough or is_small else _INDEX)

    def _empty(self, database: Database) -> bool:
        """Empty the database's log; others read and write, so it may take some tries."""
        for _ in range(_TRIES):
            if database.checkpoint():
                return True
            if self._stop.wait(_TRY_EVERY_S):
                break
        _log.warning("%s is busy: its log is emptied at the next run", database.name)
        return False


def _undone(connection: Connection, site: SiteId, what: str) -> datetime | None:
    """Say from when on the hours of a site are to be made; None where nothing has happened."""
    mark = mark_of(connection, site, what)
    if mark is not None:
        return mark.until - _AGAIN
    first = connection.execute(_select_first, {"site": site}).scalar()
    return first if isinstance(first, datetime) else None


def _last_quiet(now: datetime, zone: ZoneInfo) -> datetime:
    """Say when it was last the quiet hour at a place."""
    here = now.astimezone(zone)
    today = datetime.combine(here.date(), QUIET, zone)
    return utc(today if today <= here else datetime.combine(here.date() - _DAY, QUIET, zone))
