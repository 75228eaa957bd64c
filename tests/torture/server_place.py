"""A place whose server and broker are what suffers: killed, frozen, stopped, started again."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from runtime.broker import find_mosquitto
from server.database import open_database
from tests.torture.audit import Audit
from tests.torture.door_process import no_strace
from tests.torture.place import ROOT, NotSoError, Place, environment, wait_for
from tests.torture.report import Outcome
from tests.torture.server_load import LoadDoor

UP: Final = "connected to the broker"
HOME_S: Final = 90.0
"""How long all doors may take to hand in everything once all is well."""

_STOP_S: Final = 20.0


class ServerPlace(Place):
    """A place of which each part can be hurt by itself.

    Args:
        path: a folder that is new.
        doors: their ids.
        database: a SQLAlchemy URL; empty for SQLite in the folder.

    Attributes:
        programs: the module that runs one of its programs, where that is not `gardien`.
    """

    def __init__(self, path: Path, doors: Sequence[str], *, database: str = "") -> None:
        self._database = database
        self.programs: dict[str, str] = {}
        super().__init__(path, doors)

    def _found(self) -> None:
        super()._found()
        if self._database:
            file = self.path / "gardien.toml"
            text = file.read_text(encoding="utf-8")
            ours = f'database = "{self._database}"'
            file.write_text(text.replace('database = "sqlite:///gardien.db"', ours), "utf-8")

    # The programs.

    def launch(self, name: str, before: Sequence[str] = ()) -> "subprocess.Popen[bytes]":
        """Start a program; does not wait.

        Args:
            name: `server` or `broker`.
            before: a program that runs it, as strace with its options.
        """
        module = self.programs.get(name, "gardien")
        with self._log_file(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                [*before, sys.executable, "-m", module, "--data", str(self.path), name],
                cwd=ROOT,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self._running[name]

    def _launch(self, name: str) -> None:
        self.launch(name)

    def start_broker(self) -> None:
        """Start the broker; blocks until it accepts connections."""
        self.launch("broker")
        wait_for(self.is_listening, "the broker accepts connections")

    def start_server(self, before: Sequence[str] = ()) -> bool:
        """Start the server; blocks until it is connected, or dead. Says whether it lives."""
        known = self.ups
        process = self.launch("server", before)
        wait_for(lambda: self.ups > known or process.poll() is not None, "the server is connected")
        return process.poll() is None

    @property
    def ups(self) -> int:
        """How often the server has been connected so far."""
        file = self._log_file("server")
        return file.read_text(errors="replace").count(UP) if file.exists() else 0

    def is_alive(self, name: str) -> bool:
        """Whether a program runs."""
        process = self._running.get(name)
        return process is not None and process.poll() is None

    @property
    def pids(self) -> dict[str, int]:
        """The programs that run, by name; each leads a group of its own."""
        return {name: process.pid for name, process in self._running.items()}

    def kill(self, name: str) -> None:
        """Kill a program and its children with -9, whether it has died or not."""
        process = self._running.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a program and its children."""
        os.killpg(self._running[name].pid, number)

    @contextlib.contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """Let a program stand still for the length of the block, with its connections open.

        Never in the midst of a transaction: what it locks then is another torment's matter.
        """
        self.signal(name, signal.SIGSTOP)
        while self._is_locked():
            self.signal(name, signal.SIGCONT)
            time.sleep(0.02)
            self.signal(name, signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(name, signal.SIGCONT)

    def _is_locked(self) -> bool:
        """Whether somebody holds SQLite's file for writing."""
        if self._database:
            return False
        file = self.path / "gardien.db"
        with contextlib.closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            database.execute("ROLLBACK")
            return False

    def stop(self, name: str) -> int:
        """Stop a program kindly; gives its exit status."""
        process = self._running.pop(name)
        process.terminate()
        try:
            return process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise NotSoError(f"the {name} did not end within {_STOP_S:.0f} s") from None

    def forget_sessions(self) -> None:
        """Delete what the broker, which must not run, has kept."""
        for file in (self.path / "broker").glob("*.db"):
            file.unlink()

    # What is left.

    def let_go(self) -> None:
        """Close our own connections to the database, so that the server has it for itself."""
        self.inside.database.close()

    def look_at_copy(self, audit: Audit, where: str) -> None:
        """Compare everybody with a copy of the file: the server is to find it as it was left."""
        folder = self.path.with_name(f"{self.path.name}-copy")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for suffix in ("", "-wal"):
            file = self.path / f"gardien.db{suffix}"
            if file.exists():
                shutil.copyfile(file, folder / file.name)
        with open_database(f"sqlite:///{folder / 'gardien.db'}") as copy:
            audit.look(copy, where)

    def bring_home(self, doors: Sequence[LoadDoor], audit: Audit, outcome: Outcome) -> None:
        """Let the doors hand in all they have, end the server, and compare everything."""
        for door in doors:
            door.rest()
        for door in doors:
            wait_for(lambda d=door: d.is_home, f"{door.id} hands in all: {door}", HOME_S)  # type: ignore[misc]
        check = outcome.check
        check("at the end", "the server does not end well", is_so=self.stop("server") == 0)
        audit.look(self.inside.database, "at the end")
        audit.look_whole(self.inside.database, "at the end")

    def check_verify(self, outcome: Outcome) -> None:
        """Let `gardien verify` look at the ledger as well."""
        command = [sys.executable, "-m", "gardien", "--data", str(self.path), "verify"]
        said = subprocess.run(
            command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
        )
        is_clean = said.returncode == 0
        outcome.check("at the end", f"verify: {said.stdout}{said.stderr}", is_so=is_clean)


def no_mosquitto() -> str:
    """Say why there is no mosquitto here, or nothing."""
    if find_mosquitto() is None:
        return "mosquitto is not installed (apt install mosquitto)"
    return ""


def no_mosquitto_or_strace() -> str:
    """Say why mosquitto or strace can't be used here, or nothing."""
    return no_mosquitto() or no_strace()
