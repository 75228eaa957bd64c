"""From ledger entries to points of the history: a pure map, so that a rebuild gives the same."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from access.ids import DoorId
from access.journal import SERVER
from access.model import Reader
from access.policy import Reason
from server.history_points import Point, access_point, door_point, occupancy_point, watch_point
from server.ledger import StoredEntry

_Data = Mapping[str, Any]
_Make = Callable[[StoredEntry, _Data], list[Point]]


def points_of(entry: StoredEntry) -> list[Point]:
    """Give the points that an entry of the ledger makes, most often none.

    Returns:
        Points at the time of what happened. What a door says in a form that no point can have makes
        none, and so does what is not its to say: it stays in the ledger.
    """
    makers = _OF_SERVER if entry.source == SERVER else _OF_DOORS
    make = makers.get(entry.kind)
    if make is None:
        return []
    try:
        return make(entry, entry.record["data"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return []


def _occupancy(entry: StoredEntry, data: _Data) -> list[Point]:
    return [
        occupancy_point(
            site=entry.site,
            at=entry.time,
            present=data["present"],
            margin=data["margin"],
            members=data["members"],
            guests=data["guests"],
            capacity=data["capacity"],
        )
    ]


def _decided(entry: StoredEntry, data: _Data) -> list[Point]:
    return [
        access_point(
            site=entry.site,
            door=DoorId(data["door"]),
            reader=Reader(data["reader"]),
            reason=Reason(data["answer"]["reason"]),
            granted=data["answer"]["granted"],
            at=entry.time,
            decide_ms=float(data["decide_ms"]),
        )
    ]


def _passed(entry: StoredEntry, data: _Data) -> list[Point]:
    """A door's own record counts where the server did not decide: alone, or on the way out."""
    if not data.get("offline") and data["reader"] != Reader.OUT.value:
        return []
    return [
        access_point(
            site=entry.site,
            door=DoorId(entry.source),
            reader=Reader(data["reader"]),
            reason=Reason(data["reason"]),
            granted=entry.kind == "gardien.access.granted",
            at=entry.time,
        )
    ]


def _closed(entry: StoredEntry, data: _Data) -> list[Point]:
    return [
        door_point(
            site=entry.site,
            door=DoorId(entry.source),
            at=entry.time,
            open_s=float(data["open_s"]),
        )
    ]


def _flagged(flag: str, *, value: bool) -> _Make:
    def make(entry: StoredEntry, data: _Data) -> list[Point]:
        door = DoorId(data["door"] if entry.source == SERVER else entry.source)
        return [door_point(site=entry.site, door=door, at=entry.time, **{flag: value})]

    return make


def _watch(entry: StoredEntry, data: _Data) -> list[Point]:
    held = (
        datetime.fromisoformat(tenure["end"]) - datetime.fromisoformat(tenure["start"])
        for tenure in data["held"]
    )
    minutes = round(sum(length.total_seconds() for length in held) / 60)
    return [
        watch_point(
            site=entry.site,
            at=entry.time,
            minutes=minutes,
            guests=data["guests"],
            peak=data["peak"],
        )
    ]


_OF_SERVER: Final[dict[str, _Make]] = {
    "gardien.occupancy.changed": _occupancy,
    "gardien.access.decided": _decided,
    "gardien.door.online": _flagged("online", value=True),
    "gardien.door.offline": _flagged("online", value=False),
    "gardien.watch.closed": _watch,
}

_OF_DOORS: Final[dict[str, _Make]] = {
    "gardien.access.granted": _passed,
    "gardien.access.denied": _passed,
    "gardien.door.closed": _closed,
    "gardien.door.held": _flagged("held", value=True),
    "gardien.door.released": _flagged("held", value=False),
    "gardien.door.forced": _flagged("forced", value=True),
}
