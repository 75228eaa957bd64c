"""What is held on one member, for that member: visits, hours and the registry's own rows."""

import sys
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, bindparam, func, select

from access.ids import MemberId, SiteId
from access.journal import SERVER
from server import schema
from server.api_tokens import ApiToken, list_tokens
from server.calendar_addresses import made_at
from server.looks import Look, list_looks

EVERYTHING: Final = sys.maxsize
"""No limit: an export is whole."""

_l: Final = schema.ledger.c
_t: Final = schema.time_entry.c
_select_entries: Final = (
    select(_l.site, _l.source, _l.kind, _l.time, _l.body)
    .where(_l.member == bindparam("member"))
    .order_by(_l.time.desc())
    .limit(bindparam("limit"))
)
_select_minutes: Final = select(func.coalesce(func.sum(_t.minutes), 0)).where(
    _t.member == bindparam("member")
)
_select_hours: Final = (
    select(_t.site, _t.minutes, _t.cause, _t.at)
    .where(_t.member == bindparam("member"))
    .order_by(_t.at.desc())
    .limit(bindparam("limit"))
)
_p: Final = schema.presence_month.c
_select_presence: Final = (
    select(_p.site, _p.month, _p.present_us)
    .where(_p.member == bindparam("member"))
    .order_by(_p.site, _p.month)
)
_MINUTE_US: Final = 60_000_000

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One badge of the member at a door.

    Attributes:
        door: the door's id.
        is_out: whether they were leaving.
        is_granted: whether it let them pass.
        reason: why.
    """

    site: SiteId
    at: datetime
    door: str
    is_out: bool
    is_granted: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """One entry of the member's time bank: minutes earned above zero, spent below."""

    site: SiteId
    minutes: int
    cause: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """How long the member was inside in a month, of what the ledger has forgotten since."""

    site: SiteId
    month: str
    minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One badge, without its digest: that is a secret of the place, not of the member."""

    label: str | None
    status: str
    level: int
    assigned_at: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAtMe:
    """Somebody looked at the member's records.

    Attributes:
        role: with what right: `staff`, `guardian` or `operator`.
        reason: why; see `server.looks`.
    """

    site: SiteId
    role: str | None
    what: str
    reason: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Personal:
    """All that is held on one member.

    Attributes:
        passages: newest first.
        minutes: what the time bank holds for them.
        presence: kept for the time bank, by month.
        calendar_address_since: when the secret address of their calendar was made, if it was.
        api_tokens: with which programs act for them, without what those are secret for.
        looks: who looked at their records, newest first: by role, not by name.
        records: all ledger entries with them in it, as they are kept, newest first.
    """

    id: MemberId
    name: str
    email: str | None
    language: str
    plan: str
    status: str
    since: datetime | None
    until: datetime | None
    is_guardian: bool
    sites: tuple[str, ...]
    cards: tuple[Card, ...]
    passages: tuple[Passage, ...]
    minutes: int
    hours: tuple[Hours, ...]
    presence: tuple[Presence, ...]
    calendar_address_since: datetime | None
    api_tokens: tuple[ApiToken, ...]
    looks: tuple[LookAtMe, ...]
    records: tuple[dict[str, Any], ...]


class UnknownMemberError(LookupError):
    """The registry has no such member."""


def personal(connection: Connection, member: MemberId, limit: int = EVERYTHING) -> Personal:
    """Gather what is held on one member. Blocks for the database.

    Args:
        connection: of a transaction.
        member: who asks for their own.
        limit: at most so many records, and so many entries of the time bank.

    Raises:
        UnknownMemberError: they are not in the registry.
    """
    its_row = select(schema.member).where(schema.member.c.id == member)
    row = connection.execute(its_row).one_or_none()
    if row is None:
        raise UnknownMemberError(f"there is no member {member!r}")
    of = {"member": member, "limit": limit}
    entries = [
        (SiteId(e.site), e.source, e.kind, e.time, _decode(e.body))
        for e in connection.execute(_select_entries, of)
    ]
    passages = (_passage(*entry) for entry in entries)
    return Personal(
        id=member,
        name=row.name,
        email=row.email,
        language=row.language,
        plan=row.plan,
        status=row.status,
        since=row.since,
        until=row.until,
        is_guardian=row.is_guardian,
        sites=_sites(connection, member),
        cards=_cards(connection, member),
        passages=tuple(passage for passage in passages if passage is not None),
        minutes=int(connection.execute(_select_minutes, {"member": member}).scalar_one()),
        hours=tuple(
            Hours(site=SiteId(h.site), minutes=h.minutes, cause=h.cause, at=h.at)
            for h in connection.execute(_select_hours, of)
        ),
        presence=tuple(
            Presence(site=SiteId(p.site), month=p.month, minutes=p.present_us // _MINUTE_US)
            for p in connection.execute(_select_presence, {"member": member})
        ),
        calendar_address_since=made_at(connection, member),
        api_tokens=tuple(list_tokens(connection, member)),
        looks=tuple(map(_look_at_me, list_looks(connection, about=member, limit=limit))),
        records=tuple(record for *_, record in entries),
    )


def _look_at_me(one: Look) -> LookAtMe:
    return LookAtMe(site=one.site, role=one.role, what=one.what, reason=one.reason, at=one.at)


def _sites(connection: Connection, member: MemberId) -> tuple[str, ...]:
    table = schema.member_site
    found = connection.scalars(
        select(table.c.site).where(table.c.member == member).order_by(table.c.site)
    )
    return tuple(found)


def _cards(connection: Connection, member: MemberId) -> tuple[Card, ...]:
    rows = connection.execute(
        select(schema.badge)
        .where(schema.badge.c.member == member)
        .order_by(schema.badge.c.assigned_at)
    )
    return tuple(
        Card(
            label=row.label,
            status=row.status,
            level=row.level,
            assigned_at=row.assigned_at,
            until=row.until,
        )
        for row in rows
    )


def _passage(
    site: SiteId, source: str, kind: str, at: datetime, record: dict[str, Any]
) -> Passage | None:
    """Make a passage of an entry, once for each: see `server.board_events.is_line`."""
    data = record["data"]
    is_out = data.get("reader") == "out"
    if source == SERVER and kind == "gardien.access.decided" and not is_out:
        answer = data["answer"]
        return Passage(
            site=site,
            at=at,
            door=data["door"],
            is_out=False,
            is_granted=answer["granted"],
            reason=answer["reason"],
        )
    is_alone = data.get("offline") is True
    if kind in ("gardien.access.granted", "gardien.access.denied") and (is_out or is_alone):
        return Passage(
            site=site,
            at=at,
            door=source,
            is_out=is_out,
            is_granted=kind.endswith("granted"),
            reason=str(data.get("reason")),
        )
    return None
