"""The server killed with -9 again and again under load, and the broker, and one that forgets.

After each kill the ledger holds all that any door was told: each record that was acknowledged,
each answer that was given; and what follows from the ledger is what a replay of it gives.
"""

import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final

from access.journal import ChainError
from server.database import DatabaseError
from tests.torture.audit import Audit
from tests.torture.door_process import no_strace, strace
from tests.torture.place import NotSoError, wait_for
from tests.torture.report import Outcome, Run, Torment
from tests.torture.server_load import LoadDoor, crowd
from tests.torture.server_place import ServerPlace, no_mosquitto

PLACES: Final = 2
"""How many places suffer side by side."""

DOORS: Final = ("d1", "d2", "d3")
ERRORS: Final = (NotSoError, ChainError, DatabaseError, sqlite3.Error, OSError)
"""What a round may end with that failed."""

PATIENCE_S: Final = 0.4
"""Doors decide by themselves sooner than real ones: more happens."""

_LONGEST_S: Final = 3.0
_CALLS: Final = {"pwrite64": 120, "fdatasync": 40, "sendto": 40}
"""System calls before which the server is killed, and up to which one of them."""

_FLOOD: Final = 1_500


def doors_of(run: Run, *where: object) -> list[random.Random]:
    """Give the choices of each door of a place."""
    return [run.dice(*where, door) for door in DOORS]


@dataclass(slots=True, kw_only=True)
class Victim:
    """One place, and what is known of it so far."""

    number: int
    run: Run
    place: ServerPlace
    can_trace: bool
    outcome: Outcome = field(default_factory=Outcome)

    def torture(self, rounds: int) -> Outcome:
        """Kill its server so often, look at what is left each time, and at the end at all."""
        dice = doors_of(self.run, self.number)
        try:
            self.place.start()
            with crowd(self.place, dice, patience_s=PATIENCE_S) as doors:
                self._kill(self.place, doors, rounds)
        except ERRORS as error:
            self.outcome.failures.append(f"place {self.number}: {error!r}")
        return self.outcome

    def _kill(self, place: ServerPlace, doors: list[LoadDoor], rounds: int) -> None:
        audit = Audit(doors, self.outcome)
        place.kill("server")
        place.let_go()
        for number in range(1, rounds + 1):
            where = f"place {self.number}, round {number}"
            how = self._kill_somehow(place, self.run.dice(self.number, number))
            self.outcome.count(f"killed {how}")
            place.look_at_copy(audit, f"{where} ({how})")
            self.outcome.rounds += 1
            self.run.done(1)
        place.start_server()
        place.bring_home(doors, audit, self.outcome)
        place.check_verify(self.outcome)

    def _kill_somehow(self, place: ServerPlace, dice: random.Random) -> str:
        """Start the server and kill it at a moment or at a call that the dice choose."""
        kind = dice.random()
        if kind < 0.15:
            place.launch("server")
            time.sleep(dice.uniform(0, 0.8))
            place.kill("server")
            return "while it starts"
        if kind < 0.6 or not self.can_trace:
            place.start_server()
            time.sleep(dice.uniform(0, 0.8))
            place.kill("server")
            return "at a moment"
        call = dice.choice(sorted(_CALLS))
        number = dice.randint(1, _CALLS[call])
        place.start_server(strace(f"{call}:signal=SIGKILL:when={number}", trace=call))
        ends_at = time.monotonic() + _LONGEST_S
        while place.is_alive("server") and time.monotonic() < ends_at:
            time.sleep(0.005)
        self.outcome.count("calls not reached in time", int(place.is_alive("server")))
        place.kill("server")
        return f"before {call}"


def kill_servers(run: Run) -> Outcome:
    """Kill the servers of some places side by side."""
    begun, outcome, can_trace = time.monotonic(), Outcome(), not no_strace()
    shares = [len(range(number, run.count, PLACES)) for number in range(PLACES)]
    with ExitStack() as stack:
        # One after the other: what brings a database up to date may run once in a process.
        victims = [
            Victim(
                number=number,
                run=run,
                place=stack.enter_context(ServerPlace(run.folder / f"p{number}", DOORS)),
                can_trace=can_trace,
            )
            for number, share in enumerate(shares)
            if share
        ]
        pool = stack.enter_context(ThreadPoolExecutor(PLACES))
        for part in pool.map(Victim.torture, victims, shares):
            outcome.join(part)
    outcome.facts["kills a minute"] = round(outcome.rounds * 60 / (time.monotonic() - begun), 1)
    return outcome


# One place that suffers in many rounds.


@dataclass(frozen=True, slots=True, kw_only=True)
class Suffering:
    """One place while it is hurt.

    Attributes:
        audit: compares the doors with the ledger; has the outcome.
    """

    run: Run
    place: ServerPlace
    doors: list[LoadDoor]
    audit: Audit


@contextmanager
def suffering(
    run: Run,
    outcome: Outcome,
    *,
    database: str = "",
    prepare: Callable[[ServerPlace], object] = lambda _: None,
) -> Iterator[Suffering]:
    """Give a place with people at its doors; when the block ends well, all hand in what they have.

    Args:
        run: of the torment.
        outcome: takes what fails, here and in the block.
        database: a SQLAlchemy URL; empty for SQLite.
        prepare: is given the place when its broker runs, and its server does not yet.

    Raises:
        NotSoError: it does not come to life.
    """
    with ServerPlace(run.folder / "p", DOORS, database=database) as place:
        place.start_broker()
        prepare(place)
        if not place.start_server():
            raise NotSoError(f"the server has ended: {place.log('server')}")
        with crowd(place, doors_of(run), patience_s=PATIENCE_S) as doors:
            audit = Audit(doors, outcome)
            try:
                yield Suffering(run=run, place=place, doors=doors, audit=audit)
                place.bring_home(doors, audit, outcome)
            except ERRORS as error:
                outcome.failures.append(repr(error))


def rounds_of(run: Run, outcome: Outcome) -> Iterator[int]:
    """Count the rounds: each is done when the next one is asked for."""
    for number in range(1, run.count + 1):
        yield number
        outcome.rounds += 1
        run.done(1)


# The broker.


def hurt_brokers(run: Run) -> Outcome:
    """Kill the broker, let it forget its sessions, or have it keep what a server does not read."""
    outcome = Outcome()
    with suffering(run, outcome) as it:
        for number in rounds_of(run, outcome):
            _hurt_broker(it, number)
            it.audit.look(it.place.inside.database, f"round {number}")
    return outcome


def _hurt_broker(it: Suffering, number: int) -> None:
    """Kill it; every second one forgets; of ten the second one is flooded first."""
    place, doors, outcome = it.place, it.doors, it.audit.outcome
    dice = it.run.dice("broker", number)
    if number % 10 == 2:
        _flood(place, doors, outcome)
    time.sleep(dice.uniform(0, 1.0))
    known = place.ups
    place.kill("broker")
    wait_for(lambda: not place.is_listening(), "the broker is gone")
    time.sleep(dice.uniform(0, 0.6))
    if number % 2 == 0:
        place.forget_sessions()
        outcome.count("brokers that forgot")
    place.start_broker()
    wait_for(lambda: place.ups > known, "the server is connected again")
    outcome.count("brokers killed")


def _flood(place: ServerPlace, doors: list[LoadDoor], outcome: Outcome) -> None:
    """Let each door record at once far more than it sends ahead, while the server stands still."""
    with place.frozen("server"):
        for door in doors:
            door.record_many(_FLOOD)
        time.sleep(0.5)
    outcome.count("records made while the server stood still", _FLOOD * len(doors))


SERVER_KILLS: Final = Torment(
    name="server-kill",
    faults=("F1", "F11"),
    says="a server killed with -9 under load has every record that it acknowledged and every "
    "answer that it gave, each once; who is inside is what a replay of the ledger gives",
    full=1000,
    few=20,
    run=kill_servers,
    missing=no_mosquitto,
)
BROKER_KILLS: Final = Torment(
    name="broker-kill",
    faults=("F3", "F4", "F5"),
    says="a broker is killed, forgets its sessions, or has a server that reads nothing: doors "
    "decide by themselves, nothing is lost, all is handed in",
    full=100,
    few=2,
    run=hurt_brokers,
    missing=no_mosquitto,
)


def every() -> Iterator[Torment]:
    """Give the torments of this module."""
    yield from (SERVER_KILLS, BROKER_KILLS)
