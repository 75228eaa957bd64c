"""The API on oneself: what is held on the member for whom a token acts, and their calendar."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from flask import url_for

from dashboards.parts import a_viewer, parts
from server import calendar_addresses
from server.holdings import holdings_of
from server.personal import Passage, Personal, personal


class CardReport(msgspec.Struct, frozen=True, kw_only=True):
    """One badge."""

    label: str | None
    status: str
    level: int
    assigned_at: datetime
    until: datetime | None


class MeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The member for whom the caller acts; `minutes` is what the time bank holds for them."""

    id: str
    name: str
    email: str | None
    language: str
    plan: str
    status: str
    since: datetime | None
    until: datetime | None
    guardian: bool
    sites: list[str]
    badges: list[CardReport]
    minutes: int
    calendar_address_since: datetime | None


class VisitReport(msgspec.Struct, frozen=True, kw_only=True):
    """One badge of the member at a door."""

    site: str
    at: datetime
    door: str
    out: bool
    granted: bool
    reason: str


class VisitsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The member's visits, newest first."""

    visits: list[VisitReport]


class VisitsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """How many.

    `limit`: among so many of the newest records.
    """

    limit: Annotated[int, msgspec.Meta(ge=1, le=2000)] = 100


class DataAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """All that is held on the member, as it is kept, without other people."""

    data: dict[str, Any]


class CalendarAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a calendar program reads the events of a site; whoever has it can."""

    site: str
    url: str


class CalendarAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The member's new addresses, told this once; the ones before don't work any more."""

    addresses: list[CalendarAddress]


def me() -> MeAnswer:
    """Say for whom the caller acts."""
    own = _own(1)
    cards = [
        CardReport(
            label=card.label,
            status=card.status.value,
            level=card.level.value,
            assigned_at=card.assigned_at,
            until=card.validity.until,
        )
        for card in own.badges
    ]
    return MeAnswer(
        id=own.id,
        name=own.name,
        email=own.email,
        language=own.language,
        plan=own.plan,
        status=own.status,
        since=own.since,
        until=own.until,
        guardian=own.is_guardian,
        sites=list(own.sites),
        badges=cards,
        minutes=own.minutes,
        calendar_address_since=own.calendar_address_since,
    )


def visits(query: VisitsQuery) -> VisitsAnswer:
    """List one's own visits."""
    return VisitsAnswer(visits=[_visit(one) for one in _own(query.limit).passages])


def data() -> DataAnswer:
    """Give all that is held on oneself."""
    with parts().database.reading() as connection:
        held = holdings_of(connection, a_viewer().member)
    return DataAnswer(data=msgspec.to_builtins(held))


def make_calendar() -> CalendarAnswer:
    """Make one's secret address of the calendar, in place of the one that there was."""
    caller = a_viewer()
    with parts().database.writing() as connection:
        key = calendar_addresses.make(connection, caller.member, parts().clock.now())
    addresses = [
        CalendarAddress(site=one, url=url_for("calendar.events", slug=one, key=key, _external=True))
        for one in caller.sites
    ]
    return CalendarAnswer(addresses=addresses)


def forget_calendar() -> None:
    """End one's secret address of the calendar."""
    with parts().database.writing() as connection:
        calendar_addresses.forget(connection, a_viewer().member)


def _own(limit: int) -> Personal:
    with parts().database.reading() as connection:
        return personal(connection, a_viewer().member, limit)


def _visit(one: Passage) -> VisitReport:
    return VisitReport(
        site=one.site,
        at=one.at,
        door=one.door,
        out=one.is_out,
        granted=one.is_granted,
        reason=one.reason,
    )
