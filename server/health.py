"""What a door says of its readers: one that falls out of order is told of at once."""

from typing import Final

from access.ids import DoorId
from access.messages import DoorState
from server.turn import Turn

_WELL: Final = "ok"


def follow(turn: Turn, door: DoorId, before: DoorState | None, after: DoorState) -> None:
    """Raise an alert for each reader that is out of order now and was not before.

    The door itself sees to it that one that comes and goes is not told of over and over
    (`edge.reading`).

    Args:
        turn: of the site.
        door: which door.
        before: what it said last, if anything.
        after: what it says now; a last will says nothing of readers.
    """
    known = {} if before is None or before.readers is None else before.readers
    for reader, condition in (after.readers or {}).items():
        if condition != _WELL and known.get(reader, _WELL) == _WELL:
            turn.alert("reader_failed", turn.now, {"door": door, "reader": reader})
