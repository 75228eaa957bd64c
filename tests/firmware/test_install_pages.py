"""The pages that a person installs by: their files exist, their commands work, their pins agree."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge.settings import load_door_settings

# BCM number to pin of the 40-pin header, as on every Pi since the B+.
HEADER = {5: 29, 6: 31, 7: 26, 8: 24, 9: 21, 10: 19, 11: 23, 12: 32, 13: 33, 17: 11, 22: 15}
HEADER |= {23: 16, 24: 18, 25: 22, 26: 37, 27: 13}


@pytest.fixture
def docs(firmware: Path) -> Path:
    return firmware.parent / "docs"


def test_each_file_that_the_page_names_is_there(docs: Path, firmware: Path) -> None:
    text = (docs / "install.md").read_text(encoding="utf-8")
    named = set(re.findall(r"firmware_config/([\w./-]+[\w/])", text))
    assert named
    assert [name for name in named if not (firmware / name).exists()] == []


def test_each_file_that_goes_onto_a_machine_is_put_there_by_the_page(
    docs: Path, firmware: Path
) -> None:
    text = (docs / "install.md").read_text(encoding="utf-8")
    files = [path for path in firmware.rglob("*") if path.is_file() and path.name != "README.md"]
    assert [path.name for path in files if f"/{path.name}" not in text] == []


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_commands_for_certificates_work(docs: Path, tmp_path: Path) -> None:
    text = (docs / "install.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    make = next(block for block in blocks if "./issue broker.gardien.lan\n" in block)
    door = re.search(r"^.*/issue malakoff.main\n", text, re.MULTILINE)
    assert door is not None
    revoke = next(block for block in blocks if "-revoke" in block)
    folder = tmp_path / "ca"
    commands = [
        line.replace("/srv/gardien-ca", str(folder))
        for line in (make + door[0] + revoke).splitlines()
        if not line.startswith(("sudo -i", "install -o", "systemctl"))
    ]
    script = "set -e\n" + "\n".join(commands)
    subprocess.run(["/bin/sh", "-c", script], cwd=tmp_path, check=True, capture_output=True)
    verify = ["openssl", "verify", "-crl_check", "-CAfile", "ca.crt", "-CRLfile", "ca.crl"]
    for name, is_good in (
        ("server", True),
        ("broker.gardien.lan", True),
        ("malakoff.main", False),
    ):
        done = subprocess.run(
            [*verify, f"{name}.crt"], cwd=folder, check=False, capture_output=True, text=True
        )
        assert (done.returncode == 0) is is_good, done.stderr


def test_the_drawing_and_the_page_show_the_pins_of_the_settings(docs: Path, firmware: Path) -> None:
    hardware = load_door_settings(firmware / "door.toml").hardware
    parts = [hardware.contact, hardware.exit_button, hardware.tamper, hardware.buzzer]
    pins = {hardware.lock.pin, *(part.pin for part in parts if part is not None)}
    pins |= {reader.reset_pin for reader in hardware.readers if reader.reset_pin is not None}
    if hardware.light is not None:
        lights = (hardware.light.red, hardware.light.green, hardware.light.blue)
        pins |= {pin for pin in lights if pin is not None}
    drawing = (docs / "wiring.svg").read_text(encoding="utf-8")
    page = (docs / "wiring.md").read_text(encoding="utf-8")
    for pin in pins:
        assert f"GPIO{pin} ({HEADER[pin]})" in page
        assert re.search(rf"GPIO{pin}\b", drawing)


def test_the_page_and_the_drawing_use_the_headers_own_numbers(docs: Path) -> None:
    for name in ("wiring.md", "wiring.svg"):
        text = (docs / name).read_text(encoding="utf-8")
        found = re.findall(r"GPIO(\d+)(?:, CE\d)? \((\d+)\)", text)
        assert found
        assert {(int(bcm), int(pin)) for bcm, pin in found} <= {*HEADER.items(), (2, 3), (3, 5)}
