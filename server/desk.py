"""What people do at the desk, on the web or on the command line, and whether they may."""

from collections.abc import Callable
from typing import Any, Final

from access.ids import MemberId
from access.presence import CountError
from access.watch import Phase, Watch, WatchError, offer
from server import ordering, watching
from server.events import (
    AlertAcknowledged,
    CloseAsked,
    DeskEvent,
    DoorOrdered,
    GuestsChanged,
    Recounted,
    RecountedTotal,
    RollCallSigned,
    WatchOffered,
    WatchTaken,
)
from server.turn import Turn

BY_GUARDIAN: Final = "asked"
SIGNED: Final = "roll_call_signed"
TAKEN: Final = "taken"

OPERATOR: Final = MemberId("operator")
"""Who acts from the command line: somebody with the installation's own files in hand."""


class DeskError(ValueError):
    """It can't be done now, and the message says why."""


class NotAllowedError(DeskError, PermissionError):
    """They may not do that."""


def act(turn: Turn, event: DeskEvent) -> None:
    """Do what somebody asks for.

    Raises:
        NotAllowedError: it is not theirs to do.
        DeskError: it can't be done as things stand; nothing has changed.
    """
    try:
        _STEPS[type(event)](turn, event)
    except (WatchError, CountError, ordering.OrderError) as error:
        raise DeskError(str(error)) from error


def _running(turn: Turn) -> Watch:
    if turn.state.watch is None:
        raise DeskError("there is no watch now")
    return turn.state.watch


def _is_staff(turn: Turn, member: MemberId) -> bool:
    known = turn.policy.members.get(member)
    return member == OPERATOR or (known is not None and known.is_staff)


def _must_answer_for(turn: Turn, member: MemberId) -> None:
    """Let only staff and the guardian on watch go on."""
    watch = turn.state.watch
    if _is_staff(turn, member) or (watch is not None and watch.guardian == member):
        return
    raise NotAllowedError("only staff and the guardian on watch may do that")


def _offer(turn: Turn, event: WatchOffered) -> None:
    watch = _running(turn)
    if watch.guardian != event.by:
        raise NotAllowedError("only the guardian on watch may pass it on")
    if not turn.policy.is_guardian(event.to):
        raise DeskError(f"{event.to} is not a guardian")
    if event.to not in turn.state.presence.inside:
        raise DeskError(f"{event.to} is not inside; they must badge in first")
    turn.state.watch = offer(watch, event.to, turn.now)
    turn.note(
        "watch.offered",
        turn.now,
        {"watch": watch.id, "from": event.by, "to": event.to},
        member=event.to,
    )


def _take(turn: Turn, event: WatchTaken) -> None:
    watch = _running(turn)
    if watch.offered_to != event.by:
        raise NotAllowedError("the watch has not been offered to you")
    if not watching.has_standing(turn, event.by):
        raise NotAllowedError("only a guardian whose membership runs may take the watch")
    if event.by not in turn.state.presence.inside:
        raise DeskError("you must be inside to take the watch; badge in first")
    watching.pass_on(turn, event.by, turn.now, TAKEN)


def _close(turn: Turn, event: CloseAsked) -> None:
    _must_answer_for(turn, event.by)
    if _running(turn).phase_at(turn.now) is not Phase.OPEN:
        raise DeskError("the watch is closing already")
    watching.begin_closing(turn, turn.now, BY_GUARDIAN, by=event.by)


def _sign(turn: Turn, event: RollCallSigned) -> None:
    _must_answer_for(turn, event.by)
    if _running(turn).phase_at(turn.now) is not Phase.CLOSING:
        raise DeskError("close the watch first, then sign the roll-call")
    watching.end(turn, turn.now, SIGNED, by=event.by)


def _guests(turn: Turn, event: GuestsChanged) -> None:
    _must_answer_for(turn, event.by)
    turn.state.presence.change_guests(event.change)
    turn.state.guests_at = turn.now
    turn.note(
        "guests.changed",
        turn.now,
        {"change": event.change, "guests": turn.state.presence.guests},
        member=event.by,
    )


def _recount(turn: Turn, event: Recounted) -> None:
    _must_answer_for(turn, event.by)
    unknown = [member for member in event.members if member not in turn.policy.members]
    if unknown:
        raise DeskError(f"no such member: {', '.join(unknown)}")
    turn.state.presence.recount(event.members, event.guests, turn.now)
    turn.note(
        "site.recounted",
        turn.now,
        {
            "members": len(event.members),
            "guests": event.guests,
            "inside": sorted(turn.state.presence.inside),
        },
        member=event.by,
    )


def _recount_total(turn: Turn, event: RecountedTotal) -> None:
    _must_answer_for(turn, event.by)
    turn.state.presence.recount_total(event.people, turn.now)
    turn.note("site.recounted", turn.now, {"people": event.people}, member=event.by)


def _order(turn: Turn, event: DoorOrdered) -> None:
    if event.do not in ordering.OF_STAFF:
        _must_answer_for(turn, event.by)
    elif not _is_staff(turn, event.by):
        raise NotAllowedError("only staff may do that")
    ordering.give(turn, event)


def _acknowledge(turn: Turn, event: AlertAcknowledged) -> None:
    """Note it; which entries are alerts, and which are taken already, the ledger knows."""
    _must_answer_for(turn, event.by)
    if not 0 < event.alert <= turn.state.own.seq:
        raise DeskError(f"there is no alert {event.alert}")
    turn.note("alert_acknowledged", turn.now, {"alert": event.alert}, member=event.by)


_STEPS: Final[dict[type, Callable[[Turn, Any], None]]] = {
    WatchOffered: _offer,
    WatchTaken: _take,
    CloseAsked: _close,
    RollCallSigned: _sign,
    GuestsChanged: _guests,
    Recounted: _recount,
    RecountedTotal: _recount_total,
    AlertAcknowledged: _acknowledge,
    DoorOrdered: _order,
}
