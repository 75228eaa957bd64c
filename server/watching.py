"""What becomes of a watch: opened, confirmed or lapsed, passed on, closing, closed and credited."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from access.ids import DoorId, MemberId, RequestId
from access.instants import find, last_end
from access.model import Authorization, BadgeStatus
from access.watch import (
    Phase,
    Watch,
    close,
    come_back,
    credits_of,
    hand_over,
    leave,
    open_watch,
    reauthorize,
    renew,
    start_closing,
    watch_id_of,
)
from server.effects import Credit
from server.state import DoorTrack
from server.turn import Turn

Why = str
BY_HOURS: Final = "opening_hours"
BY_TIME: Final = "authorization_over"
BY_LEAVING: Final = "guardian_left"
BY_BARRING: Final = "guardian_barred"
BY_REVOCATION: Final = "authorization_revoked"
TOO_LONG: Final = "not_renewed"
TWO_WATCHES: Final = "two_watches"
EMPTY: Final = "everyone_out"
DELAY_OVER: Final = "delay_over"

UNOPENED_AFTER: Final = timedelta(minutes=1)
"""How long after the grant a door has to say that it was opened: the longest unlocking."""


def begin(
    turn: Turn, request: RequestId, authorization: Authorization, door: DoorId, at: datetime
) -> Watch:
    """Open a watch in the name of the authorization's guardian."""
    policy = turn.policy
    longest = policy.longest_watch
    watch = open_watch(
        watch_id_of(request), authorization, door, at, policy.closing_delay, longest=longest
    )
    turn.state.watch, turn.state.watch_heard_at = watch, turn.now
    turn.state.vetted = policy.version
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


def supersede(turn: Turn, at: datetime) -> None:
    """Another watch was opened before this one, at a door on its own: this one never was."""
    watch = turn.state.watch
    if watch is not None:
        turn.state.watch = None
        data = {"watch": watch.id, "why": TWO_WATCHES}
        turn.note("watch.lapsed", at, data, member=watch.guardian)


def entered_by_guardian(turn: Turn, member: MemberId, at: datetime) -> None:
    """Somebody came in by their badge: if they hold the watch, it is renewed."""
    watch = turn.state.watch
    if watch is None or watch.guardian != member:
        return
    turn.state.watch = come_back(renew(watch, at))
    if turn.state.watch.over_by > watch.over_by:
        data = {"watch": watch.id, "over_by": turn.state.watch.over_by}
        turn.note("watch.renewed", at, data, member=member)


def left_by_guardian(turn: Turn, member: MemberId, at: datetime) -> None:
    """Somebody badged out: if they hold the watch, it passes on or begins to close."""
    watch = turn.state.watch
    if watch is None or watch.guardian != member or at < watch.tenures[-1].start:
        return
    if watch.phase_at(at) is Phase.OPEN:
        heir = _heir(turn, member, at)
        if heir is not None:
            pass_on(turn, heir, at, BY_LEAVING)
            return
        begin_closing(turn, at, BY_LEAVING)
    if turn.state.watch is not None:
        turn.state.watch = leave(turn.state.watch, at)


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
    # Also where nobody was inside: the count is certain then, and what is older is not news.
    turn.note("site.swept", at, {"members": sorted(presence.inside), "guests": presence.guests})
    presence.sweep(at)


def advance(turn: Turn) -> None:
    """Do what the clock alone brings about, each at the time at which it was due."""
    _lapse_unopened(turn)
    _end_by_hours(turn)
    _vet(turn)
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
        return turn.now >= watch.over_by or _is_unvetted(turn, watch)
    return _is_empty(turn, watch) or turn.now >= watch.closing_since + watch.closing_delay


def has_standing(turn: Turn, member: MemberId) -> bool:
    """Whether somebody is a guardian whose membership runs."""
    known = turn.policy.members.get(member)
    return turn.policy.is_guardian(member) and known is not None and known.validity.holds(turn.now)


def _is_unvetted(turn: Turn, watch: Watch) -> bool:
    """Whether the rules have changed since the watch was last looked at, or bar its guardian."""
    is_new = turn.state.vetted != turn.policy.version
    return watch.closing_since is None and (is_new or not has_standing(turn, watch.guardian))


def _vet(turn: Turn) -> None:
    """Follow what has become of the guardian on watch, and of their authorization."""
    watch = turn.state.watch
    if watch is None or turn.now >= watch.over_by or not _is_unvetted(turn, watch):
        return
    turn.state.vetted = turn.policy.version
    if has_standing(turn, watch.guardian) and _has_badge(turn, watch.guardian):
        _follow_authorization(turn, watch)
    else:
        _bar(turn, watch)


def _has_badge(turn: Turn, member: MemberId) -> bool:
    """Whether somebody has a badge that may be used now; looks at all badges."""
    return any(
        badge.member == member
        and badge.status is BadgeStatus.ACTIVE
        and badge.validity.holds(turn.now)
        for badge in turn.policy.badges.values()
    )


def _bar(turn: Turn, watch: Watch) -> None:
    """The guardian may hold the watch no more: it goes to who may, or begins to close."""
    barred = watch.guardian
    heir = _heir(turn, barred, turn.now)
    turn.alert(
        BY_BARRING,
        turn.now,
        {"watch": watch.id, "guardian": barred, "to": heir},
        member=barred,
    )
    theirs = None if heir is None else turn.policy.holding(heir, turn.now)
    if heir is None or theirs is None:
        begin_closing(turn, turn.now, BY_BARRING)
        return
    pass_on(turn, heir, turn.now, BY_BARRING)
    if turn.state.watch is not None:
        # What the other one was granted no longer counts, even if it would last longer.
        turn.state.watch = reauthorize(turn.state.watch, theirs)


def _follow_authorization(turn: Turn, watch: Watch) -> None:
    """Hold the watch under its authorization as it is now, or another of its guardian's."""
    if watch.authorization is None or watch.authorized is None:
        return
    # A clock that was put back is no reason to close.
    at = max(turn.now, watch.tenures[-1].start)
    theirs = turn.policy.authorizations.get(watch.authorized, ())
    found = next((a for a in theirs if a.id == watch.authorization), None)
    if found is None or not found.allows_holding(at):
        found = turn.policy.holding(watch.guardian, at)
    if found is None:
        begin_closing(turn, turn.now, BY_REVOCATION)
    else:
        turn.state.watch = reauthorize(watch, found)


def _is_empty(turn: Turn, watch: Watch) -> bool:
    """Whether everyone is out; not while the opening that makes it a watch is still to be told."""
    return turn.state.presence.high == 0 and watch.is_confirmed


def _emptied_at(turn: Turn, closing_since: datetime) -> datetime:
    """Say when the last one left, or was counted out, or the watch began to close after that."""
    state = turn.state
    moments = (closing_since, state.presence.certain_at, state.guests_at)
    known = [moment for moment in moments if moment is not None]
    return min(turn.now, max([*known, *state.presence.moved.values()]))


def _is_unopened(turn: Turn, watch: Watch) -> bool:
    """Whether the door, which is in reach, has had time to say that it was opened, and has not."""
    # From when it was heard of: a door on its own tells late, and its clock may be behind.
    due = (turn.state.watch_heard_at or watch.opened_at) + UNOPENED_AFTER
    has_waited = not watch.is_confirmed and turn.now >= due
    return has_waited and _has_told(turn.state.door(watch.door), due)


def _has_told(track: DoorTrack, due: datetime) -> bool:
    """Whether a door has said since then that it is there and has nothing more to tell.

    A server that was away knows only what the door said before: the journal may have it yet.
    """
    said = track.state
    if said is None or not said.online or said.queue:
        return False
    return said.at is None or said.at >= due


def _lapse_unopened(turn: Turn) -> None:
    watch = turn.state.watch
    if watch is not None and _is_unopened(turn, watch):
        lapse(turn, turn.now)


def _end_by_hours(turn: Turn) -> None:
    watch = turn.state.watch
    hours = find(turn.policy.opening, turn.now)
    # One that was over before, while the server was away, ends as of then.
    if watch is not None and hours is not None and watch.closes_by() > hours.start:
        end(turn, max(hours.start, watch.tenures[-1].start), BY_HOURS)


def _close_by_time(turn: Turn) -> None:
    watch = turn.state.watch
    if watch is not None and turn.now >= watch.over_by:
        is_cut_short = watch.granted_until is not None and watch.over_by < watch.granted_until
        begin_closing(turn, watch.over_by, TOO_LONG if is_cut_short else BY_TIME)


def _end_by_time(turn: Turn) -> None:
    watch = turn.state.watch
    if watch is None or watch.closing_since is None:
        return
    over = watch.closing_since + watch.closing_delay
    if _is_empty(turn, watch):
        end(turn, min(_emptied_at(turn, watch.closing_since), over), EMPTY)
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
        and has_standing(turn, member)
        and turn.policy.holding(member, at) is not None
        and _has_badge(turn, member)
    ]
    return min(able, key=lambda member: (inside[member].since, member), default=None)
