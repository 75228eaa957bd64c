"""How old a request is, and those that come when nobody waits at the door any more.

A door waits 400 ms for an answer and then decides by itself; but its request may still be on its
way: what was in flight when a connection broke is sent again when it is back (MQTT 5, 4.4). To
decide it then would open a watch that nobody stands for, or take a badge that has been used
elsewhere meanwhile for a copy of itself (`copies`).
"""

from datetime import timedelta
from typing import Final

from access.ids import BadgeDigest, RequestId
from access.messages import Record
from server.events import Asked
from server.state import DoorTrack
from server.turn import Turn

LATE_MS: Final = 10_000
"""A request that is older, in milliseconds, opens no watch."""

_REMEMBERED: Final = 16
_MILLISECOND: Final = timedelta(milliseconds=1)


def settle(turn: Turn, track: DoorTrack, record: Record) -> None:
    """Remember that a door has settled a guardian's request by itself."""
    request, badge = record.data.get("request"), record.data.get("badge")
    is_alone = record.data.get("offline") is True
    if is_alone and isinstance(request, str) and _is_of_guardian(turn, str(badge)):
        track.settled = (*track.settled, RequestId(request))[-_REMEMBERED:]


def age_ms(turn: Turn, event: Asked) -> float:
    """Say how old a request is: by the door's clock, put right by what the door last said of it.

    A door that has not said how far its clock is ahead or behind is taken at its clock's word. One
    whose clock has jumped since looks younger or older by that, until its next state.

    Returns:
        Milliseconds; below zero where the clock is ahead by more than is known.
    """
    return (turn.now - event.request.at) / _MILLISECOND + (_clock_ms(turn, event) or 0)


def is_late(turn: Turn, event: Asked) -> bool:
    """Whether a request might open a watch, and the door has settled it, or asked it long ago.

    Of a door that has not said how its clock goes, none is asked long ago: while it is wrong by
    hours no guardian could open anything.
    """
    request, track = event.request, turn.state.doors.get(event.door)
    if track is not None and request.id in track.settled:
        return True
    if turn.state.watch is not None or _clock_ms(turn, event) is None:
        return False
    return age_ms(turn, event) > LATE_MS and _is_of_guardian(turn, request.badge)


def _clock_ms(turn: Turn, event: Asked) -> int | None:
    track = turn.state.doors.get(event.door)
    return None if track is None or track.state is None else track.state.clock_ms


def _is_of_guardian(turn: Turn, badge: str) -> bool:
    known = turn.policy.badges.get(BadgeDigest(badge))
    return known is not None and turn.policy.is_guardian(known.member)
