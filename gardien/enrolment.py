"""Enrolling a card at a door: told to the door, waited for, and found in its journal."""

import time
from dataclasses import dataclass
from typing import Any, Final

from access.ids import BadgeDigest, DoorId, RequestId, SiteId
from access.tokens import NO_COUNTER, CardToken, TokenError, counter_of, parse_token
from gardien.errors import CommandError
from gardien.progress import progress_bar
from server import ledger
from server.desk import OPERATOR
from server.effects import SendOrder
from server.events import DoorOrdered
from server.installation import Installation
from server.ledger import StoredEntry

ENROL_S: Final = 60
"""For how long a door that is told to enrol waits for a card, in seconds."""

_MARGIN_S: Final = 5
_POLL_S: Final = 0.25
_KINDS: Final = ("gardien.access.granted", "gardien.access.denied")


class NotEnrolledError(CommandError):
    """No card was enrolled; the message says what to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """A card that a door has written.

    Attributes:
        token: that it has now.
        request: of the visit that told it; None where the door named none.
        entry: the ledger's entry of it.
    """

    badge: BadgeDigest
    token: CardToken
    request: RequestId | None
    entry: StoredEntry


def enrol(
    installation: Installation, site: SiteId, door: DoorId, wait_s: float = ENROL_S + _MARGIN_S
) -> Enrolled:
    """Tell a door to enrol the next card, and wait until it has. Blocks; shows progress.

    Args:
        installation: open.
        site: whose door.
        door: at whose reader `in` the card is to be presented.
        wait_s: how long to wait, in seconds.

    Raises:
        NotEnrolledError: no card was enrolled in that time.
        DeskError: the door can't be told.
        DatabaseError: not now.
    """
    with installation.database.reading() as connection:
        after = ledger.last_id(connection)
    command = _order(installation, site, door)
    with progress_bar("waiting for a card", total=ENROL_S) as advance:
        start, told = time.monotonic(), 0
        while time.monotonic() - start < wait_s:
            found, after = _look(installation, site, command, after)
            if found is not None:
                return found
            time.sleep(_POLL_S)
            waited = min(ENROL_S, int(time.monotonic() - start))
            advance(waited - told)
            told = waited
    raise NotEnrolledError(_why(installation, site, door, command))


def _order(installation: Installation, site: SiteId, door: DoorId) -> str:
    """Order it; give the id of the command."""
    order = DoorOrdered(by=OPERATOR, doors=(door,), do="enrol")
    effects = installation.gatehouse.handle(site, [order], installation.clock.now())
    return next(effect.order.id for effect in effects if isinstance(effect, SendOrder))


def _look(
    installation: Installation, site: SiteId, command: str, after: int
) -> tuple[Enrolled | None, int]:
    """Look through what came since; give what was found, and how far was looked."""
    with installation.database.reading() as connection:
        last = ledger.last_id(connection)
        entries = ledger.read(connection, site, after_id=after, kinds=_KINDS)
    for entry in entries:
        found = _enrolled(entry, command)
        if found is not None:
            return found, entry.id
    return None, entries[-1].id if entries else last


def _enrolled(entry: StoredEntry, command: str) -> Enrolled | None:
    data: dict[str, Any] = entry.record["data"]
    if data.get("enrolled") is not True or data.get("command") != command:
        return None
    try:
        token = parse_token(data.get("token"))
    except TokenError:
        return None
    if counter_of(token) == NO_COUNTER or not isinstance(data.get("badge"), str):
        return None
    request = data.get("request")
    return Enrolled(
        badge=BadgeDigest(data["badge"]),
        token=token,
        request=RequestId(request) if isinstance(request, str) else None,
        entry=entry,
    )


def _why(installation: Installation, site: SiteId, door: DoorId, command: str) -> str:
    is_waiting = any(order.id == command for order in installation.gatehouse.orders(site))
    track = installation.gatehouse.look(site).doors.get(door)
    if track is None or not track.is_online or is_waiting:
        return (
            f"no card was enrolled: {door} was not reached; see that it and `gardien server` run, "
            "then call again"
        )
    return (
        f"no card was enrolled at {door} within {ENROL_S} s; call again, and hold a MIFARE Classic "
        "card still at the reader until it signals"
    )
