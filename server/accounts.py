"""Log-ins of the dashboard: passwords kept as Argon2id, and the role that a log-in has."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from threading import BoundedSemaphore
from typing import Any, Final, NewType

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, Insert, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from access.ids import MemberId, SiteId
from access.model import Status
from server import schema, sessions
from server.database import Database
from server.registry_base import RegistryError, TakenError, bump
from server.registry_members import Person, find_member, normal_email

LEAST_PASSWORD: Final = 15
"""The shortest password, in characters: OWASP ASVS 5.0, 6.2.1."""

MOST_PASSWORD: Final = 1024
"""The longest password, in characters, so that nobody keeps the server busy with one."""

LEAST_DIFFERENT: Final = 5
"""How many different characters a password has at least."""

PasswordHash = NewType("PasswordHash", str)
"""Argon2id in PHC form, with its parameters."""

# RFC 9106, section 4, second choice: 64 MiB, 3 passes, 4 lanes.
_HASHER: Final = PasswordHasher()
# Each check takes 64 MiB, and the dashboard has many threads: two at a time, on a small machine.
_AT_ONCE: Final = BoundedSemaphore(2)

_a: Final = schema.account.c
_select_account: Final = select(_a.email, _a.member, _a.password_hash).where(
    _a.email == bindparam("email")
)
_rehash: Final = (
    update(schema.account)
    .where(_a.email == bindparam("key"), _a.password_hash == bindparam("old"))
    .values(password_hash=bindparam("new"))
)


class PasswordRefusedError(RegistryError):
    """The password is too weak to be used."""


class Role(Enum):
    """What somebody who is logged in may see."""

    MEMBER = "member"
    GUARDIAN = "guardian"
    STAFF = "staff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One log-in and who it belongs to."""

    email: str
    member: MemberId
    name: str
    language: str
    role: Role
    sites: frozenset[SiteId]


def role_of(person: Person) -> Role:
    """Give the role that follows from the registry: staff by plan, guardian by its mark."""
    if person.for_rules().is_staff:
        return Role.STAFF
    return Role.GUARDIAN if person.is_guardian else Role.MEMBER


def hash_password(password: str) -> PasswordHash:
    """Check that a password is strong enough, and hash it.

    Takes some 50 ms and 64 MiB: never inside a transaction, for badges would wait for it.

    Raises:
        PasswordRefusedError: it is too short, too long, or too much the same.
    """
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise PasswordRefusedError(
            f"a password has {LEAST_PASSWORD} to {MOST_PASSWORD} characters, not {len(password)}; "
            "four words do well"
        )
    if len(set(password)) < LEAST_DIFFERENT:
        raise PasswordRefusedError(
            f"a password has at least {LEAST_DIFFERENT} different characters; four words do well"
        )
    with _AT_ONCE:
        return PasswordHash(_HASHER.hash(_bytes(password)))


def save_password(
    connection: Connection, email: str, member: MemberId, hashed: PasswordHash, at: datetime
) -> None:
    """Make a log-in for a member, or give it another password and end all its sessions.

    Args:
        connection: of a transaction that writes.
        email: the log-in.
        member: whose it is.
        hashed: from `hash_password`.
        at: now.

    Raises:
        UnknownError: there is no such member.
        TakenError: the log-in is another member's.
        RegistryError: it is no e-mail address.
    """
    email = normal_email(email)
    owner = find_member(connection, member).id
    row = connection.execute(_select_account, {"email": email}).one_or_none()
    if row is not None and row.member != owner:
        raise TakenError(f"log-in {email} is that of member {row.member}; give another")
    values = {"email": email, "member": owner, "password_hash": hashed, "changed_at": at}
    connection.execute(_put_account(connection.dialect.name), values)
    # Whoever is logged in with the old password is not any more: OWASP ASVS 5.0, 7.4.3.
    sessions.end_all(connection, email)
    bump(connection)


def set_password(
    database: Database, email: str, member: MemberId, password: str, at: datetime
) -> None:
    """Hash a password and save it; see `hash_password` and `save_password`.

    Raises:
        PasswordRefusedError: the password is too weak.
        RegistryError: see `save_password`.
    """
    hashed = hash_password(password)
    with database.writing() as connection:
        save_password(connection, email, member, hashed, at)


def check_password(database: Database, email: str, password: str) -> Account | None:
    """Find the account of a log-in, if the password is right and the membership not ended.

    Takes as long for a log-in that does not exist, so that nobody learns which do. Where the
    parameters of the hash have grown since, it is made anew. Takes some 50 ms, more when many
    log in at once; holds no transaction meanwhile.

    Raises:
        DatabaseError: not now.
    """
    with database.reading() as connection:
        row = connection.execute(_select_account, {"email": email.strip().lower()}).one_or_none()
        person = None if row is None else find_member(connection, row.member)
    is_right = _is_right(_unknown_hash() if row is None else row.password_hash, password)
    if row is None or person is None or not is_right or person.status is Status.ENDED:
        return None
    if _HASHER.check_needs_rehash(row.password_hash):
        _save_rehashed(database, row.email, row.password_hash, password)
    return _account(row.email, person)


def find_account(connection: Connection, email: str) -> Account | None:
    """Find the account of a log-in that was checked before; None when it is gone or ended."""
    row = connection.execute(_select_account, {"email": email}).one_or_none()
    person = None if row is None else find_member(connection, row.member)
    if row is None or person is None or person.status is Status.ENDED:
        return None
    return _account(row.email, person)


def _account(email: str, person: Person) -> Account:
    return Account(
        email=email,
        member=person.id,
        name=person.name,
        language=person.language,
        role=role_of(person),
        sites=person.sites,
    )


def _is_right(hashed: str, password: str) -> bool:
    if len(password) > MOST_PASSWORD:
        return False
    try:
        with _AT_ONCE:
            return _HASHER.verify(hashed, _bytes(password))
    except (VerificationError, InvalidHashError):
        return False


def _save_rehashed(database: Database, email: str, old: str, password: str) -> None:
    with _AT_ONCE:
        new = _HASHER.hash(_bytes(password))
    with database.writing() as connection:
        connection.execute(_rehash, {"key": email, "old": old, "new": new})


def _bytes(password: str) -> bytes:
    # A lone surrogate has no UTF-8; a password that holds one is as good as any other.
    return password.encode("utf-8", errors="surrogatepass")


@cache
def _unknown_hash() -> str:
    """The hash that is checked for log-ins that do not exist: of nothing that can be typed."""
    with _AT_ONCE:
        return _HASHER.hash(b"\xff no password \xff")


@cache
def _put_account(dialect: str) -> Insert:
    make: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = make(schema.account)
    put: Insert = statement.on_conflict_do_update(
        index_elements=["email"],
        set_={name: statement.excluded[name] for name in ("password_hash", "changed_at")},
    )
    return put
