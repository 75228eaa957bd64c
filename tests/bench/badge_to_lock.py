#!/usr/bin/env python3
"""From the badge to the server's answer, measured beside the floor that it can't go below.

In one run, through the same mosquitto, with TCP_NODELAY at all three ends:

    echo     a bare paho client answers, which does nothing else
    commit   one row into a bare sqlite3 file on the same disk: WAL, synchronous = FULL
    answer   the whole server answers: queue, rules, chained record, commit, history beside it

The floor is echo + commit. Rounds are taken in turn, so that what else the machine does hits all
three alike. Ends with 1 when the answer takes more than three times the floor.
"""

import argparse
import json
import queue
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from itertools import count
from multiprocessing import get_context
from pathlib import Path

import paho.mqtt.client as paho
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

if (ROOT := str(Path(__file__).parents[2])) not in sys.path:
    sys.path.append(ROOT)

from access import topics
from access.ids import BadgeDigest, DoorId, MemberId, SiteId
from access.instants import Span, to_rfc3339
from access.model import Badge, Door, Member, Plan, Policy
from runtime.broker import LOOPBACK, find_mosquitto
from runtime.clock import SystemClock
from runtime.link_paho import Login
from runtime.link_paho_driven import DrivenPahoLink
from server import schema
from server.database import open_database
from server.desk import OPERATOR
from server.events import Recounted
from server.follower import HistoryFollower
from server.gatehouse import Gatehouse
from server.history_embedded import EmbeddedHistory
from server.service import Inbox, Service, last_will, wishes
from server.upgrade import upgrade
from tests.bench.program import add_options, machine, run

SITE, DOOR = SiteId("malakoff"), DoorId("main")
MEMBERS, INSIDE = 148, 60
BLOCKS = 400
MOST_TIMES_FLOOR = 3.0
GOAL_TIMES_FLOOR, GOAL_RATE = 1.5, 0.25
PATIENCE_S = 30.0

ECHO = ("bench/echo/request", "bench/echo/decision")
BADGE = (
    topics.of_door(SITE, DOOR, topics.REQUEST),
    topics.of_door(SITE, DOOR, topics.DECISION),
)

MOSQUITTO_CONF = """
user root
listener {port} 127.0.0.1
allow_anonymous true
set_tcp_nodelay true
max_inflight_messages 200
max_queued_messages 10000
log_type none
"""


def badge_of(number: int) -> BadgeDigest:
    return BadgeDigest(f"{number:032x}")


def policy() -> Policy:
    """Rules under which every member is admitted, as in the morning rush."""
    now = datetime.now(UTC)
    members = [MemberId(f"member-{number}") for number in range(MEMBERS)]
    return Policy(
        version=1,
        site=SITE,
        issued=now,
        relies_until=now + timedelta(hours=72),
        capacity=MEMBERS,
        doors={DOOR: Door(id=DOOR, name="Main", plans=frozenset(Plan))},
        members={member: Member(id=member, plan=Plan.NOMAD) for member in members},
        badges={
            badge_of(number): Badge(digest=badge_of(number), member=member)
            for number, member in enumerate(members)
        },
        opening=(Span(start=now - timedelta(days=1), end=now + timedelta(days=1)),),
    )


def serve(port: int, folder: Path) -> None:
    """Be the server, put together as `server.program` does, until told to end."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    rules = policy()
    inbox = Inbox()
    with (
        open_database(f"sqlite:///{folder / 'gardien.db'}") as database,
        open_database(f"sqlite:///{folder / 'history.db'}") as cursors,
    ):
        upgrade(database)
        schema.follower.create(cursors.engine, checkfirst=True)
        gatehouse = Gatehouse(database=database, policy_of=lambda _: rules)
        inside = tuple(list(rules.members)[:INSIDE])
        gatehouse.handle(
            SITE, [Recounted(by=OPERATOR, members=inside, guests=0)], datetime.now(UTC)
        )
        follower = HistoryFollower(
            source=database, cursors=cursors, history=EmbeddedHistory(cursors.engine)
        )
        following = threading.Thread(target=follower.run, args=(stop,))
        following.start()
        with DrivenPahoLink(
            host=LOOPBACK,
            port=port,
            client_id="server",
            login=Login(),
            wishes=wishes(),
            will=last_will(SITE),
            on_event=inbox.put,
        ) as link:
            inbox.fill_by(link.wait)
            Service(
                doors={SITE: frozenset({DOOR})},
                gatehouse=gatehouse,
                policy_of=lambda _: rules,
                sign=Ed25519PrivateKey.generate().sign,
                link=link,
                inbox=inbox,
                clock=SystemClock(),
                on_commit=follower.wake,
            ).run(stop)
        follower.wake()
        following.join()


def echo(port: int) -> None:
    """Send back what comes, until told to end."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    client = bare_client("echo")

    def send_back(sender: paho.Client, _: object, message: paho.MQTTMessage) -> None:
        sender.publish(ECHO[1], message.payload, qos=1)

    client.on_message = send_back
    connect(client, port, ECHO[0])
    stop.wait()
    client.disconnect()
    client.loop_stop()


def bare_client(name: str) -> paho.Client:
    client = paho.Client(
        CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5
    )
    client.max_inflight_messages_set(200)
    client.on_socket_open = at_once
    client.on_publish = lambda sender, *_: at_once(sender, None, sender.socket())
    return client


def at_once(_client: paho.Client, _data: object, sock: object) -> None:
    """Hold nothing back: neither what is sent nor what acknowledges."""
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_QUICKACK"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def connect(client: paho.Client, port: int, topic: str) -> None:
    """Connect and subscribe; returns when the broker has said yes to both."""
    heard = threading.Event()
    client.on_connect = lambda sender, *_: sender.subscribe(topic, qos=1)
    client.on_subscribe = lambda *_: heard.set()
    client.connect(LOOPBACK, port)
    client.loop_start()
    if not heard.wait(PATIENCE_S):
        raise TimeoutError(f"the broker did not take the subscription to {topic}")


class Asker:
    """A bare paho client in the part of a door.

    Args:
        port: the broker's.
        way: topic of the request, and of its answer.
    """

    def __init__(self, port: int, way: tuple[str, str]) -> None:
        self._way = way
        self._numbers = count()
        self._client = bare_client(f"asker-{way[0].replace('/', '-')}")
        self._on_answer: Callable[[], None] = lambda: None
        self._client.on_message = lambda *_: self._on_answer()
        connect(self._client, port, way[1])

    def until_answered(self) -> None:
        """Ask until somebody answers, which takes as long as the other end needs to start."""
        answered = threading.Event()
        self._on_answer = answered.set
        deadline = time.monotonic() + PATIENCE_S
        while not answered.is_set():
            if time.monotonic() > deadline:
                raise TimeoutError(f"nobody answers on {self._way[1]}")
            self._ask()
            answered.wait(0.5)
        time.sleep(0.5)  # for answers to what was asked before the other end was there

    def sequential(self, rounds: int) -> list[float]:
        """Ask again at each answer; give the milliseconds that each answer took."""
        took: list[float] = []
        done = threading.Event()
        asked_at = 0.0

        def on_answer() -> None:
            nonlocal asked_at
            took.append((time.perf_counter() - asked_at) * 1000)
            if len(took) >= rounds:
                done.set()
            else:
                asked_at = time.perf_counter()
                self._ask()

        self._on_answer = on_answer
        asked_at = time.perf_counter()
        self._ask()
        if not done.wait(PATIENCE_S + rounds * 0.1):
            raise TimeoutError(f"only {len(took)} of {rounds} answers on {self._way[1]}")
        return took

    def in_flight(self, rounds: int, at_a_time: int) -> float:
        """Keep so many requests in flight; give the answers per second."""
        answered = count(1)
        left: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(rounds - at_a_time):
            left.put(None)
        done = threading.Event()

        def on_answer() -> None:
            if next(answered) == rounds:
                done.set()
            with suppress(queue.Empty):
                left.get_nowait()
                self._ask()

        self._on_answer = on_answer
        started = time.perf_counter()
        for _ in range(at_a_time):
            self._ask()
        if not done.wait(PATIENCE_S + rounds * 0.01):
            raise TimeoutError(f"{rounds} answers did not come on {self._way[1]}")
        return rounds / (time.perf_counter() - started)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _ask(self) -> None:
        request = str(uuid.uuid4())
        body = {
            "id": request,
            "at": to_rfc3339(datetime.now(UTC)),
            "reader": "in",
            "badge": badge_of(next(self._numbers) % MEMBERS),
            "token": None,
        }
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic = self._way[1]
        properties.CorrelationData = request.encode()
        properties.MessageExpiryInterval = 2
        self._client.publish(self._way[0], json.dumps(body).encode(), qos=1, properties=properties)


class Committer:
    """One table in a bare sqlite3 file, as durable as the ledger."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            self._connection.execute(f"PRAGMA {pragma}").close()
        self._connection.execute("CREATE TABLE kept (id INTEGER PRIMARY KEY, body TEXT)")

    def sequential(self, rounds: int) -> list[float]:
        """Commit one row after the other; give the milliseconds that each took."""
        return [self._commit() for _ in range(rounds)]

    def close(self) -> None:
        self._connection.close()

    def _commit(self) -> float:
        started = time.perf_counter()
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("INSERT INTO kept (body) VALUES (?)", ("x" * 600,))
        self._connection.execute("COMMIT")
        return (time.perf_counter() - started) * 1000


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How long something takes, in milliseconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, took: list[float]) -> "Spread":
        cuts = statistics.quantiles(took, n=100, method="inclusive")
        return cls(p50=statistics.median(took), p95=cuts[94], p99=cuts[98])


@dataclass(frozen=True, kw_only=True)
class Result:
    """All that was measured."""

    echo: Spread
    commit: Spread
    answer: Spread
    echo_per_s: float
    answers_per_s: float
    rounds: int
    in_flight: int

    @property
    def times_floor(self) -> float:
        return self.answer.p50 / (self.echo.p50 + self.commit.p50)

    @property
    def rate(self) -> float:
        return self.answers_per_s / self.echo_per_s

    @property
    def is_met(self) -> bool:
        return self.times_floor <= MOST_TIMES_FLOOR


def measure(options: argparse.Namespace, folder: Path) -> Result:
    """Start all parts, and measure them in turn."""
    with (
        mosquitto(folder) as port,
        program(echo, port),
        program(serve, port, folder),
        closing(Asker(port, ECHO)) as echoed,
        closing(Asker(port, BADGE)) as answered,
        closing(Committer(folder / "floor.db")) as committed,
    ):
        parts = {"echo": echoed.sequential, "commit": committed.sequential}
        parts["answer"] = answered.sequential
        echoed.until_answered()
        answered.until_answered()
        for sequential in parts.values():
            sequential(options.warm_up)
        took: dict[str, list[float]] = {name: [] for name in parts}
        for size in shares(options.rounds):
            for name, sequential in parts.items():
                took[name] += sequential(size)
        rates: dict[str, list[float]] = {"echo": [], "answer": []}
        for _ in range(4):
            for name, asker in (("echo", echoed), ("answer", answered)):
                rates[name].append(asker.in_flight(options.rounds, options.in_flight))
    return Result(
        echo=Spread.of(took["echo"]),
        commit=Spread.of(took["commit"]),
        answer=Spread.of(took["answer"]),
        echo_per_s=statistics.median(rates["echo"]),
        answers_per_s=statistics.median(rates["answer"]),
        rounds=options.rounds,
        in_flight=options.in_flight,
    )


def shares(rounds: int) -> list[int]:
    """Split rounds into blocks."""
    blocks = min(BLOCKS, rounds)
    return [rounds // blocks + (block < rounds % blocks) for block in range(blocks)]


@contextmanager
def mosquitto(folder: Path) -> Iterator[int]:
    """Run a broker of our own on a free port."""
    found = find_mosquitto()
    if found is None:
        raise SystemExit("mosquitto is not installed; install it: apt install mosquitto")
    with socket.create_server((LOOPBACK, 0)) as listener:
        port: int = listener.getsockname()[1]
    conf = folder / "mosquitto.conf"
    conf.write_text(MOSQUITTO_CONF.format(port=port))
    with subprocess.Popen([found, "-c", conf]) as broker:
        try:
            wait_for_port(port)
            yield port
        finally:
            broker.terminate()


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((LOOPBACK, port)):
            return
        time.sleep(0.01)
    raise TimeoutError(f"nothing listens on port {port}")


@contextmanager
def program(main: Callable[..., None], *args: object) -> Iterator[None]:
    """Run a function as a process of its own."""
    process = get_context("spawn").Process(target=main, args=args, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def here() -> dict[str, str]:
    """Say what it was measured on."""
    return machine(**{"paho-mqtt": version("paho-mqtt"), "mosquitto": mosquitto_version()})


def mosquitto_version() -> str:
    told = subprocess.run(
        [str(find_mosquitto()), "-h"], capture_output=True, text=True, check=False
    )
    return told.stdout.splitlines()[0].removeprefix("mosquitto version ").strip()


def told(result: Result) -> str:
    """Tell the result to people."""
    rows = [
        ", ".join(f"{name} {value}" for name, value in here().items()),
        f"{result.rounds} rounds of each, in {len(shares(result.rounds))} blocks, in turn",
        "",
        f"{'milliseconds':<44}{'p50':>8}{'p95':>8}{'p99':>8}",
    ]
    for name, spread in (
        ("echo      a bare paho round trip", result.echo),
        ("commit    one row, sqlite3, WAL, FULL", result.commit),
        ("answer    badge to the server's answer", result.answer),
    ):
        rows.append(f"{name:<44}{spread.p50:>8.3f}{spread.p95:>8.3f}{spread.p99:>8.3f}")
    rows += [
        "",
        f"answer / (echo + commit), p50: {result.times_floor:.2f}",
        f"    at most {MOST_TIMES_FLOOR:g}, goal {GOAL_TIMES_FLOOR:g}",
        f"{result.in_flight} in flight: {result.answers_per_s:,.0f} answers/s ({result.rate:.2f})",
        f"    beside {result.echo_per_s:,.0f} echoes/s, goal {GOAL_RATE:g}",
    ]
    return "\n".join(rows)


def to_json(result: Result) -> str:
    """Tell the result to programs."""
    result_as_json = {
        "machine": here(),
        "rounds": result.rounds,
        "in_flight": result.in_flight,
        "milliseconds": {
            name: vars(getattr(result, name)) for name in ("echo", "commit", "answer")
        },
        "echo_per_s": result.echo_per_s,
        "answers_per_s": result.answers_per_s,
        "times_floor": result.times_floor,
        "rate": result.rate,
        "is_met": result.is_met,
    }
    return json.dumps(result_as_json, indent=2) + "\n"


def parse_options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2000, help="of each part (default 2000)")
    parser.add_argument("--warm-up", type=int, default=200, help="rounds that do not count")
    parser.add_argument("--in-flight", type=int, default=50, help="requests at a time, at the end")
    add_options(parser)
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    return run(parse_options(arguments), measure, told, to_json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
