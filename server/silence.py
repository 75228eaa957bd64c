"""When a door has said nothing for too long: told once, and once more when it is back.

A door says how it is every 30 seconds. One that has said goodbye, or whose last will was told, is
as silent as one whose wire was cut: both are told of when the time has passed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from access.ids import DoorId
from server.state import DoorTrack
from server.turn import Turn

SILENT_AFTER: Final = timedelta(seconds=90)
"""A door that has not been heard of for so long is doubted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long doors may be silent.

    Attributes:
        since: when the server began to listen: what was said before it could not hear.
        after: how long a door may say nothing.
    """

    since: datetime
    after: timedelta = SILENT_AFTER


def is_due(turn: Turn, patience: Patience | None) -> bool:
    """Whether there is a silence, or the end of one, to tell of."""
    return next(_news(turn, patience), None) is not None


def advance(turn: Turn, patience: Patience | None) -> None:
    """Tell of each silence that has become too long, and of each that is over."""
    for door, track in list(_news(turn, patience)):
        track.is_silent = not track.is_silent
        if track.is_silent:
            turn.alert("door_silent", turn.now, {"door": door, "heard_at": track.heard_at})
        else:
            turn.note("door.back", turn.now, {"door": door})


def _news(turn: Turn, patience: Patience | None) -> Iterator[tuple[DoorId, DoorTrack]]:
    """Give the doors of which something else is to be told than was."""
    if patience is None:
        return
    for door, track in turn.state.doors.items():
        is_known = door in turn.policy.doors
        if is_known and track.is_silent != _is_silent(track, patience, turn.now):
            yield door, track


def _is_silent(track: DoorTrack, patience: Patience, now: datetime) -> bool:
    if track.heard_at is None:
        return False
    if track.is_silent:
        return not track.is_online or track.heard_at <= now - patience.after
    return max(track.heard_at, patience.since) <= now - patience.after
