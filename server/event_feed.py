"""What happened lately at a site, as programs follow it: from a cursor on, oldest first."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select

from access.ids import MemberId, SiteId
from server import ledger, schema
from server.board import Happening, Person
from server.board_events import SHOWN, is_line, members_of, to_happening
from server.ledger import StoredEntry

RECENT: Final = timedelta(days=2)
"""How far back a program may go, so that one that was away for a day misses nothing."""

_BATCH: Final = 200
_NEWEST_FACTORS: Final = (3, 10)
"""How many entries are looked through for each line of the newest ones; more if they are few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Lines of what happened, in the order in which the server learnt of them.

    Attributes:
        happenings: oldest first; each door by its id.
        cursor: from where to go on.
        has_more: whether there may be more already.
    """

    happenings: tuple[Happening, ...]
    cursor: int
    has_more: bool


def follow(
    connection: Connection,
    site: SiteId,
    *,
    after: int | None,
    limit: int,
    now: datetime,
    is_named: bool,
) -> Feed:
    """Read what happened at a site, as the board tells it. Blocks for the database.

    Args:
        connection: of a transaction.
        site: where.
        after: the cursor of an earlier reading; None for the newest lines.
        limit: at most so many lines, 1 or more.
        now: the time: what was taken in before `RECENT` is not told.
        is_named: whether people are told; without, every person is left out.
    """
    first = ledger.first_received(connection, now - RECENT)
    if after is None:
        entries, cursor, has_more = _newest(connection, site, first, limit)
    else:
        entries, cursor, has_more = _onward(connection, site, max(after, first - 1), limit)
    happenings = _told(connection, entries) if is_named else _nameless(entries)
    return Feed(happenings=happenings, cursor=cursor, has_more=has_more)


def _newest(
    connection: Connection, site: SiteId, first: int, limit: int
) -> tuple[list[StoredEntry], int, bool]:
    cursor = ledger.last_id(connection)
    lines: list[StoredEntry] = []
    for factor in _NEWEST_FACTORS:
        found = ledger.latest(connection, site, limit * factor, SHOWN)
        lines = [entry for entry in found if entry.id >= first and is_line(entry)][:limit]
        if len(lines) == limit or len(found) < limit * factor:
            break
    return lines[::-1], cursor, False


def _onward(
    connection: Connection, site: SiteId, after: int, limit: int
) -> tuple[list[StoredEntry], int, bool]:
    lines: list[StoredEntry] = []
    while batch := ledger.read(connection, site, after, _BATCH, SHOWN):
        for entry in batch:
            after = entry.id
            if is_line(entry):
                lines.append(entry)
            if len(lines) == limit:
                return lines, after, True
    return lines, after, False


def _told(connection: Connection, entries: list[StoredEntry]) -> tuple[Happening, ...]:
    names = _names(connection, members_of(entries))
    return tuple(
        to_happening(entry, lambda who: Person(id=who, name=names.get(who, "")), {})
        for entry in entries
    )


def _nameless(entries: Iterable[StoredEntry]) -> tuple[Happening, ...]:
    return tuple(to_happening(entry, lambda who: Person(id=who, name=""), {}) for entry in entries)


def _names(connection: Connection, ids: frozenset[MemberId]) -> dict[MemberId, str]:
    member = schema.member.c
    wanted = select(member.id, member.name).where(member.id.in_(sorted(ids)))
    return {MemberId(row.id): row.name for row in connection.execute(wanted)} if ids else {}
