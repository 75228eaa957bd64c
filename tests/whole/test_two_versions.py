"""An upgrade in mid-run, and a door that is rolled back (F28).

An old and a new door, an old and a new server, in each pairing. The old version is taken from the
repository's history.
"""

import contextlib
import io
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from access.ids import MemberId
from edge.outbox_file import read_head
from edge.simulated.client import NoSuchDoorError, ask
from edge.simulated.messages import Look
from server import ledger
from server.installation import open_installation
from server.verify import verify_site
from tests.mqtt_peer import wait_for as comes_about
from tests.whole.conftest import STOP_S, House, expect_nothing_left, wait_for

pytestmark = [pytest.mark.whole, pytest.mark.mosquitto]

OLD: Final = "f55040f61033"
"""The first commit whose programs are tested as a whole."""

NEW: Final = Path(__file__).parents[2]
_FOUND: Final = """
import sys
from pathlib import Path
from tests.whole.conftest import House
House(Path(sys.argv[1]), starts="12:00")._stack.close()
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Unpack the old version, where the history reaches so far."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed (apt-get install git)")
    command = ["git", "-C", str(NEW), "archive", OLD]
    packed = subprocess.run(command, capture_output=True, check=False)
    if packed.returncode:
        pytest.skip(f"the history does not reach back to {OLD}: fetch all of it (git fetch)")
    folder = tmp_path / "old"
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


class Mixed:
    """One installation, made by the old version; each of its programs is of either.

    Args:
        path: a folder that is new.
        old: the root of the old version.
    """

    def __init__(self, path: Path, old: Path) -> None:
        self.path, self.door = path, path / "doors" / House.main
        self._log = path.with_name(f"{path.name}.log")
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._run(old, "-c", _FOUND, str(path)).wait(60)

    def _run(self, root: Path, *words: str) -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *words],
                cwd=root,
                env=os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        """What all programs have printed."""
        return self._log.read_text(errors="replace")

    def run(self, name: str, root: Path) -> None:
        """Stop a program if it runs, and start it anew, in one version; blocks until it works."""
        self.stop(name)
        ups = self.log.count("connected to the broker")
        words = ("door", "--config", str(self.door / "door.toml")) if name == "door" else (name,)
        self._running[name] = self._run(root, "-m", "gardien", "--data", str(self.path), *words)
        if name == "server":
            self._expect(lambda: self.log.count("connected to the broker") > ups, "it is connected")
        elif name == "door":
            self._expect(self._is_there, "the door answers")

    def stop(self, name: str) -> None:
        """Stop a program, which must end well; one that does not run is left alone."""
        process = self._running.pop(name, None)
        if process is not None:
            process.terminate()
            assert process.wait(STOP_S) == 0, self.log

    def come_in(self, member: MemberId, people: Path) -> None:
        """Let somebody present their badge until the server has admitted them, and has heard so.

        Args:
            member: who comes.
            people: which version plays the people: the same as the door, whose socket it is.
        """
        words = ("tap", "--door", House.main, "--badge", House.uid(member).hex())

        def is_told() -> bool:
            self._run(people, "-m", "gardien", "--data", str(self.path), *words).wait(30)
            return comes_about(lambda: self._has_heard(member), 5)

        self._expect(is_told, f"{member} comes in, and the server decides")

    def _has_heard(self, member: MemberId) -> bool:
        """Whether the ledger has it that somebody came in, and not that the door was alone."""
        wanted = (
            "SELECT count(*) FROM ledger WHERE source = 'main' AND member = ?"
            " AND kind = 'gardien.access.granted' AND body LIKE '%\"offline\":false%'"
        )
        uri = f"file:{self.path / 'gardien.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as database:
            (found,) = database.execute(wanted, (member,)).fetchone()
        return bool(found)

    def _is_there(self) -> bool:
        with contextlib.suppress(NoSuchDoorError, TimeoutError):
            return ask(self.door / "sim.sock", Look(), timeout_s=5) is not None
        return False

    def _expect(self, is_so: Callable[[], object], what: str) -> None:
        wait_for(is_so, what, tell=lambda: self.log)

    def made(self) -> object:
        """Give the end of the door's chain; None while it can't be read."""
        uri = f"file:{self.door / 'outbox.db'}?mode=ro"
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(sqlite3.connect(uri, uri=True)) as outbox,
        ):
            return read_head(outbox)
        return None

    def close(self) -> None:
        """Stop everything; the broker last."""
        for name in ("door", "server", "broker"):
            with contextlib.suppress(AssertionError):
                self.stop(name)
        expect_nothing_left(self.path)


@pytest.fixture
def mixed(old: Path, tmp_path: Path) -> Iterator[Mixed]:
    """An installation of the old version."""
    place = Mixed(tmp_path / "m", old)
    try:
        yield place
    finally:
        place.close()


def test_old_and_new_doors_and_servers_understand_each_other(mixed: Mixed, old: Path) -> None:
    mixed.run("broker", old)
    steps = [("server", old), ("door", old)], [("door", NEW)], [("server", NEW)], [("door", old)]
    for member, changes in zip(House.members, steps, strict=False):
        for name, version in changes:
            mixed.run(name, version)
        version = changes[-1][1] if changes[-1][0] == "door" else NEW
        mixed.come_in(member, version)
    with open_installation(mixed.path) as inside:

        def is_home() -> bool:
            with inside.database.reading() as connection:
                return ledger.head(connection, House.site, House.main) == mixed.made()

        wait_for(is_home, "the door has handed in all", tell=lambda: mixed.log)
        with inside.database.reading() as connection:
            assert all(report.is_whole for report in verify_site(connection, House.site))
            assert ledger.list_set_aside(connection, House.site) == []
        assert set(inside.gatehouse.look(House.site).presence.inside) == set(
            House.members[: len(steps)]
        )
    assert "was dropped" not in mixed.log
    assert "Traceback" not in mixed.log
