"""What a door's records say of who came and went.

A door's records come in their order, each once: so the opening that follows a grant belongs to it.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from access.ids import BadgeDigest, DoorId, MemberId, RequestId, WatchId
from access.messages import Record
from access.passing import OPENED_LATE
from access.watch import Watch, watch_id_of
from server import fires, lateness, watching
from server.state import DoorTrack, Grant
from server.turn import Turn

_ALERTS: Final = {
    "gardien.door.forced": "door_forced",
    "gardien.door.held": "door_held",
    "gardien.unit.tampered": "unit_tampered",
    "gardien.clock.untrusted": "clock_untrusted",
}


_FROM_INSIDE: Final = frozenset({"exit", fires.CAUSE})
"""Causes of an opening by which somebody left, nobody knows who."""

HEARD_LATE: Final = timedelta(seconds=1)
"""How long the news of an opening may take, where only the server's clock says that it is over."""


def apply(turn: Turn, door: DoorId, record: Record) -> None:
    """Follow what one record says. A record whose data says nothing useful changes nothing."""
    turn.state.presence.set_back_to(turn.now)
    track = turn.state.door(door)
    if not _uses_grant(track, record):
        _expire(turn, track, record.time)
    step = _STEPS.get(record.type)
    if step is not None:
        step(turn, door, track, record)
    if record.type in _ALERTS:
        turn.alert(_ALERTS[record.type], record.time, {"door": door})


def advance(turn: Turn) -> None:
    """Do what the clock alone brings about at the doors: a watch that nobody opened lapses.

    The grant itself is kept until the door says more: an opening may be on its way.
    """
    over = _unused(turn)
    if over is not None:
        watching.lapse(turn, over)


def is_due(turn: Turn) -> bool:
    """Whether `advance` would do anything; changes nothing itself."""
    return _unused(turn) is not None


def _unused(turn: Turn) -> datetime | None:
    """Say when the grant was over that opened the watch which is not confirmed, if it is."""
    watch = turn.state.watch
    if watch is None or watch.is_confirmed:
        return None
    grants = turn.state.door(watch.door).grants
    ends = (g.until for g in grants if watch_id_of(g.request) == watch.id)
    return next((end for end in ends if end is not None and turn.now >= end + HEARD_LATE), None)


def _uses_grant(track: DoorTrack, record: Record) -> bool:
    """Whether the door says that it was opened by a grant of those that wait: it knows best."""
    named = record.data.get("request")
    is_opening = record.type == "gardien.door.opened"
    return is_opening and any(grant.request == named for grant in track.grants)


def member_of(turn: Turn, record: Record) -> MemberId | None:
    """Say whose badge a record is about, by its member or by its badge."""
    named = record.data.get("member")
    if isinstance(named, str) and named in turn.policy.members:
        return MemberId(named)
    badge = turn.policy.badges.get(BadgeDigest(str(record.data.get("badge"))))
    return badge.member if badge is not None else None


def _denied(turn: Turn, door: DoorId, track: DoorTrack, record: Record) -> None:
    """The door refused somebody; a watch that was opened on that request never was."""
    del door
    lateness.settle(turn, track, record)
    watch, request = turn.state.watch, record.data.get("request")
    if (
        watch is not None
        and isinstance(request, str)
        and watch.id == watch_id_of(RequestId(request))
    ):
        watching.lapse(turn, record.time)


def _granted(turn: Turn, door: DoorId, track: DoorTrack, record: Record) -> None:
    lateness.settle(turn, track, record)
    member = member_of(turn, record)
    if record.data.get("reader") == "out":
        track.is_left_by_badge = True
        if member is not None and turn.state.presence.leave(member, record.time):
            watching.left_by_guardian(turn, member, record.time)
    elif member is not None:
        grant = Grant(request=RequestId(str(record.data.get("request"))), member=member)
        if track.is_open or not turn.policy.doors[door].has_contact:
            _enter(turn, door, grant, record.time)
        else:
            track.grants.append(grant)


def _enter(turn: Turn, door: DoorId, grant: Grant, at: datetime) -> None:
    if turn.state.presence.enter(grant.member, door, at):
        watching.entered_by_guardian(turn, grant.member, at)
    watch = turn.state.watch
    if watch is not None and watch.id == watch_id_of(grant.request):
        watching.confirm(turn, at)


def _opened(turn: Turn, door: DoorId, track: DoorTrack, record: Record) -> None:
    track.is_open = True
    track.opened_at = record.time
    if track.grants:
        for grant in track.grants:
            _enter(turn, door, grant, record.time)
        track.grants = []
    elif track.is_left_by_badge:
        track.is_left_by_badge = False
    elif track.is_left_by_button or _is_by_button(record):
        turn.state.presence.leave_unattributed(record.time)
    elif track.is_held:
        turn.state.presence.change_guests(1)
    track.is_left_by_button = False


def _is_by_button(record: Record) -> bool:
    """Whether the door says that it was opened from inside, and by nobody's badge."""
    cause = record.data.get("cause")
    return cause in _FROM_INSIDE and record.data.get("request") is None


def _closed(_turn: Turn, _door: DoorId, track: DoorTrack, _record: Record) -> None:
    track.is_open = False
    track.opened_at = None


def _locked(_turn: Turn, _door: DoorId, track: DoorTrack, record: Record) -> None:
    """Locked again: a grant whose door is not opened within a moment is over."""
    over = record.time + OPENED_LATE
    track.grants = [replace(g, until=over) if g.until is None else g for g in track.grants]
    if not track.is_open:
        track.is_left_by_badge = False


def _expire(turn: Turn, track: DoorTrack, at: datetime) -> None:
    """Let go of grants that are over; a watch that one of them opened lapses."""
    over = [grant for grant in track.grants if grant.until is not None and at >= grant.until]
    if not over:
        return
    track.grants = [grant for grant in track.grants if grant not in over]
    watch = turn.state.watch
    for grant in over:
        if watch is not None and watch_id_of(grant.request) == watch.id:
            watching.lapse(turn, grant.until or at)


def _exit_requested(_turn: Turn, _door: DoorId, track: DoorTrack, _record: Record) -> None:
    track.is_left_by_button = not track.is_open


def _watch_opened(turn: Turn, door: DoorId, track: DoorTrack, record: Record) -> None:
    """A door on its own opened a watch and tells it now."""
    guardian = member_of(turn, record)
    request = record.data.get("request")
    if guardian is None or not isinstance(request, str):
        return
    running = turn.state.watch
    id_ = watch_id_of(RequestId(request))
    if running is not None and running.id == id_:
        return
    authorization = turn.policy.authorization(guardian, record.time)
    if running is not None:
        data = {"watch": running.id, "door": door}
        turn.alert("two_watches", record.time, data, member=guardian)
        if authorization is None or not _is_earlier(record.time, id_, running):
            return
        watching.supersede(turn, record.time)
    elif authorization is None:
        turn.alert("watch_without_authorization", record.time, {"door": door}, member=guardian)
        return
    watching.begin(turn, RequestId(request), authorization, door, record.time)
    if track.is_open:
        watching.confirm(turn, record.time)
    _tell_if_gone(turn, guardian, record.time)


def _is_earlier(at: datetime, id_: WatchId, running: Watch) -> bool:
    """Whether a watch that is heard of late was opened before the one that runs.

    The one that was opened first stands, whichever door is heard first. One that has been passed
    on or closes already stands too: people were told so.
    """
    is_as_opened = len(running.tenures) == 1 and running.closing_since is None
    return is_as_opened and (at, id_) < (running.opened_at, running.id)


def _tell_if_gone(turn: Turn, guardian: MemberId, since: datetime) -> None:
    """A watch is heard of late, and its guardian has left by another door meanwhile."""
    presence = turn.state.presence
    gone_at = presence.moved.get(guardian)
    if gone_at is not None and gone_at > since and guardian not in presence.inside:
        watching.left_by_guardian(turn, guardian, gone_at)


def _passage(turn: Turn, door: DoorId, track: DoorTrack, record: Record) -> None:
    del turn, door
    track.is_held = record.type == "gardien.passage.started"


_Step = Callable[[Turn, DoorId, DoorTrack, Record], None]

_STEPS: Final[dict[str, _Step]] = {
    "gardien.access.denied": _denied,
    "gardien.access.granted": _granted,
    "gardien.door.opened": _opened,
    "gardien.door.closed": _closed,
    "gardien.lock.locked": _locked,
    "gardien.exit.requested": _exit_requested,
    "gardien.watch.opened": _watch_opened,
    "gardien.passage.started": _passage,
    "gardien.passage.ended": _passage,
}
