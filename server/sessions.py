"""Log-ins that are open, kept on the server so that ending one ends it, and who looked at others.

A browser holds a random token; the table holds its digest, so that a copy of the database opens no
session. Every function works on a connection from `Database.writing` or `reading`, and blocks for
the database.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from access.ids import MemberId, SiteId
from server.database import Instant
from server.schema import account, metadata

IDLE: Final = timedelta(hours=12)
"""A session that nobody used for so long is over."""

LONGEST: Final = timedelta(days=7)
"""A session is over after so long, however much it was used."""

_SEEN_EVERY: Final = timedelta(minutes=5)
_TOKEN_BYTES: Final = 32

web_session: Final = Table(
    "web_session",
    metadata,
    Column("digest", Text, primary_key=True, comment="SHA-256 of the browser's token, hex"),
    Column(
        "email", Text, ForeignKey("account.email", ondelete="CASCADE"), nullable=False, index=True
    ),
    Column("created", Instant, nullable=False),
    Column("seen", Instant, nullable=False, comment="to the nearest five minutes"),
    comment="Log-ins of the dashboard that are open.",
)

look: Final = Table(
    "look",
    metadata,
    Column(
        "id",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    Column("site", Text, nullable=False),
    Column("member", Text, nullable=False, comment="id of who looked; never a name"),
    Column("what", Text, nullable=False, comment="the page: 'roll-call'"),
    Column("at", Instant, nullable=False),
    Index(None, "site", "at"),
    comment="Who looked at other people's records.",
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One open log-in.

    Attributes:
        email: of the account.
        member: whose account it is.
    """

    email: str
    member: MemberId
    created: datetime
    seen: datetime

    def is_stale(self, now: datetime) -> bool:
        """Whether `touch` should be called."""
        return now - self.seen >= _SEEN_EVERY


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Somebody looked at other people's records."""

    member: MemberId
    what: str
    at: datetime


_s: Final = web_session.c


def begin(connection: Connection, email: str, now: datetime) -> str:
    """Open a session, and forget those that are over.

    Returns:
        The token for the browser: 32 random bytes in URL-safe base64; it is not kept here.
    """
    connection.execute(
        delete(web_session).where((_s.seen < now - IDLE) | (_s.created < now - LONGEST))
    )
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    values = {"digest": _digest(token), "email": email, "created": now, "seen": now}
    connection.execute(insert(web_session), values)
    return token


def find(connection: Connection, token: str, now: datetime) -> Session | None:
    """Find the open session of a token; None when there is none, or when it is over."""
    row = connection.execute(
        select(web_session, account.c.member)
        .join(account, account.c.email == _s.email)
        .where(_s.digest == _digest(token), _s.seen >= now - IDLE, _s.created >= now - LONGEST)
    ).one_or_none()
    if row is None:
        return None
    return Session(email=row.email, member=MemberId(row.member), created=row.created, seen=row.seen)


def touch(connection: Connection, token: str, now: datetime) -> None:
    """Note that a session was used."""
    connection.execute(
        update(web_session).where(_s.digest == _digest(token), _s.seen < now).values(seen=now)
    )


def end(connection: Connection, token: str) -> None:
    """End a session; one that has ended already is no error."""
    connection.execute(delete(web_session).where(_s.digest == _digest(token)))


def end_all(connection: Connection, email: str) -> int:
    """End all sessions of an account, as when its password changes.

    Returns:
        How many there were.
    """
    return connection.execute(delete(web_session).where(_s.email == email)).rowcount


def note_look(
    connection: Connection, *, site: SiteId, member: MemberId, what: str, at: datetime
) -> None:
    """Record that somebody looked at other people's records."""
    connection.execute(insert(look), {"site": site, "member": member, "what": what, "at": at})


def list_looks(connection: Connection, site: SiteId, limit: int = 100) -> list[Look]:
    """List who looked at other people's records at a site, newest first."""
    rows = connection.execute(
        select(look).where(look.c.site == site).order_by(look.c.id.desc()).limit(limit)
    )
    return [Look(member=MemberId(row.member), what=row.what, at=row.at) for row in rows]


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
