"""`gardien door --check --wires`: an installer is told what each wire says, in plain words."""

import subprocess
import sys
from pathlib import Path

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
backend = "{backend}"
{socket}
lock = {{ pin = 17, active_high = true, fail = "safe", kind = "magnet", {free} = true }}
contact = {{ pin = 27, active = "high" }}
[[hardware.reader]]
id = "in"
driver = "mfrc522"
bus = 0
device = 0
"""


def check(
    folder: Path, *options: str, backend: str = "simulated"
) -> subprocess.CompletedProcess[str]:
    make_signing_key(folder / "server.key", folder / "server.pem")
    make_badge_key(folder / "badge.key")
    (folder / "mqtt.password").write_text("none\n", encoding="utf-8")
    (folder / "mqtt.password").chmod(0o600)
    socket = 'simulated = { socket = "door.sock" }' if backend == "simulated" else ""
    text = DOOR_TOML.format(backend=backend, socket=socket, free="release_in_hardware")
    (folder / "door.toml").write_text(text, encoding="utf-8")
    program = "from gardien.main import main; main()"
    command = [sys.executable, "-c", program, "--data", str(folder), "door", *options]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, cwd=folder
    )


def test_each_wire_is_a_line(tmp_path: Path) -> None:
    done = check(tmp_path, "--check", "--wires")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:4] == [
        "malakoff.main: settings and keys are in order",
        "lock (GPIO17): locked: the pin is low",
        "contact (GPIO27): the door is closed (the pin is low)",
        'reader "in": answers; no card',
    ]


def test_without_pins_the_reason_is_one_line(tmp_path: Path) -> None:
    done = check(tmp_path, "--check", "--wires", backend="raspberry-pi")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stderr


def test_the_wires_are_looked_at_only_with_the_check(tmp_path: Path) -> None:
    assert check(tmp_path, "--wires").returncode == 2
