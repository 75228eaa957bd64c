"""A door unit of real parts: the emulated chip and pins, a real broker, and a server by hand."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from access.badge import digest
from access.ids import BadgeDigest, DoorId, MemberId, SiteId
from access.instants import Span
from access.journal import Head, verify
from access.messages import (
    AccessDecision,
    AccessRequest,
    Acknowledgement,
    Command,
    DoorState,
    JournalBatch,
    Message,
    ServerState,
    decode,
    encode,
)
from access.model import Badge, Member, Plan, Policy
from access.model import Door as DoorModel
from access.orders import sign_command
from access.snapshot import Sign, seal
from access.topics import of_door, of_site
from edge.outbox import Outbox
from edge.program import make_safe, run
from edge.settings import DoorUnitSettings, load_door_settings
from edge.simulated.client import ask, tap
from edge.simulated.messages import Answer, Contact, ExitButton, Look
from runtime.broker import Broker, BrokerClient, embedded_broker, find_mosquitto
from runtime.keys import make_badge_key, make_signing_key, read_badge_key, signer
from runtime.link import Incoming, LinkEvent, LinkUp, Outgoing, Wish
from runtime.link_paho import Login, PahoLink
from tests.edge.door_toml import door_toml

pytestmark = [
    pytest.mark.mosquitto,
    pytest.mark.skipif(
        find_mosquitto() is None, reason="mosquitto is not installed (apt install mosquitto)"
    ),
]

SITE, DOOR = SiteId("malakoff"), DoorId("main")
NORA, SAM = bytes.fromhex("04112233445566"), bytes.fromhex("0a0b0c0d")
CLIENTS = (
    BrokerClient(name="server", password="s", role="server"),  # noqa: S106
    BrokerClient(name="malakoff.main", password="m", role="door", site=SITE, door=DOOR),  # noqa: S106
)
MORE_WIRES = """
[hardware.exit_button]
pin = 4
active = "low"
[hardware.buzzer]
pin = 18
"""

WaitUntil = Callable[[Callable[[], bool]], None]


@dataclass(kw_only=True)
class Office:
    """The server, played by hand: it answers as it is told, and keeps what it is sent."""

    sign: Sign
    badge_key: bytes
    answers: dict[BadgeDigest, bool] = field(default_factory=dict)
    acknowledges: bool = True
    requests: list[AccessRequest] = field(default_factory=list)
    correlations: list[bytes | None] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    batches: int = 0
    oldest: int | None = None
    states: list[DoorState] = field(default_factory=list)
    is_up: threading.Event = field(default_factory=threading.Event)
    link: PahoLink | None = None

    def hear(self, event: LinkEvent) -> None:
        if isinstance(event, LinkUp):
            self.is_up.set()
        elif isinstance(event, Incoming):
            self._message(event)

    def _message(self, message: Incoming) -> None:
        what = message.topic.rpartition("/")[2]
        if what == "request":
            self.correlations.append(message.correlation)
            self._request(decode(message.payload, AccessRequest))
        elif what == "journal":
            self._journal(decode(message.payload, JournalBatch))
        elif what == "state":
            self.states.append(decode(message.payload, DoorState))

    def _request(self, request: AccessRequest) -> None:
        self.requests.append(request)
        granted = self.answers.get(BadgeDigest(request.badge))
        if granted is not None:
            self.say("decision", decision(request, granted=granted))

    def _journal(self, batch: JournalBatch) -> None:
        self.batches += 1
        self.oldest = batch.oldest
        held = self.records[-1]["seq"] if self.records else 0
        for record in batch.records:
            if record["seq"] == held + 1:
                self.records.append(record)
                held += 1
        if self.acknowledges:
            self.say("ack", Acknowledgement(seq=held))

    def say(self, what: str, message: Message, *, retain: bool = False) -> None:
        self.send(of_door(SITE, DOOR, what), encode(message), retain=retain)

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        assert self.link is not None
        assert self.link.send(Outgoing(topic=topic, payload=payload, retain=retain))

    def publish_policy(self, *, is_open: bool, version: int = 1) -> None:
        snapshot = seal(self.policy(is_open=is_open, version=version), self.sign)
        self.send(of_site(SITE, "policy"), encode(snapshot), retain=True)

    def is_there(self, *, is_online: bool) -> None:
        state = ServerState(online=is_online, at=datetime.now(UTC))
        self.send(of_site(SITE, "server"), encode(state), retain=True)

    def policy(self, *, is_open: bool, version: int) -> Policy:
        now = datetime.now(UTC)
        span = Span(start=now - timedelta(hours=1), end=now + timedelta(hours=1))
        people = {NORA: ("nora", Plan.NOMAD), SAM: ("sam", Plan.STAFF)}
        return Policy(
            version=version,
            site=SITE,
            issued=now,
            relies_until=now + timedelta(hours=72),
            capacity=10,
            doors={DOOR: DoorModel(id=DOOR, name="Main", plans=frozenset(Plan), unlock_s=1.0)},
            members={MemberId(n): Member(id=MemberId(n), plan=p) for n, p in people.values()},
            badges={
                self.digest(uid): Badge(digest=self.digest(uid), member=MemberId(name))
                for uid, (name, _) in people.items()
            },
            opening=(span,) if is_open else (),
        )

    def digest(self, uid: bytes) -> BadgeDigest:
        return digest(uid, self.badge_key)

    def kinds(self) -> list[str]:
        return [record["type"].removeprefix("gardien.") for record in self.records]

    def data(self, kind: str) -> dict[str, Any]:
        found = [r["data"] for r in self.records if r["type"] == f"gardien.{kind}"]
        return dict(found[-1])


def decision(request: AccessRequest, *, granted: bool) -> AccessDecision:
    return AccessDecision(
        request=request.id,
        granted=granted,
        reason="opening_hours" if granted else "no_guardian",
        unlock_s=1.0,
        member="nora",
        message="Bonjour !",
        watch=None,
    )


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with embedded_broker(
        clients=CLIENTS, folder=tmp_path / "broker", program="mosquitto"
    ) as running:
        yield running


@pytest.fixture
def site_folder(tmp_path: Path, broker: Broker) -> Path:
    """Keys and settings, as an installation has them."""
    make_signing_key(tmp_path / "server.key", tmp_path / "server.pem")
    make_badge_key(tmp_path / "badge.key")
    (tmp_path / "mqtt.password").write_text("m\n")
    (tmp_path / "door.toml").write_text(
        door_toml(port=broker.port, readers=("in", "out"), more=MORE_WIRES)
    )
    return tmp_path


@pytest.fixture
def office(site_folder: Path, broker: Broker) -> Iterator[Office]:
    office = Office(
        sign=signer(site_folder / "server.key"), badge_key=read_badge_key(site_folder / "badge.key")
    )
    every = "gardien/1/+/+"
    with PahoLink(
        host="127.0.0.1",
        port=broker.port,
        client_id="server",
        login=Login(username="server", password="s"),  # noqa: S106
        wishes=[Wish(topic=f"{every}/{what}") for what in ("request", "journal", "state")],
        will=None,
        on_event=office.hear,
    ) as link:
        office.link = link
        assert office.is_up.wait(5)
        yield office


@dataclass(kw_only=True)
class Running:
    """A door unit that runs in a thread of this process."""

    settings: DoorUnitSettings
    stop: threading.Event = field(default_factory=threading.Event)
    restarts: list[bool] = field(default_factory=list)
    thread: threading.Thread | None = None
    turns: int = 0

    def start(self) -> "Running":
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        return self

    def end(self) -> None:
        self.stop.set()
        if self.thread is not None:
            self.thread.join(10)
            assert not self.thread.is_alive()

    def look(self) -> Answer:
        return ask(self.socket, Look())

    @property
    def socket(self) -> Path:
        hardware = self.settings.hardware
        assert hardware.simulated is not None
        return hardware.simulated.socket

    def _run(self) -> None:
        self.restarts.append(run(self.settings, self.stop, self._turn))

    def _turn(self) -> None:
        self.turns += 1


@pytest.fixture
def settings(site_folder: Path) -> DoorUnitSettings:
    return load_door_settings(site_folder / "door.toml")


@pytest.fixture
def unit(settings: DoorUnitSettings) -> Iterator[Running]:
    running = Running(settings=settings)
    yield running
    running.end()


@pytest.fixture
def ready(unit: Running, office: Office, wait_until: WaitUntil) -> Running:
    """A unit that runs, is online, and has told of its start."""
    office.publish_policy(is_open=True)
    office.is_there(is_online=True)
    unit.start()
    wait_until(lambda: "unit.started" in office.kinds())
    wait_until(lambda: any(state.policy == 1 for state in office.states))
    return unit


def is_drained(settings: DoorUnitSettings) -> bool:
    with Outbox(settings.outbox, site=SITE, door=DOOR) as outbox:
        return len(outbox) == 0


def test_a_badge_asks_the_server_and_its_grant_moves_the_lock(
    ready: Running, office: Office, wait_until: WaitUntil
) -> None:
    office.answers[office.digest(NORA)] = True
    answer = tap(ready.socket, uid=NORA)
    assert (answer.lock, answer.opened, answer.signal) == ("unlocked", True, "granted")
    [request] = office.requests
    assert (request.reader, request.badge) == ("in", office.digest(NORA))
    assert office.correlations == [bytes.fromhex(request.id.replace("-", ""))]
    wait_until(lambda: "lock.locked" in office.kinds())
    assert office.kinds() == [
        "unit.started",
        "access.granted",
        "lock.unlocked",
        "door.opened",
        "door.closed",
        "lock.locked",
    ]
    assert office.data("access.granted")["offline"] is False
    assert office.data("door.opened") == {"request": request.id, "cause": "grant"}
    assert ready.look().lock == "locked"
    verify(office.records, Head())
    assert not any(NORA.hex() in msgspec.json.encode(r).decode() for r in office.records)


def test_the_journal_is_deleted_once_it_is_acknowledged(
    ready: Running, office: Office, wait_until: WaitUntil
) -> None:
    office.answers[office.digest(NORA)] = False
    tap(ready.socket, uid=NORA)
    wait_until(lambda: "access.denied" in office.kinds())
    wait_until(lambda: office.states[-1].queue == 0 or is_drained(ready.settings))
    assert office.oldest is not None
    assert 1 < office.oldest <= len(office.records), "what is deleted can't be asked for any more"
    ready.end()
    with Outbox(ready.settings.outbox, site=SITE, door=DOOR) as outbox:
        assert outbox.head.seq == outbox.acknowledged == len(office.records)


def test_a_journal_that_cant_be_written_is_told_at_once_and_so_is_its_recovery(
    ready: Running, office: Office, wait_until: WaitUntil
) -> None:
    assert office.states[-1].journal == "ok"
    with closing(sqlite3.connect(ready.settings.outbox, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        tap(ready.socket, uid=NORA, reader="out")
        wait_until(lambda: office.states[-1].journal == "failing")
        other.execute("ROLLBACK")
    wait_until(lambda: office.states[-1].journal == "ok")
    wait_until(lambda: "access.granted" in office.kinds())


def test_a_refusal_moves_nothing(ready: Running, office: Office) -> None:
    office.answers[office.digest(NORA)] = False
    answer = tap(ready.socket, uid=NORA)
    assert (answer.lock, answer.opened, answer.signal) == ("locked", False, "refused")


def test_a_server_that_does_not_answer_is_waited_for_and_then_the_door_decides(
    ready: Running, office: Office, wait_until: WaitUntil
) -> None:
    begun = time.monotonic()
    answer = tap(ready.socket, uid=NORA)
    assert answer.opened
    assert time.monotonic() - begun >= 0.4
    assert len(office.requests) == 1
    wait_until(lambda: "access.granted" in office.kinds())
    assert office.data("access.granted")["offline"] is True


def test_answers_for_others_or_forged_or_torn_open_nothing(
    ready: Running, office: Office, wait_until: WaitUntil
) -> None:
    office.publish_policy(is_open=False, version=2)
    wait_until(lambda: office.states[-1].policy == 2)
    topic = of_door(SITE, DOOR, "decision")
    foreign = AccessRequest(
        id="00000000-0000-7000-8000-000000000000",
        at=datetime.now(UTC),
        reader="in",
        badge="0" * 32,
    )
    for payload in (b"", b"{", b"[" * 100_000, b"\xff", encode(decision(foreign, granted=True))):
        office.send(topic, payload)
    answer = tap(ready.socket, uid=NORA)
    assert (answer.lock, answer.signal) == ("locked", "refused")
    assert tap(ready.socket, uid=SAM).opened


def test_known_to_be_away_the_server_is_not_waited_for(
    ready: Running, office: Office, wait_until: WaitUntil
) -> None:
    office.is_there(is_online=False)
    wait_until(lambda: tap(ready.socket, uid=NORA).opened is True)
    before = len(office.requests)
    assert tap(ready.socket, uid=SAM).opened
    assert len(office.requests) == before


def test_the_way_out_by_badge_and_by_button(
    ready: Running, office: Office, wait_until: WaitUntil
) -> None:
    assert tap(ready.socket, uid=bytes.fromhex("deadbeef"), reader="out").opened
    assert office.requests == []
    assert ask(ready.socket, ExitButton()).opened
    wait_until(lambda: "exit.requested" in office.kinds())
    wait_until(lambda: office.kinds().count("door.closed") == 2)
    causes = [r["data"]["cause"] for r in office.records if r["type"] == "gardien.door.opened"]
    assert causes == ["exit", "exit"]
    assert "door.forced" not in office.kinds()


def test_a_forced_door_is_told(ready: Running, office: Office, wait_until: WaitUntil) -> None:
    ask(ready.socket, Contact(open=True))
    wait_until(lambda: "door.forced" in office.kinds())
    wait_until(lambda: office.states[-1].contact == "open")


def command(office: Office, do: str, number: int, sign: Sign | None = None) -> Command:
    now = datetime.now(UTC)
    unsigned = Command(
        id=f"00000000-0000-7000-9000-{number:012x}",
        at=now,
        expires=now + timedelta(seconds=30),
        do=do,  # type: ignore[arg-type]
        by="sam",
        sig="",
    )
    return sign_command(unsigned, SITE, DOOR, sign or office.sign)


def test_a_signed_command_is_done_and_a_forged_or_kept_one_is_not(
    ready: Running, office: Office, wait_until: WaitUntil
) -> None:
    office.say("command", command(office, "unlock", 1, sign=lambda _: b"0" * 64))
    office.say("command", msgspec.structs.replace(command(office, "unlock", 2), do="hold"))
    office.say("command", command(office, "unlock", 3))
    wait_until(lambda: "lock.locked" in office.kinds())
    commands = [r["data"].get("command") for r in office.records if "unlocked" in r["type"]]
    assert commands == [command(office, "unlock", 3).id]
    ready.end()
    office.say("command", command(office, "unlock", 4), retain=True)
    again = Running(settings=ready.settings).start()
    wait_until(lambda: office.kinds().count("unit.started") == 2)
    wait_until(lambda: office.states[-1].online and office.states[-1].policy == 1)
    office.say("command", command(office, "unlock", 3))
    office.say("command", command(office, "unlock", 5))
    wait_until(lambda: office.kinds().count("lock.unlocked") == 2)
    again.end()
    assert office.data("lock.unlocked")["command"] == command(office, "unlock", 5).id


def test_held_on_command_until_the_unit_stops_and_then_locked(
    ready: Running, office: Office, wait_until: WaitUntil
) -> None:
    office.say("command", command(office, "hold", 1))
    wait_until(lambda: office.states[-1].lock == "held")
    assert ready.look().lock == "unlocked"
    ready.end()
    with Outbox(ready.settings.outbox, site=SITE, door=DOOR) as outbox:
        left = [record["type"] for record in outbox.after(0)]
    assert [*office.kinds(), *[kind.removeprefix("gardien.") for kind in left]][-2:] == [
        "passage.ended",
        "lock.locked",
    ]
    wait_until(lambda: not office.states[-1].online)


def test_a_restart_is_passed_on_to_whoever_runs_the_unit(
    ready: Running, office: Office, wait_until: WaitUntil
) -> None:
    office.say("command", command(office, "restart", 1))
    wait_until(lambda: ready.restarts == [True])


def test_without_broker_the_door_works_alone_and_tells_later(
    ready: Running, office: Office, broker: Broker, site_folder: Path, wait_until: WaitUntil
) -> None:
    wait_until(lambda: is_drained(ready.settings))
    port = broker.port
    broker.close()
    wait_until(lambda: tap(ready.socket, uid=NORA).opened is True)
    assert tap(ready.socket, uid=SAM).opened
    office.is_up.clear()
    with embedded_broker(
        clients=CLIENTS, folder=site_folder / "broker-2", port=port, program="mosquitto"
    ):
        assert office.is_up.wait(15)
        deadline = time.monotonic() + 30
        while office.kinds().count("lock.locked") < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert office.kinds().count("access.granted") == 2
        verify(office.records, Head())
        ready.end()


def test_what_is_not_acknowledged_is_sent_again(
    ready: Running, office: Office, wait_until: WaitUntil
) -> None:
    office.acknowledges = False
    office.answers[office.digest(NORA)] = False
    tap(ready.socket, uid=NORA)
    wait_until(lambda: "access.denied" in office.kinds())
    batches = office.batches
    wait_until(lambda: office.batches > batches)
    office.acknowledges = True
    wait_until(lambda: is_drained(ready.settings))
    assert office.kinds().count("access.denied") == 1


def test_the_policy_is_kept_and_used_at_the_next_start_without_anybody(
    ready: Running, office: Office, broker: Broker
) -> None:
    ready.end()
    broker.close()
    again = Running(settings=ready.settings).start()
    try:
        deadline = time.monotonic() + 5
        while not again.socket.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert tap(again.socket, uid=NORA).opened
    finally:
        again.end()
    assert office.requests == []


def test_a_lost_outbox_is_told_and_the_server_goes_on_after_what_it_had(
    ready: Running, office: Office, wait_until: WaitUntil
) -> None:
    office.answers[office.digest(NORA)] = False
    tap(ready.socket, uid=NORA)
    wait_until(lambda: "access.denied" in office.kinds())
    ready.end()
    ready.settings.outbox.write_bytes(b"torn" * 4000)
    held = office.records[-1]["seq"]
    again = Running(settings=ready.settings).start()
    wait_until(lambda: office.kinds().count("unit.started") == 2)
    again.end()
    assert office.records[-1]["seq"] > held
    assert office.data("unit.started")["lost_outbox"].startswith("outbox.db.unreadable")
    assert len(list(ready.settings.outbox.parent.glob("*.unreadable-*"))) >= 1


def test_an_outbox_that_cant_be_written_unlocks_for_nobody_but_the_way_out(
    ready: Running, wait_until: WaitUntil
) -> None:
    other = sqlite3.connect(ready.settings.outbox, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answer = tap(ready.socket, uid=SAM, wait_ms=6000)
    assert (answer.lock, answer.opened) == ("locked", False)
    assert tap(ready.socket, uid=NORA, reader="out", wait_ms=6000).opened
    other.execute("ROLLBACK")
    other.close()
    wait_until(lambda: tap(ready.socket, uid=SAM, wait_ms=6000).opened is True)


def test_the_loop_says_that_it_goes_round(ready: Running, wait_until: WaitUntil) -> None:
    before = ready.turns
    wait_until(lambda: ready.turns > before + 2)


def test_making_safe_locks_and_leaves(settings: DoorUnitSettings) -> None:
    make_safe(settings)
