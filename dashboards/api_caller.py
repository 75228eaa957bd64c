"""Which token a program calls with, and what it may be used for (RFC 6750)."""

from typing import Final, Never, cast

from flask import g, request

from access.ids import SiteId
from dashboards.api_problems import REALM, Problem
from dashboards.limits import count_failed_token
from dashboards.parts import parts
from server import api_tokens
from server.api_tokens import ApiToken, Scope

_SCHEME: Final = "bearer"


def api_token() -> ApiToken | None:
    """Give what is known of the token of this request; None where it came without."""
    return cast("ApiToken | None", g.get("api_token"))


def sees_people() -> bool:
    """Whether names and ids of members may stand in the answer."""
    token = api_token()
    return token is None or Scope.PEOPLE_READ in token.scopes


def sites_of_token(token: ApiToken) -> tuple[SiteId, ...]:
    """Give the sites where a token counts, as far as the token itself says; settings' order."""
    return tuple(site for site in parts().sites if token.site in (None, site))


def recognise_token() -> ApiToken | None:
    """Find out which token the request came with; None where it came without one.

    A token that does not count is refused, also where a log-in would do: whoever sends one means
    to use it. Blocks for the database.

    Raises:
        Problem: the token can't be read, or does not count.
        TooManyRequests: too many of them did not, from this address.
    """
    given = request.authorization
    if given is None or given.type != _SCHEME:
        return None
    if not given.token:
        raise Problem("invalid-request", headers=_challenge("invalid_request"))
    database, now = parts().database, parts().clock.now()
    with database.reading() as connection:
        found = api_tokens.find(connection, given.token, now)
    if found is None:
        refuse_token()
    if found.is_stale(now):
        with database.writing() as connection:
            api_tokens.touch(connection, found.id, now)
    return found


def refuse_token() -> Never:
    """Refuse a token that does not count, and count that.

    Raises:
        Problem: always, but for
        TooManyRequests: there were too many, from this address.
    """
    count_failed_token()
    raise Problem("invalid-token", headers=_challenge("invalid_token"))


def must_have(token: ApiToken, scope: Scope | None) -> None:
    """Let only a token with a scope go on; None is any.

    Raises:
        Problem: the token has not got it.
    """
    if scope is not None and scope not in token.scopes:
        headers = _challenge("insufficient_scope", scope=scope.value)
        raise Problem("insufficient-scope", headers=headers)


def _challenge(error: str, **others: str) -> dict[str, str]:
    """Write the header of RFC 6750, section 3."""
    words = {"realm": REALM, "error": error} | others
    told = ", ".join(f'{name}="{word}"' for name, word in words.items())
    return {"WWW-Authenticate": f"Bearer {told}"}
