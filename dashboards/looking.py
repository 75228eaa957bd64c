"""Notes on the pages' behalf that the viewer looks at other people's records.

What counts as a look, and what is the daily work of whoever is on watch:
`docs/decisions/0009-what-is-a-look.md`.
"""

from collections.abc import Collection
from typing import Final

from access.ids import MemberId
from dashboards.parts import a_viewer, is_on_watch, parts, site_id
from server import looks

LEAST_REASON: Final = 3
MOST_REASON: Final = 200
"""How long a reason in words is, in letters."""


def note_look(
    what: str, reason: str, about: MemberId | None = None, among: Collection[MemberId] = ()
) -> None:
    """Record that the viewer looks, now and at this site; blocks for the database.

    Args:
        what: at what: see `server.looks.Look`.
        reason: why; no name may be in it.
        about: at whose records; None for several people's.
        among: whose, where each is to see it; the viewer's own are no look.

    Raises:
        DatabaseError: not now; then nothing may be shown.
    """
    viewer = a_viewer()
    with parts().database.writing() as connection:
        looks.note_look(
            connection,
            site=site_id(),
            member=viewer.member,
            role=viewer.role,
            what=what,
            about=about,
            among=[one for one in among if one != viewer.member],
            reason=reason,
            at=parts().clock.now(),
        )


def note_what_goes_on(what: str) -> None:
    """Record, once an hour, that the viewer follows by name who comes and goes.

    Not of who is on watch: it is what they are there for, and the ledger says who was when.

    Args:
        what: `board` or `events`.

    Raises:
        DatabaseError: not now; then nothing may be shown.
    """
    viewer = a_viewer()
    if is_on_watch(viewer.member):
        return
    with parts().database.reading() as connection:
        is_noted = looks.is_noted(
            connection,
            site=site_id(),
            member=viewer.member,
            what=what,
            at=parts().clock.now(),
        )
    if not is_noted:
        note_look(what, looks.BOARD)


def plain(text: str) -> str:
    """Leave out what would break a line of a list."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())
