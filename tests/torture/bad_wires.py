"""A real door on a real interface: unplugged, flapping (F7), lossy (F8), narrow (F9).

Neither edge of a link moves the lock; everybody is answered in time; and all is well again soon
after the wire is.
"""

import random
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edge.simulated.client import tap
from tests.torture.door_process import UNLOCKED
from tests.torture.entrance import DOOR, HEALED_S, Entrance, entrance_at
from tests.torture.place import people_of, uid_of, wait_for
from tests.torture.report import Outcome, Run, Torment
from tests.torture.server_kills import ERRORS, rounds_of
from tests.torture.server_place import ServerPlace, no_mosquitto
from tests.torture.wire import Wire, listens, no_wire, wire, within

_LOST_PERCENT: Final = 30
_KBIT_S: Final = 64
_FLAPS: Final = 8
_WAYS: Final = ("unplugged", "flapping", "lossy", "narrow")
"""What is done in turn."""


class _FarPlace(ServerPlace):
    """A place whose broker and server are at the other end of a wire."""

    def __init__(self, path: Path, doors: Sequence[str]) -> None:
        self.space = ""
        super().__init__(path, doors)

    def launch(self, name: str, before: Sequence[str] = ()) -> "subprocess.Popen[bytes]":
        """Start a program in its namespace; does not wait."""
        return super().launch(name, [*within(self.space), *before])

    def is_listening(self) -> bool:
        """Whether the broker accepts connections."""
        return listens(self.space, self.port)


@contextmanager
def _far_away(run: Run, outcome: Outcome) -> Iterator[tuple[Entrance, Wire]]:
    with _FarPlace(run.folder / "p", [DOOR]) as place, wire(place.port) as line:
        place.space = line.server
        with entrance_at(place, outcome, before=within(line.door)) as entrance:
            yield entrance, line


def torture(run: Run) -> Outcome:
    """Do one thing after another to a door's wire."""
    outcome = Outcome()
    try:
        with _far_away(run, outcome) as (entrance, line):
            for number in rounds_of(run, outcome):
                what = _WAYS[(number - 1) % len(_WAYS)]
                _spoil(entrance, line, what, run.dice(number), f"round {number}, {what}")
                _expect_healed(entrance)
                outcome.count(what)
    except ERRORS as error:
        outcome.failures.append(repr(error))
    return outcome


def _spoil(entrance: Entrance, line: Wire, what: str, dice: random.Random, where: str) -> None:
    """Spoil the wire, and mend it."""
    match what:
        case "unplugged":
            _unplug(entrance, line, dice, where)
        case "flapping":
            _flap(entrance, line, dice, where)
        case "lossy":
            line.lose(_LOST_PERCENT)
            for _ in range(3):
                entrance.expect_admitted_in_time(where)
            entrance.outcome.count("packets lost", line.lost)
        case _:
            line.narrow(_KBIT_S)
            # The new policy is on its way meanwhile.
            entrance.register()
            for _ in range(3):
                entrance.expect_admitted_in_time(where)
            entrance.expect_online()
    line.mend()


def _unplug(entrance: Entrance, line: Wire, dice: random.Random, where: str) -> None:
    """Pull the plug while the lock is locked, and while somebody walks through."""
    changes = len(entrance.door.changes())
    line.unplug()
    time.sleep(dice.uniform(0, 3))
    entrance.expect_no_release(changes, where)
    entrance.expect_admitted_in_time(where)
    changes = len(entrance.door.changes())
    line.plug_in()
    time.sleep(1)
    entrance.expect_no_release(changes, where)
    _unplug_while_unlocked(entrance, line, where)


def _unplug_while_unlocked(entrance: Entrance, line: Wire, where: str) -> None:
    """One release, and one end of it: the edges add nothing and take nothing away."""
    door, before = entrance.door, len(entrance.door.changes())
    uid = uid_of(people_of(DOOR)[1])
    walk = threading.Thread(
        target=tap, args=(door.socket,), kwargs={"uid": uid, "open_ms": 800, "timeout_s": 20}
    )
    walk.start()
    wait_for(lambda: door.level == UNLOCKED, "somebody walks through")
    line.unplug()
    time.sleep(0.1)
    line.plug_in()
    walk.join()
    wait_for(lambda: door.level != UNLOCKED, "the door locks again")
    levels = [change.level for change in door.changes()[before:]]
    entrance.outcome.check(where, f"the lock moved so: {levels}", is_so=levels == [UNLOCKED, 0])
    tap(door.socket, uid=uid, reader="out", open_ms=100, timeout_s=20)
    wait_for(lambda: door.level != UNLOCKED, "the door locks again")


def _flap(entrance: Entrance, line: Wire, dice: random.Random, where: str) -> None:
    """Plug in and out, faster and slower than anybody connects."""
    changes = len(entrance.door.changes())
    for _ in range(_FLAPS):
        line.unplug()
        time.sleep(dice.uniform(0.01, 0.5))
        line.plug_in()
        time.sleep(dice.uniform(0.01, 1))
    entrance.expect_no_release(changes, where)
    line.unplug()
    entrance.expect_admitted_in_time(where)


def _expect_healed(entrance: Entrance) -> None:
    """The server decides again and has every record, within a minute."""
    begun, facts = time.monotonic(), entrance.outcome.facts
    entrance.expect_online()
    wait_for(lambda: entrance.is_home, "the door hands in all", HEALED_S)
    took_s = round(time.monotonic() - begun, 1)
    name = "longest until all was well again, s"
    facts[name] = max(took_s, float(facts.get(name, 0)))


BAD_WIRE: Final = Torment(
    name="bad-wire",
    faults=("F7", "F8", "F9"),
    says="a door's wire is unplugged, flaps, loses 30 % or carries 64 kbit/s: no edge moves the "
    "lock, everybody is answered within 3 s, all is well again within 60 s",
    full=100,
    few=4,
    run=torture,
    missing=lambda: no_mosquitto() or no_wire(),
)


def every() -> Iterator[Torment]:
    """Give the torments of this module."""
    yield BAD_WIRE
