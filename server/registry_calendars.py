"""Calendars of events, as they were last read: a file's text, or that of an address."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final, Literal

from sqlalchemy import Connection, Insert, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from access.ids import SiteId
from server import schema
from server.registry_base import UnknownError, bump


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """One calendar of a site.

    Attributes:
        id: given by the registry.
        site: whose events they are.
        kind: where it comes from.
        location: the file's name, or the address; one calendar each at a site.
        body: iCalendar text; it has been read without error.
        fetched_at: when it was read.
        etag: of the answer, so that an address is asked for changes only.
        failing_since: since when its address has been away or broken; None while it is not.
        told_at: when somebody was told so.
    """

    id: int
    site: SiteId
    kind: Literal["file", "url"]
    location: str
    body: str
    fetched_at: datetime
    etag: str | None = None
    failing_since: datetime | None = None
    told_at: datetime | None = None


_e: Final = schema.event_source.c
_select_all: Final = select(schema.event_source).where(_e.site == bindparam("site")).order_by(_e.id)
_select_stamps: Final = (
    select(_e.id, _e.fetched_at).where(_e.site == bindparam("site")).order_by(_e.id)
)
_renew: Final = (
    update(schema.event_source)
    .where(_e.id == bindparam("key"))
    .values(
        body=bindparam("new_body"),
        etag=bindparam("new_etag"),
        fetched_at=bindparam("new_fetched_at"),
    )
)
_note_failing: Final = (
    update(schema.event_source)
    .where(_e.id == bindparam("key"))
    .values(failing_since=bindparam("since"), told_at=bindparam("told"))
)
_delete: Final = delete(schema.event_source).where(_e.id == bindparam("id"))


def put_calendar(
    connection: Connection,
    *,
    site: SiteId,
    kind: Literal["file", "url"],
    location: str,
    body: str,
    at: datetime,
    etag: str | None = None,
) -> int:
    """Keep a calendar, in place of that of the same location if there is one; give its id.

    The caller has read `body` without error: see `server.calendar_ics.read_events`.
    """
    values = {
        "site": site,
        "kind": kind,
        "location": location,
        "etag": etag,
        "body": body,
        "fetched_at": at,
        "failing_since": None,
        "told_at": None,
    }
    id_ = connection.execute(_put(connection.dialect.name), values).scalar_one()
    bump(connection)
    return int(id_)


def renew_calendar(
    connection: Connection, id_: int, *, body: str, etag: str | None, at: datetime
) -> bool:
    """Keep a newer text of a calendar; say whether the calendar is still there.

    The caller has read `body` without error: see `server.calendar_ics.read_events`.
    """
    values = {"key": id_, "new_body": body, "new_etag": etag, "new_fetched_at": at}
    if connection.execute(_renew, values).rowcount == 0:
        return False
    bump(connection)
    return True


def note_failing(
    connection: Connection, id_: int, since: datetime | None, told_at: datetime | None = None
) -> None:
    """Note since when a calendar's address has been away or broken, and when somebody was told so.

    None where it is there again. No policy changes by it.
    """
    connection.execute(_note_failing, {"key": id_, "since": since, "told": told_at})


def remove_calendar(connection: Connection, id_: int) -> None:
    """Forget a calendar, and with it the authorizations that come from it.

    Raises:
        UnknownError: there is no such calendar.
    """
    if connection.execute(_delete, {"id": id_}).rowcount == 0:
        raise UnknownError(f"no calendar {id_}; see `gardien event list`")
    bump(connection)


def list_calendars(connection: Connection, site: SiteId) -> list[Calendar]:
    """Give the calendars of a site, with their texts, in order of their first import."""
    return [
        Calendar(
            id=row.id,
            site=SiteId(row.site),
            kind=row.kind,
            location=row.location,
            body=row.body,
            fetched_at=row.fetched_at,
            etag=row.etag,
            failing_since=row.failing_since,
            told_at=row.told_at,
        )
        for row in connection.execute(_select_all, {"site": site})
    ]


def calendar_stamps(connection: Connection, site: SiteId) -> tuple[tuple[int, datetime], ...]:
    """Give id and time of reading of each calendar: what changes when one of them does."""
    rows = connection.execute(_select_stamps, {"site": site})
    return tuple((row.id, row.fetched_at) for row in rows)


@cache
def _put(dialect: str) -> Insert:
    make: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = make(schema.event_source)
    changed = ("kind", "etag", "body", "fetched_at", "failing_since", "told_at")
    put: Insert = statement.on_conflict_do_update(
        index_elements=["site", "location"],
        set_={name: statement.excluded[name] for name in changed},
    ).returning(schema.event_source.c.id)
    return put
