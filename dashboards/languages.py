"""Which language a page speaks, and how it writes times."""

from datetime import date, datetime, timedelta
from typing import Final

from babel.dates import format_date, format_time
from flask import Flask, g, request

from dashboards.parts import parts, viewer, zone
from dashboards.texts import gettext, language, set_up

LANGUAGES: Final = {"fr": "Français", "en": "English"}
COOKIE: Final = "language"
ONE_YEAR_S: Final = 365 * 24 * 3600
_API: Final = "/api/"


def speak(app: Flask) -> None:
    """Choose the language of each request, and give the templates their ways to write times."""
    set_up(app, language=choose, zone=_zone_name)
    app.jinja_env.filters.update(
        clock=clock, day=day, short_day=short_day, duration=duration, iso=_iso
    )
    app.jinja_env.globals.update(languages=LANGUAGES, language=language)


def choose() -> str:
    """Choose: what was picked in the footer, else the account's, else the browser's.

    A program has no footer: what its request asks for comes first.
    """
    asked = request.accept_languages.best_match(LANGUAGES)
    if asked is not None and request.path.startswith(_API):
        return asked
    picked = request.cookies.get(COOKIE)
    if picked in LANGUAGES:
        return picked
    looking = viewer()
    if looking is not None and looking.language in LANGUAGES:
        return looking.language
    return asked or parts().settings.language


def clock(at: datetime) -> str:
    """Write the time of day at the site: 19:15."""
    return format_time(at, "HH:mm", tzinfo=zone(), locale=language())


def day(at: datetime) -> str:
    """Write the day at the site: Tuesday 3 November."""
    pattern = "EEEE d MMMM"
    return format_date(_local(at), pattern, locale=language())


def short_day(at: datetime) -> str:
    """Write the day at the site in numbers: 03/11/2026."""
    return format_date(_local(at), "dd/MM/yyyy", locale=language())


def duration(minutes: int) -> str:
    """Write a length of time: 45 min, 2 h, 2 h 05."""
    sign, minutes = ("\N{MINUS SIGN}" if minutes < 0 else ""), abs(minutes)
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{sign}{rest} min"
    return f"{sign}{hours} h {rest:02}" if rest else f"{sign}{hours} h"


def ago(length: timedelta) -> str:
    """Say how long ago something was."""
    seconds = max(0, int(length.total_seconds()))
    if seconds < 60:  # noqa: PLR2004 (a minute)
        return gettext("less than a minute ago")
    return gettext("%(length)s ago", length=duration(seconds // 60))


def _local(at: datetime) -> date:
    return at.astimezone(zone()).date()


def _iso(at: datetime) -> str:
    return at.astimezone(zone()).isoformat(timespec="seconds")


def _zone_name() -> str:
    return parts().settings.sites[0].zone if "site" not in g else str(zone())
