"""What machines read: the API, its description, SpaceAPI, and whether the program is well.

SpaceAPI 15: https://spaceapi.io/docs/. OpenAPI 3.1: https://spec.openapis.org/oas/v3.1.0.
"""

import importlib.metadata
from datetime import datetime
from typing import Any, Final

import msgspec
from flask import Blueprint, Response, abort

from access.messages import OccupancyReport
from dashboards.metrics_prometheus import CONTENT_TYPE
from dashboards.pages_why import WhyAnswer
from dashboards.parts import parts, site, site_id
from server.database import DatabaseError, DatabaseFaultError

api_pages = Blueprint("api", __name__)
health_pages = Blueprint("health", __name__)


class WatchReport(msgspec.Struct, frozen=True, kw_only=True):
    """The watch that runs."""

    guardian: str
    since: datetime
    over_by: datetime
    phase: str
    title: str | None
    audience: str
    minutes: int


class WatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The watch, or none."""

    watch: WatchReport | None


class DoorReport(msgspec.Struct, frozen=True, kw_only=True):
    """One door, as it last said."""

    id: str
    name: str
    contact: str
    leaf: str
    heard_at: datetime | None
    queue: int | None
    policy: int | None


class DoorsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The doors of a site."""

    doors: list[DoorReport]


_ANSWERS: Final[dict[str, tuple[type[msgspec.Struct], str, bool]]] = {
    "/api/v1/occupancy": (OccupancyReport, "How many are inside. Numbers only.", True),
    "/api/v1/watch": (WatchAnswer, "The watch that runs, if any.", False),
    "/api/v1/doors": (DoorsAnswer, "The doors and how they stand.", False),
    "/api/v1/why/{entry}": (WhyAnswer, "Why a badge was refused, row by row.", False),
}
"""Each path: what it answers, what for, and whether the site's network needs no log-in for it."""

_OR_HALL: Final = ", and without a log-in on the site's network (kiosk_networks in gardien.toml)"
_SITE: Final = {
    "name": "site",
    "in": "query",
    "required": False,
    "schema": {"type": "string"},
    "description": "id of the site; the first one if it is left out",
}
_ENTRY: Final = {
    "name": "entry",
    "in": "path",
    "required": True,
    "schema": {"type": "integer"},
    "description": "id of the ledger entry of a refusal",
}


@api_pages.get("/api/v1/openapi.json")
def openapi() -> Response:
    """Describe the API."""
    kinds = [kind for kind, *_ in _ANSWERS.values()]
    refs, schemas = msgspec.json.schema_components(
        kinds, ref_template="#/components/schemas/{name}"
    )
    session = {"type": "apiKey", "in": "cookie", "name": "gardien"}
    described = {
        "openapi": "3.1.0",
        "info": {"title": "gardien", "version": importlib.metadata.version("gardien")},
        "paths": {
            path: {"get": _operation(path, ref, summary, is_public=is_public)}
            for (path, (_, summary, is_public)), ref in zip(_ANSWERS.items(), refs, strict=True)
        },
        "components": {"schemas": schemas, "securitySchemes": {"session": session}},
    }
    return _json(described)


@api_pages.get("/api/v1/occupancy")
def occupancy() -> Response:
    """Give the numbers of a site."""
    seen = parts().reader.occupancy(site_id())
    return _json(
        OccupancyReport(
            at=parts().clock.now(),
            present=seen.present,
            margin=seen.margin,
            members=seen.members,
            guests=seen.guests,
            capacity=seen.capacity,
            open=seen.open,
        )
    )


@api_pages.get("/api/v1/watch")
def watch() -> Response:
    """Give the watch that runs."""
    found = parts().reader.watch(site_id())
    if found is None:
        return _json(WatchAnswer(watch=None))
    report = WatchReport(
        guardian=found.guardian.name,
        since=found.since,
        over_by=found.over_by,
        phase=found.phase.value,
        title=found.title,
        audience=found.audience.value,
        minutes=found.minutes,
    )
    return _json(WatchAnswer(watch=report))


@api_pages.get("/api/v1/doors")
def doors() -> Response:
    """Give the doors and how they stand."""
    reports = [
        DoorReport(
            id=door.id,
            name=door.name,
            contact=door.contact.value,
            leaf=door.leaf.value,
            heard_at=door.heard_at,
            queue=door.queue,
            policy=door.policy,
        )
        for door in parts().reader.doors(site_id())
    ]
    return _json(DoorsAnswer(doors=reports))


@api_pages.get("/spaceapi.json")
def spaceapi() -> Response:
    """Tell the public whether a site is open, if the site says so."""
    card = site().public
    if card is None:
        abort(404)
    seen = parts().reader.occupancy(site_id())
    location = {"timezone": str(site().zone)} | ({"address": card.address} if card.address else {})
    answer = _json(
        {
            "api_compatibility": ["15"],
            "space": site().name,
            "logo": card.logo,
            "url": card.url,
            "location": location,
            "contact": {"email": card.email},
            "state": {"open": seen.open in ("hours", "watch")},
            "sensors": {"people_now_present": [{"value": seen.present}]},
        }
    )
    # Others' pages read it in the browser: https://spaceapi.io/provide-an-endpoint/
    answer.headers["Access-Control-Allow-Origin"] = "*"
    answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return answer


@health_pages.get("/healthz")
def healthz() -> Response:
    """Say that the program answers."""
    return Response("ok\n", mimetype="text/plain")


@health_pages.get("/readyz")
def readyz() -> Response:
    """Say whether pages can be served: whether the database can be read."""
    try:
        parts().reader.versions()
    except (DatabaseError, DatabaseFaultError):
        return Response("the database can't be read now\n", 503, mimetype="text/plain")
    return Response("ready\n", mimetype="text/plain")


@health_pages.get("/metrics")
def metrics() -> Response:
    """Tell Prometheus the numbers."""
    return Response(parts().metrics.scrape(), content_type=CONTENT_TYPE)


def _operation(path: str, ref: dict[str, Any], summary: str, *, is_public: bool) -> dict[str, Any]:
    known = "staff and guardians of the site"
    answers: dict[str, Any] = {
        "200": {"description": "now", "content": {"application/json": {"schema": ref}}},
        "401": {"description": "nobody is logged in"},
        "403": {"description": f"only for {known}{_OR_HALL if is_public else ''}"},
        "404": {"description": "there is no such site, or no such entry"},
    }
    return {
        "summary": summary,
        "parameters": [_SITE, *([_ENTRY] if "{entry}" in path else [])],
        "security": [{}, {"session": []}] if is_public else [{"session": []}],
        "responses": answers,
    }


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), mimetype="application/json")
