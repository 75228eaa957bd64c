"""What the pages are made of: the parts that are passed in, and who is looking."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast
from zoneinfo import ZoneInfo

from flask import current_app, g

from access.ids import DoorId, MemberId, SiteId
from access.model import Reader
from dashboards.live import Hub
from dashboards.metrics_prometheus import Metrics
from dashboards.readiness import Readiness
from runtime.clock import Clock
from server.board_reader import BoardReader
from server.calendar_member import MemberCalendars
from server.database import Database
from server.gatehouse import Gatehouse
from server.history_reading import HistoryReader
from server.looks import Role
from server.settings import ServerSettings, SiteSettings

EXTENSION: Final = "gardien"

Tap = Callable[[SiteId, DoorId, Reader, str], None]
"""Presents a badge, by its UID, to a reader of a simulated door; raises ValueError if it can't."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoBadge:
    """A badge that the demonstration can present.

    Attributes:
        uid: as the card has it, hex.
        label: what people choose it by: a name and a plan.
        group: under which heading.
    """

    uid: str
    label: str
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What the demonstration adds to the board: a panel to present a badge.

    Attributes:
        tap: presents one.
        badges: to choose from.
    """

    tap: Tap
    badges: tuple[DemoBadge, ...]

    @property
    def groups(self) -> dict[str, list[DemoBadge]]:
        """The badges under their headings, in the order in which they were given."""
        found: dict[str, list[DemoBadge]] = {}
        for badge in self.badges:
            found.setdefault(badge.group, []).append(badge)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """All that the pages use."""

    database: Database
    gatehouse: Gatehouse
    history: HistoryReader
    settings: ServerSettings
    clock: Clock
    reader: BoardReader
    hub: Hub
    calendars: MemberCalendars
    metrics: Metrics
    readiness: Readiness
    is_unwritten: Callable[[], bool] = lambda: False
    metrics_token: str | None = field(default=None, repr=False)
    demo: Demo | None = None

    @property
    def sites(self) -> dict[SiteId, SiteSettings]:
        """The sites, in the order of the settings."""
        return {SiteId(site.id): site for site in self.settings.sites}


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who is logged in.

    Attributes:
        sites: where they belong, in the order of the settings.
        token: of the session.
    """

    member: MemberId
    name: str
    email: str
    language: str
    is_staff: bool
    is_guardian: bool
    sites: tuple[SiteId, ...]
    token: str = field(repr=False)

    @property
    def role(self) -> Role:
        """With what right they look at other people's records."""
        return "staff" if self.is_staff else "guardian"

    @property
    def is_keeper(self) -> bool:
        """Whether they look after the place."""
        return self.is_staff or self.is_guardian


def parts() -> Parts:
    """Give the parts of the application that serves this request."""
    return cast("Parts", current_app.extensions[EXTENSION])


def viewer() -> Viewer | None:
    """Give who is looking; None when nobody is logged in."""
    return cast("Viewer | None", g.get("viewer"))


def a_viewer() -> Viewer:
    """Give who is looking, on a page that only people who are logged in can reach.

    Raises:
        PermissionError: nobody is logged in.
    """
    found = viewer()
    if found is None:
        raise PermissionError("nobody is logged in")
    return found


def is_on_watch(member: MemberId) -> bool:
    """Whether somebody holds the watch of the site that the page is about."""
    watch = parts().gatehouse.look(site_id()).watch
    return watch is not None and watch.guardian == member


def site() -> SiteSettings:
    """Give the site that the page is about."""
    return cast("SiteSettings", g.site)


def site_id() -> SiteId:
    """Give the id of the site that the page is about."""
    return SiteId(site().id)


def zone() -> ZoneInfo:
    """Give the time zone of the site that the page is about."""
    return ZoneInfo(site().zone)


def door_names() -> dict[tuple[str, str], str]:
    """Give the name of each door, by its site and its id."""
    return {(one.id, door.id): door.name for one in parts().settings.sites for door in one.doors}
