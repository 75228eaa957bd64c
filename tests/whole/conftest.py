"""A whole house: the programs as a user starts them, the people at its doors, and its broker."""

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from datetime import time as time_of_day
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any, Final, Literal, Protocol, Self
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener
from uuid import uuid4

import msgspec
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from access.badge import digest
from access.ids import DoorId, MemberId, SiteId
from access.instants import Span
from access.journal import Head
from access.messages import OccupancyReport
from access.model import Plan
from edge.outbox_file import read_head
from edge.simulated.client import NoSuchDoorError, ask, tap
from edge.simulated.messages import Answer, ExitButton, FirePanel, Look
from gardien.demo.cast import uid_of
from gardien.demo.site import first_day
from gardien.demo.story import ZONE
from gardien.founding import (
    DoorPlan,
    Founding,
    SitePlan,
    found,
    found_simulated_door,
    password_file,
)
from runtime.broker import find_mosquitto
from runtime.clock import DemoClock
from server import ledger, registry
from server.accounts import set_password
from server.events import DeskEvent
from server.installation import Installation, open_installation
from server.ledger import StoredEntry
from server.state import SiteState
from server.verify import verify_site

START_S: Final = 45.0
"""How long a program may take to come up, or all to be well again, on a busy machine."""

STOP_S: Final = 15.0
_POLL_S: Final = 0.03
PASSWORD: Final = "quatre mots pour entrer"  # noqa: S105 (of these tests only)
_ALL_ENTRIES: Final = 1_000_000

BrokerName = Literal["mosquitto", "amqtt"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def wait_for(
    is_so: Callable[[], object],
    what: str,
    within_s: float = START_S,
    tell: Callable[[], str] = str,
) -> None:
    """Wait until `is_so`; fail in words, with what `tell` adds, when it is not so in time."""
    deadline = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > deadline:
            pytest.fail(f"not so within {within_s:.0f} s: {what}\n{tell()}")
        time.sleep(_POLL_S)


def processes_of(folder: Path) -> dict[int, str]:
    """Every process whose command line names the folder, but for this one; by its number."""
    named: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(folder) in line:
                named[int(entry.name)] = line.strip()
    return named


def kill_all(folder: Path) -> None:
    """End every process of a folder at once."""
    for pid in processes_of(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def expect_nothing_left(folder: Path, within_s: float = STOP_S) -> None:
    """Fail if a process of this folder lives on; end it then, so that the next test has peace."""
    try:
        wait_for(
            lambda: not processes_of(folder),
            f"no process of {folder} is left",
            within_s,
            lambda: "\n".join(processes_of(folder).values()),
        )
    finally:
        kill_all(folder)


def sockets_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_socket()]


@dataclass(frozen=True)
class Heard:
    """A message as a client of the broker got it."""

    topic: str
    payload: bytes
    is_retained: bool


@dataclass
class Peer:
    """A client of the broker, that remembers what it heard."""

    client: paho.Client
    heard: list[Heard] = field(default_factory=list)
    codes: list[ReasonCode] = field(default_factory=list)
    is_up: threading.Event = field(default_factory=threading.Event)
    is_subscribed: threading.Event = field(default_factory=threading.Event)

    def say(self, topic: str, payload: bytes, *, retain: bool = False, wait_s: float = 5) -> bool:
        """Publish, and say whether the broker took it; blocks until then."""
        said = self.client.publish(topic, payload, qos=1, retain=retain)
        with contextlib.suppress(RuntimeError, ValueError):
            said.wait_for_publish(wait_s)
        return said.rc == paho.MQTT_ERR_SUCCESS and said.is_published()

    def hear(self, topic: str) -> None:
        """Subscribe; blocks until the broker has answered."""
        self.is_subscribed.clear()
        self.client.subscribe(topic, qos=1)
        assert self.is_subscribed.wait(10), f"the broker did not answer a subscription to {topic}"

    def reports(self) -> list[OccupancyReport]:
        """Give every occupancy that was heard, in order."""
        return [
            msgspec.json.decode(one.payload, type=OccupancyReport)
            for one in self.heard
            if one.topic.endswith("/occupancy")
        ]


@contextlib.contextmanager
def logged_in(port: int, name: str, password: str) -> Iterator[Peer]:
    """Log in to a broker, whether it lets us in or not: `is_up` and `codes` tell."""
    client = paho.Client(
        CallbackAPIVersion.VERSION2, client_id=name, reconnect_on_failure=False, clean_session=True
    )
    peer = Peer(client)

    def connected(_c: object, _d: object, _f: object, code: ReasonCode, _p: object) -> None:
        peer.codes.append(code)
        peer.is_up.set()

    def heard(_c: object, _d: object, said: paho.MQTTMessage) -> None:
        peer.heard.append(Heard(said.topic, bytes(said.payload), said.retain))

    client.username_pw_set(name, password)
    client.on_connect = connected
    client.on_message = heard
    client.on_subscribe = lambda *_: peer.is_subscribed.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        assert peer.is_up.wait(10), f"the broker on port {port} did not answer the login of {name}"
        yield peer
    finally:
        client.disconnect()
        client.loop_stop()


class Web:
    """Somebody's browser, without its screen."""

    def __init__(self, house: "House", who: MemberId) -> None:
        set_password(house.inside.database, f"{who}@example.org", who, PASSWORD, house.clock.now())
        self._address = f"http://127.0.0.1:{house.web_port}"
        self._opener: OpenerDirector = build_opener(HTTPCookieProcessor(CookieJar()))
        self.post("/login", page="/login", email=f"{who}@example.org", password=PASSWORD)

    def get(self, path: str) -> str:
        with self._opener.open(self._address + path, timeout=10) as answer:
            text: str = answer.read().decode()
        return text

    def post(self, path: str, *, page: str = "/watch", **fields: str) -> str:
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.get(page))
        assert found is not None
        data = urlencode(fields | {"csrf_token": found[1]}).encode()
        with self._opener.open(self._address + path, data=data, timeout=10) as answer:
            text: str = answer.read().decode()
        return text


class House:
    """One installation with two doors: `main` (in and out) and `fablab` (in), open till 18:30.

    Zoe and Yanis are guardians; both may open on the evening from 19:30 to 22:00, half an hour
    earlier too. Nadia is staff, Paolo a partner whom the fab lab does not admit; there are six
    members more.

    Args:
        path: a folder that is new; its logs are beside it.
        broker: which program runs the broker.
        history_url: of InfluxDB; empty for the embedded history.
        database: a SQLAlchemy URL; empty for SQLite in the folder.
        more_doors: ids of doors that the broker knows besides.
        starts: what the clock shows on that Tuesday.
    """

    site = SiteId("malakoff")
    main, fablab = DoorId("main"), DoorId("fablab")
    staff, zoe, yanis = MemberId("nadia"), MemberId("zoe"), MemberId("yanis")
    partner = MemberId("paolo")
    members = tuple(MemberId(f"member-{number}") for number in range(1, 7))
    stranger = bytes.fromhex("04deadbeef1234")
    options: tuple[str, ...] = ()
    """What stands before the command of each program that is started."""

    def __init__(
        self,
        path: Path,
        *,
        broker: BrokerName = "mosquitto",
        history_url: str = "",
        database: str = "",
        more_doors: Collection[str] = (),
        starts: str = "18:50",
    ) -> None:
        if broker == "mosquitto" and find_mosquitto() is None:
            pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
        self.path, self.logs = path, path.parent / f"{path.name}-logs"
        self.logs.mkdir()
        self.port, self.web_port = free_port(), free_port()
        self.day = first_day(datetime.now(ZONE).date())
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._found(broker, history_url, database, more_doors, starts)
        self._stack = ExitStack()
        self.clock = self._stack.enter_context(DemoClock(self._clock_file))
        self.inside: Installation = self._stack.enter_context(open_installation(path))
        self._fill()

    def _found(
        self,
        broker: BrokerName,
        history_url: str,
        database: str,
        more_doors: Collection[str],
        starts: str,
    ) -> None:
        doors = (
            DoorPlan(id=self.main, name="Main entrance", readers=("in", "out")),
            DoorPlan(id=self.fablab, name="Fab lab", plans=("nomad", "resident", "staff")),
            *(DoorPlan(id=DoorId(door), name=door) for door in more_doors),
        )
        days = ("mon", "tue", "wed", "thu", "fri")
        plan = Founding(
            site=SitePlan(
                id=self.site,
                name="La Fabrique",
                capacity=60,
                doors=doors,
                hours=dict.fromkeys(days, ("09:00-18:30",)),
            ),
            language="en",
            mqtt_port=self.port,
            listen=f"127.0.0.1:{self.web_port}",
            clock=f"demo:{self._clock_file}",
            broker=broker,
        )
        folder = found(self.path, plan)
        DemoClock.create(self._clock_file, self.moment(starts)).close()
        for door in doors[:2]:
            found_simulated_door(folder, plan, door)
        if history_url:
            self.change_settings(
                "", f'\n[history]\nurl = "{history_url}"\ndatabase = "house-{uuid4().hex[:8]}"\n'
            )
        if database:
            self.change_settings('database = "sqlite:///gardien.db"', f'database = "{database}"')

    @property
    def _clock_file(self) -> Path:
        return self.path / "clock"

    def _fill(self) -> None:
        """Put everybody into the registry, each with a badge; authorize both guardians."""
        now, key = self.inside.clock.now(), self.inside.read_badge_key(self.site)
        evening = Span(start=self.moment("19:30"), end=self.moment("22:00"))
        with self.inside.database.writing() as connection:
            for person in self._people():
                registry.add_member(connection, person, now)
                uid = digest(self.uid(person.id), key)
                registry.assign_badge(connection, uid, person.id, at=now)
            for guardian in (self.zoe, self.yanis):
                registry.authorize(
                    connection, site=self.site, guardian=guardian, span=evening, title="The talk"
                )

    def _people(self) -> Iterator[registry.Person]:
        plans = dict.fromkeys(self.members, Plan.NOMAD) | {
            self.staff: Plan.STAFF,
            self.zoe: Plan.RESIDENT,
            self.yanis: Plan.RESIDENT,
            self.partner: Plan.PARTNER,
        }
        for member, plan in plans.items():
            yield registry.Person(
                id=member,
                name=member.title(),
                email=f"{member}@example.org",
                language="en",
                plan=plan,
                is_guardian=member in {self.zoe, self.yanis},
                sites=frozenset({self.site}),
            )

    # Time and settings.

    def moment(self, text: str) -> datetime:
        """Give a time of day of that Tuesday, such as "19:10", UTC."""
        local = datetime.combine(self.day, time_of_day.fromisoformat(text), tzinfo=ZONE)
        return local.astimezone(UTC)

    def leap_to(self, text: str) -> None:
        """Let it be as late as that, if it is not later already."""
        self.clock.leap_to(self.moment(text))

    def change_settings(self, old: str, new: str) -> None:
        """Put `new` in place of `old` in gardien.toml, or at its end where `old` is empty."""
        file = self.path / "gardien.toml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new) if old else text + new)

    # Programs.

    def start(self, *names: str) -> None:
        """Start programs: broker, server, dashboard, or a door; blocks until each is there."""
        for name in names:
            {"broker": self._start_broker, "server": self._start_server}.get(
                name, lambda name=name: self._start_other(name)
            )()

    def start_all(self) -> None:
        """Start broker, server and both doors; blocks until all know each other."""
        self.start("broker")
        # Side by side, since each takes a second to load.
        self._launch("server")
        self._launch(self.main)
        self._launch(self.fablab)
        self.expect_well()

    def stop(self, name: str) -> None:
        """Stop a program kindly, and see that it ends well."""
        process = self.running.pop(name)
        process.terminate()
        try:
            assert process.wait(STOP_S) == 0, f"{name} ended badly\n{self.last_words()}"
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            pytest.fail(f"{name} did not end within {STOP_S} s of SIGTERM\n{self.last_words()}")

    def kill(self, name: str) -> None:
        """Kill a program with -9; of the broker everything that belongs to it."""
        process = self.running.pop(name)
        if name == "broker":
            kill_all(self.path / "broker")
        process.kill()
        process.wait()

    def log(self, name: str) -> str:
        """Give what a program has printed so far."""
        file = self.logs / f"{name}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def last_words(self) -> str:
        """Give the ends of all logs, for a message."""
        return "\n".join(
            f"--- {file.name}\n" + "\n".join(file.read_text(errors="replace").splitlines()[-8:])
            for file in sorted(self.logs.glob("*.log"))
        )

    def gardien(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of gardien's on this installation."""
        return subprocess.run(
            [sys.executable, "-m", "gardien", "--data", str(self.path), *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def _launch(self, name: str, *words: str) -> None:
        assert name not in self.running, f"{name} runs already"
        is_door = name not in {"broker", "server", "dashboard"}
        toml = self.path / "doors" / name / "door.toml"
        words = ("door", "--config", str(toml)) if is_door else (name,)
        with (self.logs / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gardien", "--data", str(self.path)),
                    *self.options,
                    *words,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _start_broker(self) -> None:
        self._launch("broker")
        self.expect(lambda: accepts(self.port), "the broker accepts connections")

    def _start_server(self) -> None:
        before = self.log("server").count("connected to the broker")
        self._launch("server")
        self.expect(
            lambda: self.log("server").count("connected to the broker") > before,
            "the server is connected",
        )

    def _start_other(self, name: str) -> None:
        self._launch(name)
        if name == "dashboard":
            self.expect(lambda: accepts(self.web_port), "the dashboard accepts connections")
        else:
            self.expect(lambda: self.look(DoorId(name)) is not None, f"the door {name} answers")

    def expect(self, is_so: Callable[[], object], what: str, within_s: float = START_S) -> None:
        """Wait until it is so; fail with the ends of the logs when it is not, or a program died."""

        def is_so_and_all_live() -> bool:
            dead = [name for name, one in self.running.items() if one.poll() is not None]
            if dead:
                pytest.fail(f"{dead} died while waiting until {what}\n{self.last_words()}")
            return bool(is_so())

        wait_for(is_so_and_all_live, what, within_s, self.last_words)

    def expect_well(self, within_s: float = START_S) -> None:
        """Wait until every door that runs is online, has the rules, and has handed over all."""
        doors = [DoorId(name) for name in self.running if name in {self.main, self.fablab}]
        self.expect(lambda: all(map(self._is_well, doors)), f"{doors} are well", within_s)

    def _is_well(self, door: DoorId) -> bool:
        track = self.state().doors.get(door)
        if track is None or track.state is None or not track.is_online:
            return False
        made = self.made_by(door)
        return track.state.policy is not None and made is not None and made == track.head

    # People.

    @staticmethod
    def uid(member: MemberId) -> bytes:
        """Give the UID of a member's badge: of 7 bytes for guardians, of 4 for others."""
        return uid_of(member, is_long=member in {House.zoe, House.yanis})

    def door_socket(self, door: DoorId) -> Path:
        return self.path / "doors" / door / "sim.sock"

    def tap(
        self,
        member: MemberId | bytes,
        reader: str = "in",
        door: DoorId = main,
        *,
        push: bool = True,
    ) -> Answer:
        """Let somebody present their badge, and walk through if the door unlocks."""
        uid = member if isinstance(member, bytes) else self.uid(member)
        return tap(self.door_socket(door), uid=uid, reader=reader, open_ms=100, push=push)

    def press_exit(self, door: DoorId = main) -> None:
        ask(self.door_socket(door), ExitButton(open_ms=100))

    def wire_fire_panel(self, door: DoorId = main) -> None:
        """Give a door a wire by which it sees the fire panel, before it starts."""
        with (self.path / "doors" / door / "door.toml").open("a") as settings:
            settings.write('\n[hardware.fire]\npin = 26\nactive = "high"\n')

    def burn(self, door: DoorId = main, *, is_on: bool) -> None:
        """Let the fire panel free a door, or be reset; blocks until the door has recorded it."""
        before = self.made_by(door)
        ask(self.door_socket(door), FirePanel(on=is_on))
        self.expect(lambda: self.made_by(door) != before, "the door has seen the fire panel", 10)

    def look(self, door: DoorId = main) -> Answer | None:
        """See how a door stands; None if it does not run."""
        try:
            return ask(self.door_socket(door), Look(), timeout_s=5)
        except (NoSuchDoorError, TimeoutError):
            return None

    def at_desk(self, event: DeskEvent) -> None:
        """Do what somebody does on the web."""
        self.inside.gatehouse.handle(self.site, [event], self.clock.now())

    def open_evening(self) -> None:
        """Let Zoe open the watch at 19:15; it is 19:40 then, and she is inside."""
        self.leap_to("19:15")
        answer = self.tap(self.zoe)
        assert answer.opened, answer
        self.expect(lambda: self.entries("watch.confirmed"), "the watch is confirmed", 15)
        self.expect_well()
        self.leap_to("19:40")

    # What is known.

    def state(self) -> SiteState:
        return self.inside.gatehouse.look(self.site)

    def entries(self, *kinds: str) -> list[StoredEntry]:
        """Give the ledger, or what is of some kinds (without `gardien.`), oldest first."""
        with self.inside.database.reading() as connection:
            return ledger.read(
                connection,
                self.site,
                limit=_ALL_ENTRIES,
                kinds=[f"gardien.{kind}" for kind in kinds] or None,
            )

    def data(self, *kinds: str) -> list[dict[str, Any]]:
        """Give the data of what is of some kinds, oldest first."""
        return [entry.record["data"] for entry in self.entries(*kinds)]

    def balances(self) -> dict[MemberId, int]:
        """Give the minutes that each has in the time bank."""
        with self.inside.database.reading() as connection:
            return registry.balances(connection, self.site)

    def browse(self, who: MemberId) -> Web:
        """Log in to the pages as somebody; the dashboard runs."""
        return Web(self, who)

    def made_by(self, door: DoorId) -> Head | None:
        """Give the end of the chain that a door has made; None while it can't be read."""
        file = self.path / "doors" / door / "outbox.db"
        try:
            with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as outbox:
                return read_head(outbox)
        except sqlite3.Error:
            return None

    def expect_whole(self) -> None:
        """Check that each chain is whole, and that each record of each door is there once."""
        with self.inside.database.reading() as connection:
            reports = verify_site(connection, self.site)
            aside = ledger.list_set_aside(connection, self.site)
        assert all(report.is_whole for report in reports), reports
        assert aside == []
        every = self.entries()
        for report in reports:
            seqs = [entry.seq for entry in every if entry.source == report.source]
            assert seqs == list(range(1, report.head.seq + 1)), report.source
            if report.source in {self.main, self.fablab}:
                assert report.head == self.made_by(DoorId(report.source))

    def explain(self, member: MemberId | bytes, door: DoorId = main) -> dict[str, Any]:
        """Ask `gardien explain` what would happen now; its exit status must fit its answer."""
        uid = member if isinstance(member, bytes) else self.uid(member)
        said = self.gardien("explain", "--door", door, "--badge", uid.hex(), "--json")
        assert said.returncode in {0, 1}, said.stderr
        answer: dict[str, Any] = json.loads(said.stdout)
        assert answer["granted"] is (said.returncode == 0)
        assert answer["state"] == "current"
        return answer

    @contextlib.contextmanager
    def logged_in(self, name: str, password: str | None = None) -> Iterator[Peer]:
        """Log in to the broker as one of its clients, with their password or another."""
        right = password_file(self.path, name).read_text().strip()
        with logged_in(self.port, name, right if password is None else password) as peer:
            yield peer

    def door_topic(self, what: str, door: str = main) -> str:
        return f"gardien/1/{self.site}/{door}/{what}"

    def close(self) -> None:
        """Stop everything and see that nothing is left. Closing twice is harmless."""
        try:
            # The broker last, so that the others can say goodbye.
            for name in sorted(self.running, key=lambda name: name == "broker"):
                self.stop(name)
        finally:
            for process in self.running.values():
                process.kill()
                process.wait()
            self.running.clear()
            self._stack.close()
            expect_nothing_left(self.path)
        assert sockets_in(self.path) == []
        assert not accepts(self.port)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class NewHouse(Protocol):
    """Makes houses of the test's own; the arguments are those of `House`."""

    def __call__(
        self,
        *,
        broker: BrokerName = "mosquitto",
        history_url: str = "",
        database: str = "",
        more_doors: Collection[str] = (),
        starts: str = "18:50",
    ) -> House: ...


@pytest.fixture
def new_house(tmp_path: Path) -> Iterator[NewHouse]:
    """Make houses; each is closed at the end, and must leave nothing behind."""
    with ExitStack() as stack:
        yield lambda **how: stack.enter_context(House(tmp_path / f"h{uuid4().hex[:4]}", **how))


# A demonstration as a user starts it.


@dataclass
class Demo:
    """A running `gardien demo`, in a session of its own, as in a terminal of its own."""

    data: Path
    port: int
    process: subprocess.Popen[bytes]
    output: Path

    @property
    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def expect(self, words: str, within_s: float = START_S) -> None:
        """Wait until it has printed some words."""

        def has_said() -> bool:
            if words in self.text:
                return True
            status = self.process.poll()
            if status is not None:
                pytest.fail(f"it ended with {status} before it said {words!r}\n{self.text}")
            return False

        wait_for(has_said, f"the demo says {words!r}", within_s, lambda: self.text)

    def expect_file(self, name: str) -> None:
        """Wait until it has made a file of its folder."""
        wait_for((self.data / name).exists, f"the demo makes {name}", tell=lambda: self.text)

    def expect_end(self, within_s: float) -> int:
        """Wait until it has ended; give its exit status."""
        wait_for(
            lambda: self.process.poll() is not None, "the demo ends", within_s, lambda: self.text
        )
        return self.process.wait()

    def expect_nothing_left(self) -> None:
        expect_nothing_left(self.data)
        assert not accepts(self.port)

    def close(self) -> None:
        """End it whatever it does. Closing twice is harmless."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_S)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        kill_all(self.data)


class StartDemo(Protocol):
    """Starts demonstrations; the words go after `gardien demo`."""

    def __call__(self, data: Path, *words: str) -> Demo: ...


@pytest.fixture(scope="module")
def start_demo() -> Iterator[StartDemo]:
    """Start demonstrations; all have ended at the end."""
    demos: list[Demo] = []

    def start(data: Path, *words: str) -> Demo:
        port, output = free_port(), data.parent / f"{data.name}.out"
        command = [sys.executable, "-m", "gardien", "--data", str(data), "demo"]
        with output.open("wb") as out:
            process = subprocess.Popen(
                [*command, "--language", "en", "--port", str(port), *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | {"COLUMNS": "200"},
            )
        demos.append(Demo(data, port, process, output))
        return demos[-1]

    try:
        yield start
    finally:
        for demo in demos:
            demo.close()
