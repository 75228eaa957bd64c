"""`door.toml` on USB readers, the display and the fire panel: nothing ambiguous has a default."""

from pathlib import Path

import pytest

from edge.hardware.debounce import LONGEST_DEBOUNCE_S
from edge.settings import DoorUnitSettings, TimingSettings, load_door_settings
from runtime.settings import SettingsError
from runtime.written import Duration

HEAD = """
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
"""
USB = """
[[hardware.reader]]
id = "in"
driver = "evdev"
[hardware.reader.keyboard]
usb = "08ff:0009"
writes = "decimal"
byte_order = "reversed"
uid_bytes = 4
"""
CHIP = """
[[hardware.reader]]
id = "out"
driver = "mfrc522"
bus = 0
device = 1
"""


def load(folder: Path, text: str) -> DoorUnitSettings:
    path = folder / "door.toml"
    path.write_text(HEAD + text, encoding="utf-8")
    return load_door_settings(path)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(folder, text)
    return str(caught.value).partition(": ")[2]


def test_a_usb_reader_and_a_chip_go_together(tmp_path: Path) -> None:
    usb, chip = load(tmp_path, USB + CHIP).hardware.readers
    assert usb.keyboard is not None
    assert (usb.keyboard.usb, usb.keyboard.layout, usb.spi) == ("08ff:0009", "us", None)
    assert chip.spi == (0, 1)


@pytest.mark.parametrize("line", ['writes = "decimal"\n', 'byte_order = "reversed"\n'])
def test_how_a_usb_reader_writes_has_no_default(tmp_path: Path, line: str) -> None:
    assert "is missing" in refusal(tmp_path, USB.replace(line, ""))


def test_a_usb_reader_is_named_in_one_way(tmp_path: Path) -> None:
    both = USB.replace("writes", 'name = "Reader"\nwrites')
    assert "one of path, usb and name" in refusal(tmp_path, both)
    assert "one of path, usb" in refusal(tmp_path, USB.replace('usb = "08ff:0009"\n', ""))
    assert "lsusb" in refusal(tmp_path, USB.replace("08ff:0009", "8ff:9"))


def test_the_length_of_a_uid_is_said_where_the_digits_do_not(tmp_path: Path) -> None:
    assert "uid_bytes" in refusal(tmp_path, USB.replace("uid_bytes = 4\n", ""))
    assert "uid_bytes" in refusal(tmp_path, USB.replace('"decimal"', '"hex"'))
    assert "4, 7 or 10" in refusal(tmp_path, USB.replace("uid_bytes = 4", "uid_bytes = 5"))


def test_what_belongs_to_the_other_kind_of_reader_is_refused(tmp_path: Path) -> None:
    for line in ("bus = 0", "device = 0", "reset_pin = 25"):
        text = USB.replace('"evdev"', f'"evdev"\n{line}')
        assert f".{line.split()[0]} = " in refusal(tmp_path, text)
    assert "keyboard" in refusal(tmp_path, USB.partition("[hardware.reader.k")[0])
    chip = CHIP.replace('"out"', '"in"')
    keyboard = USB[USB.index("[hardware.reader.keyboard]") :]
    assert 'driver = "evdev"' in refusal(tmp_path, chip + keyboard)
    assert "bus: is missing" in refusal(tmp_path, chip.replace("bus = 0\n", ""))
    assert "device: is missing" in refusal(tmp_path, chip.replace("device = 1\n", ""))


def test_two_readers_are_two_devices(tmp_path: Path) -> None:
    assert "one device" in refusal(tmp_path, USB + USB.replace('"in"', '"out"'))


def test_the_simulation_has_no_usb_readers(tmp_path: Path) -> None:
    text = HEAD.replace('"raspberry-pi"', '"simulated"') + USB
    path = tmp_path / "door.toml"
    path.write_text(f'{text}[hardware.simulated]\nsocket = "s"\n', encoding="utf-8")
    with pytest.raises(SettingsError, match="a simulated reader"):
        load_door_settings(path)


def test_the_fire_input_says_which_level_is_a_fire(tmp_path: Path) -> None:
    fire = load(tmp_path, f'{USB}[hardware.fire]\npin = 26\nactive = "high"\n').hardware.fire
    assert fire is not None
    assert (fire.pin, fire.active) == (26, "high")
    assert "active: is missing" in refusal(tmp_path, f"{USB}[hardware.fire]\npin = 26\n")
    taken = refusal(tmp_path, f'{USB}[hardware.fire]\npin = 17\nactive = "high"\n')
    assert "hardware.lock and hardware.fire" in taken


def test_a_display_takes_the_pins_of_its_bus(tmp_path: Path) -> None:
    text = f'{USB}[hardware.display]\ndriver = "ssd1306"\naddress = 0x3d\n'
    display = load(tmp_path, text).hardware.display
    assert display is not None
    assert (display.port, display.address, display.is_upside_down) == (1, 0x3D, False)
    assert "I2C bus 1 (SDA)" in refusal(tmp_path, f"{text}[hardware.buzzer]\npin = 2\n")
    assert "driver: is missing" in refusal(tmp_path, f"{USB}[hardware.display]\n")
    assert "address" in refusal(tmp_path, text.replace("0x3d", "0x80"))


def test_the_longest_debounce_of_the_settings_is_that_of_the_inputs(tmp_path: Path) -> None:
    longest = Duration(seconds=LONGEST_DEBOUNCE_S)
    shown = f"{longest / Duration(milliseconds=1):.0f} ms"
    timing = f'[timing]\ndebounce = "{shown}"\n'
    text = HEAD.replace("[mqtt]", f"{timing}[mqtt]")
    path = tmp_path / "door.toml"
    path.write_text(text + USB, encoding="utf-8")
    assert load_door_settings(path).timing.debounce == longest
    path.write_text(text.replace(shown, "401 ms") + USB, encoding="utf-8")
    with pytest.raises(SettingsError, match="debounce"):
        load_door_settings(path)
    assert TimingSettings().debounce < longest
