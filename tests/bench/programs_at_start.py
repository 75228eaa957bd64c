#!/usr/bin/env python3
"""How long each program takes to start, and how much memory it holds, as a user starts it.

In one run, in turn: the broker, the server, the dashboard, and a door unit on emulated hardware,
whose emulated chip is in the same process. A program has started when it does its work: the broker
accepts, the server is connected, the dashboard answers /healthz, the door answers at its reader.
Memory is what is resident some seconds later, libraries that several share counted in each; the
broker's is that of mosquitto and of the program that minds it. Beside them an interpreter that does
nothing, which is the floor. Each figure is a median.

Promised: a door unit holds at most 60 MB.
"""

import argparse
import http.client
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

if (ROOT := str(Path(__file__).parents[2])) not in sys.path:
    sys.path.append(ROOT)

from access.ids import DoorId
from edge.simulated.client import NoSuchDoorError, ask
from edge.simulated.messages import Look
from gardien.progress import progress_bar
from tests.bench.beside import children_of, resident_mb
from tests.bench.broker_parts import mosquitto_version
from tests.bench.medians import middle
from tests.bench.program import Size, run, version_of
from tests.bench.running import has_said, running
from tests.bench.shape import Found, Promise, Row, Table
from tests.torture.place import Place, accepts, wait_for

DOOR: Final = DoorId("main")
MOST_DOOR_MB: Final = 60.0
BARE: Final = "an interpreter alone"
_SLEEPS: Final = "import time; print(flush=True); time.sleep(600)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How a program started: seconds until it works, and megabytes once it has settled."""

    seconds: float
    megabytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program of gardien's: what to type, and how to see that it works."""

    words: tuple[str, ...]
    is_ready: Callable[[], bool]


def programs(place: Place) -> dict[str, Program]:
    """Give all programs of an installation, in the order in which they are started."""
    door = place.door_settings(DOOR)
    web = place.inside.settings.dashboard.listen
    return {
        "broker": Program(words=("broker",), is_ready=place.is_listening),
        "server": Program(
            words=("server",),
            is_ready=lambda: has_said(place.path, "server", "connected to the broker"),
        ),
        "door": Program(
            words=("door", "--config", str(door)),
            is_ready=lambda: answers(door.with_name("sim.sock")),
        ),
        "dashboard": Program(words=("dashboard",), is_ready=lambda: is_healthy(web.host, web.port)),
    }


def answers(socket: Path) -> bool:
    """Whether a door answers at its socket."""
    with suppress(NoSuchDoorError, TimeoutError):
        return ask(socket, Look(), timeout_s=5).ok
    return False


def is_healthy(host: str, port: int) -> bool:
    """Whether the dashboard says that all is well."""
    if not accepts(port):
        return False
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def measure(options: argparse.Namespace, folder: Path) -> Found:
    """Start all programs, some times, and end them again."""
    starts: dict[str, list[Start]] = {}
    with ExitStack() as stack:
        place = stack.enter_context(Place(folder / "p", [DOOR]))
        # The first time, Python compiles: that is installing, and does not count.
        advance = stack.enter_context(progress_bar("programs", 1 + options.turns))
        turn(place, 0.0)
        advance(1)
        for _ in range(options.turns):
            for name, start in turn(place, options.settle).items():
                starts.setdefault(name, []).append(start)
            advance(1)
    return found(starts)


def turn(place: Place, settle_s: float) -> dict[str, Start]:
    """Start all programs, one after the other, and end them; give how each started."""
    seconds: dict[str, float] = {}
    with ExitStack() as stack:
        pids = {}
        seconds[BARE], pids[BARE] = stack.enter_context(bare())
        for name, program in programs(place).items():
            began = time.perf_counter()
            process = stack.enter_context(running(place.path, *program.words))
            wait_for(program.is_ready, f"the {name} works")
            seconds[name] = time.perf_counter() - began
            pids[name] = process.pid
        time.sleep(settle_s)
        return {
            name: Start(
                seconds=seconds[name],
                megabytes=sum(resident_mb(one) for one in (pid, *children_of(pid))),
            )
            for name, pid in pids.items()
        }


@contextmanager
def bare() -> Iterator[tuple[float, int]]:
    """Start an interpreter that does nothing; give the seconds that it took, and its pid."""
    began = time.perf_counter()
    command = [sys.executable, "-c", _SLEEPS]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield time.perf_counter() - began, process.pid
        finally:
            process.terminate()


def found(starts: dict[str, list[Start]]) -> Found:
    """Put what was measured into a table."""
    rows = tuple(
        Row(
            name=name,
            values=(
                start.seconds,
                start.megabytes,
            ),
        )
        for name, start in ((name, middle(several)) for name, several in starts.items())
    )
    (door,) = (row for row in rows if row.name == "door")
    return Found(
        tables=(Table(title="program", columns=("seconds to start", "MB resident"), rows=rows),),
        promises=(Promise(what="a door unit, MB", value=door.values[1], limit=MOST_DOOR_MB),),
    )


def main(arguments: list[str]) -> int:
    """Measure and tell."""
    return run(
        __file__,
        __doc__,
        arguments,
        measure,
        parts=version_of("flask", "waitress") | mosquitto_version(),
        turns=Size(5, 1, "times that all are started"),
        settle=Size(3.0, 0.5, "seconds until memory is looked at"),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
