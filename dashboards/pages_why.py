"""Why somebody was refused: the page behind "Why?"."""

from collections.abc import Iterator
from dataclasses import dataclass

from flask import Blueprint, abort, render_template

from access import explain_wording
from access.explain import Explanation
from dashboards.looking import note_look
from dashboards.parts import a_viewer, parts, site_id, zone
from dashboards.texts import language
from server import looks
from server.why import NoRefusalError, Why, why

why_pages = Blueprint("why", __name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowShown:
    """One row of the rules, as the page shows it.

    Attributes:
        facts: what it saw, each told in the language of the page.
        has_decided: whether it is the one that decided.
    """

    number: str
    question: str
    facts: tuple[str, ...]
    has_decided: bool


@why_pages.get("/why/<int:entry>")
def page(entry: int) -> str:
    """Show why somebody was refused; each look is recorded."""
    found = look_at(entry)
    rows = () if found.again is None else tuple(_rows(found.again))
    return render_template("why.html", why=found, rows=rows)


def look_at(entry: int) -> Why:
    """Read a refusal and, unless it is the viewer's own, record that they looked.

    Blocks for the database. A refusal that there is not is told as Flask does: not found.
    """
    try:
        found = why(parts().database, parts().settings, site_id(), entry)
    except NoRefusalError:
        abort(404)
    person = found.refusal.person
    whose = None if person is None else person.id
    if whose != a_viewer().member:
        note_look(f"why/{entry}", looks.REFUSAL, about=whose)
    return found


def _rows(again: Explanation) -> Iterator[RowShown]:
    for row in again.rows:
        yield RowShown(
            number=row.number,
            question=row.question(language()),
            facts=tuple(
                explain_wording.fact(fact.name, fact.value, language(), zone())
                for fact in row.facts
            ),
            has_decided=row.matched,
        )
