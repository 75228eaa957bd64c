"""Tokens with which programs use the API: each acts for a member or reads numbers, in few scopes.

A program holds a random token; the table holds its digest, so that a copy of the database opens
nothing. Every function works on a connection from `Database.writing` or `reading`, and blocks for
the database. The token's form, a prefix that scanners for lost secrets can find, is GitHub's idea:
https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Row,
    Table,
    Text,
    delete,
    insert,
    or_,
    select,
    update,
)

from access.ids import MemberId, SiteId
from server.database import Instant
from server.registry_base import RegistryError, UnknownError
from server.registry_members import find_member
from server.schema import metadata

PREFIX: Final = "gardien_"
"""How every token begins."""

MOST_NAME: Final = 80
"""The longest name of a token, in characters."""

KEPT: Final = timedelta(days=90)
"""How long the table knows a token that is over."""

_SEEN_EVERY: Final = timedelta(minutes=5)
_TOKEN_BYTES: Final = 32
_FORM: Final = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")


class Scope(Enum):
    """What a token may be used for."""

    OCCUPANCY_READ = "occupancy:read"
    DOORS_READ = "doors:read"
    WATCH_READ = "watch:read"
    HISTORY_READ = "history:read"
    EVENTS_READ = "events:read"
    PEOPLE_READ = "people:read"
    WATCH_WRITE = "watch:write"
    DOORS_WRITE = "doors:write"
    ME_READ = "me:read"
    ME_WRITE = "me:write"


OF_MEMBERS: Final = frozenset(
    {
        Scope.PEOPLE_READ,
        Scope.WATCH_WRITE,
        Scope.DOORS_WRITE,
        Scope.ME_READ,
        Scope.ME_WRITE,
    }
)
"""Scopes for which somebody must answer: only a token that acts for a member has them."""


class ApiTokenError(RegistryError):
    """There can be no such token; the message says what to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """A token, without what it is secret for.

    Attributes:
        id: by which it is revoked; no secret.
        name: what for, for people.
        scopes: what it may be used for, each once, in the order of their words.
        member: for whom it acts; None for nobody.
        site: the only site where it counts; None for all.
        created: when it was made.
        expires: from when on it counts no more; None for never.
        last_used: to the nearest five minutes; None for never.
        revoked_at: since when it counts no more.
    """

    id: str
    name: str
    scopes: tuple[Scope, ...]
    member: MemberId | None = None
    site: SiteId | None = None
    created: datetime
    expires: datetime | None = None
    last_used: datetime | None = None
    revoked_at: datetime | None = None

    def is_over(self, now: datetime) -> bool:
        """Whether it counts no more."""
        return self.revoked_at is not None or (self.expires is not None and self.expires <= now)

    def is_stale(self, now: datetime) -> bool:
        """Whether `touch` should be called."""
        return self.last_used is None or now - self.last_used >= _SEEN_EVERY


api_token: Final = Table(
    "api_token",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", Text, nullable=False, unique=True, comment="SHA-256 of the token, hex"),
    Column("name", Text, nullable=False, comment="what for, for people"),
    Column("scopes", Text, nullable=False, comment="separated by spaces"),
    Column("member", Text, ForeignKey("member.id", ondelete="CASCADE"), index=True),
    Column("site", Text, comment="the only site where it counts; none for all"),
    Column("created", Instant, nullable=False),
    Column("expires", Instant, comment="does not belong; none for never"),
    Column("last_used", Instant, comment="to the nearest five minutes"),
    Column("revoked_at", Instant),
    comment="Tokens with which programs use the API.",
)

_t: Final = api_token.c


def make(
    connection: Connection,
    *,
    name: str,
    scopes: Iterable[Scope],
    member: MemberId | None = None,
    site: SiteId | None = None,
    now: datetime,
    expires: datetime | None = None,
) -> tuple[ApiToken, str]:
    """Make a token, and forget those that have been over for `KEPT`.

    Args:
        connection: of a transaction that writes.
        name: 1 to 80 printable characters.
        scopes: one at least.
        member: for whom it acts: it may do what they may, and no more.
        site: the only site where it counts; None for all of the member's, or of the installation.
        now: the time.
        expires: from when on it counts no more; None for never.

    Returns:
        What is known of it, and the token itself, which is not kept here.

    Raises:
        ApiTokenError: there can be no such token.
        UnknownError: there is no such member.
    """
    made = ApiToken(
        id=uuid4().hex[:12],
        name=name.strip(),
        scopes=_in_order(scopes),
        member=member,
        site=site,
        created=now,
        expires=expires,
    )
    _check(connection, made)
    forget(connection, now)
    token = PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
    connection.execute(insert(api_token), _fields(made) | {"digest": _digest(token)})
    return made, token


def find(connection: Connection, token: str, now: datetime) -> ApiToken | None:
    """Find what is known of a token; None when there is no such one, or when it is over."""
    if _FORM.fullmatch(token) is None:
        return None
    row = connection.execute(select(api_token).where(_t.digest == _digest(token))).one_or_none()
    found = None if row is None else _token(row)
    return None if found is None or found.is_over(now) else found


def touch(connection: Connection, id_: str, now: datetime) -> None:
    """Note that a token was used."""
    is_older = or_(_t.last_used.is_(None), _t.last_used < now)
    connection.execute(update(api_token).where(_t.id == id_, is_older).values(last_used=now))


def revoke(connection: Connection, id_: str, now: datetime) -> ApiToken:
    """End a token; one that is revoked already stays as it is.

    Raises:
        UnknownError: there is no such token.
    """
    ends = update(api_token).where(_t.id == id_, _t.revoked_at.is_(None))
    connection.execute(ends.values(revoked_at=now))
    row = connection.execute(select(api_token).where(_t.id == id_)).one_or_none()
    if row is None:
        raise UnknownError(f"no token {id_[:40]!r}; see `gardien token list`")
    return _token(row)


def forget(connection: Connection, now: datetime) -> int:
    """Forget the tokens that have been over for `KEPT`; say how many."""
    before = now - KEPT
    over = delete(api_token).where(or_(_t.expires < before, _t.revoked_at < before))
    return connection.execute(over).rowcount


def list_tokens(connection: Connection, member: MemberId | None = None) -> list[ApiToken]:
    """List the tokens, or those of one member, the newest last; those that are over too."""
    wanted = select(api_token).order_by(_t.created, _t.id)
    if member is not None:
        wanted = wanted.where(_t.member == member)
    return [_token(row) for row in connection.execute(wanted)]


def _check(connection: Connection, made: ApiToken) -> None:
    if not made.name or len(made.name) > MOST_NAME or not made.name.isprintable():
        raise ApiTokenError(f"name {made.name[:90]!r}: write 1 to {MOST_NAME} characters")
    if not made.scopes:
        raise ApiTokenError("a token without a scope serves for nothing; name one at least")
    if made.expires is not None and made.expires <= made.created:
        raise ApiTokenError(f"it would be over already, at {made.expires}; give it some time")
    if made.member is None:
        alone = [scope.value for scope in made.scopes if scope in OF_MEMBERS]
        if alone:
            raise ApiTokenError(f"somebody must answer for {', '.join(alone)}; name the member")
        return
    person = find_member(connection, made.member)
    if made.site is not None and made.site not in person.sites:
        raise ApiTokenError(f"member {person.id} does not belong to {made.site}; name another site")


def _in_order(scopes: Iterable[Scope]) -> tuple[Scope, ...]:
    return tuple(sorted(set(scopes), key=lambda scope: scope.value))


def _fields(made: ApiToken) -> dict[str, Any]:
    return {
        "id": made.id,
        "name": made.name,
        "scopes": " ".join(scope.value for scope in made.scopes),
        "member": made.member,
        "site": made.site,
        "created": made.created,
        "expires": made.expires,
        "last_used": None,
        "revoked_at": None,
    }


def _token(row: Row[Any]) -> ApiToken:
    return ApiToken(
        id=row.id,
        name=row.name,
        scopes=_in_order(Scope(word) for word in row.scopes.split()),
        member=None if row.member is None else MemberId(row.member),
        site=None if row.site is None else SiteId(row.site),
        created=row.created,
        expires=row.expires,
        last_used=row.last_used,
        revoked_at=row.revoked_at,
    )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", errors="surrogatepass")).hexdigest()
