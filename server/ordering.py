"""Orders to doors: what may be ordered when, what takes whose place, and what becomes of it."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from access.ids import DoorId, MemberId, WatchId
from access.instants import to_rfc3339
from access.journal import SERVER
from access.messages import Record
from access.model import Audience
from access.watch import Phase
from server.effects import DropOrder, SendOrder, WaitingOrder
from server.events import DoorOrdered, Order, OrderLapsed
from server.state import DoorTrack, OrderTrack, Outcome
from server.turn import Turn

OF_STAFF: Final = frozenset({"enrol", "restart"})
"""What only staff may order; the rest is the guardian's on watch as well."""

LASTS: Final[Mapping[Order, timedelta]] = {
    # Somebody stands there now: a door that opens later opens for nobody.
    "unlock": timedelta(seconds=10),
    "hold": timedelta(minutes=1),
    "enrol": timedelta(minutes=1),
    "restart": timedelta(minutes=1),
    # To lock is never too late; by itself a door holds its lock for four hours at the most.
    "release": timedelta(hours=12),
    "lockdown": timedelta(days=7),
    "lift": timedelta(days=7),
}
"""For how long an order may be done after it was given."""

_REPLACES: Final[Mapping[Order, tuple[Order, ...]]] = {
    "unlock": (),
    "hold": ("hold", "release"),
    "release": ("hold", "release"),
    "lockdown": ("lockdown", "lift", "unlock", "hold"),
    "lift": ("lockdown", "lift"),
    "enrol": ("enrol",),
    "restart": ("restart",),
}
_MOMENT: Final = timedelta(microseconds=1)
_OF_PASSAGE: Final = frozenset({"hold", "release"})
_OF_LOCKDOWN: Final = frozenset({"lockdown", "lift"})
_PASSAGE_ENDED: Final = "gardien.passage.ended"

PASSAGE_OVER: Final = "passage_over"
"""Why the server itself orders a release: what the passage was for is over."""

NO_PUBLIC_WATCH: Final = "a door is held only while a watch that is open to the public runs"
LOCKED_DOWN: Final = "the door is locked down; lift the lockdown first"
NOT_OBEYED: Final = "order_not_obeyed"


class OrderError(ValueError):
    """It can't be ordered as things stand."""


def give(turn: Turn, event: DoorOrdered) -> None:
    """Order it of each of the doors; who asks may do so.

    Raises:
        OrderError: a door is not there, or may not be held now; nothing has changed.
    """
    doors = dict.fromkeys(event.doors or turn.policy.doors)
    unknown = [door for door in doors if door not in turn.policy.doors]
    if unknown:
        raise OrderError(f"no such door: {', '.join(unknown)}")
    if event.do == "hold":
        _must_be_free(turn, frozenset(doors))
    for door in doors:
        _give(turn, door, event.do, by=event.by)


def follow(turn: Turn, door: DoorId, record: Record) -> None:
    """Take in what a door records of an order: it has done it, or says that it can't."""
    command = record.data.get("command")
    if not isinstance(command, str):
        return
    track = turn.state.door(door)
    known = [told for told in (track.order, track.passage) if told and told.id == command]
    if any(told.outcome == "done" for told in known):
        return
    # What ends a passage in answer to an order to begin one is a refusal.
    is_refused = record.type == _PASSAGE_ENDED and any(told.do == "hold" for told in known)
    _settle(track, command, "refused" if is_refused else "done")
    turn.effects.append(DropOrder(door=door, id=command))


def lapse(turn: Turn, event: OrderLapsed) -> None:
    """Give up an order whose time is over; somebody should hear of it where it is a lockdown."""
    data = {"command": event.id, "door": event.door, "do": event.do}
    turn.note("command.expired", turn.now, data)
    _settle(turn.state.door(event.door), event.id, "expired")
    turn.effects.append(DropOrder(door=event.door, id=event.id))
    if event.do in _OF_LOCKDOWN:
        turn.alert(NOT_OBEYED, turn.now, data)
    if event.do == "lockdown":
        turn.state.locked_down -= {event.door}


def advance(turn: Turn) -> None:
    """Hold no door any longer than what it is held for."""
    for door in _overheld(turn):
        _give(turn, door, "release", by=SERVER, why=PASSAGE_OVER)


def is_due(turn: Turn) -> bool:
    """Whether `advance` would do anything; changes nothing itself."""
    return bool(_overheld(turn))


def has_public_watch(turn: Turn) -> bool:
    """Whether a watch is open whose event is for the public, and still on."""
    watch = turn.state.watch
    return (
        watch is not None
        and watch.audience is Audience.PUBLIC
        and watch.phase_at(turn.now) is Phase.OPEN
        and turn.now < watch.authorized_until
    )


def _must_be_free(turn: Turn, doors: frozenset[DoorId]) -> None:
    if doors & turn.state.locked_down:
        raise OrderError(LOCKED_DOWN)
    if not has_public_watch(turn):
        raise OrderError(NO_PUBLIC_WATCH)


def _overheld(turn: Turn) -> list[DoorId]:
    held = [door for door, track in turn.state.doors.items() if _is_held(track)]
    return [] if not held or has_public_watch(turn) else held


def _is_held(track: DoorTrack) -> bool:
    """Whether a door is held, or will be, by what it was told last."""
    told = track.passage
    if told is not None and told.outcome is None:
        return told.do == "hold"
    return track.is_held


def _give(turn: Turn, door: DoorId, do: Order, *, by: str, why: str | None = None) -> None:
    id_, at, expires = _id(turn, door), _after_the_last(turn, door), turn.now + LASTS[do]
    turn.note(
        "command.issued",
        turn.now,
        {
            "command": id_,
            "door": door,
            "do": do,
            "by": None if by == SERVER else by,
            "why": why,
            "watch": _watch(turn),
            "expires": to_rfc3339(expires),
        },
        member=None if by == SERVER else MemberId(by),
    )
    order = WaitingOrder(id=id_, door=door, do=do, by=by, at=at, expires=expires)
    turn.effects.append(SendOrder(order=order, replaces=_REPLACES[do]))
    _remember(turn, order)


def _after_the_last(turn: Turn, door: DoorId) -> datetime:
    """Give the time of an order: after the one before it, even if the clock was put back."""
    last = turn.state.door(door).order
    return turn.now if last is None else max(turn.now, last.at + _MOMENT)


def _remember(turn: Turn, order: WaitingOrder) -> None:
    track = turn.state.door(order.door)
    track.order = OrderTrack(id=order.id, do=order.do, at=order.at)
    if order.do in _OF_PASSAGE:
        track.passage = track.order
    elif order.do == "lockdown":
        if track.passage is not None and track.passage.do == "hold":
            track.passage = None
        turn.state.locked_down |= {order.door}
    elif order.do == "lift":
        turn.state.locked_down -= {order.door}


def _settle(track: DoorTrack, command: str, outcome: Outcome) -> None:
    if track.order is not None and track.order.id == command:
        track.order = replace(track.order, outcome=outcome)
    if track.passage is not None and track.passage.id == command:
        track.passage = replace(track.passage, outcome=outcome)


def _watch(turn: Turn) -> WatchId | None:
    return None if turn.state.watch is None else turn.state.watch.id


def _id(turn: Turn, door: DoorId) -> str:
    """Make the id of a command: a UUID version 7 (RFC 9562, 5.7), the same in each repetition.

    What stands for its random bits is the end of the server's chain, which is there only once; its
    number comes first, so that ids of one moment are in order.
    """
    own = turn.state.own
    seed = f"{turn.policy.site}/{door}/{own.seq}/{own.hash}"
    random = int.from_bytes(hashlib.sha256(seed.encode()).digest()) & (1 << 62) - 1
    number = _milliseconds(turn.now) << 80 | 7 << 76 | (own.seq & 0xFFF) << 64 | 0b10 << 62 | random
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
