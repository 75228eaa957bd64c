"""The API: one table of operations, from which they are routed, guarded and described."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec
from flask import Blueprint, Response, current_app, request

from access.messages import OccupancyReport
from dashboards import api_alerts, api_hours, api_looks, api_me, api_people, api_place, api_watch
from dashboards.api_caller import api_token
from dashboards.api_description import describe
from dashboards.api_once import once
from dashboards.api_operations import ROOT, Operation
from dashboards.api_problems import Problem
from dashboards.guard import API, Who
from dashboards.texts import gettext
from server.api_tokens import Scope

_S = TypeVar("_S", bound=msgspec.Struct)

_JSON: Final = "application/json"
_DESK: Final = (409,)


def openapi() -> dict[str, Any]:
    """Describe the API."""
    return describe(OPERATIONS)


OPERATIONS: Final = (
    Operation(
        name="openapi",
        rule="/openapi.json",
        summary="This description.",
        who=Who.ANYONE,
        view=openapi,
        answer=dict,
        of_site=False,
    ),
    Operation(
        name="version",
        rule="/version",
        summary="Which program answers.",
        who=Who.ANYONE,
        view=api_place.version,
        answer=api_place.VersionAnswer,
        of_site=False,
    ),
    Operation(
        name="sites",
        rule="/sites",
        summary="The caller's sites and their doors.",
        who=Who.MEMBER,
        view=api_place.sites,
        answer=api_place.SitesAnswer,
        of_site=False,
    ),
    Operation(
        name="occupancy",
        rule="/occupancy",
        summary="How many are inside. Numbers only.",
        who=Who.HALL,
        scope=Scope.OCCUPANCY_READ,
        view=api_place.occupancy,
        answer=OccupancyReport,
    ),
    Operation(
        name="history",
        rule="/occupancy/history",
        summary="How many were inside through a day, or another time.",
        who=Who.KEEPER,
        scope=Scope.HISTORY_READ,
        view=api_place.history,
        query=api_place.HistoryQuery,
        answer=api_place.HistoryAnswer,
    ),
    Operation(
        name="doors",
        rule="/doors",
        summary="The doors and how they stand.",
        who=Who.KEEPER,
        scope=Scope.DOORS_READ,
        view=api_place.doors,
        answer=api_place.DoorsAnswer,
    ),
    Operation(
        name="order",
        method="POST",
        rule="/doors/<door>/orders",
        summary="Tell a door to do something.",
        who=Who.IN_CHARGE,
        scope=Scope.DOORS_WRITE,
        view=api_watch.order,
        body=api_watch.OrderBody,
        answer=api_watch.OrderAnswer,
        status=202,
        refusals=(*_DESK, 422),
        is_once=True,
    ),
    Operation(
        name="order_all",
        method="POST",
        rule="/doors/orders",
        summary="Tell all doors of the site to do something: lockdown, lift.",
        who=Who.IN_CHARGE,
        scope=Scope.DOORS_WRITE,
        view=api_watch.order_all,
        body=api_watch.OrderBody,
        answer=api_watch.OrderAnswer,
        status=202,
        refusals=(*_DESK, 422),
        is_once=True,
    ),
    Operation(
        name="watch",
        rule="/watch",
        summary="The watch that runs, if any.",
        who=Who.KEEPER,
        scope=Scope.WATCH_READ,
        view=api_watch.watch,
        answer=api_watch.WatchAnswer,
    ),
    Operation(
        name="offer",
        method="POST",
        rule="/watch/offer",
        summary="Offer the watch to another guardian.",
        who=Who.KEEPER,
        scope=Scope.WATCH_WRITE,
        view=api_watch.offer,
        body=api_watch.OfferBody,
        answer=api_watch.WatchDone,
        refusals=_DESK,
    ),
    Operation(
        name="take",
        method="POST",
        rule="/watch/take",
        summary="Take the watch that was offered.",
        who=Who.KEEPER,
        scope=Scope.WATCH_WRITE,
        view=api_watch.take,
        answer=api_watch.WatchDone,
        refusals=_DESK,
    ),
    Operation(
        name="close",
        method="POST",
        rule="/watch/close",
        summary="Begin to close.",
        who=Who.IN_CHARGE,
        scope=Scope.WATCH_WRITE,
        view=api_watch.close,
        answer=api_watch.WatchDone,
        refusals=_DESK,
    ),
    Operation(
        name="sign",
        method="POST",
        rule="/watch/sign",
        summary="Sign the roll-call: the watch ends.",
        who=Who.IN_CHARGE,
        scope=Scope.WATCH_WRITE,
        view=api_watch.sign,
        answer=api_watch.WatchDone,
        refusals=_DESK,
    ),
    Operation(
        name="guests",
        method="POST",
        rule="/watch/guests",
        summary="Count guests in or out.",
        who=Who.IN_CHARGE,
        scope=Scope.WATCH_WRITE,
        view=api_watch.guests,
        body=api_watch.GuestsBody,
        answer=api_watch.WatchDone,
        refusals=(*_DESK, 422),
        is_once=True,
    ),
    Operation(
        name="recount",
        method="POST",
        rule="/watch/recount",
        summary="Say how many are inside.",
        who=Who.IN_CHARGE,
        scope=Scope.WATCH_WRITE,
        view=api_watch.recount,
        body=api_watch.RecountBody,
        answer=api_watch.WatchDone,
        refusals=_DESK,
    ),
    Operation(
        name="roll_call",
        rule="/roll-call",
        summary="Who may be inside, by name. Each look is recorded, with its reason.",
        who=Who.IN_CHARGE,
        scope=Scope.PEOPLE_READ,
        view=api_people.roll_call,
        query=api_people.RollCallQuery,
        answer=api_people.RollCallAnswer,
    ),
    Operation(
        name="events",
        rule="/events",
        summary="What happened in the last two days, as the board tells it.",
        who=Who.KEEPER,
        scope=Scope.EVENTS_READ,
        view=api_people.events,
        query=api_people.EventsQuery,
        answer=api_people.EventsAnswer,
    ),
    Operation(
        name="alerts",
        rule="/alerts",
        summary="The latest alerts, and which of them are taken in charge.",
        who=Who.KEEPER,
        scope=Scope.EVENTS_READ,
        view=api_alerts.alerts,
        answer=api_alerts.AlertsAnswer,
    ),
    Operation(
        name="take_alert",
        method="POST",
        rule="/alerts/<int:number>/take",
        summary="Take an alert in charge.",
        who=Who.IN_CHARGE,
        scope=Scope.WATCH_WRITE,
        view=api_alerts.take,
        answer=api_alerts.AlertReport,
        refusals=_DESK,
    ),
    Operation(
        name="why",
        rule="/why/<int:entry>",
        summary="Why a badge was refused, row by row. Each look is recorded.",
        who=Who.KEEPER,
        scope=Scope.PEOPLE_READ,
        view=api_people.why,
        answer=api_people.WhyAnswer,
    ),
    Operation(
        name="looks",
        rule="/looks",
        summary="Who looked at whose records. Each reading is recorded, with its reason.",
        who=Who.STAFF,
        scope=Scope.PEOPLE_READ,
        view=api_looks.looks,
        query=api_looks.LooksQuery,
        answer=api_looks.LooksAnswer,
    ),
    Operation(
        name="me",
        rule="/me",
        summary="The member for whom the caller acts.",
        who=Who.MEMBER,
        scope=Scope.ME_READ,
        view=api_me.me,
        answer=api_me.MeAnswer,
        of_site=False,
    ),
    Operation(
        name="visits",
        rule="/me/visits",
        summary="One's own visits, newest first.",
        who=Who.MEMBER,
        scope=Scope.ME_READ,
        view=api_me.visits,
        query=api_me.VisitsQuery,
        answer=api_me.VisitsAnswer,
        of_site=False,
    ),
    Operation(
        name="hours",
        rule="/me/hours",
        summary="One's own statement of the time bank, for a month.",
        who=Who.MEMBER,
        scope=Scope.ME_READ,
        view=api_hours.hours,
        query=api_hours.HoursQuery,
        answer=api_hours.HoursAnswer,
    ),
    Operation(
        name="spend",
        method="POST",
        rule="/me/hours/spend",
        summary="Spend one's own minutes against the presence of a month.",
        who=Who.MEMBER,
        scope=Scope.ME_WRITE,
        view=api_hours.spend,
        body=api_hours.SpendBody,
        answer=api_hours.HoursAnswer,
        refusals=(*_DESK, 422),
        is_once=True,
    ),
    Operation(
        name="data",
        rule="/me/data",
        summary="All that is held on oneself.",
        who=Who.MEMBER,
        scope=Scope.ME_READ,
        view=api_me.data,
        answer=api_me.DataAnswer,
        of_site=False,
    ),
    Operation(
        name="make_calendar",
        method="POST",
        rule="/me/calendar",
        summary="Make one's secret address of the calendar, in place of the one before.",
        who=Who.MEMBER,
        scope=Scope.ME_WRITE,
        view=api_me.make_calendar,
        answer=api_me.CalendarAnswer,
        status=201,
        of_site=False,
    ),
    Operation(
        name="forget_calendar",
        method="DELETE",
        rule="/me/calendar",
        summary="End one's secret address of the calendar.",
        who=Who.MEMBER,
        scope=Scope.ME_WRITE,
        view=api_me.forget_calendar,
        answer=None,
        status=204,
        of_site=False,
    ),
)
"""All that the API does."""

ADMISSIONS: Final = {one.endpoint: one.admission for one in OPERATIONS}
"""Who may call each operation, by the name of its view."""


def make_api() -> Blueprint:
    """Make the blueprint of the API."""
    pages = Blueprint(API, __name__, url_prefix=ROOT)
    pages.before_request(_must_be_meant)
    for one in OPERATIONS:
        pages.add_url_rule(one.rule, one.name, _view(one), methods=[one.method])
    return pages


def _view(one: Operation) -> Callable[..., Response]:
    def view(**parts_of_path: object) -> Response:
        return _serve(one, parts_of_path)

    return view


def _must_be_meant() -> None:
    """Ask for the form's token where a cookie could have been sent by another site's page."""
    if api_token() is None:
        current_app.extensions["csrf"].protect()


def _serve(one: Operation, parts_of_path: Mapping[str, object]) -> Response:
    """Do what was asked for, and write the answer."""
    given = dict(parts_of_path)
    if one.query is not None:
        given["query"] = _query(one.query)
    if one.body is not None:
        given["body"] = _body(one.body)

    def do() -> Response:
        return _written(one, one.view(**given))

    return once(do) if one.is_once else do()


def _written(one: Operation, answer: object) -> Response:
    if one.answer is None:
        return Response(status=one.status)
    written = Response(msgspec.json.encode(answer), one.status, mimetype=_JSON)
    written.headers["Cache-Control"] = "no-store"
    return written


def _query(kind: type[_S]) -> _S:
    try:
        return msgspec.convert(request.args.to_dict(), kind, strict=False)
    except msgspec.ValidationError as error:
        raise Problem("bad-request", _not_so(error)) from error


def _body(kind: type[_S]) -> _S:
    if request.mimetype != _JSON:
        raise Problem("not-json")
    try:
        return msgspec.json.decode(request.get_data(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem("bad-request", _not_so(error)) from error


def _not_so(error: Exception) -> str:
    told = gettext("Compare it with /api/v1/openapi.json.")
    return f"{told} ({error})"
