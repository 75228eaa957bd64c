"""The watch: the span in which a guardian answers for the open site, from opening to credit.

    (none) --a guardian with an authorization badges in--> open
    open   --passed on--> open, another guardian
    open   --closed, or left with no one to take it, or over--> closing
    closing --everyone is out, or roll-call signed, or the delay is over--> closed

Each step gives a new `Watch`. What follows from the clock alone is asked of `phase_at`, so that a
timer that fires late changes no answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum

from access.ids import DoorId, MemberId, RequestId, WatchId
from access.model import Audience, Authorization, Member
from access.time_bank import credited


class Phase(Enum):
    """Where a watch stands."""

    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class WatchError(ValueError):
    """The step is not possible from where the watch stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenure:
    """The time for which one guardian held a watch; `end` is None while they do."""

    guardian: MemberId
    start: datetime
    end: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """One watch.

    Attributes:
        id: the id of the request that opened it, so that a replay opens no second one.
        door: where it was opened.
        tenures: who held it and when, in order; the last one runs until it closes.
        authorized_until: end of the authorization, without its grace.
        over_by: when the watch begins to close by itself.
        closing_delay: how long people have to leave once it is closing.
        title: of the event it is held for.
        audience: whom it admits.
        registered: who is on the list, for the audience `registered`.
        closing_since: when it began to close.
        closed_at: when it closed.
        is_confirmed: whether the door was opened after the grant that opened it.
        offered_to: the guardian who may take it.
        authorization: the id of the authorization that it is held under, so that it can be
            followed when it is moved or taken back.
        authorized: whose authorization that is.
        granted_until: when that authorization's grace is over; None where `over_by` is.
        longest: how long it lasts unless its guardian badges in again; None for no limit.
        renewed_at: when its guardian last badged in, or took it.
        left_at: when its guardian badged out for good, while it was closing.
    """

    id: WatchId
    door: DoorId
    tenures: tuple[Tenure, ...]
    authorized_until: datetime
    over_by: datetime
    closing_delay: timedelta
    title: str | None = None
    audience: Audience = Audience.MEMBERS
    registered: frozenset[MemberId] = frozenset()
    closing_since: datetime | None = None
    closed_at: datetime | None = None
    is_confirmed: bool = False
    offered_to: MemberId | None = None
    authorization: str | None = None
    authorized: MemberId | None = None
    granted_until: datetime | None = None
    longest: timedelta | None = None
    renewed_at: datetime | None = None
    left_at: datetime | None = None

    @property
    def guardian(self) -> MemberId:
        """Who holds it now, or held it last."""
        return self.tenures[-1].guardian

    @property
    def opened_at(self) -> datetime:
        """When it opened."""
        return self.tenures[0].start

    def closes_from(self) -> datetime:
        """When it begins, or began, to close: when it was told to, and over by at the latest."""
        return self.over_by if self.closing_since is None else min(self.closing_since, self.over_by)

    def closes_by(self) -> datetime:
        """When it closes, or closed: when it was told to, and after its delay at the latest."""
        at_the_latest = self.closes_from() + self.closing_delay
        return at_the_latest if self.closed_at is None else min(self.closed_at, at_the_latest)

    def phase_at(self, at: datetime) -> Phase:
        """Where the watch stands at `at`, whether or not a timer has told it so.

        A time before its opening counts as open: the clock of the door that asks may be a little
        behind that of the door that opened.
        """
        if at >= self.closes_by():
            return Phase.CLOSED
        if at >= self.closes_from():
            return Phase.CLOSING
        return Phase.OPEN

    def admits(self, member: Member) -> bool:
        """Whether `member` belongs to the audience, or is a guardian."""
        if member.is_guardian or self.audience is not Audience.REGISTERED:
            return True
        return member.id in self.registered


def watch_id_of(request: RequestId) -> WatchId:
    """Name a watch for the request that opened it, so that a replay opens no second one."""
    return WatchId(request.replace("-", ""))


def open_watch(
    watch_id: WatchId,
    authorization: Authorization,
    door: DoorId,
    at: datetime,
    closing_delay: timedelta,
    *,
    longest: timedelta | None = None,
) -> Watch:
    """Open a watch in the name of the authorization's guardian; see `Watch` for the arguments."""
    watch = Watch(
        id=watch_id,
        door=door,
        tenures=(Tenure(guardian=authorization.guardian, start=at),),
        authorized_until=authorization.span.end,
        over_by=authorization.over_by,
        closing_delay=closing_delay,
        longest=longest,
        renewed_at=at,
    )
    return reauthorize(watch, authorization)


def reauthorize(watch: Watch, authorization: Authorization) -> Watch:
    """Hold the watch under an authorization as it is now: who may come, and until when."""
    return _bounded(
        replace(
            watch,
            title=authorization.title,
            audience=authorization.audience,
            registered=authorization.registered,
        ),
        authorization,
    )


def renew(watch: Watch, at: datetime) -> Watch:
    """Let a watch go on: its guardian has badged in at `at`.

    It lasts as long again as a watch may, within its authorization. One that is not open at `at`
    goes on as it is.
    """
    if watch.longest is None or watch.granted_until is None or watch.renewed_at is None:
        return watch
    if watch.closed_at is not None or watch.phase_at(at) is not Phase.OPEN:
        return watch
    renewed_at = max(at, watch.renewed_at)
    over_by = min(watch.granted_until, renewed_at + watch.longest)
    return replace(watch, renewed_at=renewed_at, over_by=over_by)


def leave(watch: Watch, at: datetime) -> Watch:
    """The guardian of a watch that closes has badged out: from then on they don't hold it."""
    return replace(watch, left_at=at)


def come_back(watch: Watch) -> Watch:
    """The guardian is inside again: they hold it until it closes."""
    return replace(watch, left_at=None)


def offer(watch: Watch, to: MemberId, at: datetime) -> Watch:
    """Offer the watch to another guardian, who has to take it.

    Raises:
        WatchError: the watch is not open, or they hold it already.
    """
    _must_be_open(watch, at)
    _must_be_another(watch, to)
    return replace(watch, offered_to=to)


def hand_over(
    watch: Watch, to: MemberId, at: datetime, authorization: Authorization | None = None
) -> Watch:
    """Give the watch to another guardian.

    Args:
        watch: the open watch.
        to: who takes it.
        at: when.
        authorization: theirs, if they have one: the watch then lasts as long as the longer one.

    Raises:
        WatchError: the watch is not open, or they hold it already.
    """
    _must_be_open(watch, at)
    _must_be_another(watch, to)
    last = watch.tenures[-1]
    moment = max(at, last.start)
    tenures = (
        *watch.tenures[:-1],
        replace(last, end=moment),
        Tenure(guardian=to, start=moment),
    )
    passed = replace(watch, tenures=tenures, offered_to=None, renewed_at=moment)
    if authorization is not None and authorization.over_by > _granted_until(watch):
        return _bounded(passed, authorization)
    return renew(passed, moment)


def start_closing(watch: Watch, at: datetime) -> Watch:
    """Ask everyone to leave. A watch that is closing or closed already goes on as it is.

    Told too late, it began to close when it was over.
    """
    if watch.closing_since is not None or watch.closed_at is not None:
        return watch
    return replace(watch, closing_since=min(at, watch.over_by), offered_to=None)


def close(watch: Watch, at: datetime) -> Watch:
    """End the watch; a watch that has ended is given back as it is, so it closes exactly once.

    Told too late (the server was away), it closed when its closing delay was over: no minute after
    that is credited, nor is one after its guardian left. Told a time before the last hand-over, it
    closes at that hand-over.
    """
    if watch.closed_at is not None:
        return watch
    last = watch.tenures[-1]
    moment = max(min(at, watch.closes_by()), last.start)
    left = moment if watch.left_at is None else max(last.start, min(watch.left_at, moment))
    ended = replace(last, end=left)
    return replace(watch, tenures=(*watch.tenures[:-1], ended), closed_at=moment, offered_to=None)


def credits_of(watch: Watch, rate: Decimal) -> Mapping[MemberId, int]:
    """Give the minutes that each guardian has earned by a closed watch.

    The time each held it is summed, rounded to the nearest quarter of an hour (halves up) and
    multiplied by the site's rate.

    Args:
        watch: a closed watch.
        rate: minutes credited for a minute held.

    Returns:
        Minutes by guardian, in the order in which they first held it. A guardian whose time rounds
        to nothing is left out; a watch that was never confirmed credits nobody.

    Raises:
        WatchError: the watch is not closed.
    """
    if watch.closed_at is None:
        raise WatchError(f"watch {watch.id} is still open, so it has nothing to credit")
    held: dict[MemberId, timedelta] = {}
    if watch.is_confirmed:
        for tenure in watch.tenures:
            length = (tenure.end or watch.closed_at) - tenure.start
            held[tenure.guardian] = held.get(tenure.guardian, timedelta()) + length
    minutes = {guardian: credited(length, rate) for guardian, length in held.items()}
    return {guardian: earned for guardian, earned in minutes.items() if earned}


def _granted_until(watch: Watch) -> datetime:
    return watch.over_by if watch.granted_until is None else watch.granted_until


def _bounded(watch: Watch, authorization: Authorization) -> Watch:
    """Let the watch last as long as an authorization does, and as a watch may."""
    over_by = authorization.over_by
    if watch.longest is not None and watch.renewed_at is not None:
        over_by = min(over_by, watch.renewed_at + watch.longest)
    return replace(
        watch,
        authorization=authorization.id,
        authorized=authorization.guardian,
        authorized_until=authorization.span.end,
        granted_until=authorization.over_by,
        over_by=over_by,
    )


def _must_be_open(watch: Watch, at: datetime) -> None:
    # What is heard of late must not wake a watch that has ended, even if it happened before.
    if watch.closed_at is not None or watch.phase_at(at) is not Phase.OPEN:
        raise WatchError("the watch is closing or closed, so it can't be passed on")


def _must_be_another(watch: Watch, to: MemberId) -> None:
    if to == watch.guardian:
        raise WatchError("they hold the watch already")
