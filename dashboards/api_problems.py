"""What programs are told when the answer is no: RFC 9457 *Problem Details*, in their language."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import msgspec
from flask import Response
from werkzeug.exceptions import HTTPException

from dashboards.texts import Later, lazy_gettext

MIMETYPE: Final = "application/problem+json"
REALM: Final = "gardien"
_KIND: Final = "urn:gardien:problem:"


class ProblemReport(msgspec.Struct, frozen=True, kw_only=True):
    """Why the answer is no. `type` and `status` are for programs, the rest is for people."""

    type: str
    title: str
    status: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of problem.

    Attributes:
        status: of HTTP.
        title: what is wrong.
        way_out: what to do.
    """

    status: HTTPStatus
    title: Later
    way_out: Later


KINDS: Final[Mapping[str, Kind]] = {
    "bad-request": Kind(
        status=HTTPStatus.BAD_REQUEST,
        title=lazy_gettext("The request is not of the right form"),
        way_out=lazy_gettext("Compare it with /api/v1/openapi.json."),
    ),
    "form": Kind(
        status=HTTPStatus.BAD_REQUEST,
        title=lazy_gettext("The request could have been made by another site"),
        way_out=lazy_gettext(
            "With the cookie of a log-in, send the form's token as X-CSRFToken; or use a token."
        ),
    ),
    "invalid-request": Kind(
        status=HTTPStatus.BAD_REQUEST,
        title=lazy_gettext("The token can't be read"),
        way_out=lazy_gettext("Send it as “Authorization: Bearer gardien_…”."),
    ),
    "no-token": Kind(
        status=HTTPStatus.UNAUTHORIZED,
        title=lazy_gettext("Nobody is logged in"),
        way_out=lazy_gettext("Send a token as “Authorization: Bearer gardien_…”."),
    ),
    "invalid-token": Kind(
        status=HTTPStatus.UNAUTHORIZED,
        title=lazy_gettext("The token does not count"),
        way_out=lazy_gettext(
            "It is unknown, revoked or over, or its member has left. Ask for another one."
        ),
    ),
    "insufficient-scope": Kind(
        status=HTTPStatus.FORBIDDEN,
        title=lazy_gettext("The token is not for this"),
        way_out=lazy_gettext("Ask for a token with the scope that is named."),
    ),
    "not-allowed": Kind(
        status=HTTPStatus.FORBIDDEN,
        title=lazy_gettext("You may not do that"),
        way_out=lazy_gettext("Ask staff, or the guardian on watch."),
    ),
    "not-found": Kind(
        status=HTTPStatus.NOT_FOUND,
        title=lazy_gettext("There is nothing here"),
        way_out=lazy_gettext("Check the address and the ids in it."),
    ),
    "wrong-method": Kind(
        status=HTTPStatus.METHOD_NOT_ALLOWED,
        title=lazy_gettext("This can't be done here"),
        way_out=lazy_gettext("The methods that can be used are in the header Allow."),
    ),
    "refused": Kind(
        status=HTTPStatus.CONFLICT,
        title=lazy_gettext("It can't be done as things stand"),
        way_out=lazy_gettext("Look at how things stand, then ask again."),
    ),
    "in-doubt": Kind(
        status=HTTPStatus.CONFLICT,
        title=lazy_gettext("A request with this key is being done"),
        way_out=lazy_gettext("Wait, and ask again; if it stays so, look at how things stand."),
    ),
    "too-large": Kind(
        status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        title=lazy_gettext("The request is too large"),
        way_out=lazy_gettext("Send less."),
    ),
    "not-json": Kind(
        status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        title=lazy_gettext("The request is not JSON"),
        way_out=lazy_gettext("Send JSON, with “Content-Type: application/json”."),
    ),
    "key-used": Kind(
        status=HTTPStatus.UNPROCESSABLE_ENTITY,
        title=lazy_gettext("This key was used for another request"),
        way_out=lazy_gettext("Take a new Idempotency-Key for each new request."),
    ),
    "too-many": Kind(
        status=HTTPStatus.TOO_MANY_REQUESTS,
        title=lazy_gettext("Too many tries"),
        way_out=lazy_gettext("Wait a few minutes."),
    ),
    "fault": Kind(
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        title=lazy_gettext("A fault of the program"),
        way_out=lazy_gettext("Tell whoever runs it; the log says more."),
    ),
    "not-now": Kind(
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        title=lazy_gettext("Not now"),
        way_out=lazy_gettext("Try again in a moment."),
    ),
}
"""Each kind by its word, the last part of its `type`."""

_BY_STATUS: Final = {
    400: "bad-request",
    401: "no-token",
    403: "not-allowed",
    404: "not-found",
    405: "wrong-method",
    409: "refused",
    413: "too-large",
    415: "not-json",
    429: "too-many",
    503: "not-now",
}


class Problem(HTTPException):
    """The answer is no.

    Args:
        kind: one of `KINDS`.
        detail: what to say in place of the kind's way out, in the caller's language.
        headers: what to send with it.
    """

    def __init__(
        self, kind: str, detail: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(description=kind)
        self.kind, self.detail, self.headers = kind, detail, dict(headers or {})
        self.code = int(KINDS[kind].status)

    def answer(self) -> Response:
        """Write it, in the language of the request."""
        kind = KINDS[self.kind]
        report = ProblemReport(
            type=f"{_KIND}{self.kind}",
            title=str(kind.title),
            status=int(kind.status),
            detail=self.detail or str(kind.way_out),
        )
        answer = Response(msgspec.json.encode(report), report.status, mimetype=MIMETYPE)
        answer.headers["Cache-Control"] = "no-store"
        if report.status == HTTPStatus.UNAUTHORIZED:
            answer.headers["WWW-Authenticate"] = f'Bearer realm="{REALM}"'
        answer.headers.update(self.headers)
        return answer


def problem_of(error: HTTPException) -> Problem:
    """Make a problem of any refusal of Flask's."""
    if isinstance(error, Problem):
        return error
    allowed = getattr(error, "valid_methods", None)
    headers = {"Allow": ", ".join(sorted(allowed))} if allowed else {}
    return Problem(_BY_STATUS.get(error.code or 500, "fault"), headers=headers)
