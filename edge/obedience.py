"""What a door does when it is told to: each order once, in its time, and none while in doubt."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec

from access.ids import DoorId
from access.instants import from_rfc3339, to_rfc3339
from access.model import Policy
from edge.badges.enrolling import Enrolling
from edge.effects import Effect, Keep, PublishState, Restart, note
from edge.entrance import Entrance
from edge.events import CommandReceived, Moment
from edge.lonely import language_of, unlock_s
from edge.timekeeping import Timekeeping

DONE_KEPT_AS: Final = "commands"
LOCKDOWN_KEPT_AS: Final = "lockdown"
RULED_KEPT_AS: Final = "ruled_at"

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
        ruled_at: when the newest lockdown or lift that was obeyed had been ordered.
        enrolling: whether the door is in enrol mode.
    """

    door: DoorId
    is_locked_down: bool = False
    done: dict[str, datetime] = field(default_factory=dict)
    ruled_at: datetime | None = None
    enrolling: Enrolling = field(default_factory=Enrolling)

    def obey(
        self,
        order: CommandReceived,
        entrance: Entrance,
        policy: Policy | None,
        time: Timekeeping,
        now: Moment,
    ) -> Iterator[Effect]:
        """Do what is ordered, unless it was done before, or its time is over or can't be told.

        A lockdown is obeyed even while the clock is in doubt. Of each order that is done, or that
        can't be, a record tells that names it.
        """
        latest = time.latest(now.at)
        if order.id in self.done or self._is_outdated(order, latest):
            return
        if not _is_in_time(order, time, now):
            return
        yield self._remember(order, now)
        why = {"command": order.id, "by": order.by}
        match order.do:
            case "unlock":
                seconds = unlock_s(policy, self.door)
                yield from entrance.order_unlock(now, seconds, order.id, order.by)
            case "hold" if self.is_locked_down:
                yield note("passage.ended", now, watch=None, cause="locked_down", **why)
            case "hold":
                yield from entrance.order_passage(now, policy, order.id, order.by)
            case "release":
                yield from entrance.order_release(now, order.id, order.by)
            case "lockdown" | "lift":
                yield from self._rule(order, entrance, now)
            case "enrol" if not self.is_locked_down:
                language = language_of(policy, order.by)
                yield from self.enrolling.begin(order, entrance.face, language, now)
            case "restart":
                yield from entrance.order_lock(now, cause="restart", **why)
                yield Restart()
            case _:
                return

    def _rule(self, order: CommandReceived, entrance: Entrance, now: Moment) -> Iterator[Effect]:
        """Begin a lockdown, or end it."""
        self.is_locked_down = order.do == "lockdown"
        self.ruled_at = order.at
        yield Keep(key=LOCKDOWN_KEPT_AS, value="on" if self.is_locked_down else None)
        yield Keep(key=RULED_KEPT_AS, value=to_rfc3339(order.at))
        if self.is_locked_down:
            self.enrolling.end()
            yield from entrance.lock_down(now, command=order.id, by=order.by)
            return
        # Not that it is locked where somebody is being let through right now.
        kind = "lock.unlocked" if entrance.latch.is_unlocked else "lock.locked"
        yield note(kind, now, cause="lift", command=order.id, by=order.by)
        yield PublishState()

    def _is_outdated(self, order: CommandReceived, latest: datetime) -> bool:
        """Whether a later order has settled already whether the door is locked down.

        These orders are good for days: one that never came, played back later, must undo nothing.
        One of a server whose clock was ahead does not count, or no lift would be heeded till then.
        """
        if order.do not in {"lockdown", "lift"} or self.ruled_at is None:
            return False
        return order.at < self.ruled_at <= latest

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


def read_ruled(kept: str | None) -> datetime | None:
    """Read when the newest lockdown or lift had been ordered; None if it can't be read."""
    try:
        return None if kept is None else from_rfc3339(kept)
    except ValueError:
        return None


def _is_in_time(order: CommandReceived, time: Timekeeping, now: Moment) -> bool:
    if not time.is_trusted:
        return order.do == "lockdown"
    return order.expires > time.latest(now.at)
