"""Slow down whoever tries passwords: by their address, and by the log-in that they try."""

from typing import Any, Final

from flask import Flask, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

PER_ADDRESS: Final = "20/minute;200/hour"
"""How many log-ins may be tried from one address: a whole place may share one."""

PER_LOGIN: Final = "5/minute;30/hour"
"""How often one log-in may be tried, wherever from."""

_VIEW: Final = "account.enter"


def limit(app: Flask) -> None:
    """Limit how often a log-in may be tried. Counted in memory, in each process."""
    limiter = Limiter(get_remote_address, app=app, storage_uri="memory://")
    view: Any = limiter.limit(PER_LOGIN, key_func=_login)(app.view_functions[_VIEW])
    app.view_functions[_VIEW] = limiter.limit(PER_ADDRESS)(view)


def _login() -> str:
    return request.form.get("email", "").strip().lower()[:254]
