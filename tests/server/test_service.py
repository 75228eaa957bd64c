"""The service on real brokers, with a bare paho client in the part of a door."""

import json
import queue
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4

import paho.mqtt.client as paho
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event

from access.ids import BadgeDigest, DoorId, MemberId, SiteId
from access.instants import Span, to_rfc3339
from access.journal import Head, chained, verify
from access.messages import Message, OccupancyReport, PolicySnapshot, ServerState, decode
from access.model import Badge, Door, Member, Plan, Policy
from access.snapshot import unseal
from runtime.broker import Broker, BrokerClient, embedded_broker, find_mosquitto
from runtime.clock import SystemClock
from runtime.link import Incoming
from runtime.link_paho import Login
from runtime.link_paho_driven import DrivenPahoLink
from server import ledger
from server.database import Database, open_database
from server.gatehouse import Gatehouse
from server.intake import Intake
from server.meter_prometheus import PrometheusMeter
from server.service import EXPIRY_S, Inbox, Service, last_will, wishes
from server.upgrade import upgrade

SITE, MAIN = SiteId("malakoff"), DoorId("main")
DOOR, SCREEN, LAB = "malakoff.main", "hall", "malakoff.lab"
TOPIC = f"gardien/1/{SITE}/{MAIN}"
BADGES = [BadgeDigest(f"{number:032x}") for number in range(60)]
KEY = Ed25519PrivateKey.from_private_bytes(b"gardien" + b"\0" * 25)
WAIT_S = 20.0
CLIENTS = (
    BrokerClient(name="server", password="s", role="server"),  # noqa: S106 (of a broker on loopback)
    BrokerClient(name=DOOR, password="m", role="door", site=SITE, door=MAIN),  # noqa: S106
    BrokerClient(name=LAB, password="l", role="door", site=SITE, door="lab"),  # noqa: S106
    BrokerClient(name=SCREEN, password="h", role="screen"),  # noqa: S106
)
PASSWORDS = {client.name: client.password for client in CLIENTS}

needs_mosquitto = pytest.mark.skipif(
    find_mosquitto() is None, reason="mosquitto is not installed (apt install mosquitto)"
)


def wait_for(is_so: Callable[[], bool], what: str = "it") -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline, f"{what} did not happen within {WAIT_S} s"
        time.sleep(0.005)


def rules(now: datetime) -> Policy:
    members = {badge: MemberId(f"member-{number}") for number, badge in enumerate(BADGES)}
    return Policy(
        version=7,
        site=SITE,
        issued=now,
        relies_until=now + timedelta(hours=72),
        capacity=60,
        doors={MAIN: Door(id=MAIN, name="Main", plans=frozenset(Plan))},
        members={member: Member(id=member, plan=Plan.NOMAD) for member in members.values()},
        badges={badge: Badge(digest=badge, member=member) for badge, member in members.items()},
        opening=(Span(start=now - timedelta(days=1), end=now + timedelta(days=1)),),
    )


def is_signed(signature: bytes, signed: bytes) -> bool:
    try:
        KEY.public_key().verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def asking(request: str, badge: str) -> bytes:
    body = {"id": request, "at": to_rfc3339(datetime.now(UTC)), "reader": "in", "badge": badge}
    return json.dumps(body).encode()


_M = TypeVar("_M", bound=Message)


def read(message: paho.MQTTMessage, kind: type[_M]) -> _M:
    return decode(bytes(message.payload), kind)


class Running:
    """A server, put together as `server.program` does, on a thread of its own."""

    def __init__(self, port: int, path: Path) -> None:
        policy = rules(datetime.now(UTC))
        self.commits = 0
        self._stop = threading.Event()
        with ExitStack() as stack:
            self.database: Database = stack.enter_context(open_database(f"sqlite:///{path}"))
            upgrade(self.database)
            self.gatehouse = Gatehouse(database=self.database, policy_of=lambda _: policy)
            self.inbox = Inbox()
            self.meter = PrometheusMeter(
                waiting=lambda: self.inbox.waiting, dropped=lambda: self.inbox.dropped
            )
            self.link = stack.enter_context(
                DrivenPahoLink(
                    host="127.0.0.1",
                    port=port,
                    client_id="server",
                    login=Login(username="server", password=PASSWORDS["server"]),
                    wishes=wishes(),
                    will=last_will(SITE),
                    on_event=self.inbox.put,
                )
            )
            self.inbox.fill_by(self.link.wait)
            service = Service(
                doors={SITE: frozenset({MAIN})},
                gatehouse=self.gatehouse,
                policy_of=lambda _: policy,
                sign=KEY.sign,
                link=self.link,
                inbox=self.inbox,
                clock=SystemClock(),
                on_commit=self._count,
                meter=self.meter,
            )
            self.intake: Intake = service.intake
            self._thread = threading.Thread(target=service.run, args=(self._stop,))
            self._thread.start()
            stack.callback(self._end)
            self._parts = stack.pop_all()

    def close(self) -> None:
        self._parts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def decided(self) -> list[str]:
        with self.database.reading() as connection:
            found = ledger.read(connection, SITE, limit=10_000, kinds=["gardien.access.decided"])
        return [str(entry.request) for entry in found]

    def _count(self) -> None:
        self.commits += 1

    def _end(self) -> None:
        self._stop.set()
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()


class Client:
    """A bare paho client that keeps what it hears."""

    def __init__(self, port: int, name: str, *, has_mqtt5: bool, topics: tuple[str, ...]) -> None:
        self.heard: queue.SimpleQueue[paho.MQTTMessage] = queue.SimpleQueue()
        self.on_heard: Callable[[paho.MQTTMessage], None] = lambda _: None
        self.times_up = 0
        self._has_mqtt5 = has_mqtt5
        self._topics = topics
        version = MQTTProtocolVersion.MQTTv5 if has_mqtt5 else MQTTProtocolVersion.MQTTv311
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=version)
        self._client.username_pw_set(name, PASSWORDS[name])
        self._client.max_inflight_messages_set(200)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_socket_open = _at_once
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._up
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", port, keepalive=10)
        self._client.loop_start()
        wait_for(lambda: self.times_up > 0, "the subscription")

    def ask(self, badge: str = BADGES[0]) -> str:
        request = str(uuid4())
        properties = None
        if self._has_mqtt5:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.CorrelationData = request.encode()
            properties.ResponseTopic = f"{TOPIC}/decision"
        self.say("request", asking(request, badge), properties=properties)
        return request

    def report(self, records: list[dict[str, Any]]) -> int:
        """Send records, and give the number that is acknowledged."""
        self.say("journal", json.dumps({"records": records}).encode())
        return int(json.loads(self.hear("ack").payload)["seq"])

    def say(self, what: str, payload: bytes, **options: Any) -> None:
        self._client.publish(f"{TOPIC}/{what}", payload, qos=1, **options)

    def publish(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, qos=1)

    def hear(self, what: str) -> paho.MQTTMessage:
        """Wait for the next message on a topic that ends like this; drop the others."""
        while True:
            message = self.heard.get(timeout=WAIT_S)
            if message.topic.endswith(f"/{what}"):
                return message

    def hear_all(self, *whats: str) -> dict[str, paho.MQTTMessage]:
        """Wait for a message on each of the topics that end like this, in whatever order."""
        found: dict[str, paho.MQTTMessage] = {}
        while set(found) != set(whats):
            message = self.heard.get(timeout=WAIT_S)
            found[message.topic.rpartition("/")[2]] = message
        return found

    def forget(self) -> None:
        """Drop what was heard so far."""
        while not self.heard.empty():
            self.heard.get()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, *_: object) -> None:
        self._client.subscribe([(topic, 1) for topic in self._topics])

    def _up(self, *_: object) -> None:
        self.times_up += 1

    def _hear(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        self.on_heard(message)
        self.heard.put(message)


def _at_once(_client: paho.Client, _data: object, sock: object) -> None:
    assert isinstance(sock, socket.socket)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Place:
    """A broker that can be stopped and started again, and who is on it."""

    def __init__(self, program: Any, folder: Path, stack: ExitStack) -> None:
        self._program, self._folder, self._stack = program, folder, stack
        self._broker: Broker = self._start(0)
        self.port = self._broker.port
        self.has_mqtt5 = self._broker.program == "mosquitto"
        self.ledger = folder / "gardien.db"
        stack.callback(self.stop_broker)

    def stop_broker(self) -> None:
        self._broker.close()

    def start_broker(self) -> None:
        self._broker = self._start(self.port)

    def server(self) -> Running:
        running = self._stack.enter_context(Running(self.port, self.ledger))
        wait_for(lambda: running.link.is_up, "the server's link")
        return running

    def door(self) -> Client:
        return self.client(DOOR, f"{TOPIC}/decision", f"{TOPIC}/ack", *self._of_site())

    def client(self, name: str, *topics: str) -> Client:
        client = Client(self.port, name, has_mqtt5=self.has_mqtt5, topics=topics)
        self._stack.callback(client.close)
        return client

    def _of_site(self) -> tuple[str, ...]:
        return f"gardien/1/{SITE}/policy", f"gardien/1/{SITE}/server"

    def _start(self, port: int) -> Broker:
        return embedded_broker(
            clients=CLIENTS, folder=self._folder / "broker", port=port, program=self._program
        )


@pytest.fixture(
    params=[
        pytest.param("mosquitto", marks=[pytest.mark.mosquitto, needs_mosquitto]),
        "amqtt",
    ]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(request.param, tmp_path, stack)


def records(number: int) -> list[dict[str, Any]]:
    made, head = [], Head()
    for _ in range(number):
        record, head = chained(
            head,
            site=SITE,
            source=MAIN,
            kind="unit.started",
            time=datetime(2026, 11, 24, 12, tzinfo=UTC),
            data={},
        )
        made.append(record)
    return made


@contextmanager
def somebody_writing(path: Path) -> Iterator[None]:
    """Hold the lock that the server needs to commit."""
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        holder.execute("ROLLBACK")
        holder.close()


def test_a_request_is_answered_and_the_ledger_has_it_before_the_answer_is_heard(
    place: Place,
) -> None:
    server, door = place.server(), place.door()
    kept: list[list[str]] = []

    def look(message: paho.MQTTMessage) -> None:
        if message.topic.endswith("/decision"):
            kept.append(server.decided())

    door.on_heard = look
    asked = [door.ask(), door.ask(BADGES[1]), door.ask("f" * 32)]
    heard = [door.hear("decision") for _ in asked]
    answers = [json.loads(message.payload) for message in heard]
    assert [answer["request"] for answer in answers] == asked
    assert [answer["granted"] for answer in answers] == [True, True, False]
    assert [answer["reason"] for answer in answers][1:] == ["opening_hours", "unknown_badge"]
    assert all(request in known for request, known in zip(asked, kept, strict=True))
    if place.has_mqtt5:
        assert [getattr(m.properties, "CorrelationData", None) for m in heard] == [
            request.encode() for request in asked
        ]
    assert not any(message.retain for message in heard)


def test_a_journal_is_acknowledged_when_it_is_committed_and_a_gap_from_the_last_held(
    place: Place,
) -> None:
    server, door = place.server(), place.door()
    journal = records(8)
    assert door.report(journal[:3]) == 3
    assert door.report(journal[:3]) == 3
    assert door.report(journal[5:]) == 3
    assert door.report(journal[3:6]) == 6
    assert door.report(journal[6:]) == 8
    with server.database.reading() as connection:
        assert verify(ledger.chain(connection, SITE, MAIN)).seq == 8


def test_many_requests_in_flight_are_all_answered_in_fewer_commits(place: Place) -> None:
    server, door = place.server(), place.door()
    door.ask()
    door.hear("decision")
    before = server.commits
    with somebody_writing(place.ledger):
        asked = {door.ask(badge) for badge in BADGES[:50]}
    answered = {json.loads(door.hear("decision").payload)["request"] for _ in asked}
    assert answered == asked
    assert set(server.decided()) >= asked
    assert server.commits - before < 50


def test_policy_server_and_occupancy_are_kept_for_who_comes_later(place: Place) -> None:
    place.server()
    early = place.door()
    early.hear_all("policy", "server")
    early.close()
    messages = place.door().hear_all("policy", "server")
    assert all(message.retain for message in messages.values())
    assert read(messages["server"], ServerState).online
    policy = unseal(read(messages["policy"], PolicySnapshot), is_signed)
    assert policy.version == 7
    screen = place.client(SCREEN, f"gardien/1/{SITE}/occupancy")
    report = read(screen.hear("occupancy"), OccupancyReport)
    assert (report.present, report.capacity, report.open) == (0, 60, "hours")


def test_the_numbers_are_published_when_they_change(place: Place) -> None:
    place.server()
    door = place.door()
    screen = place.client(SCREEN, f"gardien/1/{SITE}/occupancy")
    assert read(screen.hear("occupancy"), OccupancyReport).present == 0
    head, sent = Head(), []
    for kind, data in (
        ("access.granted", {"reader": "in", "member": "member-1"}),
        ("door.opened", {}),
    ):
        record, head = chained(
            head, site=SITE, source=MAIN, kind=kind, time=datetime.now(UTC), data=data
        )
        sent.append(record)
    assert door.report(sent) == 2
    report = read(screen.hear("occupancy"), OccupancyReport)
    assert (report.present, report.members) == (1, 1)


def test_a_server_that_is_stopped_says_so(place: Place) -> None:
    server, door = place.server(), place.door()
    assert read(door.hear("server"), ServerState).online
    server.close()
    assert not read(door.hear("server"), ServerState).online


# A server in a process of its own.
SERVER_PROGRAM = """
import importlib.util, pathlib, sys, threading
spec = importlib.util.spec_from_file_location("tests_of_the_service", sys.argv[1])
tests = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = tests
spec.loader.exec_module(tests)
with tests.Running(int(sys.argv[2]), pathlib.Path(sys.argv[3])):
    threading.Event().wait()
"""


@contextmanager
def server_process(place: Place) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-c", SERVER_PROGRAM, __file__, str(place.port), str(place.ledger)]
    with subprocess.Popen(command) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_server_that_is_killed_is_told_gone_by_the_broker_and_goes_on_when_it_is_back(
    place: Place,
) -> None:
    door = place.door()
    journal = records(6)
    with server_process(place) as process:
        assert read(door.hear("server"), ServerState).online
        assert door.report(journal[:2]) == 2
        process.kill()
        assert not read(door.hear("server"), ServerState).online
    with server_process(place):
        assert read(door.hear("server"), ServerState).online
        # The door does not know whether the last were committed, so it sends them again.
        assert door.report(journal) == 6
        request = door.ask()
        assert json.loads(door.hear("decision").payload)["request"] == request


def test_bad_messages_are_counted_and_harm_nobody(place: Place) -> None:
    server, door = place.server(), place.door()
    bad = {
        "request": (b"", b"{", b'{"id": 1}', b"\xff\xfe", b"[" * 50_000),
        "journal": (b"[]", b'{"records": [7]}'),
        "state": (b"{}", b'{"online": "yes"}'),
    }
    for what, payloads in bad.items():
        for payload in payloads:
            door.say(what, payload)
    for odd in ({}, {"seq": 1}, {"seq": True, "hash": 1}, {"seq": 2**70}):
        door.say("journal", json.dumps({"records": [odd]}).encode())
    request = door.ask()
    assert json.loads(door.hear("decision").payload)["request"] == request
    counted = server.intake.invalid
    assert {what: counted[f"{TOPIC}/{what}"] for what in bad} == {
        what: len(payloads) for what, payloads in bad.items()
    }


def test_a_door_that_the_server_does_not_know_and_one_that_says_too_much_harm_nobody(
    place: Place,
) -> None:
    server, door = place.server(), place.door()
    lab = place.client(LAB, f"gardien/1/{SITE}/lab/decision")
    lab.publish(f"gardien/1/{SITE}/lab/request", b"{}")
    wait_for(lambda: server.intake.invalid[f"gardien/1/{SITE}/lab/request"] == 1)
    lab.publish(f"gardien/1/{SITE}/lab/request", b" " * 10_000_000)
    request = door.ask()
    assert json.loads(door.hear("decision").payload)["request"] == request


def test_when_the_broker_was_stopped_and_is_started_again_it_goes_on(place: Place) -> None:
    server, door = place.server(), place.door()
    assert door.report(records(2)) == 2
    ups = door.times_up
    place.stop_broker()
    wait_for(lambda: not server.link.is_up, "the end of the link")
    place.start_broker()
    wait_for(lambda: server.link.is_up and door.times_up > ups, "the way back")
    door.forget()
    request = door.ask()
    assert json.loads(door.hear("decision").payload)["request"] == request
    late = place.client(SCREEN, f"gardien/1/{SITE}/occupancy")
    assert read(late.hear("occupancy"), OccupancyReport).capacity == 60


def test_what_a_door_says_while_the_ledger_cannot_be_written_is_kept(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    server, door = place.server(), place.door()
    door.ask()
    door.hear("decision")
    be_impatient(server.database)
    journal = records(3)
    with somebody_writing(place.ledger):
        door.say("state", b'{"online": true, "queue": 3}')
        door.say("journal", json.dumps({"records": journal}).encode())
        wait_for(lambda: "can't be written now" in caplog.text, "a commit that fails")
    wait_for(lambda: MAIN in server.gatehouse.look(SITE).doors, "the door's word")
    assert server.gatehouse.look(SITE).doors[MAIN].is_online
    assert door.report(journal) == 3


def test_a_request_that_nobody_waits_for_any_more_is_not_decided(place: Place) -> None:
    server, door = place.server(), place.door()
    late = str(uuid4())
    server.inbox.put(
        Incoming(
            topic=f"{TOPIC}/request",
            payload=asking(late, BADGES[0]),
            arrived=time.monotonic() - EXPIRY_S - 1,
        )
    )
    request = door.ask()
    assert json.loads(door.hear("decision").payload)["request"] == request
    assert server.decided() == [request]


def test_what_comes_is_counted_and_how_long_deciding_took(place: Place, tmp_path: Path) -> None:
    server, door = place.server(), place.door()
    for badge in (BADGES[0], BADGES[1], "f" * 32):
        door.ask(badge)
        door.hear("decision")
    door.report(records(2))
    door.say("request", b"nothing")
    wait_for(lambda: bool(server.intake.invalid), "the message that is none")
    server.meter.write(tmp_path / "server.prom")
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families((tmp_path / "server.prom").read_text())
        for sample in family.samples
    }
    messages = {key[1]: value for key, value in found.items() if "messages_total" in key[0]}
    assert messages == {"request": 3, "journal": 1, "invalid": 1}
    assert found["gardien_server_decisions_total", "false", "unknown_badge", SITE] == 1
    assert found["gardien_server_decision_seconds_count", SITE] == 3
    assert 0 < found["gardien_server_decision_seconds_sum", SITE] < 3 * EXPIRY_S
    assert found["gardien_server_link_up",] == 1
    place.stop_broker()

    def is_down() -> bool:
        server.meter.write(tmp_path / "server.prom")
        return "gardien_server_link_up 0.0" in (tmp_path / "server.prom").read_text()

    wait_for(is_down, "the link's end")
    place.start_broker()


def be_impatient(database: Database) -> None:
    """Let no connection wait for a lock for longer than 50 ms."""

    def shorten(connection: Any, *_: object) -> None:
        connection.execute("PRAGMA busy_timeout = 50").close()

    database.close()
    event.listen(database.engine, "connect", shorten)
