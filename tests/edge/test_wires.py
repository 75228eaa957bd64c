"""What an installer is told of each wire, without a lock that moves."""

from pathlib import Path

import pytest

from edge.settings import load_door_settings
from edge.simulated.bus import detach
from edge.wires import Said, look_at_wires

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
lock = { pin = 17, active_high = false, fail = "safe", kind = "magnet", release_in_hardware = true }
contact = { pin = 27, active = "high" }
exit_button = { pin = 22, active = "low" }
fire = { pin = 26, active = "high" }
[[hardware.reader]]
id = "in"
driver = "mfrc522"
bus = 0
device = 0
"""


@pytest.fixture
def told(tmp_path: Path) -> dict[str, Said]:
    path = tmp_path / "door.toml"
    path.write_text(DOOR_TOML, encoding="utf-8")
    return {said.part: said for said in look_at_wires(load_door_settings(path))}


def test_each_wire_is_told_with_its_pin_and_its_level(told: dict[str, Said]) -> None:
    assert told["lock (GPIO17)"].words == "locked: the pin is high"
    assert told["contact (GPIO27)"].words == "the door is closed (the pin is low)"
    assert told["exit_button (GPIO22)"].words == "not pressed (the pin is high)"
    assert told["fire (GPIO26)"].words == "no alarm (the pin is low)"
    assert told['reader "in"'] == Said(part='reader "in"', words="answers; no card")
    assert "tamper" not in " ".join(told)


def test_a_reader_that_is_not_there_is_told_and_the_others_are_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "door.toml"
    path.write_text(DOOR_TOML, encoding="utf-8")
    said = []
    for each in look_at_wires(load_door_settings(path)):
        said.append(each)
        detach(0, 0)  # as if nobody had wired it
    bad = [each for each in said if not each.is_well]
    assert [each.part for each in bad] == ['reader "in"']
    assert "SPI 0.0" in bad[0].words
    assert said[-1].part == "processor"
