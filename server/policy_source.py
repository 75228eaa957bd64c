"""The policy of each site as it is now: compiled anew when the registry or the day has changed."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import chain
from threading import Lock
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from access.calendar import instant
from access.ids import SiteId
from access.model import Policy
from runtime.clock import Clock
from server import registry
from server.database import Database
from server.policy_calendar import SiteCalendar
from server.policy_compiler import compile_policy, horizon
from server.settings import ServerSettings, SiteSettings

MOST_AGE: Final = timedelta(hours=6)
"""A policy older than this is compiled anew, so that doors may always rely on one for days."""


class UnknownSiteError(LookupError):
    """The settings name no such site."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compiled:
    """A policy, and what it was compiled from."""

    policy: Policy
    revision: int
    good_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stopped(Clock):
    """A clock that shows one time, to compile the policy of that time."""

    at: datetime

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0.0


class PolicySource:
    """Gives the policy of each site as it is now. Safe to use from several threads.

    Args:
        database: of the registry.
        settings: of the sites.
        clock: what time it is.

    Raises:
        HolidayError: a site's settings name a country or region without known holidays.
    """

    def __init__(self, *, database: Database, settings: ServerSettings, clock: Clock) -> None:
        self._database = database
        self._sites = {SiteId(site.id): site for site in settings.sites}
        self._clock = clock
        self._compiled: dict[SiteId, _Compiled] = {}
        self._calendars = {site: SiteCalendar(one) for site, one in self._sites.items()}
        self._locks = {site: Lock() for site in self._sites}
        for calendar in self._calendars.values():
            calendar.check(clock.now().date())

    def current(self, site: SiteId) -> Policy:
        """Give a site's policy.

        It is that of the last call unless the registry was changed since, the day has changed at
        the site, a membership or a badge has begun or ended by its date, or it is older than
        `MOST_AGE`. Each new one has a higher version, after a restart too. Blocks for one short
        reading of the database; longer when it compiles.

        Raises:
            UnknownSiteError: the settings name no such site.
            DatabaseError: not now.
        """
        settings = self._sites.get(site)
        if settings is None:
            raise UnknownSiteError(f"there is no site {site!r}; see gardien.toml")
        with self._locks[site]:
            now = self._clock.now()
            with self._database.reading() as connection:
                revision = registry.revision(connection)
                compiled = self._compiled.get(site)
                if compiled is None or not _is_good(compiled, revision, now):
                    compiled = self._compile(connection, settings, revision, now)
                    self._compiled[site] = compiled
            return compiled.policy

    def _compile(
        self, connection: Connection, site: SiteSettings, revision: int, now: datetime
    ) -> _Compiled:
        before, calendar = self._compiled.get(SiteId(site.id)), self._calendars[SiteId(site.id)]
        least = 0 if before is None else before.policy.version + 1
        policy = compile_policy(
            site,
            version=max(least, int(now.timestamp())),
            issued=now,
            people=registry.list_members(connection, SiteId(site.id)),
            badges=registry.list_badges(connection),
            grants=registry.list_authorizations(connection, SiteId(site.id)),
            occurrences=calendar.events(connection, horizon(now)),
            hours=calendar.hours(horizon(now)),
        )
        good_until = min(_good_until(site, now), _next_change(policy, now))
        return _Compiled(policy=policy, revision=revision, good_until=good_until)


def policy_at(database: Database, settings: ServerSettings, site: SiteId, at: datetime) -> Policy:
    """Compile the policy of a time from settings and registry as they are now, to explain by it.

    Blocks for the database and while it compiles.

    Raises:
        UnknownSiteError: the settings name no such site.
        DatabaseError: not now.
    """
    return PolicySource(database=database, settings=settings, clock=_Stopped(at=at)).current(site)


def _is_good(compiled: _Compiled, revision: int, now: datetime) -> bool:
    return compiled.revision == revision and compiled.policy.issued <= now < compiled.good_until


def _next_change(policy: Policy, now: datetime) -> datetime:
    """Say when somebody's membership, or a badge, next begins or ends to count; else far away.

    A new policy then is what makes a watch look at its guardian again.
    """
    of_members = (one.validity for one in policy.members.values())
    of_badges = (one.validity for one in policy.badges.values())
    moments = (at for one in chain(of_members, of_badges) for at in (one.since, one.until))
    return min((at for at in moments if at is not None and at > now), default=now + MOST_AGE)


def _good_until(site: SiteSettings, now: datetime) -> datetime:
    zone = ZoneInfo(site.zone)
    tomorrow = now.astimezone(zone).date() + timedelta(days=1)
    midnight = instant(datetime.combine(tomorrow, time()), zone, is_end=False)
    return min(now + MOST_AGE, midnight)
