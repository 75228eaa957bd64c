"""The calendars of a site, as the registry keeps them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select

from access.ids import SiteId
from gardien.calendar_fetch import Fetched
from server import registry, schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A calendar as it was last read."""

    id: int
    kind: str
    location: str
    body: str
    fetched_at: datetime


_s: Final = schema.event_source.c


def keep(connection: Connection, site: SiteId, fetched: Fetched, at: datetime) -> bool:
    """Keep a calendar, in place of what was read before from the same place. Blocks.

    Returns:
        Whether it is new.
    """
    there = (_s.site == site) & (_s.location == fetched.location)
    replaced = connection.execute(delete(schema.event_source).where(there)).rowcount
    values: dict[str, Any] = {
        "site": site,
        "kind": fetched.kind,
        "location": fetched.location,
        "etag": fetched.etag,
        "body": fetched.body,
        "fetched_at": at,
    }
    connection.execute(insert(schema.event_source), [values])
    registry.bump(connection)
    return not replaced


def forget(connection: Connection, site: SiteId, location: str) -> bool:
    """Forget a calendar with all its events; say whether there was one. Blocks."""
    there = (_s.site == site) & (_s.location == location)
    gone = connection.execute(delete(schema.event_source).where(there)).rowcount
    if gone:
        registry.bump(connection)
    return bool(gone)


def sources_of(connection: Connection, site: SiteId) -> list[Source]:
    """Give the calendars of a site, in the order of their reading. Blocks."""
    rows = connection.execute(select(schema.event_source).where(_s.site == site).order_by(_s.id))
    return [
        Source(
            id=row.id,
            kind=row.kind,
            location=row.location,
            body=row.body,
            fetched_at=row.fetched_at,
        )
        for row in rows
    ]
