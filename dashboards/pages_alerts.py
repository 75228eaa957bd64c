"""Alerts: somebody on duty takes them in charge, and they leave the board."""

from flask import Blueprint, abort, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from dashboards.parts import a_viewer, parts, site, site_id
from dashboards.texts import gettext
from dashboards.words import refusal
from server import alerts_list
from server.desk import DeskError
from server.events import AlertAcknowledged

alert_pages = Blueprint("alerts", __name__, url_prefix="/alerts")


@alert_pages.post("/take")
def take() -> Response:
    """Take alerts in charge, by their numbers; one that is taken already stays as it is."""
    asked = _numbers()
    with parts().database.reading() as connection:
        found = alerts_list.open_ones(alerts_list.listed(connection, site_id()))
    open_ = {one.alert.number for one in found}
    events = [
        AlertAcknowledged(by=a_viewer().member, alert=number) for number in asked if number in open_
    ]
    try:
        if events:
            parts().gatehouse.handle(site_id(), events, parts().clock.now())
    except DeskError as error:
        flash(refusal(error), "refused")
    else:
        flash(gettext("Taken in charge. Thank you!"), "done")
    return redirect(url_for("board.board", site=site().id))


def _numbers() -> list[int]:
    try:
        found = sorted({int(text) for text in request.form.getlist("number")})
    except ValueError:
        abort(400)
    if not 0 < len(found) <= alerts_list.MOST:
        abort(400)
    return found
