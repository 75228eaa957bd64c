"""Requests that a program may send again without their being done twice: it gives each a key.

After draft-ietf-httpapi-idempotency-key-header-07. The key is claimed before the request is done
and its answer is kept after, in two transactions: where a program of ours died in between, nobody
can say whether it was done, and whoever asks again is told so. Every function works on a connection
from `Database.writing` or `reading`, and blocks for the database.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Column, Connection, Integer, Table, Text, delete, insert, select, update

from server.database import Instant
from server.schema import metadata

KEPT: Final = timedelta(hours=24)
"""How long a key is known."""

MOST_KEY: Final = 128
"""The longest key, in characters."""

api_request: Final = Table(
    "api_request",
    metadata,
    Column("digest", Text, primary_key=True, comment="SHA-256 of who asked and their key, hex"),
    Column("asked", Text, nullable=False, comment="SHA-256 of what they asked for, hex"),
    Column("at", Instant, nullable=False, index=True),
    Column("status", Integer, comment="none while it is being done"),
    Column("body", Text, comment="what was answered, JSON"),
    comment="Requests of programs that are done once, however often they are sent.",
)

_r: Final = api_request.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What is known of a request that came before.

    Attributes:
        is_same: whether it asked for the same.
        status: what was answered; None while it is being done, or where nobody can say.
        body: what was answered, JSON.
    """

    is_same: bool
    status: int | None
    body: str | None


def claim(
    connection: Connection, *, who: str, key: str, asked: bytes, now: datetime
) -> Earlier | None:
    """Claim a key, and forget those that are older than `KEPT`.

    Args:
        connection: of a transaction that writes.
        who: whose key it is: those of others are other keys.
        key: 1 to 128 characters.
        asked: all that makes the request what it is.
        now: the time.

    Returns:
        None if it is claimed: the caller goes on, and then calls `settle` or `release`. Otherwise
        what became of the request that has it.

    Raises:
        ConflictError: another claims it at this moment; it shows when the transaction ends.
    """
    forget(connection, now)
    digest, wanted = _name(who, key), hashlib.sha256(asked).hexdigest()
    row = connection.execute(select(api_request).where(_r.digest == digest)).one_or_none()
    if row is not None:
        return Earlier(is_same=row.asked == wanted, status=row.status, body=row.body)
    connection.execute(insert(api_request), {"digest": digest, "asked": wanted, "at": now})
    return None


def settle(connection: Connection, *, who: str, key: str, status: int, body: str) -> None:
    """Keep what was answered, for whoever asks again."""
    done = update(api_request).where(_r.digest == _name(who, key))
    connection.execute(done.values(status=status, body=body))


def release(connection: Connection, *, who: str, key: str) -> None:
    """Give a key back: nothing was done."""
    connection.execute(delete(api_request).where(_r.digest == _name(who, key)))


def forget(connection: Connection, now: datetime) -> int:
    """Forget the requests that are older than `KEPT`; say how many."""
    return connection.execute(delete(api_request).where(_r.at < now - KEPT)).rowcount


def _name(who: str, key: str) -> str:
    return hashlib.sha256(f"{who}\n{key}".encode("utf-8", errors="surrogatepass")).hexdigest()
