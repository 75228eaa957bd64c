"""A door whose clock jumps, or starts in 1970, while it is on its own (F22); with libfaketime."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.torture.door_process import DoorProcess, ended_afterwards
from tests.torture.lonely import MEMBER, install, is_opened, present, records_of, teach
from tests.torture.place import NotSoError
from tests.torture.report import Outcome, Run, Torment
from tests.torture.server_kills import rounds_of

_WAYS: Final = {"back an hour": "-3600", "ahead two hours": "+7200", "1970": "@1970-01-02 00:00:00"}
"""What becomes of the clock in turn, as libfaketime has it."""

RIGHT: Final = "+0"
"""A clock that is not off."""

_PROGRAM: Final = "tests.torture.clocked_door"


def _library() -> str | None:
    """Find libfaketime, for programs with threads."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return str(found[0]) if found else None


def no_faketime() -> str:
    """Say why clocks can't be faked here, or nothing."""
    return "" if _library() else "libfaketime is not installed (apt install faketime)"


class FakedClock:
    """The time of day of a program, to be set while it runs; its monotonic clock is left alone.

    Args:
        file: where libfaketime reads what the time is.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(RIGHT)

    def set(self, to: str) -> None:
        """Set it: `+7200` and `-3600` are seconds off, `@` begins a date; see faketime(1)."""
        self._file.write_text(f"{to}\n")

    @property
    def environment(self) -> dict[str, str]:
        """What has a program live by it."""
        return {
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


def jump(run: Run) -> Outcome:
    """Let one door's clock after the other go wrong."""
    outcome = Outcome()
    for number in rounds_of(run, outcome):
        what = list(_WAYS)[(number - 1) % len(_WAYS)]
        folder = run.folder / f"r{number}"
        folder.mkdir()
        door = install(folder)
        teach(door)
        door.program = _PROGRAM
        try:
            _jump(door, FakedClock(folder / "clock"), what, f"round {number}, {what}", outcome)
        except NotSoError as error:
            outcome.failures.append(f"round {number}, {what}: {error}")
        shutil.rmtree(folder)
        outcome.count(what)
    return outcome


def _jump(door: DoorProcess, clock: FakedClock, what: str, where: str, outcome: Outcome) -> None:
    check = outcome.check
    with _running(door, clock):
        if not what.startswith("1970"):
            check(where, "with a good clock it admits nobody", is_so=_admits(door))
            clock.set(_WAYS[what])
        else:
            door.stop()
            clock.set(_WAYS[what])
            _start(door, clock)
        check(where, "it admits by a clock that is wrong", is_so=not _admits(door))
        is_out = is_opened(present(door, MEMBER, "out"))
        check(where, "nobody gets out", is_so=is_out)
        door.stop()
        _start(door, clock)
        check(where, "a restart has made the clock good", is_so=not _admits(door))
        clock.set(RIGHT)
        check(where, "it trusts a clock that was wrong", is_so=not _admits(door))
        door.stop()
    records = records_of(door, where, outcome)
    kinds = [record["type"].removeprefix("gardien.") for record in records]
    check(where, "the doubt is not recorded", is_so="clock.untrusted" in kinds)
    outcome.count("records in the order in which they were made", len(records))


def _admits(door: DoorProcess) -> bool:
    return is_opened(present(door, MEMBER))


@contextlib.contextmanager
def _running(door: DoorProcess, clock: FakedClock) -> Iterator[None]:
    with ended_afterwards(door):
        _start(door, clock)
        yield


def _start(door: DoorProcess, clock: FakedClock) -> None:
    door.start(more=clock.environment)
    if not door.wait_until_there():
        raise NotSoError(f"the door has ended: {door.log.read_text()[-500:]}")


CLOCK_JUMPS: Final = Torment(
    name="clock-jump",
    faults=("F22",),
    says="a door on its own whose clock jumps or starts in 1970 takes any time as after hours, "
    "after a restart and with the clock set right as well; everybody gets out, and its records "
    "stay in order",
    full=30,
    few=3,
    run=jump,
    missing=no_faketime,
)


def every() -> Iterator[Torment]:
    """Give the torment of this module."""
    yield CLOCK_JUMPS
