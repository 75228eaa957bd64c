"""What is held on one member: given to them whole, and erased when they ask.

The ledger and the time bank know members by their ids alone. Once the registry has forgotten who an
id was, what they keep names nobody.
"""

import sys
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Table, delete, func, select

from access.ids import MemberId
from server import registry, schema
from server.personal import Personal, personal

_EVERYTHING: Final = sys.maxsize


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A log-in of the dashboard; its password is kept as a hash, which is not given out."""

    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """All that is held on one member.

    Attributes:
        badges: with their digests: what stands for a card's number here.
        authorizations: rights to open a site, revoked ones too.
        logins: of the dashboard.
    """

    personal: Personal
    badges: tuple[registry.BadgeRecord, ...]
    authorizations: tuple[registry.Grant, ...]
    logins: tuple[Login, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What was taken out of the registry, and what is kept under the bare id: how many of each."""

    member: MemberId
    badges: int
    authorizations: int
    accounts: int
    entries: int
    time_entries: int


def holdings_of(connection: Connection, person: registry.Person) -> Holdings:
    """Gather all that is held on a member. Blocks for the database."""
    grants = [
        grant
        for site in sorted(person.sites)
        for grant in registry.list_authorizations(connection, site, with_revoked=True)
        if grant.guardian == person.id
    ]
    account = schema.account.c
    emails = connection.scalars(select(account.email).where(account.member == person.id))
    return Holdings(
        personal=personal(connection, person.id, limit=_EVERYTHING),
        badges=tuple(registry.list_badges(connection, person.id)),
        authorizations=tuple(grants),
        logins=tuple(Login(email=email) for email in emails),
    )


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
        time_entries=_count(connection, schema.time_entry, member),
    )
    # Which sites they belong to goes with them, by the schema's own cascade.
    _take_out(connection, schema.member, "id", member)
    registry.bump(connection)
    return erased


def _take_out(connection: Connection, table: Table, column: str, member: MemberId) -> int:
    return connection.execute(delete(table).where(table.c[column] == member)).rowcount


def _count(connection: Connection, table: Table, member: MemberId) -> int:
    statement: Any = select(func.count()).select_from(table).where(table.c.member == member)
    return int(connection.execute(statement).scalar_one())
