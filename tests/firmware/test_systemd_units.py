"""The units that systemd runs: right by systemd's own judgement, and as hard as promised."""

import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = ["gardien-door", "gardien-server", "gardien-dashboard"]


def read_unit(firmware: Path, name: str, *, ending: str = "service") -> dict[str, list[str]]:
    """Read the settings of a unit: a key may stand several times."""
    found: dict[str, list[str]] = {}
    text = (firmware / "systemd" / f"{name}.{ending}").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line and not line.startswith(("#", "[")):
            key, separator, value = line.partition("=")
            assert separator, line
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("name", UNITS)
def test_systemd_finds_nothing_wrong(firmware: Path, tmp_path: Path, name: str) -> None:
    text = (firmware / "systemd" / f"{name}.service").read_text(encoding="utf-8")
    # Neither the program nor its manual is installed on the machine that tests.
    text = text.replace("/opt/gardien/.venv/bin/gardien", "/bin/true")
    unit = tmp_path / f"{name}.service"
    unit.write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    about_ours = [line for line in done.stderr.splitlines() if name in line]
    assert (done.returncode, about_ours) == (0, []), done.stderr


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_is_started_again_for_ever(firmware: Path, name: str) -> None:
    unit = read_unit(firmware, name)
    assert unit["Restart"] == ["always"]
    assert unit["StartLimitIntervalSec"] == ["0"]


@pytest.mark.parametrize("name", ["gardien-door", "gardien-server"])
def test_a_unit_that_decides_says_that_it_is_alive(firmware: Path, name: str) -> None:
    unit = read_unit(firmware, name)
    assert unit["Type"] == ["notify"]
    assert int(unit["WatchdogSec"][0]) > 0


def test_a_stuck_door_is_ended_within_15_seconds(firmware: Path) -> None:
    assert int(read_unit(firmware, "gardien-door")["WatchdogSec"][0]) < 15


def test_a_door_is_made_safe_however_it_ends(firmware: Path) -> None:
    unit = read_unit(firmware, "gardien-door")
    assert unit["ExecStopPost"] == [f"{unit['ExecStart'][0]} --make-safe"]


def test_a_door_does_not_wait_for_the_network(firmware: Path) -> None:
    assert "network" not in " ".join(read_unit(firmware, "gardien-door")["After"])


def test_a_door_touches_the_pins_and_the_bus_and_no_other_device(firmware: Path) -> None:
    unit = read_unit(firmware, "gardien-door")
    assert unit["DevicePolicy"] == ["closed"]
    assert unit["DeviceAllow"] == ["char-gpiochip rw", "char-spi rw"]


@pytest.mark.parametrize("name", ["gardien-server", "gardien-dashboard"])
def test_what_needs_no_device_has_none(firmware: Path, name: str) -> None:
    assert read_unit(firmware, name)["PrivateDevices"] == ["yes"]


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_runs_as_nobody_special_in_a_folder_of_its_own(firmware: Path, name: str) -> None:
    unit = read_unit(firmware, name)
    assert unit["User"] == ["gardien"]
    assert unit["CapabilityBoundingSet"] == [""]
    assert unit["WorkingDirectory"] == [f"/run/{unit['RuntimeDirectory'][0]}"]
    for key in ("NoNewPrivileges", "PrivateTmp", "ProtectHome", "RestrictNamespaces"):
        assert unit[key] == ["yes"]
    assert unit["ProtectSystem"] == ["strict"]
    assert unit["UMask"] == ["0077"]


def test_no_two_units_share_a_working_folder(firmware: Path) -> None:
    folders = [read_unit(firmware, name)["RuntimeDirectory"][0] for name in UNITS]
    assert len(set(folders)) == len(UNITS)


@pytest.mark.parametrize(
    ("name", "group", "devices"),
    [("usb-reader", "input", "char-input rw"), ("display", "i2c", "char-i2c rw")],
)
def test_a_door_with_more_parts_is_let_at_those_and_no_others(
    firmware: Path, name: str, group: str, devices: str
) -> None:
    unit = read_unit(firmware, f"gardien-door.service.d/{name}", ending="conf")
    assert unit == {"SupplementaryGroups": [group], "DeviceAllow": [devices]}
