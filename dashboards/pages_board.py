"""The live board, the screen for the hall, the curves, and the streams behind them."""

from dataclasses import replace
from datetime import datetime, time, timedelta

from flask import Blueprint, Response, abort, render_template, request

from access.calendar import instant
from access.instants import utc
from access.time_bank import FIRST_MONTH, Month, TimeBankError, month_of, parse_month
from dashboards.curve import HOUR, Curve, Drawing, draw, to_curve, to_month_curve
from dashboards.live import TooManyStreamsError
from dashboards.looking import note_what_goes_on
from dashboards.pages_orders import powers
from dashboards.parts import parts, site, site_id, zone
from dashboards.standing import standing
from server.history import RAW_KEPT, HistoryError, Retention

board_pages = Blueprint("board", __name__)

_NARROW = Drawing(width=360, height=220, every_h=4)
_WIDE = Drawing(width=760, height=220, every_h=2)


@board_pages.get("/")
def board() -> str:
    """Show the live board; that somebody follows it who is not on watch is recorded."""
    note_what_goes_on("board")
    found = parts().reader.board(site_id())
    may = powers(found.watch, found.doors)
    return render_template(
        "board.html",
        board=found,
        powers=may,
        demo=parts().demo,
        is_unwritten=parts().is_unwritten(),
    )


@board_pages.get("/kiosk")
def kiosk() -> str:
    """Show the numbers large, and nobody's name."""
    return render_template("kiosk.html", occupancy=parts().reader.occupancy(site_id()))


@board_pages.get("/live")
def live() -> Response:
    """Stream the marks of the board."""
    return _stream(is_public=False)


@board_pages.get("/live/numbers")
def live_numbers() -> Response:
    """Stream the marks of the public numbers, which tell no more than the numbers do."""
    return _stream(is_public=True)


@board_pages.get("/curve")
def curve() -> str:
    """Show the curve of the day, or of the month that is asked for, with the same as a table."""
    month = _asked_month()
    if month is not None:
        return render_template(
            "month.html",
            month=month,
            curve=_month_curve(month),
            before=month.before() if month > FIRST_MONTH else None,
            after=month.next() if month < month_of(parts().clock.now(), zone()) else None,
        )
    found = _curve()
    this_month = month_of(parts().clock.now(), zone())
    day = found.start if found else _midnight()
    return render_template("curve.html", curve=found, day=day, month=this_month)


@board_pages.get("/curve.svg")
def curve_svg() -> Response:
    """Draw the curve of the day, or of the month that is asked for."""
    month = _asked_month()
    found = _curve() if month is None else _month_curve(month)
    is_narrow = request.args.get("narrow") is not None
    drawn = None if found is None else draw(found, _NARROW if is_narrow else _WIDE)
    size = _NARROW if is_narrow else _WIDE
    svg = render_template("curve.svg", drawn=drawn, size=size)
    return Response(svg, mimetype="image/svg+xml")


def _stream(*, is_public: bool) -> Response:
    try:
        # waitress tells when it is asked to read on while it answers: see `dashboards.program`.
        is_gone = request.environ.get("waitress.client_disconnected", lambda: False)
        stream = parts().hub.stream(
            site_id(), is_public=is_public, is_gone=is_gone, is_welcome=standing()
        )
    except TooManyStreamsError as error:
        return Response(f"{error}\n", 503, {"Retry-After": "30"}, mimetype="text/plain")
    # A proxy that gathers what it passes on would hold the news back.
    headers = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
    return Response(stream, headers=headers, mimetype="text/event-stream")


def _curve() -> Curve | None:
    """Read today's curve; None when the history is away."""
    start, now = _midnight(), parts().clock.now()
    try:
        read = parts().history.occupancy(
            site_id(), start=start, end=max(now, start + timedelta(seconds=1))
        )
    except HistoryError:
        return None
    tomorrow = datetime.combine(now.astimezone(zone()).date() + timedelta(days=1), time())
    curve = to_curve(
        read.samples,
        start=start,
        end=instant(tomorrow, zone(), is_end=False),
        now=now,
        capacity=site().capacity,
        zone=zone(),
    )
    return replace(curve, is_stand_in=read.is_stand_in)


def _asked_month() -> Month | None:
    """Read the month that is asked for, if one is; there is none after this one."""
    asked = request.args.get("month")
    try:
        month = None if asked is None else parse_month(asked)
    except TimeBankError:
        abort(404)
    if month is not None and month > month_of(parts().clock.now(), zone()):
        abort(404)
    return month


def _month_curve(month: Month) -> Curve | None:
    """Read the curve of a month, hour by hour; None when the history is away."""
    span, now = month.span(zone()), parts().clock.now()
    is_raw = span.start >= now - RAW_KEPT
    try:
        read = parts().history.occupancy(
            site_id(),
            start=span.start,
            end=span.end,
            step=HOUR,
            retention=Retention.RAW if is_raw else Retention.HOURLY,
        )
    except HistoryError:
        return None
    curve = to_month_curve(
        read.samples,
        start=span.start,
        end=span.end,
        now=now,
        capacity=site().capacity,
        zone=zone(),
    )
    return replace(curve, is_stand_in=read.is_stand_in)


def _midnight() -> datetime:
    """The first instant of today, at the site."""
    today = parts().clock.now().astimezone(zone()).date()
    return utc(instant(datetime.combine(today, time()), zone(), is_end=False))
