"""All that is held on the viewer: to read, and as a file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from flask import Blueprint, Response, render_template

from access.ids import MemberId, SiteId
from access.instants import from_rfc3339
from access.journal import SERVER
from dashboards import words
from dashboards.parts import a_viewer, door_names, parts
from dashboards.texts import gettext
from server.board import Person
from server.board_events import SHOWN, to_happening
from server.holdings import Holdings, holdings_of
from server.ledger import StoredEntry

held_pages = Blueprint("held", __name__)

MOST_SHOWN: Final = 200
"""How many records the page shows; the file has them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordShown:
    """One record of the ledger, as the page shows it.

    Attributes:
        where: the door, or the server, by name.
        what: in words, or the name of its type.
        details: what else stands in it, as it is kept.
    """

    at: datetime
    where: str
    what: str
    details: tuple[tuple[str, str], ...]


@held_pages.get("/me/data")
def page() -> str:
    """Show all that is held on the viewer."""
    held = _held()
    names = door_names()
    return render_template(
        "held.html",
        held=held,
        records=tuple(_shown(record, names) for record in held.records[:MOST_SHOWN]),
        doors=names,
    )


@held_pages.get("/me/data.json")
def download() -> Response:
    """Give the viewer all that is held on them, in the shape of `gardien member export`."""
    written = msgspec.json.format(msgspec.json.encode(_held()))
    answer = Response(written, mimetype="application/json")
    name = gettext("my-data")
    answer.headers["Content-Disposition"] = f'attachment; filename="gardien-{name}.json"'
    return answer


def _held() -> Holdings:
    with parts().database.reading() as connection:
        return holdings_of(connection, a_viewer().member)


def _shown(record: Mapping[str, Any], doors: Mapping[tuple[str, str], str]) -> RecordShown:
    _, site, source = str(record["source"]).split("/", 2)
    at, kind = from_rfc3339(record["time"]), str(record["type"])
    what = kind.removeprefix("gardien.")
    if kind in SHOWN:
        entry = StoredEntry(
            id=0,
            site=SiteId(site),
            source=source,
            seq=record["seq"],
            kind=kind,
            time=at,
            received=at,
            member=MemberId(""),
            record=dict(record),
        )
        what = words.say(to_happening(entry, _nobody, {}))
    where = gettext("the server") if source == SERVER else doors.get((site, source), source)
    details = tuple(_details(record["data"], ""))
    return RecordShown(at=at, where=where, what=what, details=details)


def _details(data: Mapping[str, Any], above: str) -> Iterator[tuple[str, str]]:
    """Give what stands in a record, one value at a time; what is empty is left out."""
    for key, value in data.items():
        name = f"{above}{key}"
        if isinstance(value, dict):
            yield from _details(value, f"{name}.")
        elif isinstance(value, list):
            listed = [one for one in value if isinstance(one, str)]
            if listed:
                yield name, ", ".join(listed)
            for one in value:
                if isinstance(one, dict):
                    yield from _details(one, f"{name}.")
        elif value is not None:
            yield name, str(value)


def _nobody(who: MemberId) -> Person:
    return Person(id=who, name="")
