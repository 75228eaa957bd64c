"""The headers that tell browsers what a page may do: nothing but what it needs.

After OWASP ASVS 5.0, V3 (*Web Frontend Security*).
"""

from typing import Final

from flask import Flask, request
from werkzeug.wrappers import Response

from dashboards.parts import parts, viewer

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""No inline script, no inline style, nothing from elsewhere."""

_CURVE_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""The curve is a picture: it brings its own style, and nothing else runs in it."""

_ALWAYS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_REVALIDATED: Final = frozenset({"calendar.events"})
"""What programs fetch again and again; it names its own caching."""

_FIRST_ERROR: Final = 400
_TWO_YEARS: Final = "max-age=63072000"


def send_headers(app: Flask) -> None:
    """Add the headers to each answer."""
    app.after_request(_add)


def _add(response: Response) -> Response:
    is_curve = response.mimetype == "image/svg+xml" and request.endpoint == "board.curve_svg"
    response.headers["Content-Security-Policy"] = _CURVE_POLICY if is_curve else POLICY
    for name, value in _ALWAYS.items():
        response.headers.setdefault(name, value)
    if parts().settings.dashboard.behind_tls:
        response.headers["Strict-Transport-Security"] = _TWO_YEARS
    if request.endpoint in _REVALIDATED and response.status_code < _FIRST_ERROR:
        return response
    if request.endpoint != "static" and (viewer() is not None or request.method != "GET"):
        response.headers["Cache-Control"] = "no-store"
    elif request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-cache")
    return response
