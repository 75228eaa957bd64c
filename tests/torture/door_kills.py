"""A door unit killed with -9 again and again on a busy evening.

After each kill nothing that the door recorded is lost or doubled, no release came before its
record, and the lock is locked.
"""

import random
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final, Self

from access.ids import DoorId
from access.journal import ChainError, Head, verify
from edge.outbox import Outbox
from edge.outbox_file import read_head
from edge.simulated.client import DoorRefusedError, DoorSilentError, NoSuchDoorError, ask, tap
from edge.simulated.messages import ExitButton
from runtime.broker import find_mosquitto
from server import ledger
from server.verify import verify_site
from tests.torture.door_process import UNLOCKED, DoorProcess, ended_afterwards, no_strace, strace
from tests.torture.place import GUARDIAN, SITE, NotSoError, Place, people_of, uid_of, wait_for
from tests.torture.report import Outcome, Run, Torment

DOORS: Final = 3
"""How many doors are tortured side by side: each waits for its people most of the time."""

_STRANGER: Final = bytes.fromhex("04deadbeef1234")
_ALL: Final = 10_000_000
_LONGEST_S: Final = 4.0
"""How long to wait for a point that is counted; the door is killed then all the same."""

_CALLS: Final = {"pwrite64": 60, "fdatasync": 20, "sendto": 30}
"""System calls before which a door is killed, and up to which one of them."""


class Crowd:
    """People who come and go by one door, whatever happens, until they are told to stop."""

    def __init__(self, door: DoorProcess, uids: list[bytes], dice: random.Random) -> None:
        self._door, self._uids, self._dice = door, uids, dice
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._come_and_go)
        self.taps = 0

    def _come_and_go(self) -> None:
        while not self._stop.is_set():
            try:
                self._one_thing()
            except (NoSuchDoorError, DoorSilentError, DoorRefusedError):
                self._stop.wait(0.02)

    def _one_thing(self) -> None:
        what = self._dice.random()
        if what < 0.1:
            ask(self._door.socket, ExitButton(press_ms=20, open_ms=20), timeout_s=10)
            return
        uid = _STRANGER if what < 0.2 else self._dice.choice(self._uids)
        tap(
            self._door.socket,
            uid=uid,
            reader="out" if what > 0.7 else "in",
            hold_ms=200,
            wait_ms=900,
            push=self._dice.random() < 0.7,
            open_ms=20,
            timeout_s=10,
        )
        self.taps += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@dataclass(slots=True)
class Victim:
    """One door, and what is known of it so far."""

    id: DoorId
    door: DoorProcess
    place: Place
    run: Run
    can_trace: bool
    outcome: Outcome = field(default_factory=Outcome)
    changes_checked: int = 0
    last_unlocked: int = 0
    head: Head = field(default_factory=Head)

    def torture(self, rounds: int) -> Outcome:
        """Kill it so often, and look at what is left each time."""
        for number in range(1, rounds + 1):
            where = f"{self.id}, round {number}"
            try:
                self._round(number, where)
            except (NotSoError, ChainError, sqlite3.Error, OSError) as error:
                self.outcome.failures.append(f"{where}: {error!r}")
            self.outcome.rounds += 1
            self.run.done(1)
        return self.outcome

    def _round(self, number: int, where: str) -> None:
        dice = self.run.dice(self.id, number)
        uids = [uid_of(member) for member in people_of(self.id)]
        with (
            ended_afterwards(self.door),
            Crowd(self.door, uids, self.run.dice(self.id, number, "people")) as crowd,
        ):
            how = self._kill_somehow(dice)
        self.outcome.count(f"killed {how}")
        self.outcome.count("badges presented", crowd.taps)
        self.look(f"{where} ({how})")

    def _kill_somehow(self, dice: random.Random) -> str:
        """Start the door and kill it at a moment or at a point that the dice choose."""
        kind = dice.random()
        if kind < 0.1:
            self.door.start()
            time.sleep(dice.uniform(0, 0.8))
            self.door.kill()
            return "while it starts"
        if kind < 0.5:
            self.door.start()
            self.door.wait_until_there()
            time.sleep(dice.uniform(0, 1.6))
            self.door.kill()
            return "at a moment"
        if kind < 0.8 and self.can_trace:
            call = dice.choice(sorted(_CALLS))
            self._kill_before(call, dice.randint(1, _CALLS[call]))
            return f"before {call}"
        when = dice.choice(["before", "after"])
        self.door.start(kill=f"{when}:{dice.randint(1, 5)}")
        self._wait_for_death()
        return f"{when} a change of the lock's pin"

    def _kill_before(self, call: str, number: int) -> None:
        self.door.start(before=strace(f"{call}:signal=SIGKILL:when={number}", trace=call))
        self._wait_for_death()

    def _wait_for_death(self) -> None:
        ends_at = time.monotonic() + _LONGEST_S
        while self.door.is_alive and time.monotonic() < ends_at:
            time.sleep(0.005)
        self.outcome.count("points not reached in time", int(self.door.is_alive))
        self.door.kill()

    # What is left.

    def look(self, where: str) -> None:
        """See what is left of the door and its records."""
        if self.door.level == UNLOCKED:
            self.outcome.count("killed while the lock was released")
        is_safe = self.door.make_safe() and self.door.level != UNLOCKED
        self.outcome.check(where, "the lock is not locked afterwards", is_so=is_safe)
        self._look_at_pin(where)
        self._look_at_outbox(where)

    def _look_at_pin(self, where: str) -> None:
        """Each release had a record of its own before it."""
        changes = self.door.changes()
        for change in changes[self.changes_checked :]:
            if change.level == UNLOCKED:
                self.outcome.count("releases")
                has_record = change.last_unlocked > self.last_unlocked
                self.outcome.check(where, "a release without its record", is_so=has_record)
                self.last_unlocked = change.last_unlocked
        self.changes_checked = len(changes)

    def _look_at_outbox(self, where: str) -> None:
        """Its records go on from the ledger's, without a gap; neither has lost anything."""
        held, head = self._held()
        known = self.place.head(self.id)
        check = self.outcome.check
        check(where, f"the chain went back from {self.head.seq}", is_so=head.seq >= self.head.seq)
        check(where, f"the ledger has {known.seq} of {head.seq}", is_so=known.seq <= head.seq)
        if held:
            first = int(held[0]["seq"])
            check(where, "a record was deleted that nobody has", is_so=first <= known.seq + 1)
            verify(held, Head(seq=first - 1, hash=str(held[0]["prev"])))
            at_known = _head_at(held, known.seq)
            check(where, "door and ledger differ", is_so=at_known in (None, known))
        else:
            check(where, "a record was deleted that nobody has", is_so=head == known)
        self.head = head

    def _held(self) -> tuple[list[dict[str, Any]], Head]:
        """Read a copy of the outbox: the door itself is to find it as the kill left it."""
        folder = self.run.folder / f"copy-{self.id}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        source = self.door.settings.outbox
        for suffix in ("", "-wal", "-journal"):
            if (file := source.with_name(source.name + suffix)).exists():
                shutil.copy(file, folder / file.name)
        with Outbox(folder / source.name, site=SITE, door=self.id) as outbox:
            if outbox.lost is not None:
                raise NotSoError(f"the outbox was set aside as {outbox.lost}")
            return outbox.after(0, _ALL), outbox.head


def _head_at(records: list[dict[str, Any]], seq: int) -> Head | None:
    """Give the end of the chain at a number; None if the records do not say."""
    for record in records:
        if record["seq"] == seq:
            return Head(seq=seq, hash=str(record["hash"]))
        if record["seq"] == seq + 1:
            return Head(seq=seq, hash=str(record["prev"]))
    return None


def kill_doors(run: Run) -> Outcome:
    """Kill the units of some doors side by side, and see at the end that all has come home."""
    begun, outcome = time.monotonic(), Outcome()
    doors = [f"d{number}" for number in range(1, DOORS + 1)]
    with Place(run.folder / "p", doors) as place:
        place.start()
        victims = [
            Victim(id=id_, door=DoorProcess(place.door_settings(id_)), place=place, run=run,
                   can_trace=not no_strace())
            for id_ in place.doors
        ]  # fmt: skip
        _open_watch(victims[0])
        shares = [len(range(number, run.count, DOORS)) for number in range(DOORS)]
        with ThreadPoolExecutor(DOORS) as pool:
            for part in pool.map(Victim.torture, victims, shares):
                outcome.join(part)
        outcome.facts["kills a minute"] = round(outcome.rounds * 60 / (time.monotonic() - begun), 1)
        _bring_home(victims, outcome)
    return outcome


def _open_watch(victim: Victim) -> None:
    """The guardian opens the evening at the first door."""
    with ended_afterwards(victim.door) as door:
        door.start()
        door.wait_until_there()
        wait_for(lambda: victim.place.head(victim.id).seq > 0, "the door is in touch")
        wait_for(
            lambda: tap(door.socket, uid=uid_of(GUARDIAN)).opened, "the guardian opens the watch"
        )
        door.stop()


def _bring_home(victims: list[Victim], outcome: Outcome) -> None:
    """Let every door hand over what it has, and compare."""
    for victim in victims:
        victim.door.start()
    for victim in victims:
        victim.door.wait_until_there()
        wait_for(lambda v=victim: _made_by(v) == v.place.head(v.id), f"{victim.id} hands over all")  # type: ignore[misc]
        outcome.check(victim.id, "it does not end well", is_so=victim.door.stop() == 0)
        victim.look("at the end")
    place = victims[0].place
    with place.inside.database.reading() as connection:
        reports = verify_site(connection, SITE)
        aside = ledger.list_set_aside(connection, SITE)
        entries = ledger.read(connection, SITE, limit=_ALL)
    outcome.check(
        "at the end", f"chains are broken: {reports}", is_so=all(r.is_whole for r in reports)
    )
    outcome.check("at the end", f"records were set aside: {aside}", is_so=not aside)
    for victim in victims:
        _compare(victim, [entry for entry in entries if entry.source == victim.id], outcome)
    outcome.count("records in the ledger", len(entries))


def _compare(victim: Victim, entries: list[ledger.StoredEntry], outcome: Outcome) -> None:
    """Each record of a door is in the ledger once, and each release is one of them."""
    seqs = [entry.seq for entry in entries]
    once = seqs == list(range(1, len(seqs) + 1))
    outcome.check(victim.id, "its records are not there once each, in order", is_so=once)
    unlocked = {e.seq for e in entries if e.record["type"] == "gardien.lock.unlocked"}
    released = {c.last_unlocked for c in victim.door.changes() if c.level == UNLOCKED}
    outcome.check(victim.id, "a release is not in the ledger", is_so=released <= unlocked)
    outcome.count("records of a release that a kill forestalled", len(unlocked - released))
    requests = [
        entry.record["data"]["request"]
        for entry in entries
        if entry.record["type"] in {"gardien.access.granted", "gardien.access.denied"}
    ]
    outcome.check(
        victim.id, "a request is answered twice", is_so=len(requests) == len(set(requests))
    )


def _made_by(victim: Victim) -> Head | None:
    file = victim.door.settings.outbox
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)) as outbox:
        try:
            return read_head(outbox)
        except sqlite3.Error:
            return None


def _missing() -> str:
    if find_mosquitto() is None:
        return "mosquitto is not installed (apt install mosquitto)"
    return ""


DOOR_KILLS: Final = Torment(
    name="door-kill",
    faults=("F2",),
    says="a door killed with -9 on a busy evening loses and doubles no record, "
    "releases nothing without one, and is locked afterwards",
    full=1000,
    few=24,
    run=kill_doors,
    missing=_missing,
)


def every() -> Iterator[Torment]:
    """Give the torments of this module."""
    yield DOOR_KILLS
