"""What becomes of a watch: opened, confirmed or lapsed, passed on, closing, closed and credited."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from access.ids import DoorId, MemberId, RequestId, WatchId
from access.instants import find, last_end
from access.model import Authorization
from access.watch import (
    Phase,
    Watch,
    close,
    credits_of,
    hand_over,
    open_watch,
    start_closing,
)
from server.effects import Credit
from server.turn import Turn

Why = str
BY_HOURS: Final = "opening_hours"
BY_TIME: Final = "authorization_over"
BY_LEAVING: Final = "guardian_left"
EMPTY: Final = "everyone_out"
DELAY_OVER: Final = "delay_over"

UNOPENED_AFTER: Final = timedelta(minutes=1)
"""How long after the grant a door in reach has to say that it was opened: the longest unlocking."""


def watch_id(request: RequestId) -> WatchId:
    """Name a watch for the request that opened it, so that a replay opens no second one."""
    return WatchId(request.replace("-", ""))


def begin(
    turn: Turn, request: RequestId, authorization: Authorization, door: DoorId, at: datetime
) -> Watch:
    """Open a watch in the name of the authorization's guardian."""
    watch = open_watch(watch_id(request), authorization, door, at, turn.policy.closing_delay)
    turn.state.watch = watch
    turn.state.peak = turn.state.presence.present
    turn.state.peak_guests = turn.state.presence.guests
    turn.note(
        "watch.opened",
        at,
        {
            "watch": watch.id,
            "guardian": watch.guardian,
            "door": door,
            "authorization": authorization.id,
            "title": watch.title,
            "audience": watch.audience.value,
        },
        member=watch.guardian,
    )
    return watch


def confirm(turn: Turn, at: datetime) -> None:
    """The door was opened after the grant that opened the watch: now it counts."""
    watch = turn.state.watch
    if watch is None or watch.is_confirmed:
        return
    turn.state.watch = replace(watch, is_confirmed=True)
    turn.note("watch.confirmed", at, {"watch": watch.id}, member=watch.guardian)


def lapse(turn: Turn, at: datetime) -> None:
    """The door was not opened after the grant that opened the watch: it never was."""
    watch = turn.state.watch
    if watch is None or watch.is_confirmed:
        return
    turn.state.watch = None
    turn.note("watch.lapsed", at, {"watch": watch.id}, member=watch.guardian)
    others = [m for m, stay in turn.state.presence.inside.items() if stay.since >= watch.opened_at]
    if others:
        turn.alert("admitted_under_lapsed_watch", at, {"watch": watch.id, "members": others})


def left_by_guardian(turn: Turn, member: MemberId, at: datetime) -> None:
    """Somebody badged out: if they hold the watch, it passes on or begins to close."""
    watch = turn.state.watch
    if watch is None or watch.guardian != member or at < watch.tenures[-1].start:
        return
    if watch.phase_at(at) is not Phase.OPEN:
        return
    heir = _heir(turn, member, at)
    if heir is None:
        begin_closing(turn, at, BY_LEAVING)
    else:
        pass_on(turn, heir, at, BY_LEAVING)


def pass_on(turn: Turn, to: MemberId, at: datetime, why: Why) -> None:
    """Give the watch to another guardian, and tell both.

    Raises:
        WatchError: the watch is not open.
    """
    watch = turn.state.watch
    if watch is None:
        return
    turn.state.watch = hand_over(watch, to, at, turn.policy.holding(to, at))
    turn.note(
        "watch.passed",
        at,
        {"watch": watch.id, "from": watch.guardian, "to": to, "why": why},
        member=to,
    )


def begin_closing(turn: Turn, at: datetime, why: Why, by: MemberId | None = None) -> None:
    """Ask everyone to leave."""
    watch = turn.state.watch
    if watch is None or watch.closing_since is not None:
        return
    turn.state.watch = start_closing(watch, at)
    turn.note("watch.closing", at, {"watch": watch.id, "why": why, "by": by}, member=by)


def end(turn: Turn, at: datetime, why: Why, by: MemberId | None = None) -> None:
    """Close the watch and credit its guardians; sweep the site, unless opening hours go on."""
    watch = turn.state.watch
    if watch is None:
        return
    closed = close(watch, at)
    turn.state.watch = None
    earned = credits_of(closed, Decimal(turn.policy.watch_rate))
    turn.note(
        "watch.closed",
        at,
        {
            "watch": closed.id,
            "why": why,
            "by": by,
            "title": closed.title,
            "opened": closed.opened_at,
            "held": [
                {"guardian": t.guardian, "start": t.start, "end": t.end} for t in closed.tenures
            ],
            "minutes": dict(earned),
            "peak": turn.state.peak,
            "guests": turn.state.peak_guests,
        },
        member=by,
    )
    for guardian, minutes in earned.items():
        turn.effects.append(Credit(member=guardian, watch=closed.id, minutes=minutes, at=at))
    if why != BY_HOURS:
        sweep(turn, at)


def sweep(turn: Turn, at: datetime) -> None:
    """Empty the site, so that the count is certain again."""
    presence = turn.state.presence
    turn.state.swept_for = last_end(turn.policy.opening, at)
    if presence.high or presence.unattributed:
        turn.note("site.swept", at, {"members": sorted(presence.inside), "guests": presence.guests})
    presence.sweep(at)


def advance(turn: Turn) -> None:
    """Do what the clock alone brings about, each at the time at which it was due."""
    _lapse_unopened(turn)
    _end_by_hours(turn)
    _close_by_time(turn)
    _end_by_time(turn)
    _sweep_after_hours(turn)


def is_due(turn: Turn) -> bool:
    """Whether `advance` would do anything; changes nothing itself."""
    watch = turn.state.watch
    if watch is None:
        return _is_sweep_due(turn)
    if _is_unopened(turn, watch) or turn.policy.is_open(turn.now):
        return True
    if watch.closing_since is None:
        return turn.now >= watch.over_by
    return turn.state.presence.high == 0 or turn.now >= watch.closing_since + watch.closing_delay


def _is_unopened(turn: Turn, watch: Watch) -> bool:
    """Whether the door, which is in reach, has had time to say that it was opened, and has not."""
    track = turn.state.door(watch.door)
    waited = turn.now >= watch.opened_at + UNOPENED_AFTER
    return not watch.is_confirmed and waited and track.is_online


def _lapse_unopened(turn: Turn) -> None:
    watch = turn.state.watch
    if watch is not None and _is_unopened(turn, watch):
        lapse(turn, turn.now)


def _end_by_hours(turn: Turn) -> None:
    watch = turn.state.watch
    hours = find(turn.policy.opening, turn.now)
    if watch is not None and hours is not None:
        end(turn, max(hours.start, watch.tenures[-1].start), BY_HOURS)


def _close_by_time(turn: Turn) -> None:
    watch = turn.state.watch
    if watch is not None and turn.now >= watch.over_by:
        begin_closing(turn, watch.over_by, BY_TIME)


def _end_by_time(turn: Turn) -> None:
    watch = turn.state.watch
    if watch is None or watch.closing_since is None:
        return
    over = watch.closing_since + watch.closing_delay
    if turn.state.presence.high == 0:
        end(turn, min(turn.now, over), EMPTY)
    elif turn.now >= over:
        _tell_who_stayed(turn, over)
        end(turn, over, DELAY_OVER)


def _tell_who_stayed(turn: Turn, at: datetime) -> None:
    presence = turn.state.presence
    if presence.present:
        turn.alert(
            "still_inside",
            at,
            {
                "present": presence.present,
                "high": presence.high,
                "members": sorted(presence.inside),
                "guests": presence.guests,
            },
        )


def _is_sweep_due(turn: Turn) -> bool:
    """Whether opening hours have been over for long enough, and nobody has swept since."""
    ended = last_end(turn.policy.opening, turn.now)
    if ended is None or turn.state.watch is not None or turn.state.swept_for == ended:
        return False
    return turn.now >= ended + turn.policy.sweep_after and not turn.policy.is_open(turn.now)


def _sweep_after_hours(turn: Turn) -> None:
    ended = last_end(turn.policy.opening, turn.now)
    if ended is not None and _is_sweep_due(turn):
        sweep(turn, ended + turn.policy.sweep_after)


def _heir(turn: Turn, leaving: MemberId, at: datetime) -> MemberId | None:
    inside = turn.state.presence.inside
    able = [
        member
        for member in inside
        if member != leaving
        and turn.policy.is_guardian(member)
        and turn.policy.holding(member, at) is not None
    ]
    return min(able, key=lambda member: (inside[member].since, member), default=None)
