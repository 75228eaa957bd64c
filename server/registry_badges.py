"""Badges: whose they are, and whether they may be used. Only digests are kept, never a UID."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from access.ids import BadgeDigest, MemberId, RequestId
from access.model import Badge, BadgeLevel, BadgeStatus, Validity
from access.tokens import CardToken
from server import badge_tokens, schema
from server.registry_base import RegistryError, TakenError, UnknownError, bump
from server.registry_members import find_member

MOST_LABEL: Final = 40
"""The longest label, in characters."""

_DIGEST: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BadgeRecord:
    """One badge, with what people need to know of it.

    Attributes:
        digest: see `access.badge`.
        member: whose it is.
        status: whether it may be used.
        validity: from when until when.
        level: how hard it is to copy.
        label: what is written on the card, to tell it from others.
        assigned_at: since when it is theirs.
    """

    digest: BadgeDigest
    member: MemberId
    status: BadgeStatus = BadgeStatus.ACTIVE
    validity: Validity = Validity()  # noqa: RUF009 (immutable)
    level: BadgeLevel = BadgeLevel.L0
    label: str | None = None
    assigned_at: datetime

    def for_rules(self) -> Badge:
        """Give what the rules need of it."""
        return Badge(
            digest=self.digest,
            member=self.member,
            status=self.status,
            validity=self.validity,
            level=self.level,
        )


_b: Final = schema.badge.c
_select_all: Final = select(schema.badge).order_by(_b.member, _b.assigned_at, _b.digest)
_select_of: Final = _select_all.where(_b.member == bindparam("member"))
_select_one: Final = select(schema.badge).where(_b.digest == bindparam("digest"))
_insert: Final = insert(schema.badge)
_delete: Final = delete(schema.badge).where(_b.digest == bindparam("digest"))
_update_status: Final = (
    update(schema.badge).where(_b.digest == bindparam("key")).values(status=bindparam("new_status"))
)
_raise: Final = (
    update(schema.badge)
    .where(_b.digest == bindparam("key"))
    .values(
        level=bindparam("new_level"),
        label=bindparam("new_label"),
        status=BadgeStatus.ACTIVE.value,
    )
)
_suspend: Final = (
    update(schema.badge)
    .where(_b.digest == bindparam("key"), _b.status == BadgeStatus.ACTIVE.value)
    .values(status=BadgeStatus.SUSPENDED.value)
)


def assign_badge(
    connection: Connection,
    digest: BadgeDigest,
    member: MemberId,
    *,
    at: datetime,
    level: BadgeLevel = BadgeLevel.L0,
    label: str | None = None,
    validity: Validity = Validity(),  # noqa: B008 (immutable)
) -> BadgeRecord:
    """Give a badge to a member. A badge that was marked lost or revoked may be given again.

    Raises:
        TakenError: it is in use.
        UnknownError: there is no such member.
        RegistryError: it is no digest, or the label is too long.
    """
    if not _DIGEST.fullmatch(digest):
        raise RegistryError(f"a badge's digest has 32 hex digits: {digest[:40]!r}")
    label = _checked(label)
    owner = find_member(connection, member).id
    _free(connection, digest)
    badge = BadgeRecord(
        digest=digest, member=owner, validity=validity, level=level, label=label, assigned_at=at
    )
    connection.execute(_insert, [_fields(badge)])
    bump(connection)
    return badge


def enrol_badge(
    connection: Connection,
    digest: BadgeDigest,
    member: MemberId,
    *,
    token: CardToken,
    request: RequestId | None,
    at: datetime,
    label: str | None = None,
) -> BadgeRecord:
    """Give a card that a door has just written to a member, as a badge of level L1.

    One that is theirs already is raised to L1 and may be used again, whatever it was marked as: it
    was in somebody's hand at the desk. What the card has shown before no longer counts.

    Args:
        connection: of a transaction that writes.
        digest: of the card.
        member: to whom, by id or e-mail.
        token: that was written last.
        request: of the visit that told it.
        at: when it was enrolled.
        label: what is written on it; None leaves that as it is.

    Raises:
        TakenError: it is in use by somebody else.
        UnknownError: there is no such member.
        RegistryError: the label is too long.
    """
    owner = find_member(connection, member).id
    before = connection.execute(_select_one, {"digest": digest}).one_or_none()
    if before is not None and before.member == owner:
        level, label = max(BadgeLevel.L1, before.level), before.label if label is None else label
        values = {"key": digest, "new_level": int(level), "new_label": _checked(label)}
        connection.execute(_raise, values)
        bump(connection)
    else:
        if before is not None and before.status == BadgeStatus.SUSPENDED.value:
            connection.execute(_delete, {"digest": digest})
        assign_badge(connection, digest, owner, at=at, level=BadgeLevel.L1, label=label)
    badge_tokens.restart(connection, digest, token, request, at)
    return find_badge(connection, digest)


def mark_badge(connection: Connection, digest: BadgeDigest, status: BadgeStatus) -> None:
    """Note that a badge is lost, revoked, or in use again.

    Raises:
        UnknownError: there is no such badge.
    """
    values = {"key": digest, "new_status": status.value}
    if connection.execute(_update_status, values).rowcount == 0:
        raise _unknown(digest)
    bump(connection)


def suspend_badge(connection: Connection, digest: BadgeDigest) -> bool:
    """Suspend a badge of which a copy was seen; one that is not in use is left as it is.

    Returns:
        Whether it was in use.
    """
    if connection.execute(_suspend, {"key": digest}).rowcount == 0:
        return False
    bump(connection)
    return True


def list_badges(connection: Connection, member: MemberId | None = None) -> list[BadgeRecord]:
    """Give all badges, or those of one member, by member and in order of assignment."""
    if member is None:
        return [_badge(row) for row in connection.execute(_select_all)]
    return [_badge(row) for row in connection.execute(_select_of, {"member": member})]


def find_badge(connection: Connection, digest: BadgeDigest) -> BadgeRecord:
    """Find a badge.

    Raises:
        UnknownError: there is no such badge.
    """
    row = connection.execute(_select_one, {"digest": digest}).one_or_none()
    if row is None:
        raise _unknown(digest)
    return _badge(row)


def _checked(label: str | None) -> str | None:
    if label is not None and (len(label) > MOST_LABEL or not label.isprintable()):
        raise RegistryError(f"label {label[:50]!r}: write at most {MOST_LABEL} characters")
    return label


def _free(connection: Connection, digest: BadgeDigest) -> None:
    row = connection.execute(_select_one, {"digest": digest}).one_or_none()
    if row is None:
        return
    if row.status == BadgeStatus.ACTIVE.value:
        raise TakenError(
            f"badge {digest[:8]}... is in use by member {row.member}; mark it lost or revoked first"
        )
    if row.status == BadgeStatus.SUSPENDED.value:
        raise TakenError(
            f"badge {digest[:8]}... is suspended since a copy of it exists; write the card anew "
            "with `gardien badge enrol`, or give another one"
        )
    connection.execute(_delete, {"digest": digest})


def _unknown(digest: str) -> UnknownError:
    return UnknownError(f"no badge {digest[:8]!r}...; see `gardien badge list`")


def _fields(badge: BadgeRecord) -> dict[str, Any]:
    return {
        "digest": badge.digest,
        "member": badge.member,
        "status": badge.status.value,
        "since": badge.validity.since,
        "until": badge.validity.until,
        "level": int(badge.level),
        "label": badge.label,
        "assigned_at": badge.assigned_at,
    }


def _badge(row: Row[Any]) -> BadgeRecord:
    return BadgeRecord(
        digest=BadgeDigest(row.digest),
        member=MemberId(row.member),
        status=BadgeStatus(row.status),
        validity=Validity(since=row.since, until=row.until),
        level=BadgeLevel(row.level),
        label=row.label,
        assigned_at=row.assigned_at,
    )
