"""What a site's state should be, from its ledger alone: who is inside, and the watch.

The doors' own records are followed by the rules that the gate follows them by; of the server's,
those that say what the clock or the desk has changed. The policy of then is not needed: whom a
record is about was noted with it.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from access.ids import BadgeDigest, DoorId, MemberId, SiteId, WatchId
from access.journal import SERVER
from access.messages import InvalidMessageError, Record, to_record
from access.model import Badge, Door, Member, Plan, Policy
from access.presence import Presence
from server import passages
from server.forgotten import is_forgotten
from server.ledger import StoredEntry
from server.state import SiteState
from server.turn import Turn

SWEPT: Final = "gardien.site.swept"
"""After it nobody is inside, and no watch runs: a replay may begin at it."""

_RECOUNTED: Final = "gardien.site.recounted"
_GUESTS: Final = "gardien.guests.changed"
_COUNTED: Final = "gardien.occupancy.changed"
_WATCH: Final = "gardien.watch."
_OF_DOORS: Final = frozenset(
    f"gardien.{what}"
    for what in (
        "access.granted",
        "door.opened",
        "door.closed",
        "lock.locked",
        "exit.requested",
        "passage.started",
        "passage.ended",
    )
)
KINDS: Final = _OF_DOORS | {
    SWEPT,
    _RECOUNTED,
    _GUESTS,
    _COUNTED,
    *(
        f"{_WATCH}{what}"
        for what in ("opened", "confirmed", "lapsed", "passed", "closing", "closed")
    ),
}
"""The types that a replay follows; all others change none of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningWatch:
    """As much of a watch as the server's chain says; the guardian is None where it is forgotten."""

    id: WatchId
    guardian: MemberId | None
    is_confirmed: bool = False
    is_closing: bool = False


@dataclass(slots=True, kw_only=True)
class Replay:
    """Follows a ledger entry by entry, in the order of their ids.

    Attributes:
        site: whose.
        without_contact: doors that can't see whether they are open.
        watch: the watch that runs.
        counted: how many were present, and how far that may be out, as last recorded.
        is_blurred: whether somebody was taken out of what would say who is inside.
    """

    site: SiteId
    without_contact: frozenset[DoorId] = frozenset()
    watch: RunningWatch | None = None
    counted: tuple[int, int] | None = None
    is_blurred: bool = False
    _state: SiteState = field(default_factory=SiteState)
    _members: dict[MemberId, Member] = field(default_factory=dict)
    _doors: dict[DoorId, Door] = field(default_factory=dict)
    _badges: dict[BadgeDigest, Badge] = field(default_factory=dict)

    @property
    def presence(self) -> Presence:
        """Who is inside."""
        return self._state.presence

    def take(self, entry: StoredEntry) -> None:
        """Follow one entry; what says nothing useful changes nothing, as at the gate."""
        if entry.source != SERVER:
            self._follow_door(entry)
            return
        # What follows a door's record does so for itself, as at the gate.
        self.presence.set_back_to(entry.received)
        if entry.kind.startswith(_WATCH):
            self._follow_watch(entry)
        else:
            self._follow_count(entry)

    def _follow_door(self, entry: StoredEntry) -> None:
        if entry.kind not in _OF_DOORS:
            return
        if is_forgotten(entry.record):
            self.is_blurred = True
            return
        try:
            record = to_record(dict(entry.record))
        except InvalidMessageError:
            return
        door = DoorId(entry.source)
        turn = Turn(policy=self._policy(entry, door), state=self._state, now=entry.received)
        passages.apply(turn, door, _as_filed(record, entry))

    def _policy(self, entry: StoredEntry, door: DoorId) -> Policy:
        """Give rules that know whom the entry is about, and its door."""
        if entry.member is not None:
            self._members.setdefault(entry.member, Member(id=entry.member, plan=Plan.NOMAD))
        has_contact = door not in self.without_contact
        self._doors.setdefault(
            door, Door(id=door, name=door, plans=frozenset(), has_contact=has_contact)
        )
        return Policy(
            version=0,
            site=self.site,
            issued=entry.received,
            relies_until=entry.received,
            capacity=1,
            doors=self._doors,
            members=self._members,
            badges=self._badges,
        )

    def _follow_count(self, entry: StoredEntry) -> None:
        data = entry.record["data"]
        if entry.kind == SWEPT:
            self.presence.sweep(entry.time)
            self.is_blurred = False
        elif entry.kind == _RECOUNTED and "people" in data:
            self.presence.recount_total(data["people"], entry.time)
        elif entry.kind == _RECOUNTED:
            inside = data["inside"]
            self.is_blurred = not isinstance(inside, list)
            known = [] if self.is_blurred else [MemberId(one) for one in inside]
            self.presence.recount(known, data["guests"], entry.time)
        elif entry.kind == _GUESTS:
            self.presence.change_guests(data["change"])
        elif entry.kind == _COUNTED:
            self.counted = data["present"], data["margin"]

    def _follow_watch(self, entry: StoredEntry) -> None:
        data, watch = entry.record["data"], self.watch
        what = entry.kind.removeprefix(_WATCH)
        if what == "opened":
            self.watch = RunningWatch(id=WatchId(data["watch"]), guardian=_member(data["guardian"]))
        elif watch is None or watch.id != data["watch"]:
            return
        elif what in {"lapsed", "closed"}:
            self.watch = None
        elif what == "passed":
            self.watch = replace(watch, guardian=_member(data["to"]))
        elif what == "confirmed":
            self.watch = replace(watch, is_confirmed=True)
        elif what == "closing":
            self.watch = replace(watch, is_closing=True)


def _as_filed(record: Record, entry: StoredEntry) -> Record:
    """Give a record with the time and the member that the ledger has it under."""
    data: dict[str, Any] = {**record.data, "member": entry.member, "badge": None}
    return msgspec.structs.replace(record, time=entry.time, data=data)


def _member(told: object) -> MemberId | None:
    return MemberId(told) if isinstance(told, str) else None
