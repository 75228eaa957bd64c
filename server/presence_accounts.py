"""How long nomads were present in each month: kept where the ledger forgets who it was.

What the ledger still says is worked out from it. What it is about to forget is counted just before
and kept, as an account: `forgetting` knows up to when, so nothing is counted twice.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Insert, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from access.ids import MemberId, SiteId
from access.instants import Span, utc
from access.model import Plan
from access.presence_hours import (
    Move,
    PresenceMonth,
    is_inside_after,
    present_in,
    stays_of,
    whole_minutes,
)
from access.time_bank import Cause, Month, month_of, parse_month
from server import registry_time_bank, schema
from server.database import Database
from server.forgetting_ledger import Mark, mark_of, set_mark
from server.presence_moves import counts_in, moves_of
from server.registry_members import list_members
from server.settings import SiteSettings

LONGEST_STAY: Final = timedelta(days=31)
"""How far before a month an entry is looked for of somebody who was inside when it began."""

_MARK: Final = "presence"
_US: Final = timedelta(microseconds=1)

_p: Final = schema.presence_month.c
_t: Final = schema.time_entry.c
_select_kept: Final = (
    select(schema.presence_month)
    .where(_p.site == bindparam("site"), _p.member == bindparam("member"))
    .order_by(_p.month)
)
_select_inside: Final = select(_p.member).where(
    _p.site == bindparam("site"), _p.inside_at == bindparam("at")
)
_forget_inside: Final = (
    update(schema.presence_month)
    .where(_p.site == bindparam("at_site"), _p.inside_at.is_not(None))
    .values(inside_at=None)
)
_spent: Final = select(func.coalesce(-func.sum(_t.minutes), 0)).where(
    _t.site == bindparam("site"),
    _t.member == bindparam("member"),
    _t.month == bindparam("month"),
    _t.cause == Cause.SPENDING.value,
)
_select_first: Final = select(func.min(schema.ledger.c.time)).where(
    schema.ledger.c.site == bindparam("site")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is kept of a member's presence in a month, after the ledger has forgotten it.

    Attributes:
        present: how long they were inside, as far as it was counted.
        inside_at: they were inside when the count ended then.
    """

    site: SiteId
    month: Month
    present: timedelta
    inside_at: datetime | None = None


def presence_of(
    connection: Connection, place: SiteSettings, member: MemberId, month: Month, now: datetime
) -> PresenceMonth:
    """Say what a member was present in a month, up to now, and what of it is paid for.

    Args:
        connection: of a transaction.
        place: the site.
        member: whose.
        month: which.
        now: the time of the server.

    Returns:
        The month; nothing is present of one that is still to come. Where the site does not say
        how many hours are included, nothing is counted.
    """
    site = SiteId(place.id)
    included_h = place.plans.nomad.hours_a_month
    values = {"site": site, "member": member, "month": str(month)}
    present = timedelta() if included_h is None else _present(connection, place, member, month, now)
    return PresenceMonth(
        site=site,
        member=member,
        month=month,
        present=whole_minutes(present),
        included=None if included_h is None else included_h * 60,
        spent=int(connection.execute(_spent, values).scalar_one()),
        balance=registry_time_bank.balance(connection, member),
    )


def kept_of(connection: Connection, site: SiteId, member: MemberId) -> tuple[Kept, ...]:
    """Give what is kept of a member's presence at a site, oldest month first."""
    rows = connection.execute(_select_kept, {"site": site, "member": member})
    return tuple(
        Kept(
            site=SiteId(row.site),
            month=parse_month(row.month),
            present=row.present_us * _US,
            inside_at=row.inside_at,
        )
        for row in rows
    )


def keep_before(database: Database, place: SiteSettings, before: datetime) -> int:
    """Keep what nomads were present before a time, since the ledger is about to forget who it was.

    To be done again is harmless: what was counted is not counted again, and two who do it at once
    count it once. Reads first, and then writes in one short transaction: no badge waits for it.

    Args:
        database: of ledger and accounts.
        place: the site; where it does not say how many hours are included, nothing is kept.
        before: up to when; nothing is done if it was counted so far already.

    Returns:
        How many members were counted.

    Raises:
        DatabaseError: not now; nothing was kept.
    """
    before = utc(before)
    with database.reading() as connection:
        mark = mark_of(connection, place.id, _MARK)
        found = _uncounted(connection, place, mark, before)
    if mark is not None and before <= mark.until:
        return 0
    with database.writing() as connection:
        if mark_of(connection, place.id, _MARK) != mark:
            return 0  # another run was faster
        connection.execute(_forget_inside, {"at_site": place.id})
        rows = [row for one in found for row in _rows(place, one, before)]
        if rows:
            connection.execute(_add(connection.dialect.name), rows)
        set_mark(connection, place.id, _MARK, Mark(until=before))
    return len(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    """What one member's records say."""

    member: MemberId
    stays: tuple[Span, ...]
    is_inside: bool


def _uncounted(
    connection: Connection, place: SiteSettings, mark: Mark | None, before: datetime
) -> list[_Counted]:
    site = SiteId(place.id)
    start = _first(connection, site) if mark is None else mark.until
    if place.plans.nomad.hours_a_month is None or start is None or start >= before:
        return []
    within = Span(start=start, end=before)
    nomads = [one.id for one in list_members(connection, site) if one.plan is Plan.NOMAD]
    inside = set(connection.scalars(_select_inside, {"site": site, "at": start}))
    found = []
    for member, moves in _moves(connection, place, nomads, within).items():
        was_inside = member in inside
        found.append(
            _Counted(
                member=member,
                stays=tuple(stays_of(moves, within, is_inside=was_inside)),
                is_inside=is_inside_after(moves, within, is_inside=was_inside),
            )
        )
    return found


def _present(
    connection: Connection, place: SiteSettings, member: MemberId, month: Month, now: datetime
) -> timedelta:
    """Add what is kept of a month and what the ledger still says."""
    site, zone = SiteId(place.id), ZoneInfo(place.zone)
    whole = month.span(zone)
    kept = kept_of(connection, site, member)
    present = sum((one.present for one in kept if one.month == month), timedelta())
    mark = mark_of(connection, site, _MARK)
    start = whole.start - LONGEST_STAY
    is_inside = False
    if mark is not None and mark.until >= start:
        start = mark.until
        is_inside = any(one.inside_at == mark.until for one in kept)
    end = min(whole.end, utc(now))
    if start >= end:
        return present
    within = Span(start=start, end=end)
    moves = _moves(connection, place, [member], within)[member]
    return present + present_in(stays_of(moves, within, is_inside=is_inside), month, zone)


def _moves(
    connection: Connection, place: SiteSettings, members: Iterable[MemberId], within: Span
) -> Mapping[MemberId, tuple[Move, ...]]:
    site = SiteId(place.id)
    counts = counts_in(connection, site, within)
    without_contact = frozenset(door.id for door in place.doors if not door.contact)
    return {
        member: tuple(
            moves_of(
                connection, site, member, within, counts=counts, without_contact=without_contact
            )
        )
        for member in members
    }


def _first(connection: Connection, site: SiteId) -> datetime | None:
    found = connection.execute(_select_first, {"site": site}).scalar()
    return found if isinstance(found, datetime) else None


def _rows(place: SiteSettings, one: _Counted, before: datetime) -> Iterator[dict[str, Any]]:
    """Make the rows of a member: one for each month in which they were inside."""
    zone = ZoneInfo(place.zone)
    for month in sorted({month for stay in one.stays for month in _months(stay, zone)}):
        is_last = month == month_of(before - _US, zone)
        yield {
            "site": place.id,
            "member": one.member,
            "month": str(month),
            "present_us": present_in(one.stays, month, zone) // _US,
            "inside_at": before if one.is_inside and is_last else None,
        }


def _months(stay: Span, zone: ZoneInfo) -> Iterator[Month]:
    month, last = month_of(stay.start, zone), month_of(stay.end - _US, zone)
    while month <= last:
        yield month
        month = month.next()


@cache
def _add(dialect: str) -> Insert:
    make: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = make(schema.presence_month)
    add: Insert = statement.on_conflict_do_update(
        index_elements=["site", "member", "month"],
        set_={
            "present_us": schema.presence_month.c.present_us + statement.excluded.present_us,
            "inside_at": statement.excluded.inside_at,
        },
    )
    return add
