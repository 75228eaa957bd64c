"""The programs as a user starts them: they come up, say so, and end in good order."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gardien.programs import told_to_stop
from gardien.watchdog_sdnotify import Watchdog
from tests.conftest import free_port, wait_for
from tests.gardien.conftest import CommandLine

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def lively(tmp_path: Path) -> CommandLine:
    """An installation in real time, with a simulated door and nobody in it."""
    # A socket's path has 107 bytes at the most, and pytest's folders are deep.
    short = Path(f"/tmp/gardien-{os.getpid()}-{free_port()}")  # noqa: S108 (see above)
    house = CommandLine(short)
    password = tmp_path / "password"
    password.write_text("four words do well\n")
    house.done(
        *("init", "--site-name", "House", "--capacity", "60", "--door", "main:out"),
        *("--staff-name", "Rose", "--staff-email", "rose@example.org", "--simulated"),
        *("--password-file", str(password), "--mqtt-port", str(free_port())),
        *("--listen", f"127.0.0.1:{free_port()}"),
    )
    return house


@pytest.fixture
def start(lively: CommandLine, tmp_path: Path) -> Iterator[Start]:
    """Start programs of the lively house, and end them with the test."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(*args: str, **variables: str) -> "subprocess.Popen[bytes]":
        with (tmp_path / f"{args[0]}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "gardien", "--data", str(lively.data), *args],
                env=os.environ | variables,
                stdout=log,
                stderr=log,
            )
        running.append(process)
        return process

    yield begin
    for process in reversed(running):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    shutil.rmtree(lively.data)


def log_of(tmp_path: Path, name: str) -> str:
    return (tmp_path / f"{name}.log").read_text(encoding="utf-8")


def test_a_badge_opens_the_door_through_all_the_programs(
    lively: CommandLine, start: Start, tmp_path: Path
) -> None:
    notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notices.settimeout(30)
    notify = str(lively.data / "notify")
    with notices:
        notices.bind(notify)
        broker = start("broker")
        wait_for(lambda: "listens on" in log_of(tmp_path, "broker"), "the broker's start")
        server = start("server", NOTIFY_SOCKET=notify)
        assert notices.recv(100) == b"READY=1"
        assert notices.recv(100) == b"WATCHDOG=1"
        config = str(lively.data / "doors" / "main" / "door.toml")
        door = start("door", "--config", config)
        lively.done("badge", "assign", "rose@example.org", "--uid", "04a1b2c3")

        def is_online() -> bool:
            told = json.loads(lively("doctor", "--json", "--language", "en").out)
            return any("main: online" in one["text"] for one in told)

        wait_for(is_online, "the door coming online")
        granted = lively("tap", "--door", "main", "--badge", "04:a1:b2:c3", "--language", "en")
        assert (granted.status, granted.out) == (
            0,
            "Granted: you go through the door (signal: granted)\n",
        )
        refused = lively("tap", "--door", "main", "--badge", "04a1b2c4", "--language", "fr")
        assert refused.status == 1
        assert refused.out.startswith("Refusé : la porte reste fermée")
        assert json.loads(lively("doctor", "--json").out)
        assert lively("doctor").status == 0, lively("doctor").out
        for process in (door, server, broker):
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        said: list[bytes] = []
        while not said or said[-1] != b"STOPPING=1":
            said.append(notices.recv(100))
        assert set(said[:-1]) <= {b"WATCHDOG=1"}
    assert "whole" in lively.done("verify")
    for name in ("door", "server", "broker"):
        assert "Traceback" not in log_of(tmp_path, name)


def test_the_pages_come_up_and_an_interrupt_ends_them(start: Start, tmp_path: Path) -> None:
    dashboard = start("dashboard")
    wait_for(lambda: "pages at http" in log_of(tmp_path, "dashboard"), "the pages' start")
    dashboard.send_signal(signal.SIGINT)
    assert dashboard.wait(20) == 0
    assert "Traceback" not in log_of(tmp_path, "dashboard")


def test_a_broker_whose_port_is_taken_says_so(
    lively: CommandLine, start: Start, tmp_path: Path
) -> None:
    start("broker")
    wait_for(lambda: "listens on" in log_of(tmp_path, "broker"), "the broker's start")
    done = lively("broker")
    assert done.status == 1
    assert "cannot be used" in done.err.splitlines()[-1]


def test_no_broker_is_started_where_the_settings_name_another(house: CommandLine) -> None:
    house.settings(lambda text: text.replace('program = "auto"', 'program = "none"'))
    done = house("broker")
    assert done.status == 1
    assert 'program = "none"' in done.err


def test_a_reader_that_hangs_up_is_no_error(house: CommandLine) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "gardien", "--data", str(house.data), "member", "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as listing:
        assert listing.stdout is not None
        assert listing.stderr is not None
        listing.stdout.close()
        assert listing.stderr.read() == b""


def test_a_signal_asks_the_program_to_stop_and_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with told_to_stop() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(5)
        # Whoever stops a service may send two at once.
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


def test_without_a_service_manager_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    with Watchdog() as watchdog:
        watchdog.alive()
        watchdog.close()
