"""The power is cut while an outbox is written to: what was durable is there, and work goes on.

Three disks: one that a program's calls are replayed on and that keeps just what it must, one that
does not even keep what was synced, and a real ext4 on a loop device, copied in mid-write.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from access.journal import Head, verify
from edge.outbox import Outbox
from tests.torture.disk_log import Call, record
from tests.torture.disk_model import SECTOR, Disk
from tests.torture.door_process import no_strace
from tests.torture.place import ROOT, NotSoError, wait_for
from tests.torture.report import Outcome, Run, Torment
from tests.torture.writer import DOOR, LAST, NOON, SITE

_STEPS: Final = 400
_CUTS_A_LOG: Final = 500
_CUTS_A_REFUSAL: Final = 20
_ALL: Final = 1_000_000
_IMAGE_BYTES: Final = 24 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What was said before the cut: durable up to one number, deleted at most up to another."""

    durable: int
    deleted: int

    @classmethod
    def of(cls, notes: list[str]) -> "Promise":
        """Read what the writer said."""
        said = [(what, int(number)) for what, _, number in (n.partition(" ") for n in notes)]
        return cls(
            durable=max((number for what, number in said if what == "d"), default=0),
            deleted=max((number for what, number in said if what == "a" and number > 0), default=0),
        )


def _open(path: Path) -> Outbox:
    return Outbox(path, site=SITE, door=DOOR)


def look(path: Path, promise: Promise | None, where: str, outcome: Outcome) -> None:
    """Open an outbox as a door does after a power cut, and see what is there.

    Args:
        path: the file.
        promise: what must be there; None where the disk lied, so that anything may be lost as
            long as it is said.
        where: for the messages.
        outcome: takes what was found.
    """
    try:
        with _open(path) as outbox:
            if outbox.lost is not None:
                outcome.count("files set aside")
                is_named = path.with_name(outbox.lost).exists()
                outcome.check(where, f"{outbox.lost} is not there", is_so=is_named)
            if promise is not None:
                _check_promise(outbox, promise, where, outcome)
            _check_chain(outbox, where, outcome)
            seq = outbox.append("unit.started", NOON, {})
        with _open(path) as outbox:
            _check_chain(outbox, where, outcome)
            outcome.check(where, "work does not go on", is_so=outbox.head.seq == seq)
            outbox.acknowledge(seq)
            outcome.check(where, "it can't be emptied", is_so=len(outbox) == 0)
    except Exception as error:  # noqa: BLE001 (whatever it is, it would have stopped the door)
        outcome.failures.append(f"{where}: {error!r}")


def _check_promise(outbox: Outbox, promise: Promise, where: str, outcome: Outcome) -> None:
    head, records = outbox.head.seq, outbox.after(0, _ALL)
    first = int(records[0]["seq"]) if records else head + 1
    check = outcome.check
    check(where, f"set aside as {outbox.lost}", is_so=outbox.lost is None)
    check(where, f"{head} of {promise.durable} durable ones", is_so=head >= promise.durable)
    check(where, f"{first} is the first; {promise.deleted} may be deleted",
          is_so=first <= promise.deleted + 1)  # fmt: skip
    kept = int(outbox.kept(LAST) or "0")
    check(where, f"half a transaction: {kept} kept, {head} recorded", is_so=kept == head)


def _check_chain(outbox: Outbox, where: str, outcome: Outcome) -> None:
    records = outbox.after(0, _ALL)
    if records:
        first = Head(seq=int(records[0]["seq"]) - 1, hash=str(records[0]["prev"]))
        outcome.check(where, "its chain is broken", is_so=verify(records, first) == outbox.head)


def _writer(path: Path, seed: str, steps: int) -> list[str]:
    return [sys.executable, "-m", "tests.torture.writer", str(path), seed, str(steps)]


# A disk of ours.


def memory(run: Run) -> Path:
    """Where files are quick: the disk is modelled, so no real one need be waited for."""
    memory = Path("/dev/shm")  # noqa: S108 (the folders made there are private)
    return memory if os.access(memory, os.W_OK) else run.folder


def _logged(run: Run, number: int, refused: str | None = None) -> list[Call]:
    """Give all that a writer did to its disk, and which syncs it refused."""
    with tempfile.TemporaryDirectory(dir=memory(run)) as folder:
        home = Path(folder) / "home"
        home.mkdir()
        steps = min(_STEPS, 20 + run.count)
        command = _writer(home / "outbox.db", f"{run.seed}/{number}", steps)
        return record(command, home, Path(folder) / "log", refused)


def _cut(run: Run, *, is_honest: bool) -> Outcome:
    outcome = Outcome()
    for number in range(-(-run.count // _CUTS_A_LOG)):
        log = _logged(run, number)
        cuts = min(_CUTS_A_LOG, run.count - number * _CUTS_A_LOG)
        outcome.count("calls recorded", len(log))
        _cut_log(run, number, log, cuts, outcome, is_honest=is_honest)
    return outcome


def _cut_log(
    run: Run, number: int, log: list[Call], cuts: int, outcome: Outcome, *, is_honest: bool
) -> None:
    """Replay one log, and cut the power at so many points of it."""
    dice = run.dice("points", number)
    points = sorted(dice.randrange(len(log) + 1) for _ in range(cuts))
    lies_from = [point - dice.randrange(60) for point in points]
    disk, done = Disk(), 0
    for cut, point in enumerate(points):
        if is_honest:
            for call in log[done:point]:
                disk.do(call)
            done = point
        else:
            disk = _lying(log, point, lies_from[cut])
        where = f"log {number}, cut at call {point} of {len(log)}"
        _look_at_cut(run, disk, dice, where, outcome, is_honest=is_honest)
        outcome.rounds += 1
        run.done(1)


def _lying(log: list[Call], point: int, lies_from: int) -> Disk:
    """Give a disk that has kept no sync since some call."""
    disk = Disk()
    for number, call in enumerate(log[:point]):
        if number >= lies_from and disk.honest_syncs:
            disk.settle()
            disk.honest_syncs = False
        disk.do(call)
    return disk


def _look_at_cut(
    run: Run, disk: Disk, dice: random.Random, where: str, outcome: Outcome, *, is_honest: bool
) -> None:
    with tempfile.TemporaryDirectory(dir=memory(run)) as folder:
        disk.cut(Path(folder), dice)
        if not is_honest and dice.random() < 0.3:
            _rot(Path(folder), dice)
        promise = Promise.of(disk.notes) if is_honest else None
        look(Path(folder) / "outbox.db", promise, where, outcome)


def _rot(folder: Path, dice: random.Random) -> None:
    """Fill some sector of some file with noise."""
    files = [file for file in sorted(folder.iterdir()) if file.stat().st_size >= SECTOR]
    if files:
        file = dice.choice(files)
        with file.open("r+b") as out:
            out.seek(dice.randrange(file.stat().st_size // SECTOR) * SECTOR)
            out.write(dice.randbytes(SECTOR))


def _cut_after_refusal(run: Run) -> Outcome:
    """Refuse one to six syncs of each log; cut the power later, when the disk is well again."""
    outcome = Outcome()
    for number in range(-(-run.count // _CUTS_A_REFUSAL)):
        dice = run.dice("refused", number)
        first = dice.randint(1, 60)
        log = _logged(run, number, f"{first}..{first + dice.randrange(6)}")
        outcome.count("syncs refused", sum("refused" in call.kind for call in log))
        cuts = min(_CUTS_A_REFUSAL, run.count - number * _CUTS_A_REFUSAL)
        _cut_log(run, number, log, cuts, outcome, is_honest=True)
    return outcome


# A real file system.


def no_loop() -> str:
    """Say why no ext4 can be mounted here, or nothing."""
    if os.geteuid() != 0:
        return "mounting an image of a disk takes root"
    if shutil.which("mkfs.ext4", path=_PATH) is None:
        return "mkfs.ext4 is not installed (apt install e2fsprogs)"
    try:
        with tempfile.TemporaryDirectory() as folder, _mounted(_new_image(Path(folder)), "probe"):
            return ""
    except NotSoError as error:
        return str(error)


_PATH: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _sudo(*command: str) -> None:
    env = os.environ | {"PATH": _PATH}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if done.returncode != 0:
        raise NotSoError(f"{' '.join(command)}: {done.stderr.strip()}")


def _new_image(folder: Path) -> Path:
    image = folder / "disk.ext4"
    with image.open("wb") as file:
        file.truncate(_IMAGE_BYTES)
    _sudo("mkfs.ext4", "-q", "-F", "-O", "has_journal", str(image))
    return image


@contextmanager
def _mounted(image: Path, name: str) -> Iterator[Path]:
    """Mount an image for the length of the block."""
    place = image.with_name(name)
    place.mkdir(exist_ok=True)
    _sudo("mount", "-o", "loop", str(image), str(place))
    try:
        yield place
    finally:
        _sudo("umount", str(place))


def _cut_ext4(run: Run) -> Outcome:
    """Let a writer write on a mounted image, and copy what is on the disk at any moment."""
    outcome, dice = Outcome(), run.dice("ext4")
    with ExitStack() as stack:
        home = stack.enter_context(_mounted(_new_image(run.folder), "home"))
        notes = run.folder / "notes"
        out = stack.enter_context(notes.open("wb"))
        writer = stack.enter_context(
            subprocess.Popen(_writer(home / "outbox.db", str(run.seed), 0), cwd=ROOT, stdout=out)
        )
        stack.callback(writer.kill)
        wait_for(lambda: notes.read_text().count("\n") > 3, "the writer writes")
        for number in range(1, run.count + 1):
            _freeze_and_copy(writer, dice.uniform(0, 0.05), run.folder)
            promise = Promise.of(notes.read_text().splitlines())
            os.kill(writer.pid, signal.SIGCONT)
            with _mounted(run.folder / "copy.ext4", "copy") as copy:
                look(copy / "outbox.db", promise, f"cut {number}", outcome)
            outcome.rounds += 1
            run.done(1)
        outcome.facts["records written"] = Promise.of(notes.read_text().splitlines()).durable
    return outcome


def _freeze_and_copy(writer: "subprocess.Popen[bytes]", after_s: float, folder: Path) -> None:
    """Stop the writer at a moment that was chosen, and copy what its disk holds then."""
    time.sleep(after_s)
    os.kill(writer.pid, signal.SIGSTOP)
    state = Path(f"/proc/{writer.pid}/stat")
    wait_for(lambda: state.read_text().rpartition(")")[2].split()[0] == "T", "the writer stops")
    shutil.copyfile(folder / "disk.ext4", folder / "copy.ext4")


POWER_CUTS: Final = Torment(
    name="power-cut",
    faults=("F13", "F14"),
    says="whatever of the writes since the last sync a disk has lost, torn or reordered, "
    "every durable record is there",
    full=2000,
    few=60,
    run=lambda run: _cut(run, is_honest=True),
    missing=no_strace,
)
LYING_DISK: Final = Torment(
    name="lying-disk",
    faults=("F14",),
    says="on a disk that has lost what was synced, or rots, a file is set aside by name or goes "
    "on with a chain that verifies; never an error",
    full=2000,
    few=60,
    run=lambda run: _cut(run, is_honest=False),
    missing=no_strace,
)
EXT4_CUTS: Final = Torment(
    name="power-cut-ext4",
    faults=("F13",),
    says="copied in mid-write, a real ext4 has every durable record once its journal is replayed",
    full=200,
    few=10,
    run=_cut_ext4,
    missing=no_loop,
)


REFUSED_CUTS: Final = Torment(
    name="refused-sync-cut",
    faults=("F13", "F15"),
    says="a sync is refused, the disk is well again, the power is cut: what was durable afterwards "
    "is there",
    full=1000,
    few=60,
    run=_cut_after_refusal,
    missing=no_strace,
)


def every() -> Iterator[Torment]:
    """Give the torments of this module."""
    yield from (POWER_CUTS, REFUSED_CUTS, LYING_DISK, EXT4_CUTS)
