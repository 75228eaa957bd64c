"""The measurements run; what they measure is for `make bench`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.broker import find_mosquitto

PROGRAM = Path(__file__).with_name("badge_to_lock.py")


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.mosquitto
@pytest.mark.skipif(
    find_mosquitto() is None, reason="mosquitto is not installed (apt install mosquitto)"
)
def test_badge_to_lock_measures_all_three_and_says_whether_the_floor_is_met(tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    done = run("--rounds", "20", "--warm-up", "5", "--in-flight", "5", "--json", str(told))
    result = json.loads(told.read_text())
    assert done.returncode == (0 if result["is_met"] else 1), done.stderr
    assert set(result["milliseconds"]) == {"echo", "commit", "answer"}
    assert all(spread["p50"] > 0 for spread in result["milliseconds"].values())
    assert "answer / (echo + commit)" in done.stdout
    assert result["answers_per_s"] > 0


def test_badge_to_lock_explains_itself() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "--json FILE" in done.stdout


def test_decide_at_scale_measures_every_case(tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    program = PROGRAM.with_name("decide_at_scale.py")
    command = [sys.executable, str(program), "--blocks", "1", "--decisions", "10"]
    subprocess.run([*command, "--json", str(told)], check=False, timeout=120)
    found = json.loads(told.read_text())
    assert len(found) == 3
    assert all(case["ratio"] > 0 for case in found.values())
