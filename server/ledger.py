"""The ledger in the database: records appended once, and what follows from them beside it.

Every function works on a connection that the caller got from `Database.writing` or `reading`, so
that a batch of records and all that follows from it are one transaction. Each blocks for the
database. Vendor errors become ours where the transaction ends: see `server.database`.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

import msgspec
from sqlalchemy import (
    Connection,
    Insert,
    Row,
    Select,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert

from access.ids import DoorId, MemberId, RequestId, SiteId, WatchId
from access.journal import Head, Json
from access.time_bank import Cause
from server import schema
from server.database import ConflictError
from server.straight import Straight

_BATCH: Final = 1000
# Taken by PostgreSQL for the length of a transaction that appends. Ids are given out before the
# commit: without it a follower could see 8 before 7, and never go back for 7. SQLite has one
# writer at a time anyway.
_APPEND_LOCK: Final = sql("SELECT pg_advisory_xact_lock(7310577113)")

_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


class StateConflictError(ConflictError):
    """Somebody else has saved the state since it was loaded: load it and decide again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One record of a door or of the server, as the ledger keeps it.

    Attributes:
        site: where it happened.
        source: the door's id, or `access.journal.SERVER`.
        seq: its number in the source's chain, from 1.
        kind: CloudEvents type, such as `gardien.access.granted`.
        time: when it happened.
        received: when the server took it in.
        member: who is in it.
        request: the request that it answers; on the server's own decisions only.
        record: the whole record, JSON values only.
    """

    site: SiteId
    source: str
    seq: int
    kind: str
    time: datetime
    received: datetime
    member: MemberId | None = None
    request: RequestId | None = None
    record: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry(Entry):
    """An entry with its place in the ledger; `id` grows with each commit, over all sites."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """A record that did not fit its chain, as it came."""

    site: SiteId
    door: DoorId
    received: datetime
    why: str
    body: str


_l: Final = schema.ledger.c
_s: Final = schema.site_state.c
_at_site: Final = _l.site == bindparam("site")

_insert_entry: Final = Straight(
    insert(schema.ledger), [column.name for column in schema.ledger.columns if column is not _l.id]
)
_select_decisions: Final = select(_l.request, _l.body).where(
    _at_site, _l.request.in_(bindparam("requests", expanding=True))
)
_select_last_id: Final = select(func.coalesce(func.max(_l.id), 0))
_select_received: Final = (
    select(_l.id, _l.received).where(_l.id >= bindparam("at_least")).order_by(_l.id).limit(1)
)
_select_these: Final = (
    select(schema.ledger).where(_l.id.in_(bindparam("ids", expanding=True))).order_by(_l.id)
)
_is_of_alerts: Final = sql(schema.IS_OF_ALERTS)
_select_alerts: Final = (
    select(schema.ledger)
    .where(_at_site, _l.id > bindparam("after"), _l.id <= bindparam("up_to"), _is_of_alerts)
    .order_by(_l.id)
    .limit(bindparam("limit"))
)
_select_latest_alerts: Final = (
    select(schema.ledger)
    .where(_at_site, _is_of_alerts)
    .order_by(_l.id.desc())
    .limit(bindparam("limit"))
)
_select_chain: Final = (
    select(_l.id, _l.seq, _l.body)
    .where(_at_site, _l.source == bindparam("source"), _l.seq > bindparam("after"))
    .order_by(_l.seq)
    .limit(_BATCH)
)
_select_head: Final = (
    select(_l.body)
    .where(_at_site, _l.source == bindparam("source"))
    .order_by(_l.seq.desc())
    .limit(1)
)
_select_next_source: Final = select(func.min(_l.source)).where(
    _at_site, _l.source > bindparam("after")
)
_select_state: Final = select(_s.version, _s.body).where(_s.site == bindparam("site"))
_select_version: Final = select(_s.version).where(_s.site == bindparam("site"))
_update_state: Final = Straight(
    update(schema.site_state)
    .where(_s.site == bindparam("at_site"), _s.version == bindparam("previous"))
    .values(version=bindparam("new_version"), body=bindparam("new_body"))
)
_insert_aside: Final = insert(schema.set_aside)
_select_asides: Final = (
    select(schema.set_aside)
    .where(schema.set_aside.c.site == bindparam("site"))
    .order_by(schema.set_aside.c.id.desc())
    .limit(bindparam("limit"))
)
_select_cursor: Final = select(schema.follower.c.cursor).where(
    schema.follower.c.name == bindparam("name")
)
_delete_cursor: Final = delete(schema.follower).where(schema.follower.c.name == bindparam("name"))


def append(connection: Connection, entries: Sequence[Entry]) -> None:
    """Add entries, in this order. Costs the same however long the ledger is.

    Raises:
        ConflictError: one is there already, by its source and number or by its request. It shows
            when the transaction ends, and nothing of it is kept.
    """
    if not entries:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(_APPEND_LOCK)
    _insert_entry.run(connection, [_row(entry) for entry in entries])


def decision_of(
    connection: Connection, site: SiteId, requests: Collection[RequestId]
) -> dict[RequestId, dict[str, Any]]:
    """Find the decisions that were taken already, so that a repeated request gets the same answer.

    Args:
        connection: of a transaction.
        site: where they were asked.
        requests: at most 1,000.

    Returns:
        The server's record by request; requests without a decision are left out.
    """
    if not requests:
        return {}
    rows = connection.execute(_select_decisions, {"site": site, "requests": list(requests)})
    return {RequestId(request): _decode(body) for request, body in rows}


def read(
    connection: Connection,
    site: SiteId | None = None,
    after_id: int = 0,
    limit: int = _BATCH,
    kinds: Collection[str] | None = None,
) -> list[StoredEntry]:
    """Read on in the ledger, oldest first.

    Args:
        connection: of a transaction.
        site: of one site only.
        after_id: the last entry that is known already.
        limit: at most so many.
        kinds: of these CloudEvents types only. Where they are rare, the database looks through
            all that lies between them.
    """
    statement = _selection(has_site=site is not None, has_kinds=kinds is not None, is_newest=False)
    rows = connection.execute(statement, _values(site, kinds, limit) | {"after": after_id})
    return [_stored(row) for row in rows]


def latest(
    connection: Connection, site: SiteId, limit: int, kinds: Collection[str] | None = None
) -> list[StoredEntry]:
    """Read the newest entries of a site, newest first; see `read` for the arguments."""
    statement = _selection(has_site=True, has_kinds=kinds is not None, is_newest=True)
    return [_stored(row) for row in connection.execute(statement, _values(site, kinds, limit))]


def these(connection: Connection, ids: Collection[int]) -> list[StoredEntry]:
    """Give entries by their ids, at most 1,000, oldest first; left out where there is none."""
    rows = connection.execute(_select_these, {"ids": list(ids)}) if ids else ()
    return [_stored(row) for row in rows]


def alerts(
    connection: Connection, site: SiteId, after_id: int, up_to: int, limit: int = _BATCH
) -> list[StoredEntry]:
    """Read on among the alerts of a site and their acknowledgements, oldest first.

    Costs what it gives, however much lies between.

    Args:
        connection: of a transaction.
        site: whose.
        after_id: the last entry that is known already.
        up_to: the last entry to look at.
        limit: at most so many.
    """
    values = {"site": site, "after": after_id, "up_to": up_to, "limit": limit}
    return [_stored(row) for row in connection.execute(_select_alerts, values)]


def latest_alerts(connection: Connection, site: SiteId, limit: int) -> list[StoredEntry]:
    """Give the newest alerts of a site and their acknowledgements, newest first."""
    rows = connection.execute(_select_latest_alerts, {"site": site, "limit": limit})
    return [_stored(row) for row in rows]


def last_id(connection: Connection) -> int:
    """Give the id of the newest entry; 0 when there is none."""
    return int(connection.execute(_select_last_id).scalar_one())


def first_received(connection: Connection, since: datetime) -> int:
    """Give the id from which on all was taken in since a time; one past the last if nothing was.

    Costs next to nothing however long the ledger is: entries have their ids in the order in which
    they were taken in. Where the server's clock was put back meanwhile it may begin too early.
    """
    low, high = 1, last_id(connection) + 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(_select_received, {"at_least": middle}).one()
        if row.received >= since:
            high = middle
        else:
            low = row.id + 1
    return low


def chain(connection: Connection, site: SiteId, source: str) -> Iterator[dict[str, Any]]:
    """Go through the records of one source in order; holds 1,000 of them in memory at a time."""
    for _, record in numbered_chain(connection, site, source):
        yield record


def numbered_chain(
    connection: Connection, site: SiteId, source: str, *, after: int = 0
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Go through the records of one source as `chain` does, each with its id in the ledger.

    Args:
        connection: of a transaction.
        site: where.
        source: a door's id, or `access.journal.SERVER`.
        after: the number after which it begins.
    """
    while True:
        values = {"site": site, "source": source, "after": after}
        rows = connection.execute(_select_chain, values).all()
        for id_, _, body in rows:
            yield id_, _decode(body)
        if len(rows) < _BATCH:
            return
        after = rows[-1].seq


def head(connection: Connection, site: SiteId, source: str) -> Head:
    """Give the end of a chain, as the ledger has it; that of an empty one when it has nothing."""
    body = connection.execute(_select_head, {"site": site, "source": source}).scalar()
    if body is None:
        return Head()
    record = _decode(body)
    return Head(seq=record["seq"], hash=record["hash"])


def sources(connection: Connection, site: SiteId) -> list[str]:
    """Name the sources that have records at a site, in order.

    Jumps from one to the next in the index: takes time in their number, not in the ledger's length.
    """
    found: list[str] = []
    while True:
        after = found[-1] if found else ""
        source = connection.execute(_select_next_source, {"site": site, "after": after}).scalar()
        if source is None:
            return found
        found.append(source)


def load_state(connection: Connection, site: SiteId) -> tuple[int, str] | None:
    """Give the version and the body of a site's state; None when there is none yet."""
    row = connection.execute(_select_state, {"site": site}).one_or_none()
    return None if row is None else (row.version, row.body)


def state_version(connection: Connection, site: SiteId) -> int:
    """Give the version of a site's state; 0 when there is none yet."""
    version = connection.execute(_select_version, {"site": site}).scalar()
    return 0 if version is None else int(version)


def save_state(connection: Connection, site: SiteId, version: int, body: str) -> None:
    """Save what follows from the ledger at a site.

    Args:
        connection: of a transaction that writes.
        site: whose state it is.
        version: one more than that which was loaded; 1 for the first.
        body: JSON.

    Raises:
        StateConflictError: another version was saved meanwhile.
    """
    if version == 1:
        values: dict[str, Any] = {"site": site, "version": version, "body": body}
        is_saved = _add_new(connection, schema.site_state, values)
    else:
        values = {
            "at_site": site,
            "previous": version - 1,
            "new_version": version,
            "new_body": body,
        }
        is_saved = _update_state.run(connection, [values]) == 1
    if not is_saved:
        raise StateConflictError(
            f"the state of {site} is no longer at version {version - 1}; load it and decide again"
        )


def set_aside(
    connection: Connection, *, site: SiteId, door: DoorId, received: datetime, why: str, body: str
) -> None:
    """Keep a record that does not fit its chain, outside the ledger, as it came."""
    # PostgreSQL stores no NUL in a text.
    values = {"site": site, "door": door, "why": why, "body": body.replace("\0", "\ufffd")}
    connection.execute(_insert_aside, values | {"received": received})


def list_set_aside(connection: Connection, site: SiteId, limit: int = 100) -> list[Misfit]:
    """Give the records of a site that were set aside, newest first."""
    rows = connection.execute(_select_asides, {"site": site, "limit": limit})
    return [
        Misfit(
            site=SiteId(row.site),
            door=DoorId(row.door),
            received=row.received,
            why=row.why,
            body=row.body,
        )
        for row in rows
    ]


def credit(
    connection: Connection,
    *,
    site: SiteId,
    member: MemberId,
    minutes: int,
    watch: WatchId,
    at: datetime,
) -> bool:
    """Enter minutes that a guardian has earned into the time bank.

    Args:
        connection: of a transaction that writes.
        site: where.
        member: whose.
        minutes: how many, above zero.
        watch: the watch that earned them. A watch credits each guardian once, whatever is
            replayed.
        at: when it closed.

    Returns:
        Whether it is new; False when the watch had credited the member already.
    """
    values = {
        "site": site,
        "member": member,
        "minutes": minutes,
        "watch": watch,
        "cause": Cause.WATCH.value,
        "at": at,
    }
    return _add_new(connection, schema.time_entry, values)


def cursor(connection: Connection, name: str) -> int:
    """Give the id of the last entry that a follower has done; 0 when it has done none."""
    found = connection.execute(_select_cursor, {"name": name}).scalar()
    return 0 if found is None else int(found)


def advance(connection: Connection, name: str, to: int) -> None:
    """Note how far a follower has come; one that is further already stays there."""
    statement = _upsert_cursor(connection.dialect.name)
    connection.execute(statement, {"name": name, "cursor": to})


def rewind(connection: Connection, name: str) -> None:
    """Let a follower begin again at the first entry."""
    connection.execute(_delete_cursor, {"name": name})


@cache
def _selection(*, has_site: bool, has_kinds: bool, is_newest: bool) -> Select[Any]:
    statement = select(schema.ledger).limit(bindparam("limit"))
    if has_site:
        statement = statement.where(_at_site)
    if has_kinds:
        statement = statement.where(_l.kind.in_(bindparam("kinds", expanding=True)))
    if is_newest:
        return statement.order_by(_l.id.desc())
    return statement.where(_l.id > bindparam("after")).order_by(_l.id)


def _values(site: SiteId | None, kinds: Collection[str] | None, limit: int) -> dict[str, Any]:
    values: dict[str, Any] = {"limit": limit}
    if site is not None:
        values["site"] = site
    if kinds is not None:
        values["kinds"] = list(kinds)
    return values


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "site": entry.site,
        "source": entry.source,
        "seq": entry.seq,
        "kind": entry.kind,
        "time": entry.time,
        "received": entry.received,
        "member": entry.member,
        "request": entry.request,
        "body": _encode(entry.record).decode(),
    }


def _stored(row: Row[Any]) -> StoredEntry:
    return StoredEntry(
        id=row.id,
        site=SiteId(row.site),
        source=row.source,
        seq=row.seq,
        kind=row.kind,
        time=row.time,
        received=row.received,
        member=None if row.member is None else MemberId(row.member),
        request=None if row.request is None else RequestId(row.request),
        record=_decode(row.body),
    )


def _add_new(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row, or leave the one that is there already; say whether it is new."""
    statement = _insert_new(table, connection.dialect.name)
    return connection.execute(statement, values).first() is not None


@cache
def _insert_new(table: Table, dialect: str) -> ReturningInsert[Any]:
    # Whether a row came back is exact; how many were inserted, no driver promises to say.
    if dialect == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing().returning(*table.primary_key)
    return sqlite.insert(table).on_conflict_do_nothing().returning(*table.primary_key)


@cache
def _upsert_cursor(dialect: str) -> Insert:
    make: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = make(schema.follower)
    upsert: Insert = statement.on_conflict_do_update(
        index_elements=["name"],
        set_={"cursor": statement.excluded.cursor},
        where=schema.follower.c.cursor < statement.excluded.cursor,
    )
    return upsert
