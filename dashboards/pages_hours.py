"""Each member's statement of the time bank, and of a nomad's presence; they spend from it here."""

import secrets
from typing import Final

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from access.model import Plan
from access.presence_hours import NotOverError, PresenceMonth
from access.time_bank import (
    FIRST_MONTH,
    MOST_MINUTES,
    Month,
    OverdrawnError,
    Statement,
    TimeBankError,
    month_of,
    parse_month,
)
from dashboards.parts import a_viewer, parts, site, zone
from dashboards.texts import gettext, lazy_gettext
from server import time_bank
from server.presence_accounts import presence_of
from server.registry import RegistryError, find_member
from server.time_bank import statement, to_csv

hours_pages = Blueprint("hours", __name__)

_NOT_OVER: Final = lazy_gettext("That is more than what is left to pay of this month.")
_NOT_THERE: Final = lazy_gettext("That is more than what your time bank holds.")
_CANNOT: Final = lazy_gettext("That can't be spent. Load the page again, or ask the desk.")
_LONGEST_KEY: Final = 60


@hours_pages.get("/me/hours")
def page() -> str:
    """Show what happened to the viewer's minutes in a month."""
    found = _own()
    return render_template(
        "hours.html",
        statement=found,
        before=found.month.before() if found.month > FIRST_MONTH else None,
        after=found.month.next() if found.month < _this_month() else None,
        presence=_presence(found.month),
        key=secrets.token_urlsafe(12),
    )


@hours_pages.get("/me/hours.csv")
def table() -> Response:
    """Give the same for a spreadsheet."""
    found = _own()
    answer = Response(to_csv([found], zone()), mimetype="text/csv")
    name = f"gardien-{found.month}.csv"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@hours_pages.post("/me/hours/spend")
def spend() -> Response:
    """Spend the viewer's own minutes against what they were present beyond their plan's hours."""
    month, minutes = _asked_month(), _asked_minutes()
    try:
        with parts().database.writing() as connection:
            time_bank.spend(
                connection,
                place=site(),
                member=a_viewer().member,
                minutes=minutes,
                month=month,
                by=a_viewer().member,
                at=parts().clock.now(),
                key=_asked_key(),
            )
    except (TimeBankError, RegistryError) as error:
        flash(_refused(error), "refused")
    else:
        flash(gettext("Spent. Thank you for your watches!"), "done")
    return redirect(url_for("hours.page", month=month, site=site().id))


def _refused(error: Exception) -> str:
    if isinstance(error, NotOverError):
        return str(_NOT_OVER)
    return str(_NOT_THERE if isinstance(error, OverdrawnError) else _CANNOT)


def _presence(month: Month) -> PresenceMonth | None:
    """Say what the viewer was present at this site; None for whom no presence is counted."""
    if site().plans.nomad.hours_a_month is None:
        return None
    with parts().database.reading() as connection:
        if find_member(connection, a_viewer().member).plan is not Plan.NOMAD:
            return None
        now = parts().clock.now()
        return presence_of(connection, site(), a_viewer().member, month, now)


def _asked_minutes() -> int:
    try:
        minutes = int(request.form.get("minutes", ""))
    except ValueError:
        abort(400)
    if not 0 < minutes <= MOST_MINUTES:
        abort(400)
    return minutes


def _asked_key() -> str:
    """Give the name of the form that was sent: sent twice, it spends once."""
    key = request.form.get("key", "")
    if not 0 < len(key) <= _LONGEST_KEY:
        abort(400)
    return f"{a_viewer().member}/{key}"


def _own() -> Statement:
    """Read the viewer's own statement; nobody else's can be asked for."""
    with parts().database.reading() as connection:
        return statement(connection, a_viewer().member, _asked_month(), zone())


def _asked_month() -> Month:
    asked = request.values.get("month")
    try:
        return _this_month() if asked is None else parse_month(asked)
    except TimeBankError:
        abort(404)


def _this_month() -> Month:
    return month_of(parts().clock.now(), zone())
