"""Databases with the newest schema, copied from one that the migrations made once."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from server.database import Database, open_database
from server.upgrade import upgrade

_PRIVATE = 0o600


@contextmanager
def open_migrated(file: Path) -> Iterator[Database]:
    """Make a file of SQLite with the newest schema, and open it."""
    put_migrated(file)
    with open_database(f"sqlite:///{file}") as database:
        yield database


def put_migrated(file: Path) -> None:
    """Make a file of SQLite as the migrations make it from nothing."""
    file.touch(_PRIVATE)
    file.write_bytes(_migrated())


@cache
def _migrated() -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "gardien.db"
        with open_database(f"sqlite:///{file}") as database:
            upgrade(database)
            assert database.checkpoint()
        return file.read_bytes()
