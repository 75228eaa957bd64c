"""The real programs that tests of several folders talk to, each started on ports of its own."""

import http.client
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

START_S = 30.0
"""How long a program may take to come up on a busy machine."""

_MEMORY = Path("/dev/shm")  # noqa: S108 (folders of one's own are made in it)
_ROOM = 2**30
"""How many bytes must be free in memory before files of tests are kept there."""


def free_port() -> int:
    """Give a port of the loopback that nothing listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_for(is_so: Callable[[], bool], what: str, deadline_s: float = START_S) -> None:
    """Wait until `is_so`, and fail in words when it is not so in time."""
    ends_at = time.monotonic() + deadline_s
    while not is_so():
        if time.monotonic() > ends_at:
            pytest.fail(f"{what} did not happen within {deadline_s} s")
        time.sleep(0.02)


def stop(process: subprocess.Popen[bytes], kindly: signal.Signals = signal.SIGTERM) -> None:
    """End a program that a test started, kindly first."""
    process.send_signal(kindly)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


INFLUXD_CONF = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc_port}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  auth-enabled = {auth}
  log-enabled = false
"""


@dataclass
class Influxd:
    """A real InfluxDB 1.6 on the loopback, that can be stopped and started again."""

    folder: Path
    auth: bool = False
    port: int = field(default_factory=free_port)
    rpc_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        conf = self.folder / "influxdb.conf"
        conf.write_text(
            INFLUXD_CONF.format(
                folder=self.folder,
                port=self.port,
                rpc_port=self.rpc_port,
                auth="true" if self.auth else "false",
            )
        )
        with (self.folder / "influxd.log").open("ab") as log:
            self.process = subprocess.Popen(
                ["influxd", "-config", str(conf)], stdout=log, stderr=log
            )
        wait_for(self.is_up, "influxd answering /ping")

    def is_up(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 204
        except OSError:
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process)
            self.process = None


def need_influxd() -> None:
    if shutil.which("influxd") is None:
        pytest.skip("influxd is not installed (apt-get install influxdb)")


@pytest.fixture(scope="session")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    """One InfluxDB for all tests, without log-in. Use databases of your own."""
    need_influxd()
    server = Influxd(tmp_path_factory.mktemp("influxd"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def new_influxd(tmp_path: Path) -> Iterator[Callable[[bool], Influxd]]:
    """Make InfluxDBs of the test's own, to stop or to lock; the argument is `auth-enabled`."""
    need_influxd()
    started: list[Influxd] = []

    def start(auth: bool) -> Influxd:  # noqa: FBT001 - InfluxDB's own switch
        folder = tmp_path / f"influxd-{len(started)}"
        folder.mkdir()
        server = Influxd(folder, auth=auth)
        started.append(server)
        server.start()
        return server

    try:
        yield start
    finally:
        for server in started:
            server.stop()


def postgres_programs() -> Path:
    """Find initdb and postgres: on the path, or where Debian keeps them."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not debian:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    return debian[-1].parent


def not_root() -> str | None:
    """Give the user to run PostgreSQL as, which refuses to run as root."""
    if os.geteuid() != 0:
        return None
    if not any(entry.pw_name == "postgres" for entry in pwd.getpwall()):
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    return "postgres"


def quick_folder() -> str | None:
    """Give where files that nobody needs after the tests are made fastest; None: where others are.

    That is memory, where a container has not left little of it.
    """
    if not _MEMORY.is_dir() or shutil.disk_usage(_MEMORY).free < _ROOM:
        return None
    return str(_MEMORY)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """One real PostgreSQL for all tests, as a SQLAlchemy URL. Use tables of your own."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (the extra `postgres`)")
    programs, user = postgres_programs(), not_root()
    # Not below pytest's own folder, which other users may not enter; short, for the socket.
    with tempfile.TemporaryDirectory(
        prefix="gardien-pg-", dir=quick_folder(), ignore_cleanup_errors=True
    ) as folder:
        if user is not None:
            shutil.chown(folder, user=user)
        data = f"{folder}/data"
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "gardien", "-A", "trust", "-E", "UTF8", "-N"],
            check=True,
            capture_output=True,
            user=user,
            cwd=folder,
        )
        settings = [
            "listen_addresses=",
            f"unix_socket_directories={folder}",
            "fsync=off",
            "max_wal_size=64MB",
        ]
        process = subprocess.Popen(
            [programs / "postgres", "-D", data, *(f"-c{one}" for one in settings)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=user,
            cwd=folder,
        )
        try:
            ready = [str(programs / "pg_isready"), "-q", "-h", folder, "-d", "postgres"]
            wait_for(lambda: subprocess.call(ready) == 0, "PostgreSQL accepting connections")
            yield f"postgresql+psycopg://gardien@/postgres?host={folder}"
        finally:
            # The kind of end that does not wait for connections that tests left in their pools.
            stop(process, signal.SIGINT)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A real Chromium, one for the whole run: Playwright can't be started twice in a thread."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found,
            args=[
                "--disable-gpu",
                "--disable-quic",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        yield browser
        browser.close()
