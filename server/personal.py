"""What is held on one member, for their own page: visits, hours and the registry's own rows.

All of it is in `server.holdings`.
"""

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
from server.registry import BadgeRecord, list_badges

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
    select(_t.site, _t.minutes, _t.cause, _t.at, _t.watch, _t.month, _t.reason)
    .where(_t.member == bindparam("member"))
    .order_by(_t.at.desc())
    .limit(bindparam("limit"))
)
_p: Final = schema.presence_month.c
_select_presence: Final = (
    select(_p.site, _p.month, _p.present_us, _p.inside_at)
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
    """One entry of the member's time bank: minutes earned above zero, spent below.

    Attributes:
        watch: that earned them, if one did.
        month: whose presence they were spent against, if they were.
        reason: in words, where the desk wrote one.
    """

    site: SiteId
    minutes: int
    cause: str
    at: datetime
    watch: str | None
    month: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """How long the member was inside in a month, of what the ledger has forgotten since.

    Attributes:
        inside_at: they were inside when the count ended then; None where they were not.
    """

    site: SiteId
    month: str
    minutes: int
    inside_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LookTold:
    """Somebody looked at somebody's records: as much of it as the member is told.

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
    """What a member's own page shows.

    Attributes:
        created: when they were added.
        passages: newest first.
        minutes: what the time bank holds for them.
        presence: kept for the time bank, by month.
        calendar_address_since: when the secret address of their calendar was made, if it was.
        api_tokens: with which programs act for them, without what those are secret for.
        looks: who looked at their records, newest first: by role, not by name.
    """

    id: MemberId
    name: str
    email: str | None
    language: str
    plan: str
    status: str
    since: datetime | None
    until: datetime | None
    created: datetime
    is_guardian: bool
    sites: tuple[str, ...]
    badges: tuple[BadgeRecord, ...]
    passages: tuple[Passage, ...]
    minutes: int
    hours: tuple[Hours, ...]
    presence: tuple[Presence, ...]
    calendar_address_since: datetime | None
    api_tokens: tuple[ApiToken, ...]
    looks: tuple[LookTold, ...]


class UnknownMemberError(LookupError):
    """The registry has no such member."""


def personal(connection: Connection, member: MemberId, limit: int = EVERYTHING) -> Personal:
    """Gather what a member's own page shows. Blocks for the database.

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
        created=row.created,
        is_guardian=row.is_guardian,
        sites=_sites(connection, member),
        badges=tuple(list_badges(connection, member)),
        passages=tuple(passage for passage in passages if passage is not None),
        minutes=int(connection.execute(_select_minutes, {"member": member}).scalar_one()),
        hours=tuple(
            Hours(
                site=SiteId(row.site),
                minutes=row.minutes,
                cause=row.cause,
                at=row.at,
                watch=row.watch,
                month=row.month,
                reason=row.reason,
            )
            for row in connection.execute(_select_hours, of)
        ),
        presence=tuple(
            Presence(
                site=SiteId(row.site),
                month=row.month,
                minutes=row.present_us // _MINUTE_US,
                inside_at=row.inside_at,
            )
            for row in connection.execute(_select_presence, {"member": member})
        ),
        calendar_address_since=made_at(connection, member),
        api_tokens=tuple(list_tokens(connection, member)),
        looks=tuple(map(look_told, list_looks(connection, about=member, limit=limit))),
    )


def look_told(one: Look) -> LookTold:
    """Give of a look what the member is told, who looked or was looked at."""
    return LookTold(site=one.site, role=one.role, what=one.what, reason=one.reason, at=one.at)


def _sites(connection: Connection, member: MemberId) -> tuple[str, ...]:
    table = schema.member_site
    found = connection.scalars(
        select(table.c.site).where(table.c.member == member).order_by(table.c.site)
    )
    return tuple(found)


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
