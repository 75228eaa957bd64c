"""Texts in the language of the page. The only module that imports Flask-Babel.

Texts stand in English in the code; `dashboards.catalogue` finds them by the names of these
functions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import flask_babel
from flask import Flask

_AS_WRITTEN: Final = "en"
"""The language of the texts as they stand in the code."""


def set_up(app: Flask, *, language: Callable[[], str], zone: Callable[[], str]) -> None:
    """Let an application speak.

    Args:
        app: to set up.
        language: chooses the language of a request.
        zone: chooses the time zone of a request.
    """
    app.config["BABEL_DEFAULT_LOCALE"] = _AS_WRITTEN
    flask_babel.Babel(app, locale_selector=language, timezone_selector=zone)


def language() -> str:
    """Give the language of the page."""
    return str(flask_babel.get_locale() or _AS_WRITTEN)


def gettext(text: str, **values: object) -> str:
    """Translate a text, with values put in by name: `%(name)s`."""
    return str(flask_babel.gettext(text, **values))


def ngettext(one: str, many: str, num: int) -> str:
    """Translate a text that goes by a number, which it has as `%(num)d`."""
    return str(flask_babel.ngettext(one, many, num))


@dataclass(frozen=True, slots=True)
class Later:
    """A text that is translated when it is shown.

    Attributes:
        source: as it stands in the code.
    """

    source: str

    def __str__(self) -> str:
        return gettext(self.source)


def lazy_gettext(text: str) -> Later:
    """Mark a text to be translated when it is shown."""
    return Later(text)
