"""What followers that send things on keep of their own: how targets stand, and what waits.

Of an entry only its number is kept. What to say is made of the ledger when it is sent, so nothing
personal is held here, and what the ledger forgets is forgotten here too.

Every function works on a connection that the caller got from `Database.writing` or `reading`. Each
blocks for the database.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from access.ids import SiteId
from server import ledger, schema
from server.database import Database

_MOST_ERROR: Final = 200

TABLES: Final = (schema.follower, schema.target, schema.delivery, schema.announced)
"""What followers keep where their cursors are."""

_t: Final = schema.target.c
_d: Final = schema.delivery.c
_of_target: Final = _d.target == bindparam("of")


class Stage(Enum):
    """How far a delivery is."""

    WAITING = "waiting"
    SENT = "sent"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """How it stands with an address.

    Attributes:
        name: `alerts.<channel>` or `webhook.<hook>`.
        attempts: how many failed in a row.
        failing_since: when the first of them did.
        retry_at: when the next is due.
        error: why the last one failed, without address and secret.
        delivered_at: when one last succeeded.
    """

    name: str
    attempts: int = 0
    failing_since: datetime | None = None
    retry_at: datetime | None = None
    error: str | None = None
    delivered_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One entry that is to be sent, was sent, or was given up.

    Attributes:
        entry: its id in the ledger.
        kind: its CloudEvents type.
        due: when to try; when it was sent, or given up.
        attempts: how many failed.
        error: why the last one did.
    """

    target: str
    entry: int
    site: SiteId
    kind: str
    stage: Stage = Stage.WAITING
    due: datetime
    attempts: int = 0
    error: str | None = None


def prepare(database: Database) -> None:
    """Make the tables where they are missing: a file of cursors has no migrations of its own."""
    with database.writing() as connection:
        for table in TABLES:
            table.create(connection, checkfirst=True)


def begin(connection: Connection, name: str, at_id: int) -> Target:
    """Give a target; one that is new begins at `at_id`, since nobody asked for what was before."""
    found = target(connection, name)
    if found is not None:
        return found
    connection.execute(_new(connection, schema.target), {"name": name, "attempts": 0})
    ledger.advance(connection, name, at_id)
    return Target(name=name)


def target(connection: Connection, name: str) -> Target | None:
    """Give how it stands with a target; None if it has never been one."""
    row = connection.execute(select(schema.target).where(_t.name == name)).one_or_none()
    return None if row is None else _target(row)


def targets(connection: Connection) -> list[Target]:
    """Give all that were ever targets, by name."""
    rows = connection.execute(select(schema.target).order_by(_t.name))
    return [_target(row) for row in rows]


def save(connection: Connection, changed: Target) -> None:
    """Note how it stands with a target that was begun."""
    error = changed.error[:_MOST_ERROR] if changed.error is not None else None
    connection.execute(
        update(schema.target)
        .where(_t.name == changed.name)
        .values(
            attempts=changed.attempts,
            failing_since=changed.failing_since,
            retry_at=changed.retry_at,
            error=error,
            delivered_at=changed.delivered_at,
        )
    )


def put(connection: Connection, deliveries: Sequence[Delivery]) -> None:
    """Add deliveries; one that is there already is left as it is."""
    if deliveries:
        rows = [_values(one) for one in deliveries]
        connection.execute(_new(connection, schema.delivery), rows)


def move(connection: Connection, delivery: Delivery) -> None:
    """Note how a delivery stands now."""
    connection.execute(
        update(schema.delivery)
        .where(_d.target == delivery.target, _d.entry == delivery.entry)
        .values(
            state=delivery.stage.value,
            due=delivery.due,
            attempts=delivery.attempts,
            error=None if delivery.error is None else delivery.error[:_MOST_ERROR],
        )
    )


def remove(connection: Connection, name: str, entries: Collection[int]) -> None:
    """Take deliveries out that are done with."""
    for some in entries:
        connection.execute(delete(schema.delivery).where(_d.target == name, _d.entry == some))


def prune(connection: Connection, name: str, stage: Stage, before: datetime) -> None:
    """Take out what has been in a stage since before then."""
    connection.execute(
        delete(schema.delivery).where(_d.target == name, _d.state == stage.value, _d.due < before)
    )


def listed(
    connection: Connection,
    name: str,
    stage: Stage,
    due_by: datetime | None = None,
    limit: int = 1000,
) -> list[Delivery]:
    """Give the deliveries of a target in one stage, the first due first."""
    statement = select(schema.delivery).where(_of_target, _d.state == stage.value)
    if due_by is not None:
        statement = statement.where(_d.due <= due_by)
    statement = statement.order_by(_d.due, _d.entry).limit(limit)
    return [_delivery(row) for row in connection.execute(statement, {"of": name})]


def count(connection: Connection, name: str, stage: Stage) -> int:
    """Count the deliveries of a target in one stage."""
    statement = (
        select(func.count())
        .select_from(schema.delivery)
        .where(_d.target == name, _d.state == stage.value)
    )
    return int(connection.execute(statement).scalar_one())


def revive(
    connection: Connection, name: str, now: datetime, entries: Collection[int] | None = None
) -> int:
    """Let what was given up be tried again now.

    Args:
        connection: of a transaction that writes.
        name: of the target.
        now: the time.
        entries: which; None for all.

    Returns:
        How many.
    """
    where = [_d.target == name, _d.state == Stage.DEAD.value]
    if entries is not None:
        where.append(_d.entry.in_(list(entries)))
    found = connection.execute(
        update(schema.delivery)
        .where(*where)
        .values(state=Stage.WAITING.value, due=now, attempts=0)
        .returning(_d.entry)
    ).all()
    return len(found)


def hurry(connection: Connection, name: str) -> None:
    """Let a target be tried again at once."""
    connection.execute(update(schema.target).where(_t.name == name).values(retry_at=None))


def _new(connection: Connection, table: Any) -> Any:  # noqa: ANN401 (SQLAlchemy's, by dialect)
    make: Any = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return make(table).on_conflict_do_nothing()


def _values(one: Delivery) -> dict[str, Any]:
    return {
        "target": one.target,
        "entry": one.entry,
        "site": one.site,
        "kind": one.kind,
        "state": one.stage.value,
        "due": one.due,
        "attempts": one.attempts,
        "error": one.error,
    }


def _target(row: Row[Any]) -> Target:
    return Target(
        name=row.name,
        attempts=row.attempts,
        failing_since=row.failing_since,
        retry_at=row.retry_at,
        error=row.error,
        delivered_at=row.delivered_at,
    )


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        target=row.target,
        entry=row.entry,
        site=SiteId(row.site),
        kind=row.kind,
        stage=Stage(row.state),
        due=row.due,
        attempts=row.attempts,
        error=row.error,
    )
