"""What a door says of its readers and its journal: what falls out of order is told of at once."""

from typing import Final

from access.ids import DoorId
from access.messages import DoorState
from server.turn import Turn

_WELL: Final = "ok"


def follow(turn: Turn, door: DoorId, before: DoorState | None, after: DoorState) -> None:
    """Raise an alert for each part that is out of order now and was not before.

    The door itself sees to it that a reader that comes and goes is not told of over and over
    (`edge.reading`).

    Args:
        turn: of the site.
        door: which door.
        before: what it said last, if anything.
        after: what it says now; a last will says nothing of its parts.
    """
    known = {} if before is None or before.readers is None else before.readers
    for reader, condition in (after.readers or {}).items():
        if condition != _WELL and known.get(reader, _WELL) == _WELL:
            turn.alert("reader_failed", turn.now, {"door": door, "reader": reader})
    was = _WELL if before is None else before.journal
    if after.journal not in {None, _WELL, was}:
        turn.alert(f"journal_{after.journal}", turn.now, {"door": door})
