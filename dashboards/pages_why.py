"""Why somebody was refused: the page behind "Why?", and the same for machines."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from flask import Blueprint, Response, abort, render_template

from access import explain_wording
from access.explain import Explanation, to_builtins
from dashboards.parts import a_viewer, parts, site_id, zone
from dashboards.texts import language
from server import sessions
from server.why import NoRefusalError, Why, why

why_pages = Blueprint("why", __name__)
why_api = Blueprint("why_api", __name__)


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


class WhyDecided(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided then, from the ledger."""

    reason: str
    row: str | None
    alone: bool


class WhyRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row that was looked at, and what it saw."""

    row: str
    asks: str
    facts: dict[str, Any]
    matched: bool
    granted: bool | None
    reason: str | None


class WhyAgain(msgspec.Struct, frozen=True, kw_only=True):
    """What would be decided with the rules of now."""

    granted: bool
    reason: str
    row: str
    rows: list[WhyRow]


class WhyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal, and the same request looked at again."""

    id: int
    at: datetime
    door: str
    reader: str
    member: str | None
    decided: WhyDecided
    recomputed: WhyAgain | None


@why_pages.get("/why/<int:entry>")
def page(entry: int) -> str:
    """Show why somebody was refused; each look is recorded."""
    found = _look(entry)
    rows = () if found.again is None else tuple(_rows(found.again))
    return render_template("why.html", why=found, rows=rows)


@why_api.get("/api/v1/why/<int:entry>")
def answer(entry: int) -> Response:
    """Give the same to machines; each look is recorded."""
    found = _look(entry)
    return Response(msgspec.json.encode(_report(found)), mimetype="application/json")


def _look(entry: int) -> Why:
    """Read a refusal and, unless it is the viewer's own, record that they looked."""
    looking = a_viewer().member
    try:
        found = why(parts().database, parts().settings, site_id(), entry)
    except NoRefusalError:
        abort(404)
    person = found.refusal.person
    if person is None or person.id != looking:
        with parts().database.writing() as connection:
            sessions.note_look(
                connection,
                site=site_id(),
                member=looking,
                what=f"why/{entry}",
                at=parts().clock.now(),
            )
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


def _report(found: Why) -> WhyAnswer:
    refusal = found.refusal
    again = None if found.again is None else to_builtins(found.again, language())
    return WhyAnswer(
        id=refusal.id,
        at=refusal.at,
        door=refusal.door,
        reader=refusal.reader.value,
        member=None if refusal.person is None else refusal.person.id,
        decided=WhyDecided(reason=refusal.reason, row=refusal.row, alone=refusal.is_alone),
        recomputed=None if again is None else msgspec.convert(again, WhyAgain),
    )
