"""What machines read without a log-in: SpaceAPI, and whether the program is well.

SpaceAPI 15: https://spaceapi.io/docs/.
"""

import msgspec
from flask import Blueprint, Response, abort, request

from dashboards.metrics_prometheus import CONTENT_TYPE
from dashboards.parts import parts, site, site_id

public_pages = Blueprint("public", __name__)
health_pages = Blueprint("health", __name__)


@public_pages.get("/spaceapi.json")
def spaceapi() -> Response:
    """Tell the public whether a site is open, if the site says so."""
    card = site().public
    if card is None:
        abort(404)
    seen = parts().reader.occupancy(site_id())
    location = {"timezone": str(site().zone)} | ({"address": card.address} if card.address else {})
    answer = Response(
        msgspec.json.encode(
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
        ),
        mimetype="application/json",
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
    """Say whether pages can be served, and how each part is; with `?all`, whether all is well."""
    found = parts().readiness.look(at_all="all" in request.args)
    status = 200 if found.ready else 503
    return Response(msgspec.json.encode(found), status, mimetype="application/json")


@health_pages.get("/metrics")
def metrics() -> Response:
    """Tell Prometheus the numbers."""
    return Response(parts().metrics.scrape(), content_type=CONTENT_TYPE)
