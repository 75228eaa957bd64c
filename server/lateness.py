"""Requests that come when nobody waits at the door any more.

A door waits 400 ms for an answer and then decides by itself; but its request may still be on its
way: what was in flight when a connection broke is sent again when it is back (MQTT 5, 4.4). To
decide it then would open a watch that nobody stands for.
"""

from datetime import timedelta
from typing import Final

from access.ids import BadgeDigest, RequestId
from access.messages import Record
from server.events import Asked
from server.state import DoorTrack
from server.turn import Turn

LATE_MS: Final = 10_000
"""From which age on, by the door's clock, a request opens no watch; in milliseconds."""

_REMEMBERED: Final = 16
_MILLISECOND: Final = timedelta(milliseconds=1)


def settle(turn: Turn, track: DoorTrack, record: Record) -> None:
    """Remember that a door has settled a guardian's request by itself."""
    request, badge = record.data.get("request"), record.data.get("badge")
    is_alone = record.data.get("offline") is True
    if is_alone and isinstance(request, str) and _is_of_guardian(turn, str(badge)):
        track.settled = (*track.settled, RequestId(request))[-_REMEMBERED:]


def is_late(turn: Turn, event: Asked) -> bool:
    """Whether a request might open a watch, and the door has settled it, or asked it long ago.

    How long ago is told by the door's clock, as far ahead or behind as the door last said it is.
    """
    request, track = event.request, turn.state.doors.get(event.door)
    if track is None:
        return False
    if request.id in track.settled:
        return True
    if turn.state.watch is not None or track.state is None or track.state.clock_ms is None:
        return False
    age_ms = (turn.now - request.at) / _MILLISECOND + track.state.clock_ms
    return age_ms > LATE_MS and _is_of_guardian(turn, request.badge)


def _is_of_guardian(turn: Turn, badge: str) -> bool:
    known = turn.policy.badges.get(BadgeDigest(badge))
    return known is not None and turn.policy.is_guardian(known.member)
