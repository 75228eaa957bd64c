"""The secret address by which a member's calendar program reads the events of their sites.

The address holds a random token; the table holds its digest, so that a copy of the database opens
no calendar. Every function works on a connection from `Database.writing` or `reading`, and blocks
for the database.
"""

import hashlib
import secrets
from datetime import datetime
from typing import Final

from sqlalchemy import Column, Connection, ForeignKey, Table, Text, delete, insert, select

from access.ids import MemberId
from server.database import Instant
from server.schema import metadata

_TOKEN_BYTES: Final = 32

calendar_address: Final = Table(
    "calendar_address",
    metadata,
    Column("member", Text, ForeignKey("member.id", ondelete="CASCADE"), primary_key=True),
    Column("digest", Text, nullable=False, unique=True, comment="SHA-256 of the token, hex"),
    Column("created", Instant, nullable=False),
    comment="Secret addresses of members' calendars; one each.",
)

_a: Final = calendar_address.c


def make(connection: Connection, member: MemberId, now: datetime) -> str:
    """Make a member's address, in place of the one that there was.

    Returns:
        The token: 32 random bytes in URL-safe base64; it is not kept here.
    """
    forget(connection, member)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    values = {"member": member, "digest": _digest(token), "created": now}
    connection.execute(insert(calendar_address), values)
    return token


def forget(connection: Connection, member: MemberId) -> None:
    """End a member's address; one that there is not is no error."""
    connection.execute(delete(calendar_address).where(_a.member == member))


def find(connection: Connection, token: str) -> MemberId | None:
    """Find whose address has a token; None when it is nobody's, or has been ended."""
    found = connection.scalar(select(_a.member).where(_a.digest == _digest(token)))
    return None if found is None else MemberId(found)


def made_at(connection: Connection, member: MemberId) -> datetime | None:
    """Say when a member's address was made; None when they have none."""
    found: datetime | None = connection.scalar(select(_a.created).where(_a.member == member))
    return found


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", errors="surrogatepass")).hexdigest()
