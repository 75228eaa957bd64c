"""A door unit on a disk that refuses syncs (F15), has no room (F16), or does not answer (F24)."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edge.simulated.client import tap
from tests.torture.door_process import UNLOCKED, DoorProcess, ended_afterwards, no_strace, strace
from tests.torture.lonely import (
    GUARDIAN,
    MEMBER,
    PinWatch,
    install,
    is_opened,
    present,
    records_of,
    teach,
)
from tests.torture.place import ROOT, NotSoError, wait_for
from tests.torture.report import Outcome, Run, Torment

_SYNCS: Final = 40
"""The first sync that fails is one of so many; each comes by in as many rounds."""

_END_S: Final = 5.0
"""How long a unit that gives up on its disk may take to end."""

_SMALL: Final = "5m"
_BITE: Final = 65536
_MOST_TRIES: Final = 40
_MOST_SIGNS: Final = 60
_UNIT: Final = ROOT / "firmware_config" / "systemd" / "gardien-door.service"
_BOUND_S: Final = 15.0
_READY_S: Final = 30.0
"""Two starts of a program more, on a machine that may be busy."""


def _each_round(run: Run, outcome: Outcome) -> Iterator[tuple[int, str, Path]]:
    """Give each round its folder; nothing of it is left."""
    for number in range(1, run.count + 1):
        folder = run.folder / f"r{number}"
        folder.mkdir()
        yield number, f"round {number}", folder
        shutil.rmtree(folder)
        outcome.rounds += 1
        run.done(1)


# Syncs that fail.


def refuse_syncs(run: Run) -> Outcome:
    """Let the Nth sync fail, and perhaps some after it."""
    outcome = Outcome()
    for number, where, folder in _each_round(run, outcome):
        dice = run.dice(number)
        first = (number * 7 - 4) % _SYNCS + 1
        until = dice.choice([f"{first}", f"{first}..{first + 3}", f"{first}+"])
        door = install(folder)
        teach(door)
        try:
            with ended_afterwards(door):
                _refuse_syncs(door, until, f"{where}, syncs {until} fail", outcome)
        except NotSoError as error:
            outcome.failures.append(f"{where}, syncs {until} fail: {error}")
    return outcome


def _refuse_syncs(door: DoorProcess, until: str, where: str, outcome: Outcome) -> None:
    log, watch = door.config.with_name("strace.log"), PinWatch(door, outcome)
    door.start(before=strace(f"fdatasync:error=EIO:when={until}", trace="fdatasync", log=log))
    if door.wait_until_there():
        _come_and_go(door, watch, where, outcome)
    refused = log.read_text().count("INJECTED")
    outcome.count("syncs refused", refused)
    if door.is_alive:
        status = door.stop()
        outcome.count("the unit went on, and ended well" if status == 0 else "the unit ended badly")
    else:
        outcome.count("the unit ended by itself")
        status = door.kill()
        outcome.check(where, "it ended without saying so", is_so=status > 0)
    is_told = "ERROR" in door.log.read_text() or status != 0 or refused == 0
    outcome.count("syncs refused in silence", 0 if is_told else refused)
    is_safe = door.make_safe() and door.level != UNLOCKED
    outcome.check(where, "the lock is not locked afterwards", is_so=is_safe)
    _expect_work(door, watch, where, outcome)


def _come_and_go(door: DoorProcess, watch: PinWatch, where: str, outcome: Outcome) -> None:
    for _ in range(3):
        if is_opened(present(door, MEMBER)):
            outcome.count("entries on a failing disk")
        watch.check(where)
    out = present(door, MEMBER, "out")
    is_free = is_opened(out) or door.has_ended(_END_S)
    told = door.log.read_text()[-500:]
    outcome.check(where, f"nobody gets out: {out}, pin at {door.level}: {told}", is_so=is_free)
    watch.check(where, is_exit=True)


def _expect_work(door: DoorProcess, watch: PinWatch, where: str, outcome: Outcome) -> None:
    """With the disk well again the unit starts, admits, and has every record."""
    door.start()
    is_there = door.wait_until_there()
    outcome.check(where, "it does not start again", is_so=is_there)
    if is_there:
        wait_for(lambda: is_opened(present(door, MEMBER)), "it admits somebody", 20)
        watch.check(where)
    door.stop()
    watch.compare(records_of(door, where, outcome), where)


# No room.


def no_small_disk() -> str:
    """Say why no small disk can be mounted here, or nothing."""
    return "" if os.geteuid() == 0 else "mounting a small disk takes root"


@contextlib.contextmanager
def _small_disk(place: Path) -> Iterator[Path]:
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_SMALL}", "tmpfs", str(place)]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def fill(disk: Path) -> None:
    """Take all the room that there is."""
    with (disk / "fat").open("ab", buffering=0) as fat, contextlib.suppress(OSError):
        for size in (_BITE, 4096, 1):
            with contextlib.suppress(OSError):
                while fat.write(bytes(size)) == size:
                    pass


def fill_disks(run: Run) -> Outcome:
    """Fill the disk under a running unit, and give it its room back."""
    outcome = Outcome()
    for number, where, folder in _each_round(run, outcome):
        is_killed = run.dice(number).random() < 0.5
        with _small_disk(folder / "disk") as disk:
            door = install(folder)
            teach(door)
            try:
                with ended_afterwards(door):
                    _fill_disk(door, disk, where, outcome, is_killed=is_killed)
            except NotSoError as error:
                outcome.failures.append(f"{where}: {error}")
    return outcome


def _fill_disk(
    door: DoorProcess, disk: Path, where: str, outcome: Outcome, *, is_killed: bool
) -> None:
    check, watch = outcome.check, PinWatch(door, outcome)
    door.start()
    door.wait_until_there()
    wait_for(lambda: is_opened(present(door, MEMBER)) or not door.is_alive, "a member comes in")
    check(where, f"it died: {door.log.read_text()[-500:]}", is_so=door.is_alive)
    fill(disk)
    _until_refused(door, MEMBER, watch, where, outcome)
    check(where, "no alarm", is_so="only staff and guardians come in" in door.log.read_text())
    is_in = is_opened(present(door, GUARDIAN))
    check(where, "the reserve does not admit a guardian", is_so=is_in)
    watch.check(where)
    fill(disk)
    _until_refused(door, GUARDIAN, watch, where, outcome, more=disk)
    check(where, "nobody gets out", is_so=is_opened(present(door, MEMBER, "out")))
    watch.check(where, is_exit=True)
    if is_killed:
        door.kill()
        door.make_safe()
    (disk / "fat").unlink()
    if not is_killed:
        _expect_exit_recorded(door, where, outcome)
        door.stop()
    _expect_work(door, watch, where, outcome)


def _until_refused(
    door: DoorProcess,
    uid: bytes,
    watch: PinWatch,
    where: str,
    outcome: Outcome,
    *,
    more: Path | None = None,
) -> None:
    """Present a badge until it is refused, with ever less room."""
    for _ in range(_MOST_TRIES):
        is_in = is_opened(present(door, uid))
        watch.check(where)
        if not is_in:
            return
        outcome.count("entries on a full disk")
        if more is not None:
            fill(more)
    outcome.failures.append(f"{where}: nobody is ever refused")


def _expect_exit_recorded(door: DoorProcess, where: str, outcome: Outcome) -> None:
    """What waited in memory is written within seconds of there being room."""
    present(door, MEMBER, "out")
    door.stop()
    records = records_of(door, where, outcome)
    left = [r for r in records if r["data"].get("reader") == "out"]
    outcome.check(where, "the way out was not recorded", is_so=len(left) >= 2)
    door.start()
    door.wait_until_there()


# A call that does not come back.


def stick(run: Run) -> Outcome:
    """Let a sync take a minute, with the lock released; the service manager's patience is 10 s."""
    outcome = Outcome()
    for number, where, folder in _each_round(run, outcome):
        door = install(folder)
        teach(door)
        with ended_afterwards(door), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
            notices.bind(str(folder / "notify"))
            try:
                _stick(door, notices, run.dice(number).randint(5, 12), where, outcome)
            except NotSoError as error:
                outcome.failures.append(f"{where}: {error}")
    return outcome


def patience_s() -> float:
    """Read how long the service manager waits for a sign of life, from the unit that is shipped."""
    found = re.search(r"^WatchdogSec=(\d+)$", _UNIT.read_text(), re.MULTILINE)
    if found is None:
        raise NotSoError(f"{_UNIT} has no WatchdogSec")
    return float(found[1])


def _stick(
    door: DoorProcess, notices: socket.socket, number: int, where: str, outcome: Outcome
) -> None:
    more = {"NOTIFY_SOCKET": notices.getsockname()}
    stuck = strace(f"fdatasync:delay_enter=60s:when={number}", trace="fdatasync")
    door.start(before=stuck, more=more)
    _expect(notices, b"READY=1")
    with _people(door):
        heard_at = _last_sign_of_life(notices)
        stuck_s = time.monotonic() - heard_at
        outcome.count("stuck with the lock released", int(door.level == UNLOCKED))
        door.kill()
    outcome.check(where, "it gives signs of life though it is stuck", is_so=stuck_s >= patience_s())
    outcome.check(where, f"ended after {stuck_s:.1f} s only", is_so=stuck_s < _BOUND_S)
    is_safe = door.make_safe() and door.level != UNLOCKED
    outcome.check(where, "the lock is not locked afterwards", is_so=is_safe)
    door.start(more=more)
    _expect(notices, b"READY=1")
    took_s = round(time.monotonic() - heard_at, 1)
    outcome.facts["longest from the last sign of life to ready again, s"] = max(
        took_s, float(outcome.facts.get("longest from the last sign of life to ready again, s", 0))
    )
    outcome.check(where, f"{took_s} s until it is ready again", is_so=took_s < _READY_S)
    outcome.check(where, "it admits nobody", is_so=is_opened(present(door, MEMBER)))
    door.stop()


@contextlib.contextmanager
def _people(door: DoorProcess) -> Iterator[None]:
    """Let somebody come again and again, until the end of the block."""
    is_over = threading.Event()

    def come() -> None:
        while not is_over.wait(0.02):
            with contextlib.suppress(OSError):
                tap(door.socket, uid=MEMBER, wait_ms=600, open_ms=200, timeout_s=5)

    thread = threading.Thread(target=come)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _last_sign_of_life(notices: socket.socket) -> float:
    """Wait until the service manager would lose patience; give when it last heard, monotonic."""
    heard_at = time.monotonic()
    notices.settimeout(patience_s())
    try:
        for _ in range(_MOST_SIGNS):
            notices.recv(100)
            heard_at = time.monotonic()
    except TimeoutError:
        return heard_at
    raise NotSoError(f"it is not stuck after {_MOST_SIGNS} signs of life")


def _expect(notices: socket.socket, what: bytes) -> None:
    notices.settimeout(20)
    try:
        while notices.recv(100) != what:
            pass
    except TimeoutError:
        raise NotSoError(f"no {what.decode()} within 20 s") from None


SICK_SYNCS: Final = Torment(
    name="failing-sync",
    faults=("F15",),
    says="when syncs fail, nobody is let in on a record that is not saved, everybody gets out, "
    "and the unit works again with its next start",
    full=150,
    few=3,
    run=refuse_syncs,
    missing=no_strace,
)
FULL_DISK: Final = Torment(
    name="full-disk",
    faults=("F16",),
    says="on a full disk everybody gets out, guardians come in on the reserve, others do not, "
    "and nothing that was recorded is lost",
    full=20,
    few=1,
    run=fill_disks,
    missing=no_small_disk,
)
STUCK: Final = Torment(
    name="stuck-loop",
    faults=("F24",),
    says="a loop that is stuck gives no sign of life; it is ended within 15 s and made safe, as "
    "systemd does, and the next unit works",
    full=5,
    few=1,
    run=stick,
    missing=no_strace,
)


def every() -> Iterator[Torment]:
    """Give the torments of this module."""
    yield from (SICK_SYNCS, FULL_DISK, STUCK)
