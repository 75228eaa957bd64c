"""Who looked at whose records, when, with which right and why: for staff, who say why they ask."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, abort, flash, render_template, request
from sqlalchemy import select

from access.ids import MemberId
from dashboards import words
from dashboards.looking import LEAST_REASON, MOST_REASON, note_look, plain
from dashboards.parts import a_viewer, parts, site_id
from dashboards.texts import lazy_gettext
from server import looks, registry, schema
from server.looks import Look

looks_pages = Blueprint("looks", __name__)

SHOWN: Final = 100
"""How many looks a page has."""

_NOBODY: Final = lazy_gettext("There is no such member: give an id or an e-mail address.")
_WHY: Final = lazy_gettext("Say why, in 3 to 200 letters: it is recorded with your look.")
_MOST_ID: Final = 254


@dataclass(frozen=True, slots=True, kw_only=True)
class LookShown:
    """One look, with names for ids: an id where the registry knows nobody by it any more.

    Attributes:
        whose: at whose records; none where it was everybody's.
    """

    look: Look
    who: str
    whose: tuple[str, ...]


@looks_pages.get("/looks")
def ask() -> str:
    """Ask why the viewer wants to know who looked."""
    return render_template("looks.html", found=None, reason="", about="")


@looks_pages.post("/looks")
def read() -> str | tuple[str, int]:
    """List who looked; that the viewer reads it is recorded, with their reason."""
    reason, about = plain(request.form.get("reason", "")), request.form.get("about", "").strip()
    if not LEAST_REASON <= len(reason) <= MOST_REASON:
        return _again(str(_WHY), reason, about)
    try:
        found = looks_of(about or None, reason, before=_before(), limit=SHOWN)
    except registry.UnknownError:
        return _again(str(_NOBODY), reason, about)
    more = found[-1].id if len(found) == SHOWN else None
    return render_template(
        "looks.html", found=_shown(found), reason=reason, about=about, before=more
    )


def looks_of(about: str | None, reason: str, *, before: int | None, limit: int) -> list[Look]:
    """Read who looked, of the site and of what is held at all; the viewer's look is noted first.

    Args:
        about: only at the records of this member, by id or e-mail.
        reason: why the viewer wants to know.
        before: only such as were noted before this one.
        limit: at most so many.

    Raises:
        UnknownError: there is no such member.
        DatabaseError: not now.
    """
    with parts().database.reading() as connection:
        whose = None if about is None else registry.find_member(connection, about[:_MOST_ID]).id
    note_look("looks", reason, about=None if whose == a_viewer().member else whose)
    with parts().database.reading() as connection:
        return looks.list_looks(connection, site_id(), about=whose, before=before, limit=limit)


def _again(why: str, reason: str, about: str) -> tuple[str, int]:
    flash(why, "refused")
    return render_template("looks.html", found=None, reason=reason, about=about), 400


def _before() -> int | None:
    given = request.form.get("before")
    if given is None:
        return None
    if not given.isdecimal() or len(given) > len(str(2**62)):
        abort(400)
    return int(given)


def _shown(found: Iterable[Look]) -> tuple[LookShown, ...]:
    every = tuple(found)
    names = _names({who for one in every for who in (one.member, *_whose(one))})
    return tuple(
        LookShown(
            look=one,
            who=str(words.ROLE["operator"])
            if one.member == looks.OPERATOR
            else names.get(one.member, one.member),
            whose=tuple(names.get(who, who) for who in _whose(one)),
        )
        for one in every
    )


def _whose(one: Look) -> tuple[MemberId, ...]:
    return one.among if one.about is None else (one.about,)


def _names(ids: set[MemberId]) -> dict[MemberId, str]:
    member = schema.member.c
    wanted = select(member.id, member.name).where(member.id.in_(sorted(ids)))
    with parts().database.reading() as connection:
        return {MemberId(row.id): row.name for row in connection.execute(wanted)}
