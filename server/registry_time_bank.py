"""The time bank in the database: postings, each once and for good, and what they add up to.

A posting is one row: so many minutes from the account of a site to that of a member. Both sides of
it follow from the row, so the accounts always sum to zero. What a watch earns is posted by
`server.ledger.credit`, in the transaction that closes it. No posting changes a policy, so none
counts as a change of the registry.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, bindparam, func, insert, select
from sqlalchemy import text as sql

from access.ids import MemberId, SiteId, WatchId
from access.instants import Span
from access.time_bank import Account, Cause, Posting, parse_month
from server import schema
from server.registry_base import TakenError

# Two spendings at once must not both see what is there for one of them. SQLite has one writer.
_BANK_LOCK: Final = sql("SELECT pg_advisory_xact_lock(7310577115)")

_t: Final = schema.time_entry.c
_select: Final = select(schema.time_entry)
_sum: Final = func.coalesce(func.sum(_t.minutes), 0)
_balances: Final = (
    select(_t.member, func.sum(_t.minutes).label("minutes")).group_by(_t.member).order_by(_t.member)
)
_balances_at: Final = _balances.where(_t.site == bindparam("site"))
_sites: Final = select(_t.site, func.sum(_t.minutes).label("minutes")).group_by(_t.site)
_balance: Final = select(_sum).where(_t.member == bindparam("member"))
_balance_before: Final = _balance.where(_t.at < bindparam("before"))
_newest: Final = (
    _select.where(_t.member == bindparam("member"))
    .order_by(_t.at.desc(), _t.id.desc())
    .limit(bindparam("limit"))
)
_by_key: Final = _select.where(_t.key == bindparam("key"))
_insert: Final = insert(schema.time_entry)


def lock(connection: Connection) -> None:
    """Let nobody else spend until the transaction ends; blocks for who does."""
    if connection.dialect.name == "postgresql":
        connection.execute(_BANK_LOCK)


def is_posted(connection: Connection, posting: Posting, key: str | None) -> bool:
    """Whether a posting was made under that key already; None is the key of none.

    Raises:
        TakenError: another posting has that key.
    """
    found = None if key is None else connection.execute(_by_key, {"key": key}).one_or_none()
    if found is not None and _meaning(_posting(found)) != _meaning(posting):
        raise TakenError(f"something else was posted as {str(key)[:40]!r}; ask anew")
    return found is not None


def post(connection: Connection, posting: Posting, key: str | None = None) -> None:
    """Keep a posting.

    Args:
        connection: of a transaction that writes, after `lock`.
        posting: any but that of a watch.
        key: names what was asked for; see `is_posted`.

    Raises:
        ConflictError: something was posted under that key. It shows when the transaction ends.
    """
    connection.execute(_insert, [_fields(posting) | {"key": key}])


def balances(connection: Connection, site: SiteId | None = None) -> dict[MemberId, int]:
    """Give the minutes that each member has, over all sites or from one; sorted by member."""
    values: dict[str, Any] = {} if site is None else {"site": site}
    rows = connection.execute(_balances if site is None else _balances_at, values)
    return {MemberId(member): int(minutes) for member, minutes in rows}


def accounts(connection: Connection) -> Mapping[Account, int]:
    """Give what is in every account, members' and sites'; together they are zero."""
    members = {Account(owner=one): held for one, held in balances(connection).items()}
    sites = {
        Account(owner=SiteId(site), is_site=True): -int(minutes)
        for site, minutes in connection.execute(_sites)
    }
    return members | sites


def balance(connection: Connection, member: MemberId, before: datetime | None = None) -> int:
    """Give the minutes that a member has, over all sites; or had before an instant."""
    values: dict[str, Any] = {"member": member}
    if before is None:
        return int(connection.execute(_balance, values).scalar_one())
    return int(connection.execute(_balance_before, values | {"before": before}).scalar_one())


def postings(connection: Connection, within: Span, member: MemberId | None = None) -> list[Posting]:
    """Give the postings of a span of time, oldest first: those of a member, or of everybody."""
    values: dict[str, Any] = {"start": within.start, "end": within.end}
    if member is not None:
        values["member"] = member
    statement = _within(has_member=member is not None)
    return [_posting(row) for row in connection.execute(statement, values)]


def newest_postings(connection: Connection, member: MemberId, limit: int = 1000) -> list[Posting]:
    """Give a member's postings, newest first."""
    rows = connection.execute(_newest, {"member": member, "limit": limit})
    return [_posting(row) for row in rows]


@cache
def _within(*, has_member: bool) -> Select[Any]:
    statement = _select.where(_t.at >= bindparam("start"), _t.at < bindparam("end"))
    if has_member:
        statement = statement.where(_t.member == bindparam("member"))
    return statement.order_by(_t.at, _t.id)


def _meaning(posting: Posting) -> tuple[object, ...]:
    """What two askings for the same have in common: all but the time."""
    return (posting.site, posting.member, posting.minutes, posting.cause, posting.month)


def _fields(posting: Posting) -> dict[str, Any]:
    return {
        "site": posting.site,
        "member": posting.member,
        "minutes": posting.minutes,
        "cause": posting.cause.value,
        "at": posting.at,
        "made_by": posting.made_by,
        "reason": posting.reason,
        "month": None if posting.month is None else str(posting.month),
    }


def _posting(row: Row[Any]) -> Posting:
    return Posting(
        site=SiteId(row.site),
        member=MemberId(row.member),
        minutes=row.minutes,
        cause=Cause(row.cause),
        at=row.at,
        watch=None if row.watch is None else WatchId(row.watch),
        made_by=None if row.made_by is None else MemberId(row.made_by),
        reason=row.reason,
        month=None if row.month is None else parse_month(row.month),
    )
