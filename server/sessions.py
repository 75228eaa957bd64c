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
    Column,
    Connection,
    ForeignKey,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from access.ids import MemberId
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


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
