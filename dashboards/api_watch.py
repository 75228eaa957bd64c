"""The API on the watch and on orders to doors: look, pass on, close, count, unlock."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Final

import msgspec

from access.ids import DoorId, MemberId
from access.messages import OccupancyReport, Slug
from access.presence import CountError
from dashboards.api_caller import sees_people
from dashboards.api_place import occupancy
from dashboards.api_problems import Problem
from dashboards.parts import a_viewer, parts, site, site_id
from dashboards.texts import gettext
from dashboards.words import refusal
from server.board import WatchView
from server.desk import DeskError, NotAllowedError
from server.effects import Effect, SendOrder
from server.events import (
    CloseAsked,
    DeskEvent,
    DoorOrdered,
    GuestsChanged,
    Order,
    RecountedTotal,
    RollCallSigned,
    WatchOffered,
    WatchTaken,
)

MOST_GUESTS: Final = 500
"""The most guests in one go: a slip of the finger is not an arrival."""


class WatchReport(msgspec.Struct, frozen=True, kw_only=True):
    """The watch that runs; who is in it is told with the scope `people:read` only."""

    id: str
    guardian: str | None
    guardian_id: str | None
    since: datetime
    opened_at: datetime
    over_by: datetime
    closes_by: datetime
    phase: str
    title: str | None
    audience: str
    minutes: int
    is_offered: bool
    offered_to: str | None
    offered_to_id: str | None


class WatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The watch, or none."""

    watch: WatchReport | None


class WatchDone(msgspec.Struct, frozen=True, kw_only=True):
    """How things stand after what was asked for."""

    watch: WatchReport | None
    occupancy: OccupancyReport


class OfferBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """To whom the watch is offered: the id of a guardian who is inside."""

    to: Slug


class GuestsBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many guests came (above zero) or left (below)."""

    change: Annotated[int, msgspec.Meta(ge=-MOST_GUESTS, le=MOST_GUESTS)]


class RecountBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many are inside."""

    people: Annotated[int, msgspec.Meta(ge=0, le=100_000)]


class OrderBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a door is to do."""

    do: Order


class OrderSent(msgspec.Struct, frozen=True, kw_only=True):
    """An order to one door; it is not done any more once it `expires`."""

    id: str
    door: str
    do: str
    at: datetime
    expires: datetime


class OrderAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was ordered. What came of it stands with the door, once the door says so."""

    orders: list[OrderSent]


def watch() -> WatchAnswer:
    """Give the watch that runs."""
    return WatchAnswer(watch=_watch())


def offer(body: OfferBody) -> WatchDone:
    """Offer the watch to another guardian."""
    return _do(lambda by: WatchOffered(by=by, to=MemberId(body.to)))


def take() -> WatchDone:
    """Take the watch that was offered."""
    return _do(lambda by: WatchTaken(by=by))


def close() -> WatchDone:
    """Begin to close."""
    return _do(lambda by: CloseAsked(by=by))


def sign() -> WatchDone:
    """Sign the roll-call: the watch ends."""
    return _do(lambda by: RollCallSigned(by=by))


def guests(body: GuestsBody) -> WatchDone:
    """Count guests in or out."""
    if body.change == 0:
        raise Problem("bad-request", gettext("Say how many guests came or left."))
    return _do(lambda by: GuestsChanged(by=by, change=body.change))


def recount(body: RecountBody) -> WatchDone:
    """Take the caller's word for how many are inside."""
    return _do(lambda by: RecountedTotal(by=by, people=body.people))


def order(door: str, body: OrderBody) -> OrderAnswer:
    """Tell one door to do something."""
    if door not in {one.id for one in site().doors}:
        raise Problem("not-found")
    return _order((DoorId(door),), body.do)


def order_all(body: OrderBody) -> OrderAnswer:
    """Tell all doors of the site to do something."""
    return _order((), body.do)


def _order(doors: tuple[DoorId, ...], do: Order) -> OrderAnswer:
    effects = ask(lambda by: DoorOrdered(by=by, doors=doors, do=do))
    sent = [effect.order for effect in effects if isinstance(effect, SendOrder)]
    return OrderAnswer(
        orders=[
            OrderSent(id=one.id, door=one.door, do=one.do, at=one.at, expires=one.expires)
            for one in sent
        ]
    )


def _do(make: Callable[[MemberId], DeskEvent]) -> WatchDone:
    ask(make)
    return WatchDone(watch=_watch(), occupancy=occupancy())


def ask(make: Callable[[MemberId], DeskEvent]) -> list[Effect]:
    """Hand what was asked for to the gate, in the name of the caller."""
    event = make(a_viewer().member)
    try:
        return parts().gatehouse.handle(site_id(), [event], parts().clock.now())
    except NotAllowedError as error:
        raise Problem("not-allowed", refusal(error)) from error
    except DeskError as error:
        raise Problem("refused", _refused(error)) from error


def _refused(error: DeskError) -> str:
    if isinstance(error.__cause__, CountError):
        return gettext("There are not so many guests inside.")
    return refusal(error)


def _watch() -> WatchReport | None:
    found = parts().reader.watch(site_id())
    return None if found is None else _report(found, is_named=sees_people())


def _report(found: WatchView, *, is_named: bool) -> WatchReport:
    heir = found.offered_to
    return WatchReport(
        id=found.id,
        guardian=found.guardian.name if is_named else None,
        guardian_id=found.guardian.id if is_named else None,
        since=found.since,
        opened_at=found.opened_at,
        over_by=found.over_by,
        closes_by=found.closes_by,
        phase=found.phase.value,
        title=found.title,
        audience=found.audience.value,
        minutes=found.minutes,
        is_offered=heir is not None,
        offered_to=heir.name if heir is not None and is_named else None,
        offered_to_id=heir.id if heir is not None and is_named else None,
    )
