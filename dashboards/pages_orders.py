"""Orders to doors: unlock, hold and release one; lock all of them down, and lift that."""

from dataclasses import dataclass
from typing import Final

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from access.ids import DoorId
from access.model import Audience
from dashboards.parts import a_viewer, parts, site, site_id, viewer
from dashboards.texts import Later, lazy_gettext
from dashboards.words import refusal
from server.board import DoorView, WatchView
from server.desk import DeskError
from server.events import DoorOrdered, Order

orders_pages = Blueprint("orders", __name__, url_prefix="/doors")

_ONE_DOOR: Final[dict[str, Order]] = {"unlock": "unlock", "hold": "hold", "release": "release"}
_ALL_DOORS: Final[dict[str, Order]] = {"lockdown": "lockdown", "lift": "lift"}
_PAGES: Final = {"board": "board.board", "watch": "watch.watch"}

_SENT: Final[dict[Order, Later]] = {
    "unlock": lazy_gettext("Sent: the door unlocks at once, if it is in reach."),
    "hold": lazy_gettext("Sent: the door stays unlocked while the watch is open."),
    "release": lazy_gettext("Sent: the door locks again."),
    "lockdown": lazy_gettext("Locked down: only staff come in. The way out stays free."),
    "lift": lazy_gettext("The lockdown is lifted."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Powers:
    """What the viewer may order of the doors.

    Attributes:
        is_in_charge: whether they may order at all.
        may_hold: whether a door may be held now: a watch is open to the public.
        locked: the doors that are locked down.
        is_whole: whether those are all.
    """

    is_in_charge: bool
    may_hold: bool
    locked: tuple[DoorView, ...]
    is_whole: bool


def powers(watch: WatchView | None, doors: tuple[DoorView, ...]) -> Powers:
    """Find out what the viewer may order, as the site stands."""
    looking = viewer()
    is_on_watch = looking is not None and watch is not None and watch.guardian.id == looking.member
    locked = tuple(door for door in doors if door.is_locked_down)
    return Powers(
        is_in_charge=is_on_watch or (looking is not None and looking.is_staff),
        may_hold=watch is not None and not watch.is_closing and watch.audience is Audience.PUBLIC,
        locked=locked,
        is_whole=len(locked) == len(doors),
    )


@orders_pages.post("/<door>/order")
def give(door: str) -> Response:
    """Order something of one door."""
    do = _ONE_DOOR.get(request.form.get("do", ""))
    if do is None:
        abort(400)
    if door not in {one.id for one in site().doors}:
        abort(404)
    return _do((DoorId(door),), do)


@orders_pages.get("/lockdown")
def confirm() -> str:
    """Ask whether all doors are to be locked down, or the lockdown lifted."""
    found = parts().reader.doors(site_id())
    locked = [one for one in found if one.is_locked_down]
    do = _ALL_DOORS.get(request.args.get("do", "lift" if locked else "lockdown"))
    if do is None:
        abort(400)
    return render_template("lockdown.html", do=do, doors=found, locked=locked, back=_back())


@orders_pages.post("/lockdown")
def rule() -> Response:
    """Lock all doors down, or lift that."""
    do = _ALL_DOORS.get(request.form.get("do", ""))
    if do is None:
        abort(400)
    return _do((), do)


def _do(doors: tuple[DoorId, ...], do: Order) -> Response:
    """Hand the order to the gate, say how it went, and show the page that it came from."""
    event = DoorOrdered(by=a_viewer().member, doors=doors, do=do)
    try:
        parts().gatehouse.handle(site_id(), [event], parts().clock.now())
    except DeskError as error:
        flash(refusal(error), "refused")
    else:
        flash(str(_SENT[do]), "done")
    return redirect(url_for(_PAGES[_back()], site=site().id))


def _back() -> str:
    asked = request.values.get("back", "")
    return asked if asked in _PAGES else "watch"
