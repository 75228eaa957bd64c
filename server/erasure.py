"""Take a member out of the registry when they ask for it.

The ledger and the time bank know members by their ids alone. Once the registry has forgotten who an
id was, what they keep names nobody.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, delete, func, select

from access.ids import MemberId
from server import registry, schema
from server.looks import look


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What was taken out of the registry, and what is kept under the bare id: how many of each."""

    member: MemberId
    badges: int
    authorizations: int
    accounts: int
    entries: int
    time_entries: int
    looks: int


def erase(connection: Connection, member: MemberId) -> Erased:
    """Take a member out of the registry, with all that hangs on them. Blocks for the database.

    Args:
        connection: of a transaction that writes; it is one step, or none.
        member: who; they must be in the registry.

    Raises:
        UnknownError: they are not.
    """
    registry.find_member(connection, member)
    erased = Erased(
        member=member,
        badges=_take_out(connection, schema.badge, "member", member),
        authorizations=_take_out(connection, schema.authorization, "guardian", member),
        accounts=_take_out(connection, schema.account, "member", member),
        entries=_count(connection, schema.ledger, member),
        time_entries=_count(connection, schema.time_entry, member)
        + _count(connection, schema.presence_month, member),
        looks=_count(connection, look, member),
    )
    # Which sites they belong to, and what their badges have shown, goes by the schema's cascade.
    _take_out(connection, schema.member, "id", member)
    registry.bump(connection)
    return erased


def _take_out(connection: Connection, table: Table, column: str, member: MemberId) -> int:
    return connection.execute(delete(table).where(table.c[column] == member)).rowcount


def _count(connection: Connection, table: Table, member: MemberId) -> int:
    statement: Any = select(func.count()).select_from(table).where(table.c.member == member)
    return int(connection.execute(statement).scalar_one())
