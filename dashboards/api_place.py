"""The API on the place: its numbers, their history, its doors, its sites, and the version."""

import importlib.metadata
from datetime import datetime, time, timedelta
from typing import Annotated, Final

import msgspec

from access.calendar import instant
from access.instants import utc
from access.messages import Instant, JournalCondition, OccupancyReport
from dashboards.api_caller import api_token, sites_of_token
from dashboards.api_problems import Problem
from dashboards.parts import a_viewer, parts, site_id, zone
from dashboards.texts import gettext
from server.board import DoorView
from server.history import HistoryError
from server.settings import SiteSettings

MOST_SAMPLES: Final = 5_000
"""The most samples in one answer."""

_MINUTE: Final = timedelta(minutes=1)
_LONGEST_WHOLE: Final = timedelta(days=7)
_LONGEST: Final = timedelta(days=400)


class Sampled(msgspec.Struct, frozen=True, kw_only=True):
    """How many were inside, at a time."""

    at: datetime
    present: int
    margin: int
    members: int
    guests: int
    capacity: int


class HistoryAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How many were inside through a span of time, oldest first.

    `stand_in`: whether the history was away, and gardien's own copy of it answered.
    """

    start: datetime
    end: datetime
    samples: list[Sampled]
    stand_in: bool = False


class HistoryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which span of time.

    `start`: its first instant, RFC 3339; today's midnight at the site if it is left out.
    `end`: the first instant after it; now if it is left out.
    `step_min`: one sample for each so many minutes; each change if it is left out.
    """

    start: Instant | None = None
    end: Instant | None = None
    step_min: Annotated[int, msgspec.Meta(ge=1, le=1440)] | None = None

    def __post_init__(self) -> None:
        """Refuse an instant that UTC has no year for."""
        for at in (self.start, self.end):
            if at is not None:
                utc(at)


class OrderTold(msgspec.Struct, frozen=True, kw_only=True):
    """An order to a door; `outcome` is null until the door has answered, or was too late."""

    id: str
    do: str
    at: datetime
    outcome: str | None


class DoorReport(msgspec.Struct, frozen=True, kw_only=True):
    """One door, as it last said, and the last order to it unless that is long ago."""

    id: str
    name: str
    contact: str
    leaf: str
    open_since: datetime | None
    heard_at: datetime | None
    queue: int | None
    policy: int | None
    faulty: list[str]
    journal: JournalCondition | None
    held: bool
    locked_down: bool
    order: OrderTold | None


class DoorsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The doors of a site."""

    doors: list[DoorReport]


class DoorNamed(msgspec.Struct, frozen=True, kw_only=True):
    """A door by name."""

    id: str
    name: str


class SiteReport(msgspec.Struct, frozen=True, kw_only=True):
    """One site."""

    id: str
    name: str
    zone: str
    capacity: int
    doors: list[DoorNamed]


class SitesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The sites that the caller belongs to."""

    sites: list[SiteReport]


class VersionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Which program answers, and which version of the API."""

    gardien: str
    api: str


def version() -> VersionAnswer:
    """Say which program answers."""
    return VersionAnswer(gardien=importlib.metadata.version("gardien"), api="v1")


def sites() -> SitesAnswer:
    """List the caller's sites."""
    token = api_token()
    is_nobodys = token is not None and token.member is None
    own = sites_of_token(token) if token is not None and is_nobodys else a_viewer().sites
    return SitesAnswer(sites=[_site(parts().sites[one]) for one in own])


def occupancy() -> OccupancyReport:
    """Give the numbers of a site."""
    seen = parts().reader.occupancy(site_id())
    return OccupancyReport(
        at=parts().clock.now(),
        present=seen.present,
        margin=seen.margin,
        members=seen.members,
        guests=seen.guests,
        capacity=seen.capacity,
        open=seen.open,
    )


def history(query: HistoryQuery) -> HistoryAnswer:
    """Give the numbers of a site through a span of time."""
    now = parts().clock.now()
    start, end = utc(query.start or _midnight(now)), utc(query.end or now)
    step = None if query.step_min is None else query.step_min * _MINUTE
    _check(start, end, step)
    try:
        read = parts().history.occupancy(site_id(), start=start, end=end, step=step)
    except HistoryError as error:
        raise Problem("not-now", gettext("The history is away. Try again later.")) from error
    if len(read.samples) > MOST_SAMPLES:
        raise Problem("bad-request", _too_long())
    samples = [
        Sampled(
            at=one.at,
            present=one.present,
            margin=one.margin,
            members=one.members,
            guests=one.guests,
            capacity=one.capacity,
        )
        for one in read.samples
    ]
    return HistoryAnswer(start=start, end=end, samples=samples, stand_in=read.is_stand_in)


def doors() -> DoorsAnswer:
    """Give the doors and how they stand."""
    return DoorsAnswer(doors=[door_report(one) for one in parts().reader.doors(site_id())])


def door_report(door: DoorView) -> DoorReport:
    """Tell of one door."""
    order = door.order
    return DoorReport(
        id=door.id,
        name=door.name,
        contact=door.contact.value,
        leaf=door.leaf.value,
        open_since=door.open_since,
        heard_at=door.heard_at,
        queue=door.queue,
        policy=door.policy,
        faulty=list(door.faulty),
        journal=door.journal,
        held=door.is_held,
        locked_down=door.is_locked_down,
        order=None
        if order is None
        else OrderTold(id=order.id, do=order.do, at=order.at, outcome=order.outcome),
    )


def _site(one: SiteSettings) -> SiteReport:
    return SiteReport(
        id=one.id,
        name=one.name,
        zone=str(one.zone),
        capacity=one.capacity,
        doors=[DoorNamed(id=door.id, name=door.name) for door in one.doors],
    )


def _check(start: datetime, end: datetime, step: timedelta | None) -> None:
    if end <= start:
        raise Problem("bad-request", gettext("“end” must be later than “start”."))
    longest = _LONGEST_WHOLE if step is None else min(step * MOST_SAMPLES, _LONGEST)
    if end - start > longest:
        raise Problem("bad-request", _too_long())


def _too_long() -> str:
    return gettext("That is too much for one answer: ask for a shorter time or a longer step.")


def _midnight(now: datetime) -> datetime:
    """The first instant of today, at the site."""
    today = now.astimezone(zone()).date()
    return utc(instant(datetime.combine(today, time()), zone(), is_end=False))
