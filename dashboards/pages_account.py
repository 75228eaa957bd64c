"""Log-in and log-out, the language, and each member's own page."""

from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask import session as browser_session
from werkzeug.wrappers import Response

from dashboards.guard import cookie_name
from dashboards.languages import COOKIE, LANGUAGES, ONE_YEAR_S
from dashboards.parts import a_viewer, door_names, parts, site, viewer
from dashboards.texts import lazy_gettext
from server import sessions
from server.accounts import check_password
from server.personal import Personal, personal

account_pages = Blueprint("account", __name__)

_SHOWN: Final = 40
_NOBODY: Final = lazy_gettext("E-mail or password not right.")


@account_pages.get("/login")
def login() -> str | Response:
    """Ask who is there."""
    if viewer() is not None:
        return redirect(_inside(request.args.get("next")))
    return render_template("login.html", next=request.args.get("next", ""))


@account_pages.post("/login")
def enter() -> Response | tuple[str, int]:
    """Open a session, if the password is right."""
    email, password = request.form.get("email", ""), request.form.get("password", "")
    account = check_password(parts().database, email, password)
    if account is None:
        flash(str(_NOBODY), "refused")
        after = request.form.get("next", "")
        return render_template("login.html", next=after, email=email[:254]), 401
    with parts().database.writing() as connection:
        sessions.end(connection, request.cookies.get(cookie_name(), ""))
        token = sessions.begin(connection, account.email, parts().clock.now())
    # What was in the browser before belongs to nobody: a new session, and a new CSRF token.
    browser_session.clear()
    answer = redirect(_inside(request.form.get("next")))
    _set_cookie(answer, cookie_name(), token, sessions.LONGEST.total_seconds())
    return answer


@account_pages.post("/logout")
def logout() -> Response:
    """End the session, on the server."""
    with parts().database.writing() as connection:
        sessions.end(connection, a_viewer().token)
    browser_session.clear()
    answer = redirect(url_for("account.login"))
    answer.delete_cookie(cookie_name(), secure=parts().settings.dashboard.behind_tls)
    answer.headers["Clear-Site-Data"] = '"cache"'
    return answer


@account_pages.get("/language/<code>")
def language(code: str) -> Response:
    """Remember the language that was picked."""
    answer = redirect(_inside(request.args.get("next")))
    if code in LANGUAGES:
        _set_cookie(answer, COOKIE, code, ONE_YEAR_S)
    return answer


@account_pages.get("/me")
def me() -> str:
    """Show each member what is held on them."""
    return render_template("me.html", **own_page())


def own_page() -> dict[str, object]:
    """Give what the viewer's own page shows, for its template."""
    return {"me": _own(), "doors": door_names(), "keep_days": site().keep_days}


def _own() -> Personal:
    with parts().database.reading() as connection:
        return personal(connection, a_viewer().member, _SHOWN)


def _inside(target: str | None) -> str:
    """Give a path of our own to go on to; anything else goes to the first page."""
    is_ours = (
        target is not None
        and target.startswith("/")
        and not target.startswith(("//", "/\\"))
        and target.isprintable()
    )
    return target if is_ours and target is not None else url_for("board.board")


def _set_cookie(answer: Response, name: str, value: str, max_age_s: float) -> None:
    answer.set_cookie(
        name,
        value,
        max_age=int(max_age_s),
        path="/",
        secure=parts().settings.dashboard.behind_tls,
        httponly=True,
        samesite="Lax",
    )
