"""A place under torture: a real broker and a real server, and doors that somebody else starts."""

import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from typing import Final, Self
from zoneinfo import ZoneInfo

from access.badge import digest
from access.ids import DoorId, MemberId, SiteId
from access.instants import Span
from access.journal import Head
from access.model import Plan
from gardien.founding import DoorPlan, Founding, SitePlan, found, found_simulated_door
from runtime.clock import DemoClock
from server import ledger, registry
from server.installation import Installation, open_installation

ROOT: Final = Path(__file__).parents[2]
START_S: Final = 45.0
SITE: Final = SiteId("malakoff")
GUARDIAN: Final = MemberId("zoe")
PEOPLE: Final = 4
"""Members at each door."""

_BYTECODE: Final = ROOT / "tests" / "out" / "bytecode"
_ZONE: Final = ZoneInfo("Europe/Paris")
_READERS: Final = ("in", "out")


def environment() -> dict[str, str]:
    """Give the environment of the programs: compiled modules are kept, so that they start soon."""
    ours = {key: one for key, one in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return ours | {"PYTHONPYCACHEPREFIX": str(_BYTECODE)}


class NotSoError(AssertionError):
    """What must come about did not, in time."""


def wait_for(is_so: Callable[[], object], what: str, within_s: float = START_S) -> None:
    """Wait until it is so.

    Raises:
        NotSoError: it is not so in time.
    """
    ends_at = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > ends_at:
            raise NotSoError(f"not so within {within_s:.0f} s: {what}")
        time.sleep(0.02)


def free_port() -> int:
    """Give a port of the loopback that nothing listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def accepts(port: int) -> bool:
    """Whether something listens on a port of the loopback."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def uid_of(member: MemberId) -> bytes:
    """Give the UID of a member's badge, 7 bytes."""
    return b"\x04" + hashlib.sha256(member.encode()).digest()[:6]


def people_of(door: DoorId) -> tuple[MemberId, ...]:
    """Give who comes to one door."""
    return tuple(MemberId(f"{door}-{number}") for number in range(1, PEOPLE + 1))


class Place:
    """A site on a Tuesday at 19:40, between the hours and midnight, with some doors.

    Args:
        path: a folder that is new; at most some 60 bytes long, for the doors' sockets.
        doors: their ids.
    """

    def __init__(self, path: Path, doors: Sequence[str]) -> None:
        self.path, self.doors = path, tuple(map(DoorId, doors))
        self.port = free_port()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._day = _tuesday(datetime.now(_ZONE).date())
        self._found()
        self._stack = contextlib.ExitStack()
        self.inside: Installation = self._stack.enter_context(open_installation(path))
        self._fill()

    def _found(self) -> None:
        clock = self.path.parent / f"{self.path.name}.clock"
        doors = tuple(DoorPlan(id=door, name=door, readers=_READERS) for door in self.doors)
        plan = Founding(
            site=SitePlan(
                id=SITE,
                name="Malakoff",
                capacity=60,
                doors=doors,
                hours=dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), ("09:00-18:30",)),
            ),
            language="en",
            mqtt_port=self.port,
            listen=f"127.0.0.1:{free_port()}",
            clock=f"demo:{clock}",
            broker="mosquitto",
        )
        folder = found(self.path, plan)
        DemoClock.create(clock, self.moment("19:40")).close()
        for door in doors:
            found_simulated_door(folder, plan, door)

    def moment(self, text: str) -> datetime:
        """Give a time of day of that Tuesday, UTC."""
        local = datetime.combine(self._day, time_of_day.fromisoformat(text), tzinfo=_ZONE)
        return local.astimezone(UTC)

    def _fill(self) -> None:
        """Register everybody with a badge, and authorize the guardian until midnight."""
        now, key = self.inside.clock.now(), self.inside.read_badge_key(SITE)
        members = [GUARDIAN, *(member for door in self.doors for member in people_of(door))]
        evening = Span(start=self.moment("19:30"), end=self.moment("23:59"))
        with self.inside.database.writing() as connection:
            for member in members:
                person = registry.Person(
                    id=member,
                    name=member.title(),
                    email=f"{member}@example.org",
                    language="en",
                    plan=Plan.RESIDENT,
                    is_guardian=member == GUARDIAN,
                    sites=frozenset({SITE}),
                )
                registry.add_member(connection, person, now)
                registry.assign_badge(connection, digest(uid_of(member), key), member, at=now)
            registry.authorize(
                connection, site=SITE, guardian=GUARDIAN, span=evening, title="The talk"
            )

    def start(self) -> None:
        """Start broker and server; blocks until both are there."""
        self._launch("broker")
        wait_for(self.is_listening, "the broker accepts connections")
        self._launch("server")
        wait_for(lambda: "connected to the broker" in self.log("server"), "the server is connected")

    def is_listening(self) -> bool:
        """Whether the broker accepts connections."""
        return accepts(self.port)

    def kill(self, name: str) -> None:
        """Kill the server with -9."""
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def _launch(self, name: str) -> None:
        with self._log_file(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", "gardien", "--data", str(self.path), name],
                cwd=ROOT,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _log_file(self, name: str) -> Path:
        return self.path.parent / f"{self.path.name}-{name}.log"

    def log(self, name: str) -> str:
        """Give what a program has printed so far."""
        return self._log_file(name).read_text(errors="replace")

    def door_settings(self, door: DoorId) -> Path:
        """Where the settings of a door are, with its outbox and its socket beside it."""
        return self.path / "doors" / door / "door.toml"

    def head(self, door: DoorId) -> Head:
        """Give the end of a door's chain, as the ledger has it."""
        with self.inside.database.reading() as connection:
            return ledger.head(connection, SITE, door)

    def close(self) -> None:
        """Stop everything. Closing twice is harmless."""
        for name in ("server", "broker"):
            process = self._running.pop(name, None)
            if process is not None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(15)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _tuesday(today: date) -> date:
    """Give a Tuesday that is no holiday and not long ago."""
    return today - timedelta(days=(today.weekday() - 1) % 7)
