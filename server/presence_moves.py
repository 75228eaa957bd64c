"""What the ledger says of a member's comings and goings at a site, as far as it still names them.

Comings are found as `server.passages` counts them: a grant whose door was opened. Sweeps, and
recounts that say who is inside, end what nobody badged out of.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, bindparam, select

from access.ids import MemberId, SiteId
from access.instants import Span
from access.journal import SERVER
from access.passing import OPENED_LATE
from access.presence_hours import Move, Way
from server import schema

_GRANTED: Final = "gardien.access.granted"
_OPENED: Final = "gardien.door.opened"
_CLOSED: Final = "gardien.door.closed"
_LOCKED: Final = "gardien.lock.locked"
_SWEPT: Final = "gardien.site.swept"
_RECOUNTED: Final = "gardien.site.recounted"

_l: Final = schema.ledger.c
_at_site: Final = _l.site == bindparam("site")
_then: Final = (_l.time >= bindparam("start"), _l.time < bindparam("end"))
_select_grants: Final = (
    select(_l.source, _l.seq, _l.time, _l.body)
    .where(_l.member == bindparam("member"), _at_site, *_then, _l.kind == _GRANTED)
    .order_by(_l.time, _l.id)
)
_select_counts: Final = (
    select(_l.kind, _l.time, _l.body)
    .where(_at_site, *_then, _l.source == SERVER, _l.kind.in_((_SWEPT, _RECOUNTED)))
    .order_by(_l.time, _l.id)
)
_is_kind: Final = _l.kind.in_(bindparam("kinds", expanding=True))
_of_door: Final = (
    select(_l.seq, _l.kind, _l.time, _l.body)
    .where(
        _at_site, _l.source == bindparam("source"), _l.kind.in_(bindparam("kinds", expanding=True))
    )
    .limit(1)
)
_select_before: Final = _of_door.where(_l.seq < bindparam("seq")).order_by(_l.seq.desc())
_select_after: Final = _of_door.where(_l.seq > bindparam("seq")).order_by(_l.seq)

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """The count was made certain.

    Attributes:
        inside: who was inside, as somebody said; None where they gave no names.
    """

    at: datetime
    inside: frozenset[MemberId] | None


def counts_in(connection: Connection, site: SiteId, within: Span) -> tuple[Count, ...]:
    """Read when the count of a site was made certain by a sweep or by names, oldest first."""
    rows = connection.execute(
        _select_counts, {"site": site, "start": within.start, "end": within.end}
    )
    return tuple(Count(at=row.time, inside=_named(row.kind, row.body)) for row in rows)


def moves_of(
    connection: Connection,
    site: SiteId,
    member: MemberId,
    within: Span,
    *,
    counts: Collection[Count],
    without_contact: Collection[str],
) -> Iterator[Move]:
    """Read the comings and goings of a member, in no order. Blocks for the database.

    Args:
        connection: of a transaction.
        site: where.
        member: who.
        within: when.
        counts: of that time, as `counts_in` gives them.
        without_contact: ids of doors that don't say when they are opened: there a grant is enough.
    """
    for count in counts:
        if count.inside is not None:
            yield Move(at=count.at, way=Way.IN if member in count.inside else Way.OUT)
    values = {"site": site, "member": member, "start": within.start, "end": within.end}
    for grant in connection.execute(_select_grants, values).all():
        data = _decode(grant.body)["data"]
        if data.get("reader") == "out":
            yield Move(at=grant.time, way=Way.OUT)
            continue
        entered_at = (
            grant.time
            if grant.source in without_contact
            else _entered_at(connection, site, grant, data.get("request"))
        )
        if entered_at is not None:
            yield Move(at=entered_at, way=Way.IN)


def _entered_at(
    connection: Connection,
    site: SiteId,
    grant: Any,  # noqa: ANN401 (SQLAlchemy's)
    request: object,
) -> datetime | None:
    """Say when somebody who was let in went in: at the door's next opening, or not at all."""

    def look(statement: Any, *kinds: str) -> Row[Any] | None:  # noqa: ANN401 (SQLAlchemy's)
        values = {"site": site, "source": grant.source, "seq": grant.seq, "kinds": kinds}
        return connection.execute(statement, values).one_or_none()

    before = look(_select_before, _OPENED, _CLOSED)
    if before is not None and before.kind == _OPENED:
        return _time(grant.time)
    opened = look(_select_after, _OPENED)
    if opened is None:
        return None
    locked = look(_select_after, _LOCKED)
    is_late = (
        locked is not None and locked.seq < opened.seq and opened.time >= locked.time + OPENED_LATE
    )
    names_it = request is not None and _decode(opened.body)["data"].get("request") == request
    return None if is_late and not names_it else _time(opened.time)


def _named(kind: str, body: str) -> frozenset[MemberId] | None:
    if kind == _SWEPT:
        return frozenset()
    inside = _decode(body)["data"].get("inside")
    return frozenset(MemberId(str(one)) for one in inside) if isinstance(inside, list) else None


def _time(value: Any) -> datetime:  # noqa: ANN401 (a column's)
    found: datetime = value
    return found
