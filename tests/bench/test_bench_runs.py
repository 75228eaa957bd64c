"""The measurements run; what they measure is for `make bench`."""

import subprocess
import sys
from pathlib import Path

import msgspec
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

if (ROOT := str(Path(__file__).parents[2])) not in sys.path:
    sys.path.append(ROOT)

from access import topics
from access.ids import DoorId
from runtime.broker import find_mosquitto
from tests.bench.outbox_drain import Watch
from tests.bench.peer_programs import are_here
from tests.bench.peers_at_the_door import SETUPS, WAYS
from tests.bench.shape import Findings, Found, from_json
from tests.torture.place import SITE

HERE = Path(__file__).parent

needs_mosquitto = pytest.mark.skipif(
    find_mosquitto() is None, reason="mosquitto is not installed (apt install mosquitto)"
)


def run(program: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(HERE / f"{program}.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)


def quickly(program: str, folder: Path) -> Found:
    """Run a program as quickly as can be; what it told must fit how it ended."""
    file = folder / "found.json"
    done = run(program, "--quick", "--json", str(file))
    assert file.exists(), done.stderr
    findings = from_json(file.read_bytes())
    assert done.returncode == (0 if findings.is_kept else 1), done.stderr
    assert findings.program == program
    assert findings.beside.seconds > 0
    assert findings.title in run(program, "--help").stdout
    assert all(y > 0 for c in findings.found.curves for line in c.lines for _, y in line.points)
    assert all(curve.title in done.stdout for curve in findings.found.curves)
    return findings.found


@pytest.mark.mosquitto
@needs_mosquitto
def test_badge_to_lock_measures_all_three_by_load(tmp_path: Path) -> None:
    found = quickly("badge_to_lock", tmp_path)
    titles = [curve.title for curve in found.curves]
    assert titles == [*(f"Badge to answer, {p}" for p in ("p50", "p95", "p99")), "Answers"]
    for curve in found.curves:
        assert [line.name for line in curve.lines] == ["echo", "echo+commit", "answer"]
        assert all([x for x, _ in line.points] == [1, 5] for line in curve.lines)


def test_decide_at_scale_measures_every_case(tmp_path: Path) -> None:
    found = quickly("decide_at_scale", tmp_path)
    assert [curve.x for curve in found.curves] == ["members", "events", "doors"]
    assert all(len(curve.lines) == 3 for curve in found.curves)


def test_place_at_scale_measures_every_part(tmp_path: Path) -> None:
    found = quickly("place_at_scale", tmp_path)
    pictures = ["place_decision", "place_policy", "place_snapshot"]
    assert [curve.picture for curve in found.curves] == [p for p in pictures for _ in range(3)]
    snapshots = {c.x: [y for _, y in c.lines[0].points] for c in found.curves[-3:]}
    # A snapshot names each member and each door.
    assert snapshots["members"] == sorted(snapshots["members"])
    assert snapshots["doors"] == sorted(snapshots["doors"])


def test_door_at_rest_measures_both_readers_and_a_whole_door(tmp_path: Path) -> None:
    found = quickly("door_at_rest", tmp_path)
    ours, library, _ = zip(*(row.values for row in found.tables[0].rows), strict=True)
    # What does not depend on how busy the machine is: transfers of a poll, and of a read.
    assert ours[0] <= library[0] / 100
    assert ours[1] <= library[1] / 10
    _, megabytes = found.promises
    assert 0 < megabytes.value < 60


@pytest.mark.mosquitto
@needs_mosquitto
def test_outbox_drain_measures_until_the_last_record_is_acknowledged(tmp_path: Path) -> None:
    took, rate = quickly("outbox_drain", tmp_path).curves
    for (records, seconds), (_, per_s) in zip(
        took.lines[0].points, rate.lines[0].points, strict=True
    ):
        assert per_s == pytest.approx(records / seconds)


def test_an_outbox_is_handed_in_when_its_last_record_is_acknowledged() -> None:
    door, other = DoorId("main"), DoorId("other")
    watch = Watch(wanted={door: 10, other: 10})

    def hear(who: DoorId, what: str, payload: bytes = b"") -> None:
        message = paho.MQTTMessage(topic=topics.of_door(SITE, who, what).encode())
        message.payload = payload
        watch.heard(paho.Client(CallbackAPIVersion.VERSION2), None, message)

    hear(door, topics.ACK, b'{"seq":10}')  # of an earlier time: nothing was sent yet
    hear(door, topics.JOURNAL)
    hear(door, topics.ACK, b'{"seq":9}')
    hear(other, topics.JOURNAL)
    hear(other, topics.ACK, b'{"seq":10}')
    assert watch.wait(other) >= 0
    with pytest.raises(TimeoutError, match="main did not hand in 10 records"):
        watch.wait(door, within_s=0.01)
    hear(door, topics.ACK, b'{"seq":11}')
    assert watch.wait(door) > 0


@pytest.mark.mosquitto
@needs_mosquitto
def test_door_to_lock_measures_with_a_server_and_without_one(tmp_path: Path) -> None:
    (table,) = quickly("door_to_lock", tmp_path).tables
    assert len(table.rows) == 2
    for row in table.rows:
        least, middle, _, most = row.values
        assert 0 < least <= middle <= most < 5_000


@pytest.mark.mosquitto
@needs_mosquitto
def test_programs_at_start_measures_each_program(tmp_path: Path) -> None:
    (table,) = quickly("programs_at_start", tmp_path).tables
    rows = {row.name: row.values for row in table.rows}
    assert set(rows) == {"an interpreter alone", "broker", "server", "door", "dashboard"}
    seconds, megabytes = rows.pop("an interpreter alone")
    assert all(s > seconds and m > megabytes for s, m in rows.values())


def test_the_report_is_text_json_and_a_picture_of_each_curve(tmp_path: Path) -> None:
    done = run("report", "--quick", "--only", "decide_at_scale", "--out", str(tmp_path))
    every = msgspec.json.decode((tmp_path / "report.json").read_bytes(), type=dict[str, Findings])
    assert done.returncode == (0 if every["decide_at_scale"].is_kept else 1), done.stderr
    assert "A decision alone, by members" in (tmp_path / "report.txt").read_text()
    assert [file.name for file in tmp_path.glob("*.svg")] == ["decide.svg"]


@pytest.mark.mosquitto
@needs_mosquitto
@pytest.mark.skipif(not are_here(), reason="Node-RED and FabOMatic are not here (scripts/peers)")
def test_peers_are_measured_with_and_without_no_delay(tmp_path: Path) -> None:
    *figures, memory = quickly("peers_at_the_door", tmp_path).tables
    for table in figures:
        assert table.columns == tuple(setup.name for setup in SETUPS)
        assert {row.name for row in table.rows} == set(WAYS)
    assert all(row.values[0] > 1 for row in memory.rows)


def test_peers_that_are_not_here_are_asked_for_by_name() -> None:
    if are_here():
        pytest.skip("they are here")
    done = run("peers_at_the_door", "--quick")
    assert done.returncode != 0
    assert "get them: scripts/peers" in done.stderr
