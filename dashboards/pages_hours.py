"""Each member's statement of the time bank: a page to read or to print, and the same as CSV."""

from flask import Blueprint, abort, render_template, request
from werkzeug.wrappers import Response

from access.time_bank import Month, Statement, TimeBankError, month_of, parse_month
from dashboards.parts import a_viewer, parts, zone
from server.time_bank import statement, to_csv

hours_pages = Blueprint("hours", __name__)


@hours_pages.get("/me/hours")
def page() -> str:
    """Show what happened to the viewer's minutes in a month."""
    found = _own()
    return render_template(
        "hours.html",
        statement=found,
        before=_before(found.month),
        after=found.month.next() if found.month < _this_month() else None,
    )


@hours_pages.get("/me/hours.csv")
def table() -> Response:
    """Give the same for a spreadsheet."""
    found = _own()
    answer = Response(to_csv([found], zone()), mimetype="text/csv")
    name = f"gardien-{found.month}.csv"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _own() -> Statement:
    """Read the viewer's own statement; nobody else's can be asked for."""
    with parts().database.reading() as connection:
        return statement(connection, a_viewer().member, _asked_month(), zone())


def _asked_month() -> Month:
    asked = request.args.get("month")
    try:
        return _this_month() if asked is None else parse_month(asked)
    except TimeBankError:
        abort(404)


def _this_month() -> Month:
    return month_of(parts().clock.now(), zone())


def _before(month: Month) -> Month | None:
    if month.month > 1:
        return Month(year=month.year, month=month.month - 1)
    return Month(year=month.year - 1, month=12) if month.year > 1 else None
