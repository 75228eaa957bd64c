"""The Flask application: its parts are passed in, and nothing is opened here."""

import logging
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from flask import Flask, Response, g, render_template, request
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response as AnyResponse

from access.ids import SiteId
from dashboards import guard, words
from dashboards.api import ADMISSIONS, make_api
from dashboards.api_problems import Problem, problem_of
from dashboards.guard import Who
from dashboards.headers import send_headers
from dashboards.languages import ago, speak
from dashboards.limits import limit
from dashboards.live import Hub, Marks
from dashboards.metrics_prometheus import Metrics
from dashboards.metrics_senders import FollowersReader
from dashboards.metrics_server import ServerReport
from dashboards.pages_account import account_pages
from dashboards.pages_alerts import alert_pages
from dashboards.pages_board import board_pages
from dashboards.pages_calendar import calendar_pages
from dashboards.pages_demo import demo_pages
from dashboards.pages_held import held_pages
from dashboards.pages_hours import hours_pages
from dashboards.pages_looks import looks_pages
from dashboards.pages_orders import orders_pages
from dashboards.pages_privacy import privacy_pages
from dashboards.pages_public import health_pages, public_pages
from dashboards.pages_watch import watch_pages
from dashboards.pages_why import why_pages
from dashboards.parts import EXTENSION, Demo, Parts, parts, viewer
from dashboards.readiness import Readiness
from runtime.clock import Clock
from server.board_reader import BoardReader
from server.calendar_member import MemberCalendars
from server.database import Database, DatabaseError
from server.follower import NAME, STAND_IN
from server.gatehouse import Gatehouse
from server.history import History
from server.history_reading import HistoryReader
from server.notifier_followers import names_of
from server.settings import ServerSettings
from server.silence import SILENT_AFTER

_log = logging.getLogger(__name__)

_ONE_DAY: Final = timedelta(days=1)
_MOST_BYTES: Final = 64 * 1024
_PAGES: Final = (
    board_pages,
    alert_pages,
    watch_pages,
    orders_pages,
    why_pages,
    looks_pages,
    account_pages,
    held_pages,
    hours_pages,
    calendar_pages,
    demo_pages,
    privacy_pages,
    public_pages,
    health_pages,
)
_ERRORS: Final = (400, 401, 403, 404, 405, 413, 429, 500, 503)


def create_app(
    *,
    database: Database,
    gatehouse: Gatehouse,
    history: History,
    stand_in: History | None = None,
    settings: ServerSettings,
    clock: Clock,
    demo: Demo | None = None,
    cursors: Database | None = None,
    report: ServerReport | None = None,
    is_unwritten: Callable[[], bool] = lambda: False,
    metrics_token: str | None = None,
    secret: bytes | None = None,
    most_streams: int | None = None,
) -> Flask:
    """Make the application. Opens nothing; close its hub with `hub_of(app).close()`.

    Args:
        database: registry, ledger, log-ins.
        gatehouse: does what is asked for at the desk.
        history: the curve of the day.
        stand_in: answers while the history is away; None for nothing.
        settings: sites, language, threads.
        clock: the time.
        demo: the demonstration's panel; None for none.
        cursors: where the history's follower notes how far it is, for `/metrics`; None to leave
            that out.
        report: what the server's program tells of itself, for `/metrics`; None to leave it out.
        is_unwritten: whether the server says that it can't write its ledger now.
        metrics_token: with which `/metrics` may be read from elsewhere; None for this machine only.
        secret: signs the forms, at least 16 bytes; give the same to all processes that serve the
            same address. None for one of this process's own: forms that are open when it ends must
            be sent again, log-ins are not touched.
        most_streams: live pages at once; None for half of the threads.
    """
    app = Flask(__name__)
    is_tls = settings.dashboard.behind_tls
    app.config.update(
        SECRET_KEY=secret or secrets.token_bytes(32),
        MAX_CONTENT_LENGTH=_MOST_BYTES,
        MAX_FORM_MEMORY_SIZE=_MOST_BYTES,
        SESSION_COOKIE_NAME="__Host-gardien-form" if is_tls else "gardien-form",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=is_tls,
        SEND_FILE_MAX_AGE_DEFAULT=timedelta(hours=1),
        WTF_CSRF_TIME_LIMIT=12 * 3600,
    )
    # A demonstration's clock leaps over the dull hours, in which no door could say anything.
    silent_after = SILENT_AFTER if demo is None else _ONE_DAY
    reader = BoardReader(
        database=database, sites=settings.sites, clock=clock, silent_after=silent_after
    )
    hub = Hub(
        read=lambda: read_marks(reader),
        most=most_streams or max(1, settings.dashboard.threads // 2),
    )
    followers = (
        FollowersReader(
            database=database,
            cursors=cursors,
            names=names_of(settings),
            clock=clock,
            histories=(NAME,) if stand_in is None else (NAME, STAND_IN),
        )
        if cursors is not None
        else None
    )
    app.extensions[EXTENSION] = Parts(
        database=database,
        gatehouse=gatehouse,
        history=HistoryReader(history, stand_in),
        settings=settings,
        clock=clock,
        reader=reader,
        hub=hub,
        calendars=MemberCalendars(database=database, sites=settings.sites, clock=clock),
        metrics=Metrics(
            database=database,
            reader=reader,
            sites=settings.sites,
            clock=clock,
            followers=followers,
            report=report,
        ),
        readiness=Readiness(database=database, reader=reader, followers=followers, report=report),
        is_unwritten=is_unwritten,
        metrics_token=metrics_token,
        demo=demo,
    )
    if is_tls:
        # One proxy stands in front, and says who asked and over what.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]
    speak(app)
    guard.guard(app, ADMISSIONS)
    csrf = CSRFProtect(app)
    send_headers(app)
    api = make_api()
    csrf.exempt(api)  # it asks by itself, unless there is a token
    for pages in (*_PAGES, api):
        app.register_blueprint(pages)
    limit(app)
    _dress(app)
    _handle_errors(app)
    return app


def hub_of(app: Flask) -> Hub:
    """Give the hub of an application, to close it."""
    found: Parts = app.extensions[EXTENSION]
    return found.hub


def read_marks(reader: BoardReader) -> dict[SiteId, Marks]:
    """Read the marks of each site: see `dashboards.live`."""
    return {
        site: Marks(board=str(version), public=reader.occupancy(site).mark)
        for site, version in reader.versions().items()
        if reader.knows(site)
    }


def _dress(app: Flask) -> None:
    """Give the templates what they use."""
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals.update(
        words=words,
        viewer=viewer,
        ago=lambda at: ago(parts().clock.now() - at),
        may_watch=lambda: _may(Who.KEEPER),
    )

    @app.context_processor
    def _common() -> dict[str, object]:
        found = parts()
        looking = viewer()
        own = () if looking is None else looking.sites
        return {
            "site": g.get("site") or found.settings.sites[0],
            "site_names": {one.id: one.name for one in found.settings.sites},
            "own_sites": [found.sites[one] for one in own],
            "now": found.clock.now(),
            "is_demo": found.demo is not None,
        }


def _may(who: Who) -> bool:
    looking = viewer()
    return looking is not None and (who is Who.MEMBER or looking.is_keeper)


def _handle_errors(app: Flask) -> None:
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(DatabaseError, _not_now)
    app.register_error_handler(Exception, _fault)


def _csrf(error: CSRFError) -> AnyResponse | tuple[str, int]:
    _log.warning("a form was refused on %r: %s", request.path, error.description)
    return Problem("form").answer() if _is_for_programs() else _page(400, "form")


def _http(error: HTTPException) -> AnyResponse | tuple[str, int]:
    if error.code in (301, 302, 303, 307, 308):
        return error.get_response()
    code = error.code or 500
    if code in (401, 403, 429):
        _log.warning("refused: %s %r: %d", request.method, request.path, code)
    if _is_for_programs():
        return problem_of(error).answer()
    return _page(code, str(code) if code in _ERRORS else "500")


def _not_now(error: DatabaseError) -> AnyResponse | tuple[str, int]:
    _log.error("a page could not be served now: %s", error)
    return Problem("not-now").answer() if _is_for_programs() else _page(503, "503")


def _fault(error: Exception) -> AnyResponse | tuple[str, int]:
    _log.error("a fault in %s %r", request.method, request.path, exc_info=error)
    return Problem("fault").answer() if _is_for_programs() else _page(500, "500")


def _is_for_programs() -> bool:
    return request.blueprint == guard.API or request.path.startswith(("/api/", "/live"))


def _page(code: int, kind: str) -> AnyResponse | tuple[str, int]:
    if request.blueprint in guard.MACHINES:
        return Response(f'{{"status": {code}}}', code, mimetype="application/json")
    return render_template("error.html", kind=kind, code=code), code
