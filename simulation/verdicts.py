"""What must hold at the end, when everything is mended: all records home once, the count derivable.

The count is replayed from the ledger alone, as somebody would who had nothing else.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from access.ids import DoorId, MemberId
from access.instants import from_rfc3339
from access.journal import SERVER, ChainError, Head, verify
from access.passing import OPENED_LATE
from access.presence import Presence
from server.fires import CAUSE as FIRE
from server.state import from_json
from simulation.doors import DoorNode
from simulation.invariants import Witness
from simulation.servers import Books, Kept

_LOCKS = frozenset({"gardien.lock.unlocked", "gardien.lock.locked"})


def converged(witness: Witness, books: Books, doors: Iterable[DoorNode], version: int) -> None:
    """Check (12): a minute after everything is mended, all doors are as they should be."""
    state = from_json(books.body)
    for door in doors:
        link, unit = door.link, door.unit
        if unit is None or link is None or not link.is_up:
            witness.protest(12, f"{door.id} is not back")
            continue
        known = unit.rules.policy.version if unit.rules.policy is not None else 0
        if known != version:
            witness.protest(12, f"{door.id} has policy {known}, not {version}")
        track = state.doors.get(door.id)
        if track is None or not track.is_online:
            witness.protest(12, f"the server takes {door.id} to be away")
        left = door.platter.head.seq - unit.acknowledged
        last_at = door.platter.last_at
        is_new = last_at is not None and last_at > witness.world.now - timedelta(seconds=10)
        if left and not is_new:
            witness.protest(12, f"{door.id} still has {left} records that nobody acknowledged")


def alone(witness: Witness, door: DoorNode, *, is_alone: bool) -> None:
    """Check (12): a door in reach of the server asks it."""
    if is_alone:
        witness.protest(12, f"{door.id} decides alone, and the server is in reach")


def discreet(witness: Witness, books: Books, doors: Iterable[DoorNode]) -> None:
    """Check (11) what stays: the state of the site, and what the doors' disks keep."""
    look = witness.discretion.look
    witness.discretion.look_at_rest()
    look("the state of the site", books.body.encode())
    for door in doors:
        for key, value in door.platter.kept.items():
            look(f"what {door.id} keeps as {key}", value.encode())


def _home(witness: Witness, door: DoorId, held: list[dict[str, Any]]) -> None:
    """Compare what the ledger was given of a door with what the door made, in order."""
    made = witness.door(door).records
    numbers = [record["seq"] for record in held]
    if len(numbers) != len(set(numbers)):
        witness.protest(4, f"{door}: a record is in the ledger twice")
    if [r["hash"] for r in made[: len(held)]] != [r["hash"] for r in held]:
        lost = [r["seq"] for r in made if r["hash"] not in {h["hash"] for h in held}]
        witness.protest(
            4, f"{door} made {len(made)} records, the ledger has {len(held)}: {lost[:5]}"
        )
    del made[: len(held)]


def _credited(witness: Witness, books: Books) -> None:
    for name, watch in sorted(witness.watches.items()):
        if len(watch.ends) != 1:
            witness.protest(4, f"watch {name} of {watch.guardian} ended {len(watch.ends)} times")
        given = sorted((member, minutes) for member, minutes in watch.credits)
        if given != sorted((MemberId(m), minutes) for m, minutes in watch.minutes.items()):
            witness.protest(10, f"watch {name} should credit {watch.minutes}, and gave {given}")
        if "lapsed" in watch.ends and given:
            witness.protest(10, f"watch {name} never was, and credits {given}")
    if len(books.credits) != sum(len(watch.credits) for watch in witness.watches.values()):
        witness.protest(10, "the time bank was credited more than once for a watch")


@dataclass(slots=True, kw_only=True)
class _DoorReplay:
    is_open: bool = False
    is_held: bool = False
    granted: list[tuple[MemberId, str, datetime | None]] = field(default_factory=list)
    by_badge: bool = False
    by_button: bool = False

    def expire(self, at: datetime) -> None:
        self.granted = [one for one in self.granted if one[2] is None or at < one[2]]

    def waits_for(self, request: object) -> bool:
        return any(asked == request for _, asked, _ in self.granted)


@dataclass(slots=True, kw_only=True)
class _Replay:
    """The count, from the ledger alone."""

    presence: Presence = field(default_factory=Presence)
    doors: dict[str, _DoorReplay] = field(default_factory=dict)
    last: dict[str, datetime] = field(default_factory=dict)

    def take(self, entry: Kept) -> None:
        record = entry.record
        at = self._placed(entry, from_rfc3339(record["time"]))
        what, data = record["type"].removeprefix("gardien."), record["data"]
        if entry.source == SERVER:
            self._server(what, data, at)
        else:
            self._door(entry, what, data, at)

    def _placed(self, entry: Kept, said: datetime) -> datetime:
        """A door's records are in order, whatever its clock says."""
        at, last = min(said, entry.received), self.last.get(entry.source)
        if entry.source != SERVER:
            if last is not None and (at < last or (at == last and at < said)):
                at = last + timedelta(microseconds=1)
            self.last[entry.source] = at
        return at

    def _server(self, what: str, data: dict[str, Any], at: datetime) -> None:
        presence = self.presence
        if what == "guests.changed":
            presence.change_guests(int(data["change"]))
        elif what == "site.recounted":
            presence.recount_total(int(data["people"]), at)
        elif what == "site.swept":
            presence.sweep(at)

    def _door(self, entry: Kept, what: str, data: dict[str, Any], at: datetime) -> None:
        door = self.doors.setdefault(entry.source, _DoorReplay())
        if what != "door.opened" or not door.waits_for(data.get("request")):
            door.expire(at)
        if what == "access.granted":
            self._granted(door, entry, data, at)
        elif what == "door.opened":
            self._opened(door, entry, data, at)
        elif what == "door.closed":
            door.is_open = False
        elif what == "lock.locked":
            door.granted = [
                (who, asked, until or at + OPENED_LATE) for who, asked, until in door.granted
            ]
            door.by_badge = door.by_badge and door.is_open
        elif what == "exit.requested":
            door.by_button = not door.is_open
        elif what in {"passage.started", "passage.ended"}:
            door.is_held = what == "passage.started"

    def _granted(self, door: _DoorReplay, entry: Kept, data: dict[str, Any], at: datetime) -> None:
        if data["reader"] == "out":
            door.by_badge = True
            if entry.member is not None:
                self.presence.leave(entry.member, at)
        elif entry.member is not None and door.is_open:
            self.presence.enter(entry.member, DoorId(entry.source), at)
        elif entry.member is not None:
            door.granted.append((entry.member, str(data.get("request")), None))

    def _opened(self, door: _DoorReplay, entry: Kept, data: dict[str, Any], at: datetime) -> None:
        door.is_open = True
        is_out = data.get("cause") in {"exit", FIRE} and not data.get("request")
        by_button = door.by_button or is_out
        if door.granted:
            for member, *_ in door.granted:
                self.presence.enter(member, DoorId(entry.source), at)
            door.granted = []
        elif door.by_badge:
            door.by_badge = False
        elif by_button:
            self.presence.leave_unattributed(at)
        elif door.is_held:
            self.presence.change_guests(1)
        door.by_button = False


@dataclass(slots=True, kw_only=True)
class _Fires:
    """The fires that a door has recorded, and the alerts for them; one that goes on is one."""

    recorded: int = 0
    again: int = 0
    alerts: int = 0
    goes_on: bool = False

    def take(self, kind: str) -> None:
        is_on = kind == "gardien.lock.unlocked"
        if kind == "gardien.alert.fire_alarm":
            self.alerts += 1
        elif is_on and self.goes_on:
            # By a unit that was started meanwhile.
            self.again += 1
        else:
            self.recorded += is_on
            self.goes_on = is_on


@dataclass(slots=True, kw_only=True)
class Settling:
    """Checks what the ledger holds: 1, 4, 9, 10, and the watches' credits; at once, or by parts.

    Attributes:
        heads: the end of each chain, as far as it was looked at.
    """

    witness: Witness
    books: Books
    heads: dict[str, Head] = field(default_factory=dict)
    _replay: _Replay = field(default_factory=_Replay)
    _fires: dict[str, _Fires] = field(default_factory=dict)

    def take(self) -> list[Kept]:
        """Check what was added since, and let go of it.

        Returns:
            What was added.
        """
        entries, self.books.entries = self.books.entries, []
        by_source: dict[str, list[dict[str, Any]]] = {}
        for entry in entries:
            by_source.setdefault(entry.source, []).append(entry.record)
        for source, records in sorted(by_source.items()):
            if source != SERVER:
                _home(self.witness, DoorId(source), records)
            self.vouch(source, records)
        for entry in entries:
            self._replay.take(entry)
            self._burns(entry)
        return entries

    def _burns(self, entry: Kept) -> None:
        kind, data = entry.record["type"], entry.record["data"]
        is_of_door = kind in _LOCKS and data.get("cause") == FIRE
        if is_of_door or kind == "gardien.alert.fire_alarm":
            door: str = entry.source if is_of_door else data["door"]
            self._fires.setdefault(door, _Fires()).take(kind)

    def vouch(self, source: str, records: Iterable[dict[str, Any]]) -> None:
        """Check that records go on with the chain of a door, or of the server."""
        try:
            self.heads[source] = verify(records, self.heads.get(source))
        except ChainError as error:
            self.witness.protest(9, f"the chain of {source} does not verify: {error}")

    def conclude(self) -> None:
        """Check the rest, and what can only be checked at the end."""
        self.take()
        for door, seen in self.witness.doors.items():
            if seen.records:
                lost = [record["seq"] for record in seen.records[:5]]
                text = f"{door} made {len(seen.records)} records that are not in the ledger: {lost}"
                self.witness.protest(4, text)
        if self.books.aside:
            self.witness.protest(4, f"set aside: {self.books.aside[0].why}")
        for burnt, fires in sorted(self._fires.items()):
            # Twice where the door's messages have overtaken each other (`server.fires`).
            most = 2 * self.witness.world.counts["fire"] + fires.again
            if not fires.recorded <= fires.alerts <= most:
                text = (
                    f"{burnt} recorded {fires.recorded} fires, and {fires.alerts} alerts followed"
                )
                self.witness.protest(1, text)
        _credited(self.witness, self.books)
        _counted(self.witness, self.books, self._replay)


def _counted(witness: Witness, books: Books, replay: _Replay) -> None:
    said, found = from_json(books.body).presence, replay.presence
    ours = (sorted(found.inside), found.guests, found.high, found.present, found.margin)
    theirs = (sorted(said.inside), said.guests, said.high, said.present, said.margin)
    if ours != theirs:
        witness.protest(10, f"the ledger says {ours}, the state says {theirs}")
