"""The measurement of a door at rest runs; what it measures is for `make bench`."""

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).with_name("door_at_rest.py")


def test_door_at_rest_measures_both_readers_and_a_whole_door(tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    command = [sys.executable, str(PROGRAM), "--reads", "10", "--seconds", "1"]
    done = subprocess.run(
        [*command, "--json", str(told)], capture_output=True, text=True, check=False, timeout=120
    )
    found = json.loads(told.read_text())
    assert set(found) == {"ours", "library", "door"}, done.stderr
    ours, library, door = found["ours"], found["library"], found["door"]
    # What does not depend on how busy the machine is.
    assert ours["transfers_per_poll"] <= library["transfers_per_poll"] / 100
    assert ours["transfers_per_read"] <= library["transfers_per_read"] / 10
    assert 0 < door["resident_mb"] < 60
    assert "SimpleMFRC522" in done.stdout
