"""Compares what doors were told and have recorded with what the ledger holds, again and again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection

from access.ids import DoorId, MemberId
from access.journal import SERVER, Head
from access.messages import AccessDecision
from server import ledger
from server.database import Database
from server.state import SiteState, from_json
from server.verify import verify_site
from tests.torture.place import SITE
from tests.torture.report import Outcome
from tests.torture.server_load import LoadDoor, same

_BATCH: Final = 5_000


@dataclass(slots=True)
class Replay:
    """Who is inside, from the ledger alone.

    Attributes:
        inside: who is.
        granted: who was admitted and has not opened the door, by request.
    """

    inside: set[MemberId] = field(default_factory=set)
    granted: dict[str, MemberId] = field(default_factory=dict)

    def take(self, entry: ledger.StoredEntry) -> None:
        """Follow one entry."""
        data: dict[str, Any] = entry.record["data"]
        if entry.kind == "gardien.access.granted" and entry.source != SERVER:
            member = MemberId(data["member"])
            if data["reader"] == "out":
                self.inside.discard(member)
            else:
                self.granted[data["request"]] = member
        elif entry.kind == "gardien.door.opened" and data["request"] in self.granted:
            self.inside.add(self.granted.pop(data["request"]))


@dataclass(slots=True)
class Audit:
    """Looks at a ledger that grows; each entry once.

    Attributes:
        doors: whose journals and logs it is compared with.
        outcome: takes what is found.
    """

    doors: Sequence[LoadDoor]
    outcome: Outcome
    _last: int = 0
    _replay: Replay = field(default_factory=Replay)
    _decided: dict[str, dict[str, Any]] = field(default_factory=dict)
    _heads: dict[str, Head] = field(default_factory=dict)
    _answers_seen: dict[DoorId, int] = field(default_factory=dict)

    def look(self, database: Database, where: str) -> None:
        """Compare: what doors had been told when this began must be in the ledger now."""
        acknowledged = {door.id: door.log.acknowledged for door in self.doors}
        answers = {door.id: self._new_answers(door) for door in self.doors}
        with database.reading() as connection:
            self._read_on(connection, where)
            loaded = ledger.load_state(connection, SITE)
        state = from_json(loaded[1]) if loaded is not None else SiteState()
        self._check_state(state, where)
        for door in self.doors:
            held, told = self._head(door.id).seq, acknowledged[door.id]
            lost = f"{door.id}: {told} acknowledged, {held} held"
            self.outcome.check(where, lost, is_so=told <= held)
            self.outcome.check(where, f"{door.id}: {door.log.strange}", is_so=not door.log.strange)
            for answer in answers[door.id]:
                is_kept = same(answer, self._decided.get(answer.request))
                what = f"{door.id} was answered {answer}, which the ledger does not have"
                self.outcome.check(where, what, is_so=is_kept)
                self.outcome.count("answers compared")

    def look_whole(self, database: Database, where: str) -> None:
        """Compare everything, once all is handed in."""
        check = self.outcome.check
        with database.reading() as connection:
            reports = verify_site(connection, SITE)
            aside = ledger.list_set_aside(connection, SITE)
        broken = [report for report in reports if not report.is_whole]
        check(where, f"chains are broken: {broken}", is_so=not broken)
        check(where, f"records were set aside: {aside}", is_so=not aside)
        for door in self.doors:
            held = self._head(door.id).seq
            what = f"{door.id} made {len(door.journal)} records, the ledger has {held}"
            check(where, what, is_so=held == len(door.journal))
            self.outcome.count("visits", door.log.visits)
            self.outcome.count("decided by the door alone", door.log.alone)
            self.outcome.count("answers that came late", door.log.late)
        here = {member for door in self.doors for member in door.inside}
        what = f"inside by the ledger {self._replay.inside}, by the doors {here}"
        check(where, what, is_so=self._replay.inside == here)
        self.outcome.count("records in the ledger", sum(h.seq for h in self._heads.values()))

    def _head(self, source: str) -> Head:
        return self._heads.get(source, Head())

    def _new_answers(self, door: LoadDoor) -> list[AccessDecision]:
        """Give what a door was answered since the last look."""
        answers = list(door.log.answers.values())
        new = answers[max(0, self._answers_seen.get(door.id, 0) - 1) :]
        self._answers_seen[door.id] = len(answers)
        return [answer for each in new for answer in list(each)]

    def _read_on(self, connection: Connection, where: str) -> None:
        while entries := ledger.read(connection, SITE, after_id=self._last, limit=_BATCH):
            self._last = entries[-1].id
            for entry in entries:
                self._take(entry, where)

    def _take(self, entry: ledger.StoredEntry, where: str) -> None:
        """Each entry follows the one before it, and is what its door recorded."""
        check, source = self.outcome.check, entry.source
        before = self._head(source)
        fits = entry.seq == before.seq + 1 and entry.record["prev"] == before.hash
        check(where, f"{source}: {entry.seq} does not follow {before.seq}", is_so=fits)
        self._heads[source] = Head(seq=entry.seq, hash=str(entry.record["hash"]))
        for door in self.doors:
            if door.id == source:
                is_same = entry.record == door.journal[entry.seq - 1]
                check(where, f"{source}: {entry.seq} is not what it recorded", is_so=is_same)
        if entry.kind == "gardien.access.decided":
            answer = entry.record["data"]["answer"]
            is_first = answer["request"] not in self._decided
            check(where, f"request {answer['request']} was decided twice", is_so=is_first)
            self._decided[answer["request"]] = answer
        self._replay.take(entry)

    def _check_state(self, state: SiteState, where: str) -> None:
        """What follows from the ledger was committed with it: the state is the replay."""
        check = self.outcome.check
        inside = set(state.presence.inside)
        what = f"inside by the state {inside}, by the ledger {self._replay.inside}"
        check(where, what, is_so=inside == self._replay.inside)
        check(where, "half a transaction: server", is_so=state.own == self._head(SERVER))
        for door, track in state.doors.items():
            is_whole = track.head == self._head(door)
            check(where, f"half a transaction: {door}", is_so=is_whole)
