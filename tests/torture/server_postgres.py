"""PostgreSQL that stops in the midst of commits, again and again (F19).

Whether a commit that was under way has come about, nobody can say then; the doors send again, and
the ledger must have all of it once.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.torture.audit import Audit
from tests.torture.place import wait_for
from tests.torture.report import Outcome, Run, Torment
from tests.torture.server_disks import wait_for_more
from tests.torture.server_kills import ERRORS, Suffering, rounds_of, suffering
from tests.torture.server_place import ServerPlace, no_mosquitto

_SETTINGS: Final = (
    "listen_addresses=",
    "unix_socket_directories={folder}",
    # Commits take a while, so that one is nearly always under way.
    "commit_delay=20000",
    "commit_siblings=0",
)


def _programs() -> Path | None:
    """Find initdb and postgres: where Debian keeps them, or on the path."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb")
    if debian:
        return debian[-1].parent
    return None if found is None else Path(found).resolve().parent


def _user() -> str | None:
    """Give the user to run PostgreSQL as, which refuses to run as root."""
    return "postgres" if os.geteuid() == 0 else None


def no_postgresql() -> str:
    """Say why there is no PostgreSQL here, or nothing."""
    if _programs() is None:
        return "PostgreSQL is not installed (apt install postgresql)"
    if importlib.util.find_spec("psycopg") is None:
        return "psycopg is not installed (the extra `postgres`)"
    if (user := _user()) and not any(entry.pw_name == user for entry in pwd.getpwall()):
        return f"PostgreSQL does not run as root, and there is no user {user}"
    return ""


@dataclass(slots=True)
class Postgres:
    """A cluster of our own, on a socket in its folder."""

    folder: Path
    programs: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """What SQLAlchemy reaches it by."""
        return f"postgresql+psycopg://gardien@/postgres?host={self.folder}"

    def create(self) -> None:
        """Make an empty cluster."""
        command = [self.programs / "initdb", "-D", self.folder / "data", "-U", "gardien"]
        self._run(*map(str, command), "-A", "trust", "-E", "UTF8", "-N").wait()

    def start(self) -> None:
        """Start it; blocks until it accepts connections."""
        settings = [f"-c{one.format(folder=self.folder)}" for one in _SETTINGS]
        command = [str(self.programs / "postgres"), "-D", str(self.folder / "data"), *settings]
        self.process = self._run(*command)
        ready = [str(self.programs / "pg_isready"), "-q", "-h", str(self.folder), "-d", "postgres"]
        wait_for(lambda: subprocess.call(ready) == 0, "PostgreSQL accepts connections")

    def stop_at_once(self) -> None:
        """Stop it as `pg_ctl -m immediate` does: it recovers when it is started again."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()
            self.process = None

    def _run(self, *command: str) -> "subprocess.Popen[bytes]":
        nowhere = subprocess.DEVNULL
        return subprocess.Popen(
            command, user=_user(), cwd=self.folder, stdin=nowhere, stdout=nowhere, stderr=nowhere
        )


@contextlib.contextmanager
def _cluster() -> Iterator[Postgres]:
    programs = _programs()
    assert programs is not None
    # Not below our own folder, which other users may not enter; short, for the socket.
    with tempfile.TemporaryDirectory(prefix="gt-pg-", ignore_cleanup_errors=True) as folder:
        if (user := _user()) is not None:
            shutil.chown(folder, user=user)
        cluster = Postgres(Path(folder), programs)
        cluster.create()
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop_at_once()


def stop_databases(run: Run) -> Outcome:
    """Stop PostgreSQL under a busy server, and start it again."""
    outcome = Outcome()
    try:
        with _cluster() as cluster, suffering(run, outcome, database=cluster.url) as it:
            for number in rounds_of(run, outcome):
                _stop_database(it, cluster, number)
    except ERRORS as error:
        outcome.failures.append(repr(error))
    return outcome


def _stop_database(it: Suffering, cluster: Postgres, number: int) -> None:
    dice, where = it.run.dice("postgres", number), f"round {number}"
    time.sleep(dice.uniform(0, 1.0))
    cluster.stop_at_once()
    time.sleep(dice.uniform(0, 0.5))
    cluster.start()
    wait_for_more(it.doors, "it goes on by itself")
    is_alive = it.place.is_alive("server")
    it.audit.outcome.check(where, "the server died", is_so=is_alive)
    _look(it.place, it.audit, where)


def _look(place: ServerPlace, audit: Audit, where: str) -> None:
    """Our own connections have been cut as well."""
    place.let_go()
    audit.look(place.inside.database, where)


POSTGRES_STOPS: Final = Torment(
    name="postgres-stop",
    faults=("F19",),
    says="PostgreSQL is stopped in mid-commit and started again: the server lives on, and the "
    "ledger has everything once",
    full=200,
    few=2,
    run=stop_databases,
    missing=lambda: no_mosquitto() or no_postgresql(),
)


def every() -> Iterator[Torment]:
    """Give the torments of this module."""
    yield POSTGRES_STOPS
