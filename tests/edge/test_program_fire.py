"""A whole door unit on its own in a fire: wires, relay, display and journal, with no broker."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("luma.oled", reason="luma.oled is not installed (gardien[pi])")

from edge.program import run
from edge.settings import load_door_settings
from edge.simulated.client import NoSuchDoorError, ask
from edge.simulated.messages import Contact, FirePanel, Look
from runtime.keys import make_badge_key, make_signing_key

DOOR_TOML = """
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
fire = { pin = 26, active = "high" }
light = { red = 5, green = 6, blue = 13 }
display = { driver = "ssd1306" }
[[hardware.reader]]
id = "in"
driver = "mfrc522"
bus = 0
device = 0
"""

LONGEST_S = 20.0


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait as long as a whole unit may take on a busy machine."""
    end_s = time.monotonic() + LONGEST_S
    while not condition():
        assert time.monotonic() < end_s, f"it did not come about within {LONGEST_S} s"
        time.sleep(0.01)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Path]:
    """Run a door unit without anybody to speak to; gives the socket of its world."""
    make_signing_key(tmp_path / "server.key", tmp_path / "server.pem")
    make_badge_key(tmp_path / "badge.key")
    (tmp_path / "mqtt.password").write_text("none\n", encoding="utf-8")
    path = tmp_path / "door.toml"
    path.write_text(DOOR_TOML, encoding="utf-8")
    stop, turns = threading.Event(), list[int]()
    unit = threading.Thread(
        target=run, args=(load_door_settings(path), stop, lambda: turns.append(1))
    )
    unit.start()
    wait_until(lambda: bool(turns) and is_there(tmp_path / "door.sock"))
    yield tmp_path / "door.sock"
    stop.set()
    unit.join(10)
    assert not unit.is_alive()


def is_there(socket: Path) -> bool:
    try:
        return ask(socket, Look()).ok
    except NoSuchDoorError:
        return False


def causes(folder: Path) -> list[tuple[str, object]]:
    """The records in the outbox, with their causes."""
    with sqlite3.connect(folder / "outbox.db") as database:
        rows = database.execute("SELECT body FROM record ORDER BY seq").fetchall()
    database.close()
    records = [msgspec.json.decode(row[0]) for row in rows]
    return [(one["type"].removeprefix("gardien."), one["data"].get("cause")) for one in records]


def test_a_fire_is_told_and_the_relay_is_left_alone(door: Path) -> None:
    assert ask(door, FirePanel(on=True)).lock == "locked"
    wait_until(lambda: ("lock.unlocked", "fire") in causes(door.parent))
    wait_until(lambda: ask(door, Look()).signal == "alarm")
    ask(door, Contact(open=True))
    wait_until(lambda: ("door.opened", "fire") in causes(door.parent))
    ask(door, Contact(open=False))
    assert ask(door, FirePanel(on=False)).lock == "locked"
    wait_until(lambda: causes(door.parent)[-1] == ("lock.locked", "fire"))
    assert "door.forced" not in [kind for kind, _ in causes(door.parent)]
