"""Finding the card that was just presented and that nobody has, to give it to somebody."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from access.ids import BadgeDigest, DoorId, SiteId
from access.journal import SERVER
from access.policy import Reason
from server import ledger
from server.ledger import StoredEntry

_KINDS: Final = ("gardien.access.decided", "gardien.access.denied")
_LOOKED_AT: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownBadge:
    """A card that nobody has, and when it was presented."""

    badge: BadgeDigest
    at: datetime


def last_unknown(
    connection: Connection, site: SiteId, door: DoorId, since: datetime
) -> UnknownBadge | None:
    """Find the last card that was refused at a door because nobody has it.

    Looks at the newest 1,000 decisions of the site; blocks for the database. Digests of unknown
    cards are kept for a day only.

    Args:
        connection: of a transaction.
        site: whose door.
        door: where it was presented.
        since: the first instant that counts.
    """
    for entry in ledger.latest(connection, site, _LOOKED_AT, _KINDS):
        data = entry.record["data"]
        if entry.time < since or not _is_unknown_at(entry, data, door):
            continue
        if isinstance(data.get("badge"), str):
            return UnknownBadge(badge=BadgeDigest(data["badge"]), at=entry.time)
    return None


def _is_unknown_at(entry: StoredEntry, data: dict[str, Any], door: DoorId) -> bool:
    if entry.source == SERVER:
        reason, where = data["answer"]["reason"], data["door"]
    else:
        reason, where = data.get("reason"), entry.source
    return (where, reason) == (door, Reason.UNKNOWN_BADGE.value)
