"""The demonstration's panel: present a badge to a simulated door."""

from flask import Blueprint, abort, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from access.ids import DoorId
from access.model import Reader
from dashboards.parts import parts, site, site_id
from dashboards.texts import gettext

demo_pages = Blueprint("demo", __name__, url_prefix="/demo")


@demo_pages.post("/tap")
def tap() -> Response:
    """Present a badge."""
    demo = parts().demo
    if demo is None:
        abort(404)
    uid = request.form.get("uid", "")
    label = next((badge.label for badge in demo.badges if badge.uid == uid), None)
    if label is None:
        abort(400)
    door, reader = _reader(request.form.get("reader", ""))
    try:
        demo.tap(site_id(), door, reader, uid)
    except ValueError as error:
        flash(str(error), "refused")
    else:
        flash(gettext("%(label)s: badge presented.", label=label), "done")
    return redirect(url_for("board.board", site=site().id, uid=uid, _anchor="demo"))


def _reader(text: str) -> tuple[DoorId, Reader]:
    """Read a door and its reader, written `door/in`."""
    door, _, reader = text.partition("/")
    known = {one.id: one.readers for one in site().doors}
    if reader not in known.get(door, ()):
        abort(400)
    return DoorId(door), Reader(reader)
