"""How long somebody was inside in a month, and what of it is over the hours that their plan has."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final
from zoneinfo import ZoneInfo

from access.ids import MemberId, SiteId
from access.instants import Span
from access.time_bank import Month, TimeBankError

_MINUTE: Final = timedelta(minutes=1)


class NotOverError(TimeBankError):
    """They were not present for so long beyond their plan's hours."""


class Way(IntEnum):
    """Which way somebody went. Of two at the same instant the lower comes first."""

    OUT = 0
    IN = 1


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Move:
    """Somebody came in, or was inside no more: by their badge, a sweep or a recount."""

    at: datetime
    way: Way


def stays_of(moves: Iterable[Move], within: Span, *, is_inside: bool = False) -> Iterator[Span]:
    """Make stays of comings and goings, in whatever order these are given.

    Who comes in twice was inside all the time; who leaves twice left the first time.

    Args:
        moves: of one member at one site; those outside `within` are left out.
        within: what is asked for. A stay that is not over ends with it.
        is_inside: whether they were inside when it began.

    Returns:
        Stays that don't touch, oldest first, each longer than nothing.
    """
    since = within.start if is_inside else None
    for move in sorted(move for move in moves if within.start <= move.at < within.end):
        if move.way is Way.IN:
            since = move.at if since is None else since
        elif since is not None:
            if move.at > since:
                yield Span(start=since, end=move.at)
            since = None
    if since is not None and since < within.end:
        yield Span(start=since, end=within.end)


def is_inside_after(moves: Iterable[Move], within: Span, *, is_inside: bool = False) -> bool:
    """Say whether somebody is inside when a span of time ends; see `stays_of`."""
    known = [move for move in moves if within.start <= move.at < within.end]
    return max(known).way is Way.IN if known else is_inside


def present_in(stays: Iterable[Span], month: Month, zone: ZoneInfo) -> timedelta:
    """Sum the time of stays that lies in a month of the site, to the microsecond.

    A stay across its first or last midnight counts as far as it lies in it. Time is what a watch
    measures: the night of the clock change in autumn has an hour more, that in spring one less.
    """
    whole = month.span(zone)
    lengths = (min(one.end, whole.end) - max(one.start, whole.start) for one in stays)
    return sum((length for length in lengths if length > timedelta()), timedelta())


def presence_minutes(stays: Iterable[Span], month: Month, zone: ZoneInfo) -> int:
    """Give the minutes that somebody was inside in a month of the site; the rest of one is not."""
    return whole_minutes(present_in(stays, month, zone))


def whole_minutes(length: timedelta) -> int:
    """Give the whole minutes in a length of time, which is not below zero."""
    return length // _MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceMonth:
    """What a member was present in a month at a site, and what of it is paid for.

    Attributes:
        present: minutes inside, up to now where the month still runs.
        included: minutes that their plan has in a month; None where the site does not say, and
            then counts none.
        spent: minutes of the time bank that were spent against it, not below zero.
        balance: minutes that the time bank holds for them now, over all sites.
    """

    site: SiteId
    member: MemberId
    month: Month
    present: int
    included: int | None
    spent: int
    balance: int

    @property
    def over(self) -> int:
        """Minutes beyond what the plan has."""
        return 0 if self.included is None else max(0, self.present - self.included)

    @property
    def left(self) -> int:
        """Minutes beyond it for which nothing was spent yet."""
        return max(0, self.over - self.spent)

    @property
    def spendable(self) -> int | None:
        """The most that may be spent against it now; None where only the balance says."""
        return None if self.included is None else max(0, min(self.left, self.balance))


def check_over(found: PresenceMonth, minutes: int) -> None:
    """Make sure that there is so much beyond the plan's hours to spend minutes against.

    Args:
        found: what they were present, and what was spent.
        minutes: what they want to spend, above zero.

    Raises:
        NotOverError: there is less.
    """
    if found.included is not None and minutes > found.left:
        raise NotOverError(
            f"{minutes} minutes are more than the {found.left} of {found.month} that are over the "
            f"plan's {found.included // 60} h and not paid for yet; spend at most {found.left}"
        )
