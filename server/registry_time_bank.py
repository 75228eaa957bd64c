"""The time bank, read: what each member has left, and where it came from.

Entries are made by `server.ledger.credit`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, select

from access.ids import MemberId, SiteId, WatchId
from server import schema


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeEntry:
    """One entry of the time bank: minutes earned above zero, spent below."""

    site: SiteId
    member: MemberId
    minutes: int
    watch: WatchId | None
    cause: str
    at: datetime


_t: Final = schema.time_entry.c
_balances: Final = (
    select(_t.member, func.sum(_t.minutes).label("minutes")).group_by(_t.member).order_by(_t.member)
)
_balances_at: Final = _balances.where(_t.site == bindparam("site"))
_statement: Final = (
    select(schema.time_entry)
    .where(_t.member == bindparam("member"))
    .order_by(_t.at.desc(), _t.id.desc())
    .limit(bindparam("limit"))
)
_balance: Final = select(func.coalesce(func.sum(_t.minutes), 0)).where(
    _t.member == bindparam("member")
)


def balances(connection: Connection, site: SiteId | None = None) -> dict[MemberId, int]:
    """Give the minutes that each member has, over all sites or at one; sorted by member."""
    values: dict[str, Any] = {} if site is None else {"site": site}
    rows = connection.execute(_balances if site is None else _balances_at, values)
    return {MemberId(member): int(minutes) for member, minutes in rows}


def balance(connection: Connection, member: MemberId) -> int:
    """Give the minutes that a member has, over all sites."""
    return int(connection.execute(_balance, {"member": member}).scalar_one())


def statement(connection: Connection, member: MemberId, limit: int = 1000) -> list[TimeEntry]:
    """Give a member's entries, newest first."""
    rows = connection.execute(_statement, {"member": member, "limit": limit})
    return [
        TimeEntry(
            site=SiteId(row.site),
            member=MemberId(row.member),
            minutes=row.minutes,
            watch=None if row.watch is None else WatchId(row.watch),
            cause=row.cause,
            at=row.at,
        )
        for row in rows
    ]
