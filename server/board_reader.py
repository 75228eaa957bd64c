"""Read what the pages show: each page is one moment of the database, and costs what it shows."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection, bindparam, select

from access.ids import MemberId, SiteId
from runtime.clock import Clock
from server import ledger, schema
from server.alerts_list import listed, open_ones
from server.board import Board, DoorView, Happening, Occupancy, Person, RollCall, WatchView
from server.board_events import SHOWN, is_line, members_of, to_happening
from server.board_state import (
    Naming,
    doors_of,
    inside_of,
    members_in,
    occupancy_of,
    watch_of,
)
from server.database import Database
from server.ledger import StoredEntry
from server.settings import SiteSettings
from server.silence import SILENT_AFTER
from server.state import SiteState, from_json

_LINES: Final = 16
_LOOKED_THROUGH: Final = 160
_ALERTS: Final = 6
_FEW_ALERTS: Final = 24
"""How many are looked at before all are that may still be open."""

_m: Final = schema.member.c
_select_people: Final = select(_m.id, _m.name, _m.is_guardian).where(
    _m.id.in_(bindparam("ids", expanding=True))
)
_select_versions: Final = select(schema.site_state.c.site, schema.site_state.c.version)


class UnknownSiteError(LookupError):
    """The installation has no such site."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _People:
    """The people of one page."""

    names: Mapping[MemberId, str]
    guardians: frozenset[MemberId]

    def name(self, member: MemberId) -> Person:
        return Person(id=member, name=self.names.get(member, ""))


class BoardReader:
    """Reads what the pages show; safe to use from several threads.

    Args:
        database: registry, ledger and states.
        sites: from the settings.
        clock: the time.
        silent_after: how long a door may say nothing before it is doubted.
    """

    def __init__(
        self,
        *,
        database: Database,
        sites: Sequence[SiteSettings],
        clock: Clock,
        silent_after: timedelta = SILENT_AFTER,
    ) -> None:
        self._database, self._clock, self._silent_after = database, clock, silent_after
        self._sites = {SiteId(site.id): site for site in sites}

    def knows(self, site: SiteId) -> bool:
        """Whether the settings have such a site."""
        return site in self._sites

    def versions(self) -> dict[SiteId, int]:
        """Give the version of each site's state: another one whenever anything happened there.

        Raises:
            DatabaseError: not now.
        """
        with self._database.reading() as connection:
            rows = connection.execute(_select_versions)
            return {SiteId(site): int(version) for site, version in rows}

    def occupancy(self, site: SiteId) -> Occupancy:
        """Give the numbers of a site. Blocks for the database.

        Raises:
            UnknownSiteError: there is no such site.
            DatabaseError: not now.
        """
        settings = self._settings(site)
        with self._database.reading() as connection:
            _, state = _load(connection, site)
        return occupancy_of(state, settings, self._clock.now())

    def board(self, site: SiteId) -> Board:
        """Give what the live board shows. Blocks for the database.

        Raises:
            UnknownSiteError: there is no such site.
            DatabaseError: not now.
        """
        settings, now = self._settings(site), self._clock.now()
        with self._database.reading() as connection:
            version, state = _load(connection, site)
            lines = _lines(connection, site)
            alerts = _alerts(connection, site)
            people = _people(connection, members_in(state) | members_of([*lines, *alerts]))
        doors = {door.id: door.name for door in settings.doors}
        return Board(
            site=site,
            at=now,
            version=version,
            occupancy=occupancy_of(state, settings, now),
            watch=watch_of(state, people.name, now),
            doors=doors_of(state, settings, now, self._silent_after),
            happenings=_happenings(lines, people.name, doors),
            alerts=_happenings(alerts, people.name, doors),
        )

    def watch(self, site: SiteId) -> WatchView | None:
        """Give the watch that runs at a site. Blocks for the database.

        Raises:
            UnknownSiteError: there is no such site.
            DatabaseError: not now.
        """
        self._settings(site)
        with self._database.reading() as connection:
            _, state = _load(connection, site)
            people = _people(connection, members_in(state))
        return watch_of(state, people.name, self._clock.now())

    def doors(self, site: SiteId) -> tuple[DoorView, ...]:
        """Give the doors of a site. Blocks for the database.

        Raises:
            UnknownSiteError: there is no such site.
            DatabaseError: not now.
        """
        settings = self._settings(site)
        with self._database.reading() as connection:
            _, state = _load(connection, site)
        return doors_of(state, settings, self._clock.now(), self._silent_after)

    def roll_call(self, site: SiteId) -> RollCall:
        """List who may be inside. Blocks for the database.

        Raises:
            UnknownSiteError: there is no such site.
            DatabaseError: not now.
        """
        settings, now = self._settings(site), self._clock.now()
        with self._database.reading() as connection:
            version, state = _load(connection, site)
            people = _people(connection, members_in(state) | set(state.presence.inside))
        return RollCall(
            site=site,
            at=now,
            version=version,
            occupancy=occupancy_of(state, settings, now),
            watch=watch_of(state, people.name, now),
            people=inside_of(state, settings, people.name, people.guardians),
            gone=state.presence.gone,
            certain_at=state.presence.certain_at,
            doors=doors_of(state, settings, now, self._silent_after),
        )

    def _settings(self, site: SiteId) -> SiteSettings:
        found = self._sites.get(site)
        if found is None:
            raise UnknownSiteError(f"there is no site {site!r}; see gardien.toml")
        return found


def _load(connection: Connection, site: SiteId) -> tuple[int, SiteState]:
    found = ledger.load_state(connection, site)
    return (0, SiteState()) if found is None else (found[0], from_json(found[1]))


def _lines(connection: Connection, site: SiteId) -> list[StoredEntry]:
    found = ledger.latest(connection, site, _LOOKED_THROUGH, SHOWN)
    # A door that was cut off hands in old records late: what happened last is shown, not what came.
    lines = sorted(filter(is_line, found), key=lambda entry: (entry.time, entry.id), reverse=True)
    return lines[:_LINES]


def _alerts(connection: Connection, site: SiteId) -> list[StoredEntry]:
    """Read the newest alerts that nobody has taken in charge; most often they are the last ones."""
    found = open_ones(listed(connection, site, _FEW_ALERTS))
    if len(found) < _ALERTS:
        found = open_ones(listed(connection, site))
    return [one.entry for one in found[:_ALERTS]]


def _people(connection: Connection, ids: Collection[MemberId]) -> _People:
    rows = connection.execute(_select_people, {"ids": sorted(ids)}).all() if ids else []
    return _People(
        names={MemberId(row.id): row.name for row in rows},
        guardians=frozenset(MemberId(row.id) for row in rows if row.is_guardian),
    )


def _happenings(
    entries: Sequence[StoredEntry], name: Naming, doors: Mapping[str, str]
) -> tuple[Happening, ...]:
    return tuple(to_happening(entry, name, doors) for entry in entries)
