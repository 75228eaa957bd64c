"""The ledger's records with a member in them, as that member may have them: without other people.

A record is given wherever it names them: as the one whom it is under, or in its body only, as the
guardian of a watch, as who gave an order, or as one of those inside. What names others is taken out
as it is when a record is forgotten: what is theirs is not the member's to have (GDPR, article
15.4).
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Table, or_, select

from access.ids import BadgeDigest, MemberId, SiteId
from server import schema
from server.forgetting_ledger import Mark, mark_of, sites_of
from server.forgotten import GATHERS, NAMES, What

_l: Final = schema.ledger.c
_a: Final = schema.set_aside.c
_WHO: Final = frozenset({"member", "guardian", "by", "from", "to"})
_CARD: Final = frozenset({"badge"})

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """What a door sent of the member that did not fit its chain.

    Attributes:
        record: without other people; None where nobody can say what is in it.
    """

    site: SiteId
    door: str
    received: datetime
    why: str
    record: dict[str, Any] | None


def records_of(
    connection: Connection, member: MemberId, badges: Collection[BadgeDigest]
) -> tuple[dict[str, Any], ...]:
    """Give the records with a member in them, newest first. Blocks for the database.

    Looks through all that the ledger has not forgotten: some 1.2 s for 500,000 entries, measured
    with SQLite on two cores.

    Args:
        connection: of a transaction.
        member: whose.
        badges: digests of theirs.
    """
    under = select(_l.id, _l.time, _l.body).where(_l.member == member)
    found = {
        row.id: (row.time, only_of(_decode(row.body), member, badges, is_theirs=True))
        for row in connection.execute(under)
    }
    for site in sites_of(connection):
        for id_, at, body in _mentioned(connection, site, member, badges):
            record = _decode(body)
            if id_ not in found and names(record, member, badges):
                found[id_] = (at, only_of(record, member, badges))
    newest_first = sorted(found, key=lambda id_: (found[id_][0], id_), reverse=True)
    return tuple(found[id_][1] for id_ in newest_first)


def misfits_of(
    connection: Connection, member: MemberId, badges: Collection[BadgeDigest]
) -> tuple[Misfit, ...]:
    """Give what was set aside with a member in it, newest first. Blocks for the database."""
    aside = schema.set_aside
    rows = connection.execute(
        select(aside).where(_says(aside, member, badges)).order_by(_a.id.desc())
    )
    return tuple(
        Misfit(
            site=SiteId(row.site),
            door=row.door,
            received=row.received,
            why=row.why,
            record=_read(row.body, member, badges),
        )
        for row in rows
    )


def names(record: object, member: MemberId, badges: Collection[BadgeDigest]) -> bool:
    """Whether a record names a member, or a badge of theirs, where people are named."""
    return any(_is_own(key, who, member, badges) for key, who in _named("", record))


def only_of(
    record: Mapping[str, Any],
    member: MemberId,
    badges: Collection[BadgeDigest],
    *,
    is_theirs: bool = False,
) -> dict[str, Any]:
    """Give a record without what names anybody but one member.

    Whom one key names becomes null; of a list of members, each other one; minutes by guardian are
    their own alone.

    Args:
        record: as it is kept.
        member: who stays in it.
        badges: digests of theirs.
        is_theirs: whether it is about them, so that its badge and what hangs on it are theirs too.
    """

    def left(key: str, value: object) -> Any:  # noqa: ANN401 (JSON)
        if isinstance(value, dict):
            if key in GATHERS:
                return {who: part for who, part in value.items() if who == member}
            return {inner: left(inner, part) for inner, part in value.items()}
        if isinstance(value, list):
            return [left(key, part) for part in value]
        if key not in NAMES and key not in GATHERS:
            return value
        is_kept = _is_own(key, value, member, badges) or (
            is_theirs and key not in _WHO and key not in GATHERS
        )
        return value if is_kept or not isinstance(value, str) else None

    return {key: left(key, value) for key, value in record.items()}


def _is_own(key: str, who: object, member: MemberId, badges: Collection[BadgeDigest]) -> bool:
    if key in _CARD:
        return who in badges
    return who == member and (key in _WHO or key in GATHERS)


def _named(key: str, value: object) -> Iterator[tuple[str, object]]:
    """Give what stands where people are named, each with its key."""
    if isinstance(value, dict):
        for inner, part in value.items():
            if key in GATHERS:
                yield key, inner
            yield from _named(inner, part)
    elif isinstance(value, list):
        for part in value:
            yield from _named(key, part)
    elif key in NAMES or key in GATHERS:
        yield key, value


def _mentioned(
    connection: Connection, site: SiteId, member: MemberId, badges: Collection[BadgeDigest]
) -> Iterator[tuple[int, datetime, str]]:
    """Give the entries of a site that may name a member in their body, where people are left."""
    mark = mark_of(connection, site, What.MEMBERS.value) or Mark()
    is_kept = or_(_l.time >= mark.until, _l.id > mark.last_id)
    statement = select(_l.id, _l.time, _l.body).where(
        _l.site == site, is_kept, _says(schema.ledger, member, badges)
    )
    for row in connection.execute(statement):
        yield row.id, row.time, row.body


def _says(table: Table, member: MemberId, badges: Collection[BadgeDigest]) -> Any:  # noqa: ANN401 (SQLAlchemy's)
    """Ask for the words themselves: they are slugs and digests, which JSON writes as they are."""
    words = (member, *sorted(badges))
    return or_(*(table.c.body.contains(f'"{word}"', autoescape=True) for word in words))


def _read(body: str, member: MemberId, badges: Collection[BadgeDigest]) -> dict[str, Any] | None:
    try:
        return only_of(_decode(body), member, badges)
    except (ValueError, RecursionError):
        return None
