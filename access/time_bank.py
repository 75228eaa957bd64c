"""The time bank: what guardians earn by their watches, and what members spend; whole minutes only.

It is kept like money. A posting moves minutes between two accounts, that of a member and that of
the site, so that all accounts together always hold nothing. A posting is never changed: what was
wrong is put right by another one.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import Enum
from itertools import accumulate
from typing import Final
from zoneinfo import ZoneInfo

from access.calendar import instant
from access.ids import MemberId, SiteId, WatchId
from access.instants import Span

QUARTER: Final = timedelta(minutes=15)
"""What the time held is rounded to."""

MOST_MINUTES: Final = 60_000
"""The most that somebody posts at once: beyond a thousand hours it is a slip of the finger."""

MOST_REASON: Final = 200
"""The longest reason, in characters."""

_MONTH: Final = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


class TimeBankError(ValueError):
    """It can't be posted; the message says why, and what to do."""


class OverdrawnError(TimeBankError):
    """The member has not got so many minutes."""


class Cause(Enum):
    """Why minutes were posted."""

    WATCH = "watch"
    CORRECTION = "correction"
    SPENDING = "spending"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Month:
    """A month of the calendar: year 1 to 9998, month 1 to 12."""

    year: int
    month: int

    def __post_init__(self) -> None:
        datetime(self.year, self.month, 1)  # noqa: DTZ001 (only to check the numbers)
        if self.year >= 9999:  # noqa: PLR2004 (said in words)
            raise ValueError(f"year {self.year} has no year after it; write 1 to 9998")

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    def next(self) -> "Month":
        """Give the month after it."""
        years, month = divmod(self.month, 12)
        return Month(year=self.year + years, month=month + 1)

    def before(self) -> "Month":
        """Give the month before it."""
        years, month = divmod(self.month - 2, 12)
        return Month(year=self.year + years, month=month + 1)

    def span(self, zone: ZoneInfo) -> Span:
        """Give its span: from its first midnight at the site to that of the next month."""
        return Span(start=_first_instant(self, zone), end=_first_instant(self.next(), zone))


FIRST_MONTH: Final = Month(year=2000, month=1)
LAST_MONTH: Final = Month(year=2999, month=12)
"""The months that may be asked for: far from the ends of what a calendar can count."""


def month_of(at: datetime, zone: ZoneInfo) -> Month:
    """Give the month in which an instant lies at the site."""
    local = at.astimezone(zone)
    return Month(year=local.year, month=local.month)


def parse_month(text: str) -> Month:
    """Read a month written as `2026-11`.

    Raises:
        TimeBankError: it is none.
    """
    found = _MONTH.fullmatch(text.strip())
    if found is None:
        raise TimeBankError(f"{text[:20]!r} is no month; write one such as 2026-11")
    year = int(found[1])
    if not FIRST_MONTH.year <= year <= LAST_MONTH.year:
        raise TimeBankError(f"month {text[:20]!r}: write one from {FIRST_MONTH} to {LAST_MONTH}")
    return Month(year=year, month=int(found[2]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whose minutes: a member's, or a site's, which gives them and takes them back."""

    owner: MemberId | SiteId
    is_site: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One side of a posting: so many minutes into an account, or out of it below zero."""

    account: Account
    minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """Minutes that moved, once and for good.

    Attributes:
        site: whose account gave them, or took them back.
        member: whose account got them, or gave them back.
        minutes: whole; above zero to the member, below zero back to the site.
        cause: why.
        at: when; of a watch, when it closed.
        watch: the watch that earned them; for the cause `watch` only.
        made_by: who posted it; None is the rules themselves.
        reason: in words, for people; of a correction always.
        month: against whose presence hours they were spent; for the cause `spending` only.
    """

    site: SiteId
    member: MemberId
    minutes: int
    cause: Cause
    at: datetime
    watch: WatchId | None = None
    made_by: MemberId | None = None
    reason: str | None = None
    month: Month | None = None

    def __post_init__(self) -> None:
        for is_wrong, says in (
            (type(self.minutes) is not int, "minutes are whole"),
            (self.minutes == 0, "nothing would move; write how many minutes"),
            (
                self.cause is not Cause.WATCH and abs(self.minutes) > MOST_MINUTES,
                f"write at most {MOST_MINUTES} minutes",
            ),
            (self.reason is not None and not _is_readable(self.reason), _SAY_WHY),
            (not _fits(self), f"a posting with the cause {self.cause.value} is not made like this"),
        ):
            if is_wrong:
                raise TimeBankError(f"{self.minutes} minutes for {self.member}: {says}")


_SAY_WHY: Final = f"say why in 1 to {MOST_REASON} characters"


def _is_readable(reason: str) -> bool:
    return bool(reason.strip()) and len(reason) <= MOST_REASON and reason.isprintable()


def _fits(posting: Posting) -> bool:
    """Whether a posting has what its cause asks for, and nothing that belongs to another cause."""
    if (posting.watch is not None) != (posting.cause is Cause.WATCH):
        return False
    if (posting.month is not None) != (posting.cause is Cause.SPENDING):
        return False
    if posting.cause is Cause.WATCH:
        return posting.minutes > 0
    if posting.cause is Cause.SPENDING:
        return posting.minutes < 0 and posting.made_by is not None
    return posting.made_by is not None and posting.reason is not None


def lines_of(posting: Posting) -> tuple[Line, Line]:
    """Give both sides of a posting; they always sum to zero."""
    member, site = Account(owner=posting.member), Account(owner=posting.site, is_site=True)
    return (
        Line(account=member, minutes=posting.minutes),
        Line(account=site, minutes=-posting.minutes),
    )


def balances_of(postings: Iterable[Posting]) -> Mapping[Account, int]:
    """Give the minutes in each account that was ever used; together they are zero."""
    found: dict[Account, int] = {}
    for posting in postings:
        for line in lines_of(posting):
            found[line.account] = found.get(line.account, 0) + line.minutes
    return found


def credited(held: timedelta, rate: Decimal) -> int:
    """Give the minutes that somebody earns for holding a watch.

    Args:
        held: for how long they held it, not below zero.
        rate: minutes credited for a minute held.

    Returns:
        The time rounded to the nearest quarter of an hour (halves up), times the rate, to the
        nearest minute (halves up).
    """
    quarters = (2 * held + QUARTER) // (2 * QUARTER)
    return int((quarters * 15 * rate).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def spending(
    *, site: SiteId, member: MemberId, minutes: int, month: Month, by: MemberId, at: datetime
) -> Posting:
    """Make the posting by which a member spends minutes, above zero; see `Posting`.

    Raises:
        TimeBankError: that is no number of minutes to spend.
    """
    if minutes <= 0:
        raise TimeBankError(f"{minutes} minutes can't be spent; write a number above 0")
    return Posting(
        site=site,
        member=member,
        minutes=-minutes,
        cause=Cause.SPENDING,
        at=at,
        made_by=by,
        month=month,
    )


def check_spending(balance: int, minutes: int, *, may_overdraw: bool = False) -> None:
    """Make sure that a member has the minutes that they want to spend.

    Args:
        balance: what they have.
        minutes: what they want to spend, above zero.
        may_overdraw: whether staff lets them have less than nothing afterwards.

    Raises:
        OverdrawnError: they have not got so many, and nobody has let them overdraw.
    """
    if minutes > balance and not may_overdraw:
        raise OverdrawnError(
            f"{minutes} minutes are more than the {balance} there are; spend less, or let staff "
            "allow it"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """One posting on a statement, and what the member had after it."""

    posting: Posting
    balance: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What happened to a member's minutes in a month.

    Attributes:
        member: whose.
        month: which.
        opening: what they had before it.
        lines: oldest first.
    """

    member: MemberId
    month: Month
    opening: int
    lines: tuple[StatementLine, ...]

    @property
    def closing(self) -> int:
        """What they had after it."""
        return self.lines[-1].balance if self.lines else self.opening

    def total(self, cause: Cause) -> int:
        """Sum the minutes of one cause: earned above zero, spent below."""
        return sum(line.posting.minutes for line in self.lines if line.posting.cause is cause)


def statement_of(
    member: MemberId, month: Month, opening: int, postings: Iterable[Posting]
) -> Statement:
    """Write a statement.

    Args:
        member: whose.
        month: which.
        opening: what they had before it.
        postings: theirs in that month, oldest first.
    """
    theirs = tuple(postings)
    after = list(accumulate((one.minutes for one in theirs), initial=opening))[1:]
    return Statement(
        member=member,
        month=month,
        opening=opening,
        lines=tuple(
            StatementLine(posting=one, balance=balance)
            for one, balance in zip(theirs, after, strict=True)
        ),
    )


def _first_instant(month: Month, zone: ZoneInfo) -> datetime:
    # A month that ends begins the next one, so both read their midnight as a start.
    return instant(datetime(month.year, month.month, 1), zone, is_end=False)  # noqa: DTZ001 (local)
