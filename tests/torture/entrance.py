"""A real door before a real server, and who comes to it while something between them is ill."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from access.badge import digest
from access.ids import DoorId, MemberId
from access.journal import Head
from access.model import Plan
from edge.outbox_file import read_head
from edge.simulated.client import tap
from edge.simulated.messages import Answer
from server import ledger, registry
from tests.torture.door_process import UNLOCKED, DoorProcess, ended_afterwards
from tests.torture.place import GUARDIAN, SITE, people_of, uid_of, wait_for
from tests.torture.report import Outcome
from tests.torture.server_place import HOME_S, ServerPlace

DOOR: Final = DoorId("d1")
BOUND_S: Final = 3.0
"""Everybody gets an answer within it, whatever happens."""

HEALED_S: Final = 60.0
"""How soon after the end of a fault all is as before."""

_ALL: Final = 1_000_000


@dataclass(slots=True, kw_only=True)
class Entrance:
    """A real door before a real server, and who comes to it."""

    place: ServerPlace
    door: DoorProcess
    outcome: Outcome
    newcomers: int = 0

    def tap(self, member: MemberId, reader: str = "in") -> tuple[Answer, float]:
        """Present a badge; gives what came of it, and after how many seconds."""
        begun = time.monotonic()
        answer = tap(self.door.socket, uid=uid_of(member), reader=reader, open_ms=200,
                     wait_ms=4000, timeout_s=20)  # fmt: skip
        took_s = time.monotonic() - begun
        wait_for(lambda: self.door.level != UNLOCKED, "the door locks again")
        return answer, took_s

    def register(self) -> MemberId:
        """Register somebody whom the server would admit, and whom the door does not know yet."""
        self.newcomers += 1
        member, inside = MemberId(f"late-{self.newcomers}"), self.place.inside
        now, key = inside.clock.now(), inside.read_badge_key(SITE)
        person = registry.Person(
            id=member,
            name=member,
            email=f"{member}@example.org",
            language="en",
            plan=Plan.RESIDENT,
            is_guardian=False,
            sites=frozenset({SITE}),
        )
        with inside.database.writing() as connection:
            registry.add_member(connection, person, now)
            registry.assign_badge(connection, digest(uid_of(member), key), member, at=now)
        return member

    def expect_refused_in_time(self, member: MemberId, where: str) -> None:
        """Whom the door does not know it refuses by itself, in time."""
        check = self.outcome.check
        answer, took_s = self.tap(member)
        check(where, f"a stranger waits {took_s:.1f} s", is_so=took_s < BOUND_S)
        check(where, f"a stranger is let in: {answer}", is_so=not answer.opened)
        self._note(took_s)

    def expect_admitted_in_time(self, where: str) -> None:
        """Whom the door knows it admits by itself under the watch, and lets out."""
        check, member = self.outcome.check, people_of(DOOR)[0]
        answer, took_s = self.tap(member)
        check(where, f"a member waits {took_s:.1f} s", is_so=took_s < BOUND_S)
        check(where, f"a member is refused: {answer}", is_so=bool(answer.opened))
        self._note(took_s)
        answer, took_s = self.tap(member, "out")
        check(where, f"nobody gets out: {answer}", is_so=bool(answer.opened))

    def _note(self, took_s: float) -> None:
        name = "longest wait for an answer, s"
        self.outcome.facts[name] = max(round(took_s, 2), float(self.outcome.facts.get(name, 0)))

    def expect_no_release(self, changes: int, where: str) -> None:
        """Nothing that came late has moved the lock."""
        is_so = len(self.door.changes()) == changes
        self.outcome.check(where, "a grant that came late moves the lock", is_so=is_so)

    @property
    def decisions(self) -> int:
        """How often the server has decided."""
        with self.place.inside.database.reading() as connection:
            kinds = ["gardien.access.decided"]
            return len(ledger.read(connection, SITE, limit=_ALL, kinds=kinds))

    def expect_online(self) -> None:
        """The server decides again, within a minute of all being well."""

        def is_decided() -> bool:
            before = self.decisions
            self.tap(GUARDIAN)
            return self.decisions > before

        wait_for(is_decided, "the server decides again", HEALED_S)

    @property
    def made(self) -> Head:
        """The end of the chain, as the door has it."""
        file = self.door.settings.outbox
        uri = f"file:{file}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=5)) as outbox:
            return read_head(outbox)

    @property
    def is_home(self) -> bool:
        """Whether the server has all that the door recorded."""
        return self.made == self.place.head(DOOR)


@contextlib.contextmanager
def entrance_at(
    place: ServerPlace, outcome: Outcome, before: Sequence[str] = ()
) -> Iterator[Entrance]:
    """Start everything, let the guardian open the watch, and compare all at the end.

    Args:
        place: its broker and server do not run yet.
        outcome: takes what is found.
        before: a program that runs the door.
    """
    place.start()
    door = DoorProcess(place.door_settings(DOOR))
    with ended_afterwards(door):
        entrance = Entrance(place=place, door=door, outcome=outcome)
        door.start(before=before)
        door.wait_until_there()
        wait_for(lambda: place.head(DOOR).seq > 0, "the door is in touch")
        wait_for(lambda: tap(door.socket, uid=uid_of(GUARDIAN)).opened, "the watch is opened")
        wait_for(lambda: door.level != UNLOCKED, "the door locks again")
        entrance.expect_online()
        yield entrance
        _bring_home(entrance)


def _bring_home(entrance: Entrance) -> None:
    place, outcome = entrance.place, entrance.outcome
    wait_for(lambda: entrance.is_home, "the door hands in all", HOME_S)
    entrance.door.stop()
    outcome.check("at the end", "the server does not end well", is_so=place.stop("server") == 0)
    place.check_verify(outcome)
    with place.inside.database.reading() as connection:
        entries = ledger.read(connection, SITE, limit=_ALL)
    grants = [e.record["data"] for e in entries if e.kind == "gardien.access.granted"]
    strange = [one for one in grants if str(one["member"]).startswith("late-") and one["offline"]]
    outcome.check("at the end", f"admitted by a late grant: {strange}", is_so=not strange)
