"""Notes on the pages' behalf that the viewer looks at other people's records."""

from access.ids import MemberId
from dashboards.parts import a_viewer, parts, site_id
from server import looks


def note_look(what: str, reason: str, about: MemberId | None = None) -> None:
    """Record that the viewer looks, now and at this site; blocks for the database.

    Args:
        what: at what: see `server.looks.Look`.
        reason: why; no name may be in it.
        about: at whose records; None for everybody's.

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
            reason=reason,
            at=parts().clock.now(),
        )
