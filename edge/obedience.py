"""What a door does when it is told to: each order once, in its time, and none while in doubt."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec

from access.ids import DoorId
from access.model import Policy
from edge.effects import Effect, Keep, PublishState, Restart, note
from edge.entrance import Entrance
from edge.events import CommandReceived, Moment
from edge.lonely import unlock_s
from edge.timekeeping import Timekeeping

DONE_KEPT_AS: Final = "commands"
LOCKDOWN_KEPT_AS: Final = "lockdown"

_REMEMBERED: Final = timedelta(days=1)
"""How long after its expiry a command's id is remembered: a clock may be set back by so much."""

_MOST_REMEMBERED: Final = 1000


@dataclass(slots=True, kw_only=True)
class Orders:
    """The orders that were done, and the lockdown that one of them may have begun.

    Attributes:
        door: the door that obeys.
        is_locked_down: whether the door is locked down.
        done: the ids of what was done, with their expiry.
    """

    door: DoorId
    is_locked_down: bool = False
    done: dict[str, datetime] = field(default_factory=dict)

    def obey(
        self,
        order: CommandReceived,
        entrance: Entrance,
        policy: Policy | None,
        time: Timekeeping,
        now: Moment,
    ) -> Iterator[Effect]:
        """Do what is ordered, unless it was done before, or its time is over or can't be told.

        A lockdown is obeyed even while the clock is in doubt.
        """
        if order.id in self.done or not _is_in_time(order, time, now):
            return
        yield self._remember(order, now)
        match order.do:
            case "unlock":
                seconds = unlock_s(policy, self.door)
                yield from entrance.order_unlock(now, seconds, order.id, order.by)
            case "hold" if not self.is_locked_down:
                yield from entrance.start_passage(now, policy, command=order.id, by=order.by)
            case "release":
                yield from entrance.end_passage(now, cause="command", command=order.id, by=order.by)
            case "lockdown":
                yield from self._lock_down(order, entrance, now)
            case "lift":
                yield from self._lift(order, entrance, now)
            case "restart":
                yield Restart()
            case _:
                return

    def _lock_down(
        self, order: CommandReceived, entrance: Entrance, now: Moment
    ) -> Iterator[Effect]:
        self.is_locked_down = True
        yield Keep(key=LOCKDOWN_KEPT_AS, value="on")
        yield from entrance.lock_down(now, command=order.id, by=order.by)

    def _lift(self, order: CommandReceived, entrance: Entrance, now: Moment) -> Iterator[Effect]:
        self.is_locked_down = False
        yield Keep(key=LOCKDOWN_KEPT_AS, value=None)
        if not entrance.latch.is_unlocked:
            yield note("lock.locked", now, cause="lift", command=order.id, by=order.by)
        yield PublishState()

    def _remember(self, order: CommandReceived, now: Moment) -> Keep:
        self.done = {
            id_: expires for id_, expires in self.done.items() if expires + _REMEMBERED > now.at
        }
        while len(self.done) >= _MOST_REMEMBERED:
            del self.done[min(self.done, key=self.done.__getitem__)]
        self.done[order.id] = order.expires
        return Keep(key=DONE_KEPT_AS, value=msgspec.json.encode(self.done).decode())


def read_done(kept: str | None) -> dict[str, datetime]:
    """Read the ids that were kept; none if they can't be read."""
    if kept is None:
        return {}
    try:
        return msgspec.json.decode(kept.encode(), type=dict[str, datetime])
    except msgspec.DecodeError:
        return {}


def _is_in_time(order: CommandReceived, time: Timekeeping, now: Moment) -> bool:
    if not time.is_trusted:
        return order.do == "lockdown"
    return order.expires > time.latest(now.at)
