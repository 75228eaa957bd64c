"""Who may open which page: one table, asked before each request. What is not in it is refused."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Final
from urllib.parse import urlencode

from flask import Flask, abort, g, redirect, request, url_for
from werkzeug.wrappers import Response

from access.ids import SiteId
from access.model import Plan, Status
from dashboards.api_caller import (
    api_token,
    must_have,
    recognise_token,
    refuse_token,
    sites_of_token,
)
from dashboards.networks import is_from
from dashboards.parts import Viewer, is_on_watch, parts, viewer
from server import calendar_addresses, registry, sessions
from server.api_tokens import ApiToken, Scope


class Who(Enum):
    """Who may open a page."""

    ANYONE = "anyone"
    OPERATOR = "this machine, or who has the token of the settings"
    HALL = "anyone on the site's network; staff and guardians from anywhere"
    MEMBER = "whoever is logged in"
    SUBSCRIBER = "members of the site, and their calendar programs"
    KEEPER = "staff and guardians"
    IN_CHARGE = "staff, and the guardian on watch"
    STAFF = "staff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Who may open a page, and with which token.

    Attributes:
        who: they may, logged in or by a token that acts for them.
        takes_tokens: whether a token is looked at; elsewhere it is nothing.
        scope: what a token must be for; None for any.
    """

    who: Who
    takes_tokens: bool = False
    scope: Scope | None = None


ROUTES: Final = {
    "static": Who.ANYONE,
    "health.healthz": Who.ANYONE,
    "health.readyz": Who.ANYONE,
    "health.metrics": Who.OPERATOR,
    "account.login": Who.ANYONE,
    "account.enter": Who.ANYONE,
    "account.logout": Who.MEMBER,
    "account.language": Who.ANYONE,
    "account.me": Who.MEMBER,
    "held.page": Who.MEMBER,
    "held.download": Who.MEMBER,
    "hours.page": Who.MEMBER,
    "hours.table": Who.MEMBER,
    "hours.spend": Who.MEMBER,
    "calendar.events": Who.SUBSCRIBER,
    "calendar.make": Who.MEMBER,
    "calendar.forget": Who.MEMBER,
    "board.board": Who.KEEPER,
    "board.kiosk": Who.HALL,
    "board.live": Who.KEEPER,
    "board.live_numbers": Who.HALL,
    "board.curve": Who.KEEPER,
    "board.curve_svg": Who.KEEPER,
    "alerts.take": Who.IN_CHARGE,
    "watch.watch": Who.KEEPER,
    "watch.offer": Who.KEEPER,
    "watch.take": Who.KEEPER,
    "watch.close": Who.IN_CHARGE,
    "watch.sign": Who.IN_CHARGE,
    "watch.guests": Who.IN_CHARGE,
    "watch.recount": Who.IN_CHARGE,
    "watch.roll_call": Who.IN_CHARGE,
    "orders.give": Who.IN_CHARGE,
    "orders.confirm": Who.IN_CHARGE,
    "orders.rule": Who.IN_CHARGE,
    "why.page": Who.KEEPER,
    "looks.ask": Who.STAFF,
    "looks.read": Who.STAFF,
    "demo.tap": Who.KEEPER,
    "public.spaceapi": Who.ANYONE,
    "privacy.notice": Who.ANYONE,
    "privacy.sign": Who.ANYONE,
    "privacy.register": Who.KEEPER,
}
"""Who may open each page, by the name of its view. Those of the API are in `dashboards.api`."""

STREAMS: Final = {
    "board.live": Scope.EVENTS_READ,
    "board.live_numbers": Scope.OCCUPANCY_READ,
}
"""The pages that are open to tokens too, each with the scope that it takes."""

API: Final = "api"
"""The blueprint of the API."""

MACHINES: Final = frozenset({API, "public", "health"})
"""The blueprints that machines read: they are told a status, and never sent to log in."""

_KEY: Final = "key"
"""What the token of a calendar's secret address is called."""

_THIS_MACHINE: Final = ("127.0.0.0/8", "::1/128")
_PARTS_OF_PAGES: Final = frozenset({"board.live", "board.live_numbers", "board.curve_svg"})
_WITHOUT_DATABASE: Final = frozenset(
    {"static", "health.healthz", "health.readyz", "api.openapi", "api.version"}
)


def guard(app: Flask, api: Mapping[str, Admission]) -> None:
    """Ask the table before each request.

    Args:
        app: to guard.
        api: who may call each operation of the API, by the name of its view.
    """
    pages = {
        view: Admission(who=who, takes_tokens=view in STREAMS, scope=STREAMS.get(view))
        for view, who in ROUTES.items()
    }
    app.before_request(partial(_admit, pages | dict(api)))


def cookie_name() -> str:
    """Name the cookie of the session; the prefix makes browsers refuse it unless it is safe."""
    return "__Host-gardien" if parts().settings.dashboard.behind_tls else "gardien"


def _admit(admissions: Mapping[str, Admission]) -> Response | None:
    endpoint = request.endpoint
    if endpoint is None:
        _choose_site()
        return None  # no such page: Flask says so
    admission = admissions.get(endpoint)
    if admission is None:
        abort(403)
    who = admission.who
    if who is Who.OPERATOR and not _is_operator():
        abort(401)
    if who is Who.OPERATOR or endpoint in _WITHOUT_DATABASE:
        return None
    _identify(admission)
    _choose_site()
    if _is_admitted(admission):
        return None
    if viewer() is not None or api_token() is not None:
        if endpoint == "board.board":
            return redirect(url_for("account.me"))
        abort(403)
    return _ask_to_log_in()


def _identify(admission: Admission) -> None:
    """Find out who is there: by their token, else by their log-in."""
    token = recognise_token() if admission.takes_tokens else None
    if token is not None:
        g.api_token = token
        g.viewer = None if token.member is None else _member_of(token)
    else:
        g.viewer = _recognise() or (_subscriber() if admission.who is Who.SUBSCRIBER else None)


def _is_admitted(admission: Admission) -> bool:
    who, token = admission.who, api_token()
    if token is not None:
        must_have(token, admission.scope)
        if SiteId(g.site.id) not in sites_of_token(token):
            return False
        if token.member is None:
            # Its scopes are those that nobody must answer for: see `server.api_tokens`.
            return who not in (Who.IN_CHARGE, Who.STAFF)
    return who is Who.ANYONE or _is_in_the_hall(who) or _may(who, viewer())


def _may(who: Who, looking: Viewer | None) -> bool:
    if looking is None:
        return False
    if who is Who.MEMBER:
        return True
    if SiteId(g.site.id) not in looking.sites:
        return False
    if who is Who.SUBSCRIBER or not looking.is_keeper:
        return who is Who.SUBSCRIBER
    if who is Who.STAFF:
        return looking.is_staff
    return who in (Who.KEEPER, Who.HALL) or looking.is_staff or is_on_watch(looking.member)


def _is_operator() -> bool:
    token = parts().metrics_token
    given = request.authorization
    has_token = (
        token is not None
        and given is not None
        and given.type == "bearer"
        and hmac.compare_digest((given.token or "").encode(), token.encode())
    )
    return has_token or is_from(_THIS_MACHINE)


def _is_in_the_hall(who: Who) -> bool:
    return who is Who.HALL and is_from(parts().settings.dashboard.kiosk_networks)


def _ask_to_log_in() -> Response:
    if request.blueprint in MACHINES or request.endpoint in _PARTS_OF_PAGES:
        abort(401)
    if _KEY in request.args:
        abort(401)  # a calendar program would take the log-in for the calendar
    login = url_for("account.login")
    if request.method != "GET":
        return redirect(login)
    return redirect(f"{login}?{urlencode({'next': request.full_path.rstrip('?')})}")


def _recognise() -> Viewer | None:
    """Find out whose session the cookie opens."""
    token = request.cookies.get(cookie_name())
    if not token:
        return None
    database, now = parts().database, parts().clock.now()
    with database.reading() as connection:
        session = sessions.find(connection, token, now)
        if session is None:
            return None
        person = registry.find_member(connection, session.member)
    if person.status is Status.ENDED:
        return None
    if session.is_stale(now):
        with database.writing() as connection:
            sessions.touch(connection, token, now)
    return _viewer(person, email=session.email, token=token)


def _subscriber() -> Viewer | None:
    """Find out whose secret address was asked for."""
    key = request.args.get(_KEY)
    if not key:
        return None
    with parts().database.reading() as connection:
        member = calendar_addresses.find(connection, key)
        if member is None:
            return None
        person = registry.find_member(connection, member)
    return None if person.status is Status.ENDED else _viewer(person, email="", token="")


def _member_of(token: ApiToken) -> Viewer:
    """Find out for whom a token acts."""
    with parts().database.reading() as connection:
        person = registry.find_member(connection, str(token.member))
    if person.status is Status.ENDED:
        refuse_token()
    found = _viewer(person, email="", token="")
    return replace(found, sites=tuple(s for s in found.sites if s in sites_of_token(token)))


def _viewer(person: registry.Person, *, email: str, token: str) -> Viewer:
    now = parts().clock.now()
    is_active = person.status is Status.ACTIVE and person.validity.holds(now)
    return Viewer(
        member=person.id,
        name=person.name,
        email=email,
        language=person.language,
        is_staff=is_active and person.plan is Plan.STAFF,
        is_guardian=is_active and person.is_guardian,
        sites=tuple(site for site in parts().sites if site in person.sites),
        token=token,
    )


def _choose_site() -> None:
    """Choose the site that the page is about: the one asked for, else the viewer's first."""
    sites = parts().sites
    looking = viewer()
    wanted = (request.view_args or {}).get("slug", request.args.get("site"))
    if wanted is None:
        own = looking.sites if looking is not None else _sites_of_nobody()
        g.site = sites[(own or tuple(sites))[0]]
        return
    g.site = next(iter(sites.values()))
    found = sites.get(SiteId(wanted))
    if found is None:
        abort(404)
    g.site = found


def _sites_of_nobody() -> tuple[SiteId, ...]:
    token = api_token()
    return () if token is None else sites_of_token(token)
