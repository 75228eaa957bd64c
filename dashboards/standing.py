"""Whether the token that opened a stream still counts: asked again long after the request began."""

from collections.abc import Callable

from flask import request

from dashboards.api_caller import api_token
from dashboards.parts import parts
from server import api_tokens
from server.database import DatabaseError


def standing() -> Callable[[], bool]:
    """Give what says later, outside of the request, whether its token still counts.

    A browser needs no such watch: all it is told is that something is new, and the page that it
    then asks for leads whoever is logged out to the log-in. Asking blocks for the database; while
    that is away nobody is sent off.
    """
    given, is_program = request.authorization, api_token() is not None
    token = given.token if is_program and given is not None else None
    if token is None:
        return lambda: True
    database, clock, text = parts().database, parts().clock, str(token)

    def counts() -> bool:
        try:
            with database.reading() as connection:
                return api_tokens.find(connection, text, clock.now()) is not None
        except DatabaseError:
            return True

    return counts
