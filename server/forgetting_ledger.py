"""Take persons out of the ledger when their time has come, a batch in each transaction.

The batch, and the record of the server's chain that vouches for it, are one transaction: broken off
anywhere, what was rewritten is vouched for, and the next run goes on with the rest.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from sqlalchemy import (
    Connection,
    Row,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from access.ids import MemberId, SiteId
from access.journal import SERVER, Head, chained
from server import ledger, schema
from server.database import Database
from server.forgotten import KIND, What, is_due, left_of, told_of
from server.state import SiteState, from_json, to_json

BATCH: Final = 500
"""How many entries are rewritten in one transaction: a badge waits for it meanwhile."""

_EVERYTHING_SINCE: Final = datetime(1970, 1, 1, tzinfo=UTC)

Advance = Callable[[int], None]
"""Told how many entries were looked at; may raise to break off."""

_l: Final = schema.ledger.c
_f: Final = schema.forgetting.c
_at_site: Final = _l.site == bindparam("site")
_old: Final = (_l.time >= bindparam("since"), _l.time < bindparam("before"))
_select_old: Final = (
    select(_l.id, _l.time, _l.member, _l.body)
    .where(_at_site, *_old, or_(_l.time > bindparam("since"), _l.id > bindparam("after")))
    .order_by(_l.time, _l.id)
    .limit(bindparam("limit"))
)
_select_late: Final = (
    select(_l.id, _l.time, _l.member, _l.body)
    .where(_at_site, _l.id > bindparam("after"))
    .order_by(_l.id)
    .limit(bindparam("limit"))
)
_count_old: Final = select(func.count()).select_from(schema.ledger).where(_at_site, *_old)
_select_these: Final = (
    select(_l.id, _l.member, _l.body)
    .where(_l.id.in_(bindparam("ids", expanding=True)))
    .order_by(_l.id)
)
_select_next_site: Final = select(func.min(_l.site)).where(_l.site > bindparam("after"))
_select_mark: Final = select(_f.until, _f.last_id).where(
    _f.site == bindparam("site"), _f.what == bindparam("what")
)
# Nobody decides at the site while its chain is lengthened; SQLite has one writer at a time anyway.
_lock_state: Final = (
    select(schema.site_state.c.version)
    .where(schema.site_state.c.site == bindparam("site"))
    .with_for_update()
)
_update_entry: Final = (
    update(schema.ledger)
    .where(_l.id == bindparam("at_id"))
    .values(member=None, body=bindparam("left"))
)
_permit: Final = insert(schema.purge_permit).values(id=1)
_end_permit: Final = delete(schema.purge_permit)

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far something has come.

    Attributes:
        until: what happened before has been seen to.
        last_id: so far as the ledger held it up to this id.
    """

    until: datetime = _EVERYTHING_SINCE
    last_id: int = 0


def sites_of(connection: Connection) -> list[SiteId]:
    """Name the sites that the ledger knows, of which the settings may have none any more."""
    found: list[SiteId] = []
    while True:
        after = found[-1] if found else ""
        site = connection.execute(_select_next_site, {"after": after}).scalar()
        if site is None:
            return found
        found.append(SiteId(site))


def mark_of(connection: Connection, site: str, what: str) -> Mark | None:
    """Give how far something has come at a site; None where it was never done."""
    row = connection.execute(_select_mark, {"site": site, "what": what}).one_or_none()
    return None if row is None else Mark(until=row.until, last_id=row.last_id)


def set_mark(connection: Connection, site: str, what: str, mark: Mark) -> None:
    """Note how far something has come at a site."""
    make: Any = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    new = make(schema.forgetting)
    statement = new.on_conflict_do_update(
        index_elements=["site", "what"],
        set_={"until": new.excluded.until, "last_id": new.excluded.last_id},
    )
    values = {"site": site, "what": what, "until": mark.until, "last_id": mark.last_id}
    connection.execute(statement, values)


def count_due(database: Database, site: SiteId, what: What, before: datetime) -> int:
    """Count the entries that `take_out` will look at, but for those told late."""
    with database.reading() as connection:
        since = (mark_of(connection, site, what.value) or Mark()).until
        asked = {"site": site, "since": since, "before": before}
        return int(connection.execute(_count_old, asked).scalar_one())


def take_out(
    database: Database,
    site: SiteId,
    what: What,
    *,
    before: datetime,
    now: datetime,
    is_dry: bool = False,
    on_batch: Advance = lambda _: None,
) -> int:
    """Take persons out of a site's entries from before a time. Blocks for the database.

    Done again it changes nothing; broken off, it goes on when called again.

    Args:
        database: where the ledger is.
        site: whose entries.
        what: all persons, or unknown badges only.
        before: the first instant that is kept.
        now: the time of the server.
        is_dry: only count.
        on_batch: called after each batch, between transactions.

    Returns:
        How many entries were rewritten.

    Raises:
        DatabaseError: not now; batches that are done stay done.
    """
    with database.reading() as connection:
        mark = mark_of(connection, site, what.value) or Mark()
        end = ledger.last_id(connection)
    before = max(before, mark.until)
    done = 0
    for page in _pages(database, site, mark, before):
        ids = [row.id for row in page if _is_due(what, row.member, row.body)]
        if ids and not is_dry:
            done += _rewrite(database, site, ids, what, before, now)
        else:
            done += len(ids)
        on_batch(len(page))
    if not is_dry:
        with database.writing() as connection:
            set_mark(connection, site, what.value, Mark(until=before, last_id=end))
    return done


def _pages(
    database: Database, site: SiteId, mark: Mark, before: datetime
) -> Iterator[list[Row[Any]]]:
    """Give the entries that have become old since, and old ones that were told since."""
    asked: dict[str, Any] = {"site": site, "since": mark.until, "after": 0, "before": before}
    while page := _read(database, _select_old, asked):
        yield page
        asked |= {"since": page[-1].time, "after": page[-1].id}
    asked = {"site": site, "after": mark.last_id}
    while mark.last_id and (page := _read(database, _select_late, asked)):
        yield [row for row in page if row.time < mark.until]
        asked |= {"after": page[-1].id}


def _read(database: Database, statement: Any, asked: dict[str, Any]) -> list[Row[Any]]:  # noqa: ANN401 (SQLAlchemy's)
    with database.reading() as connection:
        return list(connection.execute(statement, asked | {"limit": BATCH}))


def _is_due(what: What, member: str | None, body: str) -> bool:
    try:
        return is_due(what, None if member is None else MemberId(member), _decode(body))
    except ValueError:
        return False  # not JSON any more: evidence that somebody was at it, which `verify` tells


def _rewrite(  # noqa: PLR0917 (one step of `take_out`)
    database: Database,
    site: SiteId,
    ids: Sequence[int],
    what: What,
    before: datetime,
    now: datetime,
) -> int:
    with database.writing() as connection:
        connection.execute(_lock_state, {"site": site})
        found = connection.execute(_select_these, {"ids": ids}).all()
        due = [(row.id, _decode(row.body)) for row in found if _is_due(what, row.member, row.body)]
        if not due:
            return 0  # another run was faster
        version, state = _load(connection, site)
        voucher = state.own.seq + 1
        rows = [(id_, left_of(record, now, voucher)) for id_, record in due]
        connection.execute(_permit)
        connection.execute(_update_entry, [{"at_id": id_, "left": body} for id_, body in rows])
        connection.execute(_end_permit)
        _vouch(connection, site, version, state, told_of(what, before, rows), now)
    return len(rows)


def _load(connection: Connection, site: SiteId) -> tuple[int, SiteState]:
    found = ledger.load_state(connection, site)
    if found is not None:
        return found[0], from_json(found[1])
    head: Head = ledger.head(connection, site, SERVER)
    return 0, SiteState(own=head)


def _vouch(  # noqa: PLR0917 (one step of `_rewrite`)
    connection: Connection,
    site: SiteId,
    version: int,
    state: SiteState,
    data: dict[str, Any],
    now: datetime,
) -> None:
    record, state.own = chained(state.own, site=site, source=SERVER, kind=KIND, time=now, data=data)
    # The state comes first, as the gatehouse does: so that two wait for each other in one order.
    ledger.save_state(connection, site, version + 1, to_json(state))
    entry = ledger.Entry(
        site=site,
        source=SERVER,
        seq=record["seq"],
        kind=record["type"],
        time=now,
        received=now,
        record=record,
    )
    ledger.append(connection, [entry])


def forget_in_state(database: Database, site: SiteId, before: datetime) -> int:
    """Forget whom a site's state names since before a time, where nothing has swept since.

    Who came and never left is a guest from then on: counted, not named.

    Returns:
        How many names.

    Raises:
        DatabaseError: not now.
    """
    with database.writing() as connection:
        connection.execute(_lock_state, {"site": site})
        version, state = _load(connection, site)
        gone = _forget_presence(state, before) + _forget_grants(state, before)
        if gone:
            ledger.save_state(connection, site, version + 1, to_json(state))
    return gone


def _forget_presence(state: SiteState, before: datetime) -> int:
    presence = state.presence
    inside = {m: stay for m, stay in presence.inside.items() if stay.since >= before}
    moved = {m: at for m, at in presence.moved.items() if at >= before or m in inside}
    stayed = len(presence.inside) - len(inside)
    gone = stayed + len(presence.moved) - len(moved)
    state.presence = replace(presence, inside=inside, moved=moved, guests=presence.guests + stayed)
    return gone


def _forget_grants(state: SiteState, before: datetime) -> int:
    gone = 0
    for track in state.doors.values():
        if track.grants and (track.last_at is None or track.last_at < before):
            gone += len(track.grants)
            track.grants = []
    return gone
