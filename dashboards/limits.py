"""Slow down whoever tries passwords and tokens: by their address, and by the log-in they try."""

from typing import Any, Final

from flask import Flask, current_app, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

PER_ADDRESS: Final = "20/minute;200/hour"
"""How many log-ins may be tried from one address: a whole place may share one."""

PER_LOGIN: Final = "5/minute;30/hour"
"""How often one log-in may be tried, wherever from."""

_VIEW: Final = "account.enter"
_FAILED_TOKEN: Final = "gardien-failed-token"  # noqa: S105 (a name)


def limit(app: Flask) -> None:
    """Limit how often a log-in or a token may be tried. Counted in memory, in each process."""
    limiter = Limiter(get_remote_address, app=app, storage_uri="memory://")
    view: Any = limiter.limit(PER_LOGIN, key_func=_login)(app.view_functions[_VIEW])
    app.view_functions[_VIEW] = limiter.limit(PER_ADDRESS)(view)
    count: Any = limiter.shared_limit(PER_ADDRESS, scope=_FAILED_TOKEN)
    app.extensions[_FAILED_TOKEN] = count(_nothing)


def count_failed_token() -> None:
    """Count a token that did not count, from the address of this request.

    Tokens that do count are let through all the same: a whole place may share one address.

    Raises:
        TooManyRequests: there were too many.
    """
    current_app.extensions[_FAILED_TOKEN]()


def _nothing() -> None:
    """Do nothing: it is how often this is called that is counted."""


def _login() -> str:
    return request.form.get("email", "").strip().lower()[:254]
