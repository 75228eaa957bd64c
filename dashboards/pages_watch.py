"""The watch: pass it on, take it, close it; guests, recount, roll-call."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from access.ids import MemberId
from access.presence import CountError
from dashboards.looking import note_look
from dashboards.pages_orders import powers
from dashboards.parts import a_viewer, parts, site, site_id, viewer
from dashboards.texts import Later, gettext, lazy_gettext
from dashboards.words import refusal
from server import looks
from server.board import RollCall
from server.desk import DeskError
from server.events import (
    CloseAsked,
    DeskEvent,
    GuestsChanged,
    RecountedTotal,
    RollCallSigned,
    WatchOffered,
    WatchTaken,
)

watch_pages = Blueprint("watch", __name__, url_prefix="/watch")

MOST_GUESTS: Final = 500
"""The most guests in one go: a slip of the finger is not an arrival."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the viewer may do on the page of the watch.

    Attributes:
        is_holder: whether they hold the watch.
        is_in_charge: whether they may close it, and change the count.
        can_take: whether it is offered to them.
        heirs: who is inside and could take it.
    """

    is_holder: bool
    is_in_charge: bool
    can_take: bool
    heirs: tuple[tuple[str, str], ...]


@watch_pages.get("")
def watch() -> str:
    """Show the watch and what the viewer may do."""
    call = parts().reader.roll_call(site_id())
    return render_template(
        "watch.html",
        call=call,
        choices=_choices(call),
        powers=powers(call.watch, call.doors),
        most=MOST_GUESTS,
    )


@watch_pages.get("/roll-call")
def roll_call() -> str:
    """List who may be inside, by name; each look is recorded."""
    call = parts().reader.roll_call(site_id())
    note_look("roll-call", looks.DUTY, among=[one.person.id for one in call.people])
    return render_template("roll_call.html", call=call)


@watch_pages.post("/offer")
def offer() -> Response:
    """Offer the watch to another guardian."""
    to = MemberId(request.form.get("to", ""))
    return _do(lambda by: WatchOffered(by=by, to=to), lazy_gettext("Offered: they take it now."))


@watch_pages.post("/take")
def take() -> Response:
    """Take the watch that was offered."""
    return _do(lambda by: WatchTaken(by=by), lazy_gettext("The watch is yours. Thank you!"))


@watch_pages.post("/close")
def close() -> Response:
    """Begin to close."""
    return _do(lambda by: CloseAsked(by=by), lazy_gettext("Closing: ask everyone to leave."))


@watch_pages.post("/sign")
def sign() -> Response:
    """Sign the roll-call: the watch ends."""
    return _do(
        lambda by: RollCallSigned(by=by), lazy_gettext("Signed. The watch is closed. Good night!")
    )


@watch_pages.post("/guests")
def guests() -> Response:
    """Count guests in or out."""
    change = _number("change", -MOST_GUESTS, MOST_GUESTS)
    if change == 0:
        abort(400)
    return _do(lambda by: GuestsChanged(by=by, change=change), lazy_gettext("Counted."))


@watch_pages.post("/recount")
def recount() -> Response:
    """Take the viewer's word for how many are inside."""
    people = _number("people", 0, 100_000)
    return _do(lambda by: RecountedTotal(by=by, people=people), lazy_gettext("Counted."))


def _do(make: Callable[[MemberId], DeskEvent], done: Later) -> Response:
    """Hand what was asked for to the gate, say how it went, and show the page again."""
    event = make(a_viewer().member)
    try:
        parts().gatehouse.handle(site_id(), [event], parts().clock.now())
    except DeskError as error:
        flash(_refused(error), "refused")
    else:
        flash(str(done), "done")
    return redirect(url_for("watch.watch", site=site().id))


def _refused(error: DeskError) -> str:
    if isinstance(error.__cause__, CountError):
        return gettext("There are not so many guests inside.")
    return refusal(error)


def _number(name: str, least: int, most: int) -> int:
    try:
        number = int(request.form.get(name, ""))
    except ValueError:
        abort(400)
    if not least <= number <= most:
        abort(400)
    return number


def _choices(call: RollCall) -> Choices:
    looking = viewer()
    if looking is None or call.watch is None:
        is_staff = looking is not None and looking.is_staff
        return Choices(is_holder=False, is_in_charge=is_staff, can_take=False, heirs=())
    holder = call.watch.guardian.id
    offered = call.watch.offered_to
    return Choices(
        is_holder=looking.member == holder,
        is_in_charge=looking.is_staff or looking.member == holder,
        can_take=offered is not None and offered.id == looking.member,
        heirs=tuple(
            (one.person.id, one.person.name)
            for one in call.people
            if one.is_guardian and one.person.id != holder
        ),
    )
