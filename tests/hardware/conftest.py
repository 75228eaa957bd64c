"""The hardware of one door, emulated, or real where somebody names a `door.toml`.

Real parts move a real lock: they are tried only with `-m hardware` and GARDIEN_DOOR_TOML.
"""

import contextlib
import importlib.util
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.hardware.pins import open_pins
from edge.parts import Parts, open_parts, open_reader
from edge.parts_simulated import start_world
from edge.ports import Reader
from edge.presentation import ReaderEvent
from edge.settings import DoorUnitSettings, load_door_settings
from edge.simulated.client import ask
from edge.simulated.messages import Tap

DOOR_TOML = "GARDIEN_DOOR_TOML"
CARD = "GARDIEN_CARD"
LAID_MS = 3_000
EMULATED = """
site = "malakoff"
door = "main"
server_key_file = "server.pem"
badge_key_file = "badge.key"
outbox = "outbox.db"
[mqtt]
host = "127.0.0.1"
port = 1
username = "malakoff.main"
password_file = "mqtt.password"
[hardware]
backend = "simulated"
simulated = { socket = "door.sock" }
lock = { pin = 17, active_high = true, fail = "safe", kind = "magnet", release_in_hardware = true }
contact = { pin = 27, active = "high" }
exit_button = { pin = 22, active = "low" }
tamper = { pin = 23, active = "high" }
fire = { pin = 26, active = "high" }
light = { red = 5, green = 6, blue = 13 }
buzzer = { pin = 12 }
[[hardware.reader]]
id = "in"
driver = "mfrc522"
bus = 0
device = 0
[[hardware.reader]]
id = "out"
driver = "mfrc522"
bus = 0
device = 1
"""

DISPLAY = '[hardware.display]\ndriver = "ssd1306"\n'
HAS_LUMA = importlib.util.find_spec("luma") is not None

BOTH = ["emulated", pytest.param("real", marks=pytest.mark.hardware)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A door whose hardware is tried.

    Attributes:
        settings: of its unit.
        is_real: whether its parts are real.
    """

    settings: DoorUnitSettings
    is_real: bool

    @contextlib.contextmanager
    def card(self) -> Iterator[bytes]:
        """Have a card lie on the reader `in`; gives its UID. On a real one it must lie there."""
        if self.is_real:
            told = os.environ.get(CARD)
            if told is None:
                pytest.skip(f"lay a card on the reader `in`, and give its UID in hex as {CARD}")
            yield bytes.fromhex(told)
            return
        uid = "04112233445566"
        simulated = self.settings.hardware.simulated
        assert simulated is not None
        wish = Tap(reader="in", uid=uid, hold_ms=LAID_MS, wait_ms=LAID_MS, push=False)
        laying = threading.Thread(target=ask, args=(simulated.socket, wish), daemon=True)
        laying.start()
        yield bytes.fromhex(uid)
        laying.join()


@pytest.fixture(params=BOTH)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Give a door, emulated or real."""
    if request.param == "emulated":
        path = tmp_path / "door.toml"
        path.write_text(EMULATED + (DISPLAY if HAS_LUMA else ""), encoding="utf-8")
        return Place(settings=load_door_settings(path), is_real=False)
    told = os.environ.get(DOOR_TOML)
    if told is None:
        pytest.skip(f"no real door: on its Pi, name its door.toml as {DOOR_TOML}")
    settings = load_door_settings(Path(told))
    if settings.hardware.simulated is not None:
        pytest.skip(f"{told} is of a simulated door")
    return Place(settings=settings, is_real=True)


@pytest.fixture
def events() -> list[ReaderEvent]:
    """Collect what the readers of `parts` tell."""
    return []


@pytest.fixture
def parts(place: Place, events: list[ReaderEvent]) -> Iterator[Parts]:
    """Open all parts of the door."""
    with contextlib.ExitStack() as stack:
        yield open_parts(place.settings, stack=stack, on_reader=events.append, on_fuse=lambda: None)


@pytest.fixture
def readers(place: Place) -> Iterator[Mapping[str, Reader]]:
    """Open the readers of the door, and nothing else."""
    hardware = place.settings.hardware
    with contextlib.ExitStack() as stack:
        pins = stack.enter_context(contextlib.closing(open_pins(hardware.backend)))
        if hardware.simulated is not None:
            stack.enter_context(start_world(hardware, pins))
        opened: dict[str, Reader] = {
            reader.id: open_reader(reader, pins) for reader in hardware.readers
        }
        for reader in opened.values():
            stack.callback(reader.close)
        yield opened


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], bool]:
    """Wait for a condition; says whether it came about within 5 s."""
    pause = threading.Event()

    def wait(condition: Callable[[], bool]) -> bool:
        return any(condition() or pause.wait(0.005) for _ in range(1000))

    return wait
