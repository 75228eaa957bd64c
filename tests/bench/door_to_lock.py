#!/usr/bin/env python3
"""From a card that is held to the reader until the lock unlocks, at a whole door unit.

In one run, the programs that a user starts: broker, server, and a door unit on emulated hardware;
one person after the other comes in, and goes through. In turn, a server answers, or there is none
and the door decides alone. The time is taken in the door's process, from the card's coming into the
field to the pin of the lock. In it is the time until the reader is looked at: half of 60 ms on
average, and most of what there is.
"""

import argparse
import os
import statistics
import sys
import time
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Final

if (ROOT := str(Path(__file__).parents[2])) not in sys.path:
    sys.path.append(ROOT)

from access.ids import DoorId, MemberId
from edge.simulated.client import tap
from gardien.progress import progress_bar
from tests.bench.broker_parts import mosquitto_version
from tests.bench.program import Size, run, version_of
from tests.bench.running import has_said, running
from tests.bench.shape import Found, Row, Table
from tests.bench.timed_door import TRACE
from tests.torture.place import GUARDIAN, SITE, Place, people_of, uid_of, wait_for

DOOR: Final = DoorId("main")
TIMED: Final = "tests.bench.timed_door"
ANSWERED, ALONE = "the server answers", "no server: the door decides"
SETTLED_S: Final = 1.0


def measure(options: argparse.Namespace, folder: Path) -> Found:
    """Let people in, with a server and without one, in turn."""
    trace = folder / "trace"
    os.environ[TRACE] = str(trace)
    took: dict[str, list[float]] = {ANSWERED: [], ALONE: []}
    with ExitStack() as stack:
        place = stack.enter_context(Place(folder / "p", [DOOR]))
        socket = place.door_settings(DOOR).with_name("sim.sock")
        stack.enter_context(running(place.path, "broker"))
        wait_for(place.is_listening, "the broker accepts")
        config = ("door", "--config", str(place.door_settings(DOOR)))
        stack.enter_context(running(place.path, *config, module=TIMED))
        wait_for(socket.exists, "the door starts")
        people = cycle(people_of(DOOR))
        advance = stack.enter_context(progress_bar("taps", 2 * options.turns * options.taps))
        for turn in range(options.turns):
            with running(place.path, "server"):
                wait_for(lambda: is_online(place), "server and door know each other")
                time.sleep(SETTLED_S)
                if turn == 0:
                    come_in(socket, GUARDIAN)  # who opens the watch: that does not count
                for _ in range(options.taps):
                    took[ANSWERED].append(timed(trace, socket, next(people)))
                    advance(1)
            time.sleep(SETTLED_S)
            for _ in range(options.taps):
                took[ALONE].append(timed(trace, socket, next(people)))
                advance(1)
    return found(took)


def is_online(place: Place) -> bool:
    """Whether the server has heard of the door since it was started."""
    if not has_said(place.path, "server", "connected to the broker"):
        return False
    track = place.inside.gatehouse.look(SITE).doors.get(DOOR)
    return track is not None and track.is_online


def come_in(socket: Path, member: MemberId) -> None:
    """Let somebody in.

    Raises:
        RuntimeError: the door did not open for them.
    """
    answer = tap(socket, uid=uid_of(member), open_ms=50)
    if not answer.opened:
        raise RuntimeError(f"the door did not open for {member}: {answer}")


def timed(trace: Path, socket: Path, member: MemberId) -> float:
    """Let somebody in; give the milliseconds from card to lock."""
    come_in(socket, member)
    (card, came), (lock, unlocked) = map(str.split, trace.read_text().splitlines()[-2:])
    if (card, lock) != ("card", "lock"):
        raise RuntimeError(f"a {card} and a {lock} were noted at the door")
    return (float(unlocked) - float(came)) * 1e3


def found(took: dict[str, list[float]]) -> Found:
    """Put what was measured into a table."""
    rows = []
    for name, several in took.items():
        cuts = statistics.quantiles(several, n=20, method="inclusive")
        values = (min(several), statistics.median(several), cuts[18], max(several))
        rows.append(Row(name=name, values=values))
    columns = ("least", "p50", "p95", "most")
    return Found(tables=(Table(title="card to lock, ms", columns=columns, rows=tuple(rows)),))


def main(arguments: list[str]) -> int:
    """Measure and tell."""
    return run(
        __file__,
        __doc__,
        arguments,
        measure,
        parts=version_of("paho-mqtt", "mfrc522", "gpiozero") | mosquitto_version(),
        turns=Size(4, 1, "with a server, and without one"),
        taps=Size(15, 2, "in each turn"),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
