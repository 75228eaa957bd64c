"""A server whose disk has no room (F17), or refuses syncs (F15), or whose file is locked (F18)."""

import contextlib
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from access.journal import verify
from server import ledger
from server.database import DatabaseFaultError, open_database
from server.unwritten import UnwrittenNote
from server.upgrade import upgrade
from tests.torture.audit import Audit
from tests.torture.disk_log import Call, record
from tests.torture.disk_model import Disk
from tests.torture.door_process import no_strace, strace
from tests.torture.place import wait_for
from tests.torture.power_cuts import memory
from tests.torture.report import Outcome, Run, Torment
from tests.torture.server_kills import (
    DOORS,
    ERRORS,
    PATIENCE_S,
    Suffering,
    doors_of,
    rounds_of,
    suffering,
)
from tests.torture.server_load import LoadDoor, crowd
from tests.torture.server_place import ServerPlace, no_mosquitto, no_mosquitto_or_strace
from tests.torture.server_writer import DOOR, SITE, take_in
from tests.torture.sick_disks import fill, no_small_disk

_SMALL: Final = "6m"
_LARGER: Final = "24m"
_LOCKED_S: Final = 32.0
"""Longer than a statement waits for another writer."""

_LOCKED_FEW_S: Final = 1.5
_SYNCS: Final = 60
_CUTS_A_REFUSAL: Final = 20
_STEPS: Final = 120


def acknowledged(doors: list[LoadDoor]) -> int:
    """Give how many records the doors know to be in the ledger."""
    return sum(door.log.acknowledged for door in doors)


def wait_for_more(doors: list[LoadDoor], what: str, within_s: float = 60) -> None:
    """Wait until something new is acknowledged."""
    known = acknowledged(doors)
    wait_for(lambda: acknowledged(doors) > known, what, within_s)


def quiet(doors: list[LoadDoor], for_s: float) -> bool:
    """Whether nothing is acknowledged for some time; what is on its way has a moment to come."""
    time.sleep(0.3)
    known = acknowledged(doors)
    time.sleep(for_s)
    return acknowledged(doors) == known


# No room.


@contextlib.contextmanager
def _small_disk(place: Path) -> Iterator[None]:
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_SMALL}", "tmpfs", str(place)]
    subprocess.run(command, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def _resize(disk: Path, size: str) -> None:
    command = ["mount", "-o", f"remount,size={size}", str(disk)]
    subprocess.run(command, check=True, capture_output=True)


def fill_disks(run: Run) -> Outcome:
    """Fill the disk under a running server, and make it larger."""
    outcome = Outcome()
    for number in range(1, run.count + 1):
        disk = run.folder / f"disk{number}"
        with _small_disk(disk):
            try:
                _fill_disk(run, disk, number, outcome)
            except ERRORS as error:
                outcome.failures.append(f"round {number}: {error!r}")
        outcome.rounds += 1
        run.done(1)
    return outcome


def _fill_disk(run: Run, disk: Path, number: int, outcome: Outcome) -> None:
    dice = run.dice("full", number)
    path, where = disk / "p", f"round {number}"
    with ServerPlace(path, DOORS) as place:
        place.start()
        with crowd(place, doors_of(run, number), patience_s=PATIENCE_S) as doors:
            audit = Audit(doors, outcome)
            wait_for_more(doors, "all is well")
            time.sleep(dice.uniform(0, 0.5))
            fill(disk)
            wait_for(lambda: "the disk is full" in place.log("server"), "the disk is full")
            fill(disk)
            outcome.check(where, "it acknowledges on a full disk", is_so=quiet(doors, 1.0))
            outcome.check(where, "the server died", is_so=place.is_alive("server"))
            said = UnwrittenNote(place.inside.folder.unwritten_file).is_said()
            outcome.check(where, "staff are not told", is_so=said)
            outcome.count("records that waited", _waiting(doors))
            is_killed = dice.random() < 0.5
            if is_killed:
                place.kill("server")
            _resize(disk, _LARGER)
            if is_killed:
                place.start_server()
            wait_for_more(doors, "it goes on by itself")
            audit.look(place.inside.database, where)
            place.bring_home(doors, audit, outcome)


def _waiting(doors: list[LoadDoor]) -> int:
    return sum(len(door.journal) - door.log.acknowledged for door in doors)


# Syncs that fail.


def refuse_syncs(run: Run) -> Outcome:
    """Let the Nth sync of a server fail, and perhaps some after it."""
    outcome = Outcome()
    with suffering(run, outcome) as it:
        it.place.kill("server")
        it.place.let_go()
        for number in rounds_of(run, outcome):
            _refuse_syncs(it, number)
        it.place.start_server()
    return outcome


def _refuse_syncs(it: Suffering, number: int) -> None:
    run, place, doors, outcome = it.run, it.place, it.doors, it.audit.outcome
    dice = run.dice("refused", number)
    first = 10 + (number * 7) % _SYNCS
    until = dice.choice([f"{first}", f"{first}..{first + 5}", f"{first}+"])
    where, log = f"round {number}, syncs {until} fail", run.folder / "strace.log"
    command = strace(f"fdatasync:error=EIO:when={until}", trace="fdatasync", log=log)
    if place.start_server(command):
        with contextlib.suppress(AssertionError):
            wait_for(lambda: "INJECTED" in log.read_text(), "a sync fails", 10)
        if until.endswith("+"):
            is_quiet = quiet(doors, 0.7)
            outcome.check(where, "it acknowledges what it can't save", is_so=is_quiet)
        else:
            wait_for_more(doors, "it goes on by itself")
    outcome.count("syncs refused", len(re.findall("INJECTED", log.read_text())))
    place.kill("server")
    place.look_at_copy(it.audit, where)


# Syncs that fail, and then the power.


def cut_after_refusal(run: Run) -> Outcome:
    """Refuse one to six syncs of each log; cut the power later, when the disk is well again."""
    outcome = Outcome()
    for number in range(-(-run.count // _CUTS_A_REFUSAL)):
        dice = run.dice("cut", number)
        first = dice.randint(1, 100)
        log = _logged(run, number, f"{first}..{first + dice.randrange(6)}")
        outcome.count("syncs refused", sum("refused" in call.kind for call in log))
        cuts = min(_CUTS_A_REFUSAL, run.count - number * _CUTS_A_REFUSAL)
        disk, done = Disk(), 0
        for point in sorted(dice.randrange(len(log) + 1) for _ in range(cuts)):
            for call in log[done:point]:
                disk.do(call)
            done = point
            with tempfile.TemporaryDirectory(dir=memory(run)) as folder:
                disk.cut(Path(folder), dice)
                where = f"log {number}, cut at call {point} of {len(log)}"
                _look_at_cut(run, Path(folder), disk.notes, where, outcome)
            outcome.rounds += 1
            run.done(1)
    return outcome


def _logged(run: Run, number: int, refused: str) -> list[Call]:
    with tempfile.TemporaryDirectory(dir=memory(run)) as folder:
        home = Path(folder) / "home"
        home.mkdir()
        words = [str(home / "gardien.db"), f"{run.seed}/{number}", str(min(_STEPS, 30 + run.count))]
        command = [sys.executable, "-m", "tests.torture.server_writer", *words]
        return record(command, home, Path(folder) / "log", refused)


def _look_at_cut(run: Run, folder: Path, notes: list[str], where: str, outcome: Outcome) -> None:
    """Open what is left as a server does, and see whether all is there that was durable."""
    durable = max((int(note.partition(" ")[2]) for note in notes), default=0)
    try:
        with open_database(f"sqlite:///{folder / 'gardien.db'}") as database:
            upgrade(database)
            with database.reading() as connection:
                head = verify(ledger.chain(connection, SITE, DOOR))
                _, body = ledger.load_state(connection, SITE) or (0, "0")
            outcome.check(where, f"{head.seq} of {durable} durable", is_so=head.seq >= durable)
            what = f"half a transaction: {body} in the state, {head.seq} recorded"
            outcome.check(where, what, is_so=int(body) == head.seq)
            seq = take_in(database, run.dice(where))
            outcome.check(where, "work does not go on", is_so=seq > head.seq)
    except DatabaseFaultError as error:
        # A file that is being made: nobody has been promised anything.
        outcome.check(where, repr(error), is_so=durable == 0)
        outcome.count("cut while the file was being made, and unreadable")
    except Exception as error:  # noqa: BLE001 (whatever it is, it would have stopped the server)
        outcome.failures.append(f"{where}: {error!r}")


# Locked.


def lock_databases(run: Run) -> Outcome:
    """Let another program hold the database for longer than anybody waits for it."""
    outcome = Outcome()
    held_s = _LOCKED_S if run.count >= LOCKED.full else _LOCKED_FEW_S
    with suffering(run, outcome) as it:
        for number in rounds_of(run, outcome):
            _lock(it, f"round {number}", held_s)
    return outcome


def _lock(it: Suffering, where: str, held_s: float) -> None:
    place, doors, audit = it.place, it.doors, it.audit
    wait_for_more(doors, "all is well")
    other = sqlite3.connect(place.path / "gardien.db", isolation_level=None, timeout=30)
    with contextlib.closing(other):
        other.execute("BEGIN IMMEDIATE")
        alone = sum(door.log.alone for door in doors)
        is_quiet = quiet(doors, held_s)
        by_themselves = sum(door.log.alone for door in doors) - alone
        other.execute("ROLLBACK")
    check = audit.outcome.check
    check(where, "it acknowledges what it can't write", is_so=is_quiet)
    check(where, "doors do not decide by themselves", is_so=by_themselves > 0)
    check(where, "the server died", is_so=place.is_alive("server"))
    begun = time.monotonic()
    wait_for_more(doors, "it goes on by itself")
    name = "longest until it went on, s"
    took_s = round(time.monotonic() - begun, 1)
    audit.outcome.facts[name] = max(took_s, float(audit.outcome.facts.get(name, 0)))
    audit.look(place.inside.database, where)


FULL_DISK: Final = Torment(
    name="server-full-disk",
    faults=("F17",),
    says="on a full disk a server acknowledges nothing and keeps nothing by halves; with room "
    "again it goes on by itself",
    full=20,
    few=1,
    run=fill_disks,
    missing=lambda: no_mosquitto() or no_small_disk(),
)
SICK_SYNCS: Final = Torment(
    name="server-failing-sync",
    faults=("F15",),
    says="when syncs fail, a server acknowledges nothing that is not saved, and goes on when the "
    "disk does",
    full=60,
    few=1,
    run=refuse_syncs,
    missing=no_mosquitto_or_strace,
)
REFUSED_CUTS: Final = Torment(
    name="server-refused-cut",
    faults=("F15",),
    says="a sync is refused, the disk is well again, the power is cut: what the ledger took in "
    "afterwards is there",
    full=1000,
    few=20,
    run=cut_after_refusal,
    missing=no_strace,
)
LOCKED: Final = Torment(
    name="server-locked",
    faults=("F18",),
    says="while another program holds the database, doors decide by themselves; then all goes on",
    full=3,
    few=1,
    run=lock_databases,
    missing=no_mosquitto,
)


def every() -> Iterator[Torment]:
    """Give the torments of this module."""
    yield from (FULL_DISK, SICK_SYNCS, REFUSED_CUTS, LOCKED)
