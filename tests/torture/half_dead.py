"""A real door whose server, broker or line is half dead: it decides in time by itself.

Programs that stand still with their connections open (F6); lines that delay, swallow and cut (F10).
A grant that comes late opens nothing.
"""

import contextlib
import random
import sqlite3
import time
from collections.abc import Iterator
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
from tests.torture.proxy import Line, Proxy
from tests.torture.report import Outcome, Run, Torment
from tests.torture.server_kills import ERRORS
from tests.torture.server_place import HOME_S, ServerPlace, no_mosquitto

DOOR: Final = DoorId("d1")
_BOUND_S: Final = 3.0
"""Everybody gets an answer within it, whatever happens."""

_FROZEN_S: Final = 60.0
_FROZEN_FEW_S: Final = 2.5
_HELD_UP_S: Final = 8.0
_ALL: Final = 1_000_000
_WAYS: Final = ("server", "late answers", "broker", "delays", "half open", "cuts")
"""What is done in turn."""


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
        check(where, f"a stranger waits {took_s:.1f} s", is_so=took_s < _BOUND_S)
        check(where, f"a stranger is let in: {answer}", is_so=not answer.opened)
        self._note(took_s)

    def expect_admitted_in_time(self, where: str) -> None:
        """Whom the door knows it admits by itself under the watch, and lets out."""
        check, member = self.outcome.check, people_of(DOOR)[0]
        answer, took_s = self.tap(member)
        check(where, f"a member waits {took_s:.1f} s", is_so=took_s < _BOUND_S)
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

        wait_for(is_decided, "the server decides again", 60)


@contextlib.contextmanager
def _entrance(run: Run, outcome: Outcome, dice: random.Random) -> Iterator[tuple[Entrance, Proxy]]:
    """Start everything, the door behind a proxy, and let the guardian open the watch."""
    with (
        ServerPlace(run.folder / "p", [DOOR]) as place,
        Proxy(place.port, dice) as proxy,
    ):
        config = place.door_settings(DOOR)
        text = config.read_text(encoding="utf-8")
        config.write_text(text.replace(f"port = {place.port}", f"port = {proxy.port}"), "utf-8")
        place.start()
        door = DoorProcess(config)
        with ended_afterwards(door):
            entrance = Entrance(place=place, door=door, outcome=outcome)
            door.start()
            door.wait_until_there()
            wait_for(lambda: place.head(DOOR).seq > 0, "the door is in touch")
            wait_for(lambda: tap(door.socket, uid=uid_of(GUARDIAN)).opened, "the watch is opened")
            wait_for(lambda: door.level != UNLOCKED, "the door locks again")
            entrance.expect_online()
            yield entrance, proxy
            _bring_home(entrance)


def _bring_home(entrance: Entrance) -> None:
    place, outcome = entrance.place, entrance.outcome
    wait_for(lambda: _made(entrance) == place.head(DOOR), "the door hands in all", HOME_S)
    entrance.door.stop()
    outcome.check("at the end", "the server does not end well", is_so=place.stop("server") == 0)
    place.check_verify(outcome)
    with place.inside.database.reading() as connection:
        entries = ledger.read(connection, SITE, limit=_ALL)
    grants = [e.record["data"] for e in entries if e.kind == "gardien.access.granted"]
    strange = [one for one in grants if str(one["member"]).startswith("late-") and one["offline"]]
    outcome.check("at the end", f"admitted by a late grant: {strange}", is_so=not strange)


def _made(entrance: Entrance) -> Head:
    file = entrance.door.settings.outbox
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)) as outbox:
        return read_head(outbox)


# Standing still.


def torture(run: Run) -> Outcome:
    """Do one thing after another to a door's server, broker and line."""
    outcome, is_full = Outcome(), run.count >= HALF_DEAD.full
    frozen_s = _FROZEN_S if is_full else _FROZEN_FEW_S
    try:
        with _entrance(run, outcome, run.dice("line")) as (entrance, proxy):
            for number in range(1, run.count + 1):
                what = _WAYS[(number - 1) % len(_WAYS)]
                where, dice = f"round {number}, {what}", run.dice(number)
                if what in {"server", "broker"}:
                    _freeze(entrance, what, frozen_s, f"{where} stands still")
                else:
                    _spoil(entrance, proxy, what, dice, where)
                entrance.expect_online()
                outcome.count(f"{what} stood still" if what in {"server", "broker"} else what)
                outcome.rounds += 1
                run.done(1)
    except ERRORS as error:
        outcome.failures.append(repr(error))
    return outcome


def _freeze(entrance: Entrance, name: str, for_s: float, where: str) -> None:
    begun = time.monotonic()
    with entrance.place.frozen(name):
        if name == "server":
            entrance.expect_refused_in_time(entrance.register(), where)
        else:
            entrance.expect_admitted_in_time(where)
        changes = len(entrance.door.changes())
        time.sleep(max(0.0, begun + for_s - time.monotonic()))
    # What the server had not read comes to it now, and its answers to the door.
    time.sleep(1)
    entrance.expect_no_release(changes, where)


# Bad lines.


def _spoil(entrance: Entrance, proxy: Proxy, what: str, dice: random.Random, where: str) -> None:
    """Spoil the line, and mend it."""
    match what:
        case "late answers":
            _late(entrance, proxy, dice, where)
        case "delays":
            _delay(entrance, proxy, dice, where)
        case "half open":
            _swallow(entrance, proxy, dice, where)
        case _:
            _cut(entrance, proxy, dice, where)
    proxy.line = Line()


def _late(entrance: Entrance, proxy: Proxy, dice: random.Random, where: str) -> None:
    """The server grants at once, and its answer comes when the door has long refused."""
    late_s = dice.uniform(1.5, 5)
    proxy.line = Line(to_client_s=(late_s, late_s))
    newcomer, before = entrance.register(), entrance.decisions
    entrance.expect_refused_in_time(newcomer, where)
    changes = len(entrance.door.changes())
    granted = entrance.decisions > before
    entrance.outcome.count("grants that came late", int(granted))
    time.sleep(late_s + 0.3)
    entrance.expect_no_release(changes, where)


def _delay(entrance: Entrance, proxy: Proxy, dice: random.Random, where: str) -> None:
    """Everything takes its time, each message another."""
    most_s = dice.uniform(0.5, 5)
    proxy.line = Line(to_server_s=(0, most_s), to_client_s=(0, most_s))
    for _ in range(2):
        entrance.expect_admitted_in_time(where)


def _swallow(entrance: Entrance, proxy: Proxy, dice: random.Random, where: str) -> None:
    """The connection stands, and nothing comes through; as when a router has forgotten it."""
    proxy.line = Line(is_half_open=True)
    entrance.expect_admitted_in_time(where)
    time.sleep(dice.uniform(0, _HELD_UP_S) if dice.random() < 0.5 else 0)
    proxy.cut_now()


def _cut(entrance: Entrance, proxy: Proxy, dice: random.Random, where: str) -> None:
    """Each message is cut in its middle, several times over."""
    for _ in range(dice.randint(1, 3)):
        proxy.cut()
        entrance.expect_admitted_in_time(where)


HALF_DEAD: Final = Torment(
    name="half-dead",
    faults=("F6", "F10"),
    says="server or broker stand still, or the line delays, swallows and cuts: a door decides "
    "within 3 s by itself, what comes late moves no lock, then the server decides again",
    full=60,
    few=2,
    run=torture,
    missing=no_mosquitto,
)


def every() -> Iterator[Torment]:
    """Give the torments of this module."""
    yield HALF_DEAD
