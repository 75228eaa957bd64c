"""The events of calendars that name a member: as who answers for them, or as who was invited."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from access.ids import MemberId, SiteId
from server import schema
from server.calendar_ics import EventError, EventSource, read_events
from server.registry import list_calendars

# Of an event only its name is told, so it does not matter when its floating times are.
_ANY_ZONE: Final = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedIn:
    """An event that names the member.

    Attributes:
        uid: of the event in its calendar.
        title: for people.
    """

    site: SiteId
    uid: str
    title: str


def events_of(connection: Connection, member: MemberId, email: str | None) -> tuple[NamedIn, ...]:
    """Give the events that name a member, by their id or their e-mail. Blocks for the database.

    A calendar that can't be read any more is left out.
    """
    who = {str(member), *([] if email is None else [email.lower()])}
    return tuple(
        NamedIn(site=site, uid=event.uid, title=event.title)
        for site, event in _every(connection)
        if who & event.people
    )


def _every(connection: Connection) -> Iterator[tuple[SiteId, EventSource]]:
    at = schema.event_source.c.site
    for site in connection.scalars(select(at).distinct().order_by(at)):
        for calendar in list_calendars(connection, SiteId(site)):
            try:
                events = read_events(calendar.body, _ANY_ZONE)
            except EventError:
                continue
            for event in events:
                yield SiteId(site), event
