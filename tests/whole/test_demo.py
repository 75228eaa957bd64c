"""`gardien demo`: a day from the first badge to the last, and nothing left when it ends."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gardien.demo.site import SITE
from gardien.demo.story import MAIN
from gardien.founding import DoorPlan, Founding, SitePlan, found
from runtime.broker import find_mosquitto
from server import ledger, registry
from server.installation import open_installation

if TYPE_CHECKING:
    from tests.whole.conftest import Demo, StartDemo

pytestmark = pytest.mark.whole

DAY_S = 400.0
"""How long a day may take on a busy machine; it takes 85 s on one that is not."""

LINE = re.compile(r"^ +(\d+) +(\d\d:\d\d)  (main|fablab|) +(.) (.*)$", re.MULTILINE)
BROKERS = ["mosquitto", "amqtt"] if find_mosquitto() else ["amqtt"]


@pytest.fixture(scope="module", autouse=True)
def days(
    start_demo: "StartDemo", tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, "Demo"]]:
    """A day on each broker, side by side and behind the other tests: it is mostly waiting."""
    folder = tmp_path_factory.mktemp("day")
    demos = {
        broker: start_demo(folder / broker, "--exit", "--broker", broker) for broker in BROKERS
    }
    yield demos
    for demo in demos.values():
        demo.close()


@pytest.mark.parametrize("ending", ["ctrl-c", "ctrl-c while it starts", "sigterm", "sigkill"])
def test_however_it_is_ended_no_process_is_left(
    ending: str, start_demo: "StartDemo", tmp_path: Path
) -> None:
    demo = start_demo(tmp_path / "demo")
    if "starts" in ending:
        demo.expect_file("logs/server.log")
    else:
        demo.expect("Hello!")
    if "ctrl-c" in ending:
        # A terminal tells every process of the foreground group.
        os.killpg(demo.process.pid, signal.SIGINT)
    else:
        demo.process.send_signal(signal.SIGTERM if ending == "sigterm" else signal.SIGKILL)
    status = demo.expect_end(30)
    assert status == (-signal.SIGKILL if ending == "sigkill" else 0), demo.text
    assert "Traceback" not in demo.text, demo.text
    demo.expect_nothing_left()


def test_an_installation_of_ones_own_is_refused_and_untouched(
    start_demo: "StartDemo", tmp_path: Path
) -> None:
    own = tmp_path / "own"
    place = SitePlan(id=SITE, name="Mine", capacity=5, doors=(DoorPlan(id=MAIN, name="Main"),))
    found(own, Founding(site=place))
    before = contents(own)
    demo = start_demo(own, "--exit")
    assert demo.expect_end(30) == 1
    assert contents(own) == before
    (line,) = demo.text.strip().splitlines()
    assert "holds an installation of your own" in line
    assert "--data" in line
    demo.expect_nothing_left()


def contents(folder: Path) -> dict[str, tuple[float, str]]:
    return {
        str(path): (path.stat().st_mtime, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    "broker", [pytest.param("mosquitto", marks=pytest.mark.mosquitto), "amqtt"]
)
def test_a_day_tells_its_story_keeps_whole_chains_credits_guardians_and_ends(
    broker: str, days: "dict[str, Demo]"
) -> None:
    if broker not in days:
        pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
    demo = days[broker]
    assert demo.expect_end(DAY_S) == 0, demo.text
    demo.expect_nothing_left()
    expect_story(demo.text)
    expect_ledger(demo.data)
    verified = subprocess.run(
        [sys.executable, "-m", "gardien", "--data", str(demo.data), "verify", "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert verified.returncode == 0, verified.stdout
    found = json.loads(verified.stdout)
    assert len(found["chains"]) == 3
    assert found["states"]
    for log in (demo.data / "logs").glob("*.log"):
        text = log.read_text()
        assert "Traceback" not in text, text
        assert "ERROR" not in text, text


def expect_story(text: str) -> None:
    """The evening as it is told in the terminal, line by line."""
    lines = LINE.findall(text)
    told = [(clock, f"{sign} {words}") for _, clock, _, sign, words in lines]

    def at(clock: str) -> list[str]:
        return [words for when, words in told if when == clock]

    assert "warning" not in text.lower()
    assert "Traceback" not in text
    assert "✗ Unknown badge: please see the desk" in at("09:12")
    assert any("Closed: no guardian is on watch" in words for words in at("19:10"))
    assert any("No authorization for this time" in words for words in at("19:12"))
    assert any("Watch opened: thank you!" in words for words in at("19:15"))
    assert any(words.endswith("opens the watch") for words in at("19:15"))
    arrived = [clock for clock, words in told if words.endswith("Welcome!")]
    assert len(arrived) == 21  # the audience of twenty, and the second guardian
    assert "19:17" <= min(arrived) <= max(arrived) <= "19:52"
    assert at("19:40").count("◆ Guests: 5") == at("19:50").count("◆ Guests: 8") == 1
    assert any(words.endswith("takes the watch") for words in at("20:45"))
    assert at("22:14") == ["◆ Closing: please leave"]
    assert any("Closing now: see you next time" in words for words in at("22:15"))
    assert ("22:21", "◆ The watch is over") in told[-2:]  # the sweep may be told after it
    counts = [int(count) for count, *_ in lines]
    assert counts[-1] == 0
    assert max(int(count) for count, clock, *_ in lines if clock > "19:00") in {30, 31}


def expect_ledger(data: Path) -> None:
    """What was told is what is kept, and both guardians have what they held."""
    with open_installation(data) as installation:
        state = installation.gatehouse.look(SITE)
        with installation.database.reading() as connection:
            balances = registry.balances(connection, SITE)
            (closed,) = ledger.read(connection, SITE, kinds=["gardien.watch.closed"])
            assert ledger.list_set_aside(connection, SITE) == []
            told = ledger.read(connection, SITE, kinds=["gardien.occupancy.changed"], limit=5000)
    assert (state.presence.present, state.presence.margin, state.watch) == (0, 0, None)
    # 19:15 to 20:45, and from there to 22:21.
    assert sorted(balances.values()) == [90, 90]
    assert closed.record["data"]["minutes"] == balances
    assert max(entry.record["data"]["present"] for entry in told) == 30
