"""What is held on one member: given to them whole, and erased when they ask.

The ledger and the time bank know members by their ids alone. Once the registry has forgotten who an
id was, what they keep names nobody.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Table, delete, func, select

from access.ids import BadgeDigest, MemberId, SiteId
from access.tokens import SeenToken
from server import badge_tokens, registry, schema
from server.looks import look
from server.personal import Personal, personal
from server.sessions import web_session

_EVERYTHING: Final = sys.maxsize


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A log-in of the dashboard; its password is kept as a hash, which is not given out.

    Attributes:
        sessions: since when each browser that is logged in has been so.
    """

    email: str
    sessions: tuple[datetime, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """They looked at other people's records, which is itself recorded."""

    site: SiteId
    what: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """All that is held on one member.

    Attributes:
        badges: with their digests: what stands for a card's number here.
        tokens: what each badge of level L1 has shown at its visits, oldest first.
        authorizations: rights to open a site, revoked ones too.
        logins: of the dashboard.
        looks: at other people's records.
    """

    personal: Personal
    badges: tuple[registry.BadgeRecord, ...]
    tokens: Mapping[BadgeDigest, tuple[SeenToken, ...]]
    authorizations: tuple[registry.Grant, ...]
    logins: tuple[Login, ...]
    looks: tuple[Looked, ...]


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


def holdings_of(connection: Connection, person: registry.Person) -> Holdings:
    """Gather all that is held on a member. Blocks for the database."""
    grants = [
        grant
        for site in sorted(person.sites)
        for grant in registry.list_authorizations(connection, site, with_revoked=True)
        if grant.guardian == person.id
    ]
    return Holdings(
        personal=personal(connection, person.id),
        badges=tuple(registry.list_badges(connection, person.id)),
        tokens=badge_tokens.seen_of(connection, person.id),
        authorizations=tuple(grants),
        logins=_logins(connection, person.id),
        looks=_looks(connection, person.id),
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
        time_entries=_count(connection, schema.time_entry, member)
        + _count(connection, schema.presence_month, member),
        looks=_count(connection, look, member),
    )
    # Which sites they belong to, and what their badges have shown, goes by the schema's cascade.
    _take_out(connection, schema.member, "id", member)
    registry.bump(connection)
    return erased


def _logins(connection: Connection, member: MemberId) -> tuple[Login, ...]:
    account, session = schema.account.c, web_session.c
    emails = connection.scalars(select(account.email).where(account.member == member)).all()
    return tuple(
        Login(
            email=email,
            sessions=tuple(
                connection.scalars(select(session.created).where(session.email == email))
            ),
        )
        for email in emails
    )


def _looks(connection: Connection, member: MemberId) -> tuple[Looked, ...]:
    rows = connection.execute(select(look).where(look.c.member == member).order_by(look.c.id))
    return tuple(Looked(site=SiteId(row.site), what=row.what, at=row.at) for row in rows)


def _take_out(connection: Connection, table: Table, column: str, member: MemberId) -> int:
    return connection.execute(delete(table).where(table.c[column] == member)).rowcount


def _count(connection: Connection, table: Table, member: MemberId) -> int:
    statement: Any = select(func.count()).select_from(table).where(table.c.member == member)
    return int(connection.execute(statement).scalar_one())
