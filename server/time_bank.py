"""The time bank as people use it: corrected and spent by who may, and told in statements.

Every function works on a connection that the caller got from `Database.writing` or `reading`, and
blocks for the database.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from access.ids import MemberId, SiteId
from access.model import Plan
from access.presence_hours import check_over
from access.time_bank import (
    Cause,
    Month,
    Posting,
    Statement,
    TimeBankError,
    check_spending,
    month_of,
    spending,
    statement_of,
)
from server import registry_time_bank
from server.desk import OPERATOR
from server.presence_accounts import presence_of
from server.registry_base import UnknownError
from server.registry_members import Person, find_member
from server.settings import SiteSettings

COLUMNS: Final = (
    "member",
    "month",
    "at",
    "site",
    "cause",
    "minutes",
    "balance",
    "watch",
    "for_month",
    "by",
    "reason",
)
"""The head of a statement in CSV."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class NotTheirsError(TimeBankError, PermissionError):
    """They may not do that with somebody's minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A statement with all that a printed page says of it.

    Attributes:
        statement: the numbers.
        name: of the member; empty once they are out of the registry.
        zone: in which its times are told.
        issued: when it was written.
    """

    statement: Statement
    name: str
    zone: ZoneInfo
    issued: datetime


def statement(connection: Connection, member: MemberId, month: Month, zone: ZoneInfo) -> Statement:
    """Give a member's statement of a month, over all sites.

    Args:
        connection: of a transaction.
        member: whose; somebody who never had a minute has an empty one.
        month: which.
        zone: of the site, by which the month begins and ends.
    """
    span = month.span(zone)
    opening = registry_time_bank.balance(connection, member, before=span.start)
    return statement_of(
        member, month, opening, registry_time_bank.postings(connection, span, member)
    )


def statements(
    connection: Connection, month: Month, zone: ZoneInfo, site: SiteId | None = None
) -> list[Statement]:
    """Give the statement of each member to whom anything was posted in a month, by member.

    Args:
        connection: of a transaction.
        month: which.
        zone: of the site, by which the month begins and ends.
        site: only of those to whom this site has posted; their statements are whole even so.
    """
    found = registry_time_bank.postings(connection, month.span(zone))
    members = {one.member for one in found if site is None or one.site == site}
    return [statement(connection, member, month, zone) for member in sorted(members)]


def sheet(
    connection: Connection, member: MemberId, month: Month, zone: ZoneInfo, issued: datetime
) -> Sheet:
    """Give a statement with all that a printed page says of it; see `statement`."""
    try:
        name = find_member(connection, member).name
    except UnknownError:
        name = ""
    return Sheet(
        statement=statement(connection, member, month, zone), name=name, zone=zone, issued=issued
    )


def correct(
    connection: Connection,
    *,
    site: SiteId,
    member: MemberId,
    minutes: int,
    reason: str,
    by: MemberId,
    at: datetime,
    key: str | None = None,
) -> Posting:
    """Put a balance right by another posting; staff only, and it may leave less than nothing.

    Args:
        connection: of a transaction that writes.
        site: whose account gives the minutes, or takes them back.
        member: whose balance; they may have left, but somebody of that id must be known.
        minutes: above zero to add, below zero to take away.
        reason: why, for people.
        by: who posts it.
        at: now.
        key: names what was asked for, so that asking again posts nothing.

    Raises:
        NotTheirsError: they are not staff, or it is their own balance.
        TimeBankError: there is no reason, or no such number of minutes.
        UnknownError: nobody knows the member.
    """
    _must_be_staff(connection, by)
    if by == member:
        raise NotTheirsError("nobody corrects their own balance; ask somebody else of the staff")
    posting = Posting(
        site=site,
        member=_known(connection, member),
        minutes=minutes,
        cause=Cause.CORRECTION,
        at=at,
        made_by=by,
        reason=reason.strip(),
    )
    registry_time_bank.lock(connection)
    if not registry_time_bank.is_posted(connection, posting, key):
        registry_time_bank.post(connection, posting, key)
    return posting


def spend(
    connection: Connection,
    *,
    place: SiteSettings,
    member: MemberId,
    minutes: int,
    month: Month,
    by: MemberId,
    at: datetime,
    may_overdraw: bool = False,
    key: str | None = None,
) -> Posting:
    """Spend a nomad's minutes against their presence hours in a month.

    Where the site says how many hours the plan includes, no more can be spent than what they were
    present beyond these and have not paid for: in the month that runs, up to now.

    Args:
        connection: of a transaction that writes.
        place: the site where they were present; its account takes the minutes back.
        member: who spends.
        minutes: how many, above zero.
        month: against whose presence hours; not one that is still to come.
        by: who posts it: the member, or staff.
        at: now.
        may_overdraw: whether staff lets them have less than nothing afterwards.
        key: names what was asked for, so that asking again spends nothing.

    Raises:
        NotTheirsError: somebody else's minutes, or only staff may let them overdraw.
        OverdrawnError: they have not got so many.
        NotOverError: they were not present for so long beyond the plan's hours.
        TimeBankError: they are no nomad, or the month or the minutes make no sense.
        UnknownError: the registry does not know them.
    """
    if may_overdraw or by != member:
        _must_be_staff(connection, by)
    must_be_nomad(find_member(connection, member))
    if month > month_of(at, ZoneInfo(place.zone)):
        raise TimeBankError(f"{month} is still to come; spend against a month that has begun")
    posting = spending(
        site=SiteId(place.id), member=member, minutes=minutes, month=month, by=by, at=at
    )
    registry_time_bank.lock(connection)
    if not registry_time_bank.is_posted(connection, posting, key):
        found = presence_of(connection, place, member, month, at)
        check_spending(found.balance, minutes, may_overdraw=may_overdraw)
        check_over(found, minutes)
        registry_time_bank.post(connection, posting, key)
    return posting


def must_be_nomad(person: Person) -> None:
    """Make sure that presence hours are asked of somebody.

    Raises:
        TimeBankError: they are no nomad.
    """
    if person.plan is not Plan.NOMAD:
        raise TimeBankError(
            f"member {person.id} is no nomad, so no presence hours are asked of them"
        )


def to_csv(found: Iterable[Statement], zone: ZoneInfo) -> str:
    """Write statements as CSV (RFC 4180), a line for each posting, times local to the site.

    What a spreadsheet would take for a formula has an apostrophe in front.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for one in found:
        writer.writerows(_rows(one, zone))
    return out.getvalue()


def _rows(one: Statement, zone: ZoneInfo) -> Iterator[tuple[object, ...]]:
    for line in one.lines:
        posting = line.posting
        yield (
            one.member,
            one.month,
            posting.at.astimezone(zone).isoformat(timespec="seconds"),
            posting.site,
            posting.cause.value,
            posting.minutes,
            line.balance,
            posting.watch or "",
            posting.month or "",
            posting.made_by or "",
            _plain(posting.reason or ""),
        )


def _plain(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _must_be_staff(connection: Connection, by: MemberId) -> None:
    if by == OPERATOR:
        return
    try:
        is_staff = find_member(connection, by).for_rules().is_staff
    except UnknownError:
        is_staff = False
    if not is_staff:
        raise NotTheirsError("only staff may do that; ask at the desk")


def _known(connection: Connection, member: MemberId) -> MemberId:
    """Make sure that somebody has, or had, that id: accounts outlive members."""
    if registry_time_bank.newest_postings(connection, member, limit=1):
        return member
    return find_member(connection, member).id
