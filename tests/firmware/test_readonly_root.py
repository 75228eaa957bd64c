"""A door's Pi that is written in one place only: the mounts say so, and the unit needs no more."""

import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.settings import load_door_settings
from runtime.keys import make_badge_key, make_signing_key

DATA = "/var/lib/gardien"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A line of `fstab`."""

    source: str
    target: str
    kind: str
    options: frozenset[str]


@pytest.fixture
def mounts(firmware: Path) -> dict[str, Mount]:
    found = {}
    text = (firmware / "raspberry-pi" / "fstab").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            source, target, kind, options, _dump, _check = line.split()
            found[target] = Mount(
                source=source, target=target, kind=kind, options=frozenset(options.split(","))
            )
    return found


@pytest.mark.skipif(shutil.which("findmnt") is None, reason="findmnt is not installed")
def test_the_table_of_mounts_can_be_read(firmware: Path) -> None:
    done = subprocess.run(
        ["findmnt", "--verify", "--tab-file", str(firmware / "raspberry-pi" / "fstab")],
        capture_output=True,
        text=True,
        check=False,
    )
    # Its partitions are not on this machine; that it is understood is what can be said here.
    assert "0 parse errors" in done.stdout + done.stderr


def test_the_system_is_read_and_one_small_partition_is_written(mounts: dict[str, Mount]) -> None:
    assert "ro" in mounts["/"].options
    assert "ro" in mounts["/boot/firmware"].options
    written = [m.target for m in mounts.values() if "rw" in m.options and m.kind != "tmpfs"]
    assert written == [DATA]
    assert {"nodev", "nosuid", "noexec", "errors=remount-ro"} <= mounts[DATA].options


def test_what_is_in_memory_has_an_end(mounts: dict[str, Mount]) -> None:
    in_memory = [mount for mount in mounts.values() if mount.kind == "tmpfs"]
    assert in_memory
    for mount in in_memory:
        assert any(re.fullmatch(r"size=\d+m", option) for option in mount.options), mount.target
        assert {"nodev", "nosuid", "noexec"} <= mount.options


def test_all_that_a_door_writes_is_on_that_partition(firmware: Path) -> None:
    unit = (firmware / "systemd" / "gardien-door.service").read_text(encoding="utf-8")
    assert f"--data {DATA} door\n" in unit
    assert "\nStateDirectory=gardien\n" in unit
    outbox = load_door_settings(firmware / "door.toml").outbox
    # Relative to the settings, which lie in the data folder.
    assert outbox.parent == firmware
    assert re.search(r"^WorkingDirectory=/run/", unit, re.MULTILINE)


def test_the_page_puts_the_table_in_place_and_labels_the_partition(firmware: Path) -> None:
    page = (firmware.parent / "docs" / "install.md").read_text(encoding="utf-8")
    assert "raspberry-pi/fstab" in page
    assert "-L gardien" in page
    assert "remount,rw /" in page


def may_unshare() -> bool:
    if os.getuid() != 0 or shutil.which("unshare") is None:
        return False
    command = ["unshare", "--mount", "mount", "-o", "remount,bind,ro", "/"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


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
[[hardware.reader]]
id = "in"
driver = "mfrc522"
bus = 0
device = 0
"""
SCRIPT = """
set -e
around=$(df --output=target "$1" | tail -n 1)
mount --bind "$1" "$1"
mount -o remount,bind,ro /
mount -o remount,bind,ro "$around"
if touch "$1/../written" 2>/dev/null; then echo "the system can be written"; exit 9; fi
cd "$1"
exec "$2" -c "from gardien.main import main; main()" --data "$1" door
"""


@pytest.mark.skipif(not may_unshare(), reason="this user may not make a read-only system to try in")
def test_a_unit_runs_where_nothing_but_its_folder_can_be_written(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    make_signing_key(tmp_path / "server.key", data / "server.pem")
    make_badge_key(data / "badge.key")
    (data / "mqtt.password").write_text("none\n", encoding="utf-8")
    (data / "door.toml").write_text(DOOR_TOML, encoding="utf-8")
    command = ["unshare", "--mount", "sh", "-c", SCRIPT, "sh", str(data), sys.executable]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while not (data / "door.sock").exists():
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.terminate()
        _, said = process.communicate(timeout=20)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert (data / "outbox.db").stat().st_size > 0
    assert not (tmp_path / "written").exists()
