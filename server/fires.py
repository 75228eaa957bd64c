"""A fire alarm at a door: told of once when it begins, and once more when it is over.

The panel frees the doors by wiring; what it says may also be a prank that opens the place, so
somebody should hear of it at once. A door tells of it twice: in its condition, which comes at once
and also from a unit that can't write its records, but says nothing of a fire that came and went
while the door was cut off; and in its records, which come once each and in their order, also days
later. Whichever is first raises the alert. No clock is asked, since a door's may be wrong: so where
one of the two comes when the other has said already that the fire is over, it may be told of twice,
rather than never.
"""

from typing import Final

from access.ids import DoorId
from access.messages import DoorState, Record
from server.turn import Turn

CAUSE: Final = "fire"
"""Why a lock is free, or a door was opened, in the records of doors."""


def hear(turn: Turn, door: DoorId, said: DoorState) -> None:
    """Follow what a door's condition says of the fire panel; a last will says nothing of it."""
    track = turn.state.door(door)
    if said.fire is True and not track.is_fire:
        track.is_fire = True
        track.fires_ahead += 1
        turn.alert("fire_alarm", turn.now, {"door": door})
    elif said.fire is False and track.is_fire:
        track.is_fire = False
        turn.note("fire.ended", turn.now, {"door": door})
    if said.queue == 0:
        # All that it has recorded is here: no record is on its way for a fire that was told of.
        track.fires_ahead = 0


def follow(turn: Turn, door: DoorId, record: Record) -> None:
    """Follow what a door's record says of the fire panel.

    A unit that is started during a fire records it anew: that is the same fire still.
    """
    if record.data.get("cause") != CAUSE:
        return
    track = turn.state.door(door)
    if record.type == "gardien.lock.unlocked":
        if track.fires_ahead:
            track.fires_ahead -= 1
        elif not track.is_fire:
            track.is_fire = True
            turn.alert("fire_alarm", record.time, {"door": door})
    elif record.type == "gardien.lock.locked" and track.is_fire and not track.fires_ahead:
        track.is_fire = False
        turn.note("fire.ended", record.time, {"door": door})
