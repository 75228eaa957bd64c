#!/usr/bin/env python3
"""Two programs of others that answer badges over MQTT, beside ours and beside a bare echo.

    echo       a bare paho client, which does nothing else: the floor
    Node-RED   4.1.8, a flow that looks the badge up among 148 in memory, and keeps nothing
    FabOMatic  1.0.7, without its pages: looks the card up in SQLite, and writes when the machine
               was last seen
    gardien    the whole server: rules, chained record, durable commit, history beside it

Each as it ships, through the same mosquitto, in turn, in three ways:

    default    nothing set: small packets may wait for acknowledgements (Nagle's algorithm)
    broker     TCP_NODELAY at the broker (`set_tcp_nodelay true`)
    all        TCP_NODELAY at the broker, at whoever asks and at all who answer; Node-RED and
               FabOMatic have no setting for it, and are changed in that one thing

The echo and gardien set TCP_NODELAY at their own sockets always. The others do not do the same
work: compare each with the echo first. What separates the first two ways from the third is the
kernel's waiting, not work. Each figure is a median of the turns.
"""

import argparse
import json
import sys
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import paho.mqtt.client as paho

if (ROOT := str(Path(__file__).parents[2])) not in sys.path:
    sys.path.append(ROOT)

from gardien.progress import progress_bar
from tests.bench.asker import Asker, Spread, Way, take_turns
from tests.bench.beside import resident_mb
from tests.bench.broker_parts import mosquitto, mosquitto_version, process
from tests.bench.ledger_filling import badge_of
from tests.bench.medians import middle
from tests.bench.peer_programs import are_here, fabomatic, node_red, node_version
from tests.bench.program import Size, run, version_of
from tests.bench.responders import BADGE, ECHO, MEMBERS, echo, serve
from tests.bench.shape import Found, Row, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Where TCP_NODELAY is set."""

    name: str
    at_broker: bool = False
    everywhere: bool = False


SETUPS: Final = (
    Setup(name="default"),
    Setup(name="broker", at_broker=True),
    Setup(name="all", at_broker=True, everywhere=True),
)


def _scan(request: str, number: int) -> bytes:
    return json.dumps({"id": request, "badge": badge_of(number % MEMBERS)}).encode()


def _check(_: str, number: int) -> bytes:
    return json.dumps({"action": "checkuser", "uid": f"{number % MEMBERS:08x}"}).encode()


def _unlocked(message: paho.MQTTMessage) -> str:
    answer = json.loads(message.payload)
    if answer["unlock"] is not True:
        raise ValueError(f"Node-RED refused a badge that it knows: {answer}")
    return str(answer["id"])


def _valid(message: paho.MQTTMessage) -> str:
    answer = json.loads(message.payload)
    if answer["is_valid"] is not True:
        raise ValueError(f"FabOMatic refused a card that it knows: {answer}")
    return ""  # it does not say what it answers; answers come in order


WAYS: Final = {
    "echo": ECHO,
    "Node-RED": Way(request="door/main/scan", answer="door/main/cmd", body=_scan, id_of=_unlocked),
    "FabOMatic": Way(request="machine/1", answer="machine/1/reply", body=_check, id_of=_valid),
    "gardien": BADGE,
}


def measure(options: argparse.Namespace, folder: Path) -> Found:
    """Measure all in each way."""
    if not are_here():
        raise SystemExit("Node-RED and FabOMatic are not here; get them: scripts/peers")
    loads: tuple[int, ...] = options.loads
    spreads: dict[tuple[str, str, int], Spread] = {}
    memory: dict[str, list[float]] = {name: [] for name in WAYS}
    with progress_bar("peers", len(SETUPS) * options.turns * len(loads)) as advance:
        for setup in SETUPS:
            here = folder / setup.name
            here.mkdir()
            several: dict[tuple[str, int], list[Spread]] = {}
            with ExitStack() as stack:
                port = stack.enter_context(mosquitto(here, is_prompt=setup.at_broker))
                pids = start(stack, setup, port, here)
                askers = {
                    name: stack.enter_context(closing(Asker(port, way, is_prompt=setup.everywhere)))
                    for name, way in WAYS.items()
                }
                for asker in askers.values():
                    asker.until_answered()
                    asker.ask(options.rounds, max(loads))  # to warm up; does not count
                for _ in range(options.turns):
                    for load in loads:
                        for name, one in take_turns(askers, options.rounds, load).items():
                            several.setdefault((name, load), []).append(one)
                        advance(1)
                for name, pid in pids.items():
                    memory[name].append(resident_mb(pid))
            spreads |= {(setup.name, *key): middle(of) for key, of in several.items()}
    return found(loads, spreads, memory)


def start(stack: ExitStack, setup: Setup, port: int, folder: Path) -> dict[str, int]:
    """Start all who answer; give their pids."""
    prompt = setup.everywhere
    for name in ("red", "fab", "gardien"):
        (folder / name).mkdir()
    return {
        "echo": stack.enter_context(process(echo, port)),
        "Node-RED": stack.enter_context(node_red(port, folder / "red", is_prompt=prompt)),
        "FabOMatic": stack.enter_context(fabomatic(port, folder / "fab", is_prompt=prompt)),
        "gardien": stack.enter_context(process(serve, port, folder / "gardien")),
    }


def found(
    loads: tuple[int, ...],
    spreads: dict[tuple[str, str, int], Spread],
    memory: dict[str, list[float]],
) -> Found:
    """Put what was measured into tables: one for each figure, a column for each way."""
    tables = []
    for load in loads:
        figures = {"p50, ms": "p50", "p99, ms": "p99", "answers/s": "per_s"}
        for title, figure in figures.items():
            rows = (
                Row(
                    name=name,
                    values=tuple(
                        getattr(spreads[setup.name, name, load], figure) for setup in SETUPS
                    ),
                )
                for name in WAYS
            )
            columns = tuple(setup.name for setup in SETUPS)
            tables.append(
                Table(title=f"{load} in flight, {title}", columns=columns, rows=tuple(rows))
            )
    rows_of_memory = tuple(Row(name=name, values=(max(of),)) for name, of in memory.items())
    tables.append(Table(title="memory", columns=("MB resident, most",), rows=rows_of_memory))
    return Found(tables=tuple(tables))


def main(arguments: list[str]) -> int:
    """Measure and tell."""
    return run(
        __file__,
        __doc__,
        arguments,
        measure,
        parts=version_of("paho-mqtt", "sqlalchemy") | mosquitto_version() | node_version(),
        loads=Size((1, 50), (1, 5), "requests in flight"),
        rounds=Size(100, 10, "requests in each turn"),
        turns=Size(3, 1, "of each, at each load"),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
