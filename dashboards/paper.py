"""The notice, the sign and the register as files: the texts of the pages, with no server behind."""

from pathlib import Path
from typing import Final, Literal

from flask import Flask, render_template
from markupsafe import Markup

from dashboards import texts
from dashboards.pages_privacy import practice_of
from dashboards.texts import lazy_gettext
from server.settings import ServerSettings, SiteSettings

Kind = Literal["notice", "sign", "register"]

_STYLE: Final = Path(__file__).parent / "static" / "gardien.css"
_TITLES: Final = {
    "notice": lazy_gettext("What is recorded here"),
    "sign": lazy_gettext("The sign for the door"),
    "register": lazy_gettext("Register of processing activities"),
}


def write_paper(
    kind: Kind,
    settings: ServerSettings,
    place: SiteSettings,
    *,
    language: str,
    address: str | None = None,
) -> str:
    """Write one of them as HTML that needs nothing else, to print or to put on a web site.

    Args:
        kind: which one.
        settings: what it is filled in from.
        place: of which site.
        language: `fr` or `en`.
        address: where the whole notice can be read, for the sign; None to leave that out.
    """
    app = Flask(__package__ or __name__)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals.update(language=texts.language)
    texts.set_up(app, language=lambda: language, zone=lambda: str(place.zone))
    with app.test_request_context():
        return render_template(
            "paper.html",
            kind=kind,
            title=str(_TITLES[kind]),
            # Our own file, not what somebody wrote.
            style=Markup(_STYLE.read_text(encoding="utf-8")),  # noqa: S704
            practice=practice_of(settings, place),
            site=place,
            address=address,
        )
