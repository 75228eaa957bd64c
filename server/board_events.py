"""Make of ledger entries the lines that people read."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from access.ids import MemberId
from access.journal import SERVER
from server.board import Happening
from server.board_state import Naming
from server.ledger import StoredEntry

_PREFIX: Final = "gardien."

ALERTS: Final = frozenset(
    f"{_PREFIX}alert.{what}"
    for what in (
        "badge_revoked",
        "badge_expired",
        "badge_cloned",
        "record_set_aside",
        "records_missing",
        "still_inside",
        "admitted_under_lapsed_watch",
        "two_watches",
        "watch_without_authorization",
        "guardian_barred",
        "calendar_failed",
        "fire_alarm",
        "door_forced",
        "door_held",
        "door_silent",
        "reader_failed",
        "unit_tampered",
        "clock_untrusted",
        "journal_failing",
        "journal_full",
        "ledger_failed",
        "order_not_obeyed",
    )
)
"""The types that somebody should hear of at once."""

_BY_SERVER: Final = frozenset(
    f"{_PREFIX}{what}"
    for what in (
        "access.decided",
        "watch.opened",
        "watch.lapsed",
        "watch.renewed",
        "watch.offered",
        "watch.passed",
        "watch.closing",
        "watch.closed",
        "guests.changed",
        "site.recounted",
        "site.swept",
        "command.issued",
        "command.expired",
        "door.online",
        "door.offline",
        "alert_acknowledged",
        "door.back",
        "fire.ended",
    )
)
_BY_DOOR: Final = frozenset(
    f"{_PREFIX}{what}"
    for what in (
        "access.granted",
        "access.denied",
        "exit.requested",
        "passage.started",
        "passage.ended",
        "unit.started",
    )
)
_DECIDED_BY_DOOR: Final = frozenset({f"{_PREFIX}access.granted", f"{_PREFIX}access.denied"})
_OF_A_REFUSAL: Final = frozenset(
    f"{_PREFIX}alert.badge_{what}" for what in ("revoked", "expired", "cloned")
)

SHOWN: Final = ALERTS | _BY_SERVER | _BY_DOOR
"""The types to read for the list of what happened."""


def members_of(entries: Iterable[StoredEntry]) -> frozenset[MemberId]:
    """Give the members whose names the lines need."""
    found: set[MemberId] = set()
    for entry in entries:
        if entry.member is not None:
            found.add(entry.member)
        found.update(MemberId(text) for text in _others(entry.record["data"]))
    return frozenset(found)


def is_line(entry: StoredEntry) -> bool:
    """Whether an entry is a line of its own.

    A way in is told by the server, unless the door decided alone; a way out by the door, which asks
    nobody. So each is one line. The alert that goes with a refusal is left out of the list, unless
    a badge is suspended by it.
    """
    data = entry.record["data"]
    if entry.source != SERVER and _changes_nothing(data):
        return False
    if entry.source != SERVER:
        is_decision = entry.kind in _DECIDED_BY_DOOR
        return not is_decision or data.get("offline") is True or _is_out(data)
    if entry.kind == f"{_PREFIX}access.decided":
        return not _is_out(data)
    return entry.kind not in _OF_A_REFUSAL or data.get("suspended") is True


def to_happening(entry: StoredEntry, name: Naming, doors: Mapping[str, str]) -> Happening:
    """Make a line of an entry.

    Args:
        entry: from the ledger.
        name: gives a person for a member's id.
        doors: names of doors by id.
    """
    data = entry.record["data"]
    kind = entry.kind.removeprefix(_PREFIX)
    door = data.get("door") if entry.source == SERVER else entry.source
    others = [name(MemberId(text)) for text in _others(data)]
    return Happening(
        id=entry.id,
        number=entry.seq,
        at=entry.time,
        kind=kind,
        door=doors.get(str(door), str(door)) if door is not None else None,
        person=None if entry.member is None else name(entry.member),
        other=others[0] if others else None,
        **_details(kind, data),
    )


def _changes_nothing(data: Mapping[str, Any]) -> bool:
    """Whether a door only says that things stand already, or must stay, as they are."""
    return data.get("is_again") is True or data.get("cause") in {"not_held", "locked_down"}


def _is_out(data: Mapping[str, Any]) -> bool:
    return data.get("reader") == "out"


def _others(data: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(data.get("from"), str):
        yield data["from"]


def _details(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    make = _DETAILS.get(kind)
    if make is not None:
        return make(data)
    why = data.get("why")
    return {"reason": why if isinstance(why, str) else None}


def _decided(data: Mapping[str, Any]) -> dict[str, Any]:
    answer = data["answer"]
    return {
        "is_granted": answer["granted"],
        "reason": answer["reason"],
    }


def _by_door(granted: bool) -> Callable[[Mapping[str, Any]], dict[str, Any]]:  # noqa: FBT001 (two tables' rows)
    def details(data: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "is_granted": granted,
            "reason": data.get("reason"),
            "is_out": _is_out(data),
            "is_alone": data.get("offline") is True,
        }

    return details


def _recounted(data: Mapping[str, Any]) -> dict[str, Any]:
    people = data.get("people")
    return {"amount": data["members"] + data["guests"] if people is None else people}


_DETAILS: Final[dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "access.decided": _decided,
    "access.granted": _by_door(granted=True),
    "access.denied": _by_door(granted=False),
    "command.issued": lambda data: {"reason": data["why"] or data["do"]},
    "command.expired": lambda data: {"reason": data["do"]},
    "alert.order_not_obeyed": lambda data: {"reason": data["do"]},
    "guests.changed": lambda data: {"amount": data["change"]},
    "site.recounted": _recounted,
    "alert.still_inside": lambda data: {"amount": data["high"]},
}
