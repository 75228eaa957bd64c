"""`door.toml`: a wiring that is not safe, or not possible, is refused by name."""

from datetime import timedelta
from pathlib import Path

import pytest

from edge.settings import DoorUnitSettings, load_door_settings
from runtime.settings import SettingsError

GOOD = """
site = "malakoff"
door = "main"
server_key_file = "server.pem"
badge_key_file = "badge.key"
outbox = "outbox.db"
[mqtt]
host = "127.0.0.1"
port = 1883
username = "malakoff.main"
password_file = "mqtt.password"
[hardware]
backend = "raspberry-pi"
[hardware.lock]
pin = 17
active_high = true
fail = "secure"
kind = "strike"
release_in_hardware = true
[[hardware.reader]]
id = "in"
driver = "mfrc522"
bus = 0
device = 0
reset_pin = 25
[hardware.contact]
pin = 27
active = "high"
"""


def load(folder: Path, text: str) -> DoorUnitSettings:
    path = folder / "door.toml"
    path.write_text(text, encoding="utf-8")
    return load_door_settings(path)


def refusal(folder: Path, old: str, new: str) -> str:
    assert old in GOOD
    with pytest.raises(SettingsError) as caught:
        load(folder, GOOD.replace(old, new, 1))
    return str(caught.value).partition(": ")[2]


def test_a_door_says_little_and_the_rest_has_defaults(tmp_path: Path) -> None:
    door = load(tmp_path, GOOD)
    assert door.client_name == "malakoff.main"
    assert door.outbox == tmp_path / "outbox.db"
    assert door.timing.decision_timeout == timedelta(milliseconds=400)
    assert door.timing.held_after == timedelta(seconds=30)
    assert door.hardware.light is None


@pytest.mark.parametrize(
    "line",
    [
        "pin = 17\n",
        "active_high = true\n",
        'fail = "secure"\n',
        'kind = "strike"\n',
        'backend = "raspberry-pi"\n',
        'active = "high"\n',
    ],
)
def test_what_decides_about_the_lock_has_no_default(tmp_path: Path, line: str) -> None:
    assert "is missing" in refusal(tmp_path, line, "")


@pytest.mark.parametrize("new", ["", "release_in_hardware = false"])
def test_a_wiring_without_free_exit_is_refused_with_the_reason(tmp_path: Path, new: str) -> None:
    message = refusal(tmp_path, "release_in_hardware = true", new)
    assert message.startswith("hardware.lock.release_in_hardware")
    assert "they cut the lock's power" in message


def test_a_magnet_cannot_stay_locked_without_power(tmp_path: Path) -> None:
    assert "magnet opens" in refusal(tmp_path, 'kind = "strike"', 'kind = "magnet"')


def test_two_things_on_one_pin_are_named(tmp_path: Path) -> None:
    message = refusal(tmp_path, "pin = 27", "pin = 17")
    assert "pin 17 is used by hardware.lock and hardware.contact" in message
    message = refusal(tmp_path, "pin = 27", "pin = 25")
    assert 'hardware.contact and hardware.reader["in"].reset_pin' in message
    light = "[hardware.light]\nred = 5\ngreen = 5\nblue = 6\n[hardware.contact]"
    assert "hardware.light.red and" in refusal(tmp_path, "[hardware.contact]", light)


def test_the_pins_of_the_readers_bus_are_taken(tmp_path: Path) -> None:
    assert "hardware.contact and SPI bus 0 (MOSI)" in refusal(tmp_path, "pin = 27", "pin = 10")


def test_two_readers_differ_in_id_and_in_place(tmp_path: Path) -> None:
    second = '[[hardware.reader]]\nid = "{}"\ndriver = "mfrc522"\nbus = 0\ndevice = {}\n[hardware.c'
    assert "same id" in refusal(tmp_path, "[hardware.c", second.format("in", 1))
    assert "share bus" in refusal(tmp_path, "[hardware.c", second.format("out", 0))
    both = GOOD.replace("[hardware.c", second.format("out", 1))
    assert [reader.id for reader in load(tmp_path, both).hardware.readers] == ["in", "out"]
    assert 'id = "in"' in refusal(tmp_path, 'id = "in"', 'id = "out"')
    assert "device" in refusal(tmp_path, "device = 0", "device = 2")


def test_the_simulated_back_end_needs_its_socket_and_the_real_one_has_none(tmp_path: Path) -> None:
    assert "together" in refusal(tmp_path, '"raspberry-pi"', '"simulated"')
    socket = '[hardware.simulated]\nsocket = "s.sock"\n[hardware.contact]'
    assert "together" in refusal(tmp_path, "[hardware.contact]", socket)
    text = GOOD.replace('"raspberry-pi"', '"simulated"').replace("[hardware.contact]", socket)
    simulated = load(tmp_path, text).hardware.simulated
    assert simulated is not None
    assert simulated.socket == tmp_path / "s.sock"


def test_a_door_goes_by_its_own_name_to_the_broker(tmp_path: Path) -> None:
    message = refusal(tmp_path, 'username = "malakoff.main"', 'username = "malakoff.lab"')
    assert message.startswith('mqtt.username = "malakoff.lab": the broker knows this door as "mal')


@pytest.mark.parametrize(
    "line",
    [
        'held_after = "9 s"',
        'held_after = "2 h"',
        "held_after = 30",
        'decision_timeout = "3 s"',
        'debounce = "401 ms"',
        'held = "1 s"',
    ],
)
def test_timings_out_of_bounds_are_refused(tmp_path: Path, line: str) -> None:
    assert "timing.held" in refusal(tmp_path, "[mqtt]", f"[timing]\n{line}\n[mqtt]") or (
        line.split(maxsplit=1)[0] in refusal(tmp_path, "[mqtt]", f"[timing]\n{line}\n[mqtt]")
    )
