"""Do what a program asks for once, however often it sends it with the same `Idempotency-Key`."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from flask import Response, request
from werkzeug.exceptions import HTTPException

from dashboards.api_problems import Problem
from dashboards.parts import a_viewer, parts, site_id
from dashboards.texts import gettext
from server import api_requests
from server.api_requests import MOST_KEY, Earlier
from server.database import ConflictError, DatabaseError

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
"""The header of an answer that was given before."""


def once(do: Callable[[], Response]) -> Response:
    """Do it, unless a request with its key has been done before: then give the answer of then.

    Without a key it is simply done. Blocks for the database.

    Args:
        do: does it; raises `Problem` where nothing was done.

    Raises:
        Problem: the key is no key, was used for something else, or is being used.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return do()
    if not 1 <= len(key) <= MOST_KEY or not key.isascii() or not key.isprintable():
        told = gettext("An Idempotency-Key has 1 to %(most)d characters.", most=MOST_KEY)
        raise Problem("bad-request", told)
    who = f"{a_viewer().member} {site_id()} {request.method} {request.path}"
    earlier = _claim(who, key)
    return _done(who, key, do) if earlier is None else _again(earlier)


def _claim(who: str, key: str) -> Earlier | None:
    try:
        with parts().database.writing() as connection:
            return api_requests.claim(
                connection, who=who, key=key, asked=request.get_data(), now=parts().clock.now()
            )
    except ConflictError as error:
        raise Problem("in-doubt") from error


def _done(who: str, key: str, do: Callable[[], Response]) -> Response:
    database = parts().database
    try:
        answer = do()
    except (HTTPException, DatabaseError) as error:
        # Where a commit on PostgreSQL broke off, nobody can say what became of it.
        if isinstance(error, HTTPException) or database.is_sqlite:
            with suppress(DatabaseError), database.writing() as connection:
                api_requests.release(connection, who=who, key=key)
        raise
    body = answer.get_data(as_text=True)
    with database.writing() as connection:
        api_requests.settle(connection, who=who, key=key, status=answer.status_code, body=body)
    return answer


def _again(earlier: Earlier) -> Response:
    if not earlier.is_same:
        raise Problem("key-used")
    if earlier.status is None:
        raise Problem("in-doubt")
    answer = Response(earlier.body, earlier.status, mimetype="application/json")
    answer.headers[REPLAYED] = "true"
    return answer
