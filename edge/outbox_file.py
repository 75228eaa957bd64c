"""The SQLite file under a door's outbox: how it is opened, checked and saved from."""

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from access.journal import ChainError, Head, Json, check

BUSY_S: Final = 0.2
"""How long to wait for somebody else who has the file, in seconds."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS record (seq INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""
_HEAD: Final = "outbox.head"
_ASIDE: Final = ".unreadable-"
_PASSING: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL})
_BROKEN: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})

_canonical: Final = msgspec.json.Encoder(order="deterministic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What could be read of a broken file.

    Attributes:
        records: all that it held, whole and in order; None if one that should be there is not.
        head: the end of their chain; it may be found where `kept` can't be listed.
        kept: keys and values.
    """

    records: list[dict[str, Any]] | None
    head: Head = Head()  # noqa: RUF009 (frozen)
    kept: list[tuple[str, str]]


def is_broken(error: Exception) -> bool:
    """Whether an error means that the file is broken, rather than busy, absent or forbidden."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is None or code & 0xFF in _BROKEN


def is_passing(error: Exception) -> bool:
    """Whether an error leaves the connection as good as it was: busy, or the disk is full."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _PASSING


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, and make it if there is none; each commit waits for the disk.

    Raises:
        sqlite3.Error: it can't be opened, or is no such file.
    """
    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(_SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def renew(connection: sqlite3.Connection, path: Path) -> bool:
    """Write all that is in the write-ahead log into the file, and begin the log anew.

    After a sync that failed, the kernel takes what it could not write for written: a later sync
    succeeds and does nothing for it. So nothing may be recorded behind such a part of the log; what
    is there is read, and written to another place. The folder is synced too: SQLite overlooks it
    when that fails.

    Returns:
        Whether it was done; False while somebody else reads the file.

    Raises:
        sqlite3.Error: the disk refuses still, or is full.
        OSError: likewise.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    (is_busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not is_busy


def wipe(connection: sqlite3.Connection) -> None:
    """Write the file and its log anew, with nothing in their gaps.

    Raises:
        sqlite3.Error: the disk is full, or somebody else reads the file.
    """
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def check_file(connection: sqlite3.Connection) -> None:
    """Check the file's pages and the chain of what it holds.

    Raises:
        sqlite3.DatabaseError: pages are broken.
        ChainError: records are missing, or not what their hashes say.
        ValueError: records can't be read.
    """
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(str(verdict))
    rows = connection.execute("SELECT body FROM record ORDER BY seq")
    check_rows([msgspec.json.decode(body) for (body,) in rows], read_head(connection))


def check_rows(records: Sequence[Json], head: Head) -> None:
    """Check that records follow one another, up to the end of the chain.

    Raises:
        ChainError: they do not.
    """
    if not records:
        return
    end = Head(seq=int(records[0]["seq"]) - 1, hash=str(records[0]["prev"]))
    for record in records:
        end = check(end, record)
    if end != head:
        raise ChainError(f"the records end at {end.seq} and should end at {head.seq}")


def read_head(connection: sqlite3.Connection) -> Head:
    """Read the end of the chain, which outlives the deletion of its records."""
    row = connection.execute("SELECT value FROM kept WHERE key = ?", (_HEAD,)).fetchone()
    if row is None:
        return Head()
    seq, _, hash_ = str(row[0]).partition(" ")
    return Head(seq=int(seq), hash=hash_)


def write_head(connection: sqlite3.Connection, head: Head) -> None:
    """Write the end of the chain."""
    write(connection, _HEAD, f"{head.seq} {head.hash}")


def write(connection: sqlite3.Connection, key: str, value: str | None) -> None:
    """Write a value, or delete it (None)."""
    if value is None:
        connection.execute("DELETE FROM kept WHERE key = ?", (key,))
    else:
        connection.execute(
            "INSERT INTO kept (key, value) VALUES (?, ?) "
            "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, value),
        )


def insert(connection: sqlite3.Connection, record: Json) -> None:
    """Write a record, in the very text that its hash is over."""
    connection.execute(
        "INSERT INTO record (seq, body) VALUES (?, ?)",
        (record["seq"], _canonical.encode(record).decode()),
    )


def set_aside(path: Path) -> Path:
    """Rename the file and what belongs to it; nothing is deleted yet. Gives the new name.

    Raises:
        OSError: it can't be renamed.
    """
    name = _free_name(path)
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(name.with_name(name.name + suffix))
    return name


def _free_name(path: Path) -> Path:
    number = 1
    while (name := path.with_name(f"{path.name}{_ASIDE}{number}")).exists():
        number += 1
    return name


def forget_set_aside(path: Path, before: datetime) -> list[str]:
    """Delete what was set aside before a time; gives the names of the files that are gone.

    Raises:
        OSError: one can't be deleted.
    """
    gone = []
    for file in sorted(path.parent.glob(f"{path.name}{_ASIDE}*")):
        if file.stat().st_mtime < before.timestamp():
            file.unlink()
            gone.append(file.name)
    return gone


def salvage(path: Path) -> Saved:
    """Read what can be read of a broken file, row by row."""
    try:
        connection = connect(path)
    except sqlite3.Error:
        return Saved(records=None, kept=[])
    try:
        records, head = _salvage_records(connection)
        return Saved(records=records, head=head, kept=_salvage_kept(connection))
    finally:
        connection.close()


def _salvage_records(
    connection: sqlite3.Connection,
) -> tuple[list[dict[str, Any]] | None, Head]:
    try:
        rows = connection.execute("SELECT body FROM record ORDER BY seq").fetchall()
        records = [msgspec.json.decode(body) for (body,) in rows]
        head = read_head(connection)
        check_rows(records, head)
    except (sqlite3.Error, ChainError, ValueError, LookupError, TypeError):
        return None, Head()
    return records, head


def _salvage_kept(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    try:
        rows = connection.execute("SELECT key, value FROM kept").fetchall()
    except sqlite3.Error:
        return []
    return [(str(key), str(value)) for key, value in rows]
