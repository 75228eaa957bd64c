"""The door's journal on disk: SQLite, each record durable before `append` returns.

Write-ahead log with `synchronous=FULL` (https://www.sqlite.org/pragma.html#pragma_synchronous):
with NORMAL, a power cut loses commits without a word. Every write begins with `BEGIN IMMEDIATE`,
because a transaction that turns from reading to writing does not wait for a busy file.
"""

import contextlib
import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from access.ids import DoorId, SiteId
from access.instants import from_rfc3339, to_rfc3339
from access.journal import ChainError, Head, Json, chained
from edge.outbox_file import (
    check_file,
    connect,
    forget_set_aside,
    insert,
    is_broken,
    is_passing,
    read_head,
    renew,
    salvage,
    set_aside,
    wipe,
    write,
    write_head,
)
from edge.reserve import Reserve

_log = logging.getLogger(__name__)

CAPACITY: Final = 20_000
_NEARLY_FULL: Final = 0.9
_OWN: Final = "outbox."
_LAST_AT: Final = f"{_OWN}last_at"
_LOST: Final = f"{_OWN}lost"


class OutboxError(OSError):
    """The outbox can't be written or read now; nothing of what was asked has been done."""


class OutboxFullError(OutboxError):
    """The outbox holds as many records as it may, or the disk is full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is to be recorded.

    Attributes:
        kind: what happened, without the leading `gardien.`.
        time: when it happened.
        data: what else there is to say, JSON values only.
    """

    kind: str
    time: datetime
    data: Json


class Outbox:
    """The records that the server does not have for good yet, and a few values to be kept.

    A file that can't be read is renamed, and kept for 90 days. What of it is whole and in order is
    carried over; if that is not all, a new chain begins at 1 and `lost` names the file.

    Used by one thread at a time.

    Args:
        path: the SQLite file; made if there is none.
        site: for the records' ids.
        door: for the records' ids.
        capacity: how many records it may hold.

    Raises:
        OutboxError: the file can be neither opened nor set aside.
    """

    def __init__(self, path: Path, *, site: SiteId, door: DoorId, capacity: int = CAPACITY) -> None:
        self._path, self._site, self._door, self._capacity = path, site, door, capacity
        self._connection: sqlite3.Connection | None = None
        self._is_renewed = self._has_failed = False
        self._open()
        # The second one is for deleting only: else the last records would bar their own way out.
        self._reserve = Reserve(path.with_name(f"{path.name}.reserve"))
        self._last_reserve = Reserve(path.with_name(f"{path.name}.last-reserve"))

    @property
    def head(self) -> Head:
        """The end of the chain, whether or not its last records are still held here."""
        return read_head(self._open())

    @property
    def last_at(self) -> datetime | None:
        """The time of the last record, whether or not it is still held here."""
        last = self.kept(_LAST_AT)
        return None if last is None else from_rfc3339(last)

    @property
    def lost(self) -> str | None:
        """The name of a file whose records were lost to this chain, until `anchor` is called."""
        return self.kept(_LOST)

    @property
    def is_nearly_full(self) -> bool:
        """Whether less than a tenth of the room is left, or the disk has no more than a reserve."""
        return not self._reserve.is_whole or len(self) >= _NEARLY_FULL * self._capacity

    def __len__(self) -> int:
        """How many records are held."""
        with _as_outbox_error(self):
            row = self._open().execute("SELECT min(seq), max(seq) FROM record").fetchone()
        return 0 if row[0] is None else int(row[1] - row[0] + 1)

    def append(self, kind: str, time: datetime, data: Json) -> int:
        """Record one thing; it is durable when this returns. Blocks for the disk.

        Returns:
            The number of the record.

        Raises:
            OutboxFullError: there is no room for it.
            OutboxError: it could not be written.
        """
        return self.append_all([Entry(kind=kind, time=time, data=data)])

    def append_all(
        self, entries: Sequence[Entry], keep: Mapping[str, str | None] | None = None
    ) -> int:
        """Record several things and keep some values, all or none. Blocks for the disk.

        Args:
            entries: what to record, in order.
            keep: values by key; None forgets one.

        Returns:
            The number of the last record of the chain.

        Raises:
            OutboxFullError: there is no room for all of it.
            OutboxError: it could not be written.
        """
        if len(self) + len(entries) > self._capacity and entries:
            raise OutboxFullError(
                f"{self._path} holds {len(self)} records of at most {self._capacity}; "
                "they go once the server has them"
            )
        try:
            return self._append(entries, keep or {})
        except OutboxFullError:
            if not self._use(self._reserve):
                raise
            return self._append(entries, keep or {})

    def _append(self, entries: Sequence[Entry], keep: Mapping[str, str | None]) -> int:
        with self._writing() as connection:
            head = read_head(connection)
            for entry in entries:
                record, head = chained(
                    head,
                    site=self._site,
                    source=self._door,
                    kind=entry.kind,
                    time=entry.time,
                    data=entry.data,
                )
                insert(connection, record)
            if entries:
                write_head(connection, head)
                write(connection, _LAST_AT, to_rfc3339(entries[-1].time))
            for key, value in keep.items():
                write(connection, key, value)
        return head.seq

    def after(self, seq: int, limit: int = 100) -> list[dict[str, Any]]:
        """Give the records that follow number `seq`, in order, at most `limit`.

        Raises:
            OutboxError: they could not be read.
        """
        with _as_outbox_error(self):
            rows = self._open().execute(
                "SELECT body FROM record WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit)
            )
            return [msgspec.json.decode(body) for (body,) in rows]

    @property
    def acknowledged(self) -> int:
        """The number up to which records have been deleted."""
        with _as_outbox_error(self):
            (first,) = self._open().execute("SELECT min(seq) FROM record").fetchone()
        return self.head.seq if first is None else int(first) - 1

    def acknowledge(self, seq: int) -> None:
        """Delete the records up to number `seq`: the server has them for good.

        Does not wait for the disk: a deletion that a power cut undoes only means that records are
        sent twice.

        Raises:
            OutboxError: they could not be deleted.
        """
        try:
            self._delete(seq)
        except OutboxFullError:
            if not (self._use(self._reserve) or self._use(self._last_reserve)):
                raise
            self._delete(seq)
        if not (self._reserve.is_whole and self._last_reserve.is_whole):
            self._shrink()
            self._last_reserve.fill()
            self._reserve.fill()

    def _delete(self, seq: int) -> None:
        with self._writing(durable=False) as connection:
            connection.execute("DELETE FROM record WHERE seq <= ?", (seq,))

    def _use(self, reserve: Reserve) -> bool:
        """The disk is full: give back what was reserved; returns whether there was any."""
        if not reserve.release():
            return False
        _log.error("the disk under %s is full: the reserve is in use", self._path)
        self._shrink()
        return True

    def _shrink(self) -> None:
        """Fold the write-ahead log into the file, as far as that goes."""
        with contextlib.suppress(OutboxError), _as_outbox_error(self):
            self._open().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def anchor(self, seq: int) -> None:
        """Continue after number `seq`, up to which the server has records that we know nothing of.

        The records that are held get new numbers. The first of them keeps its `prev`, which can't
        fit the server's chain: so the server sets it aside and raises an alert, and no record is
        taken for one that it has already.

        Raises:
            OutboxError: they could not be written.
        """
        with self._writing() as connection:
            bodies = connection.execute("SELECT body FROM record ORDER BY seq").fetchall()
            connection.execute("DELETE FROM record")
            head = Head(seq=seq)
            for (body,) in bodies:
                head = self._again(connection, head, msgspec.json.decode(body))
            write_head(connection, head)
            write(connection, _LOST, None)

    def settle(self) -> None:
        """Take note that the server knows of the new chain: nothing counts as lost any more."""
        self.keep(_LOST, None)

    def kept(self, key: str) -> str | None:
        """Give a value that was kept; None if there is none.

        Raises:
            OutboxError: it could not be read.
        """
        with _as_outbox_error(self):
            row = self._open().execute("SELECT value FROM kept WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def keep(self, key: str, value: str | None) -> None:
        """Keep a value durably, or forget it (None). Blocks for the disk.

        Raises:
            OutboxError: it could not be written.
        """
        self.append_all([], {key: value})

    def kept_under(self, prefix: str) -> dict[str, str]:
        """Give all values whose keys begin so, by key.

        Raises:
            OutboxError: they could not be read.
        """
        with _as_outbox_error(self):
            rows = self._open().execute("SELECT key, value FROM kept").fetchall()
        return {str(key): str(value) for key, value in rows if str(key).startswith(prefix)}

    def wipe(self) -> None:
        """Write the file anew, so that nothing is left in it of what was deleted. Blocks.

        Raises:
            OutboxError: it could not be; nothing has changed.
        """
        with _as_outbox_error(self):
            wipe(self._open())

    def forget_set_aside(self, before: datetime) -> list[str]:
        """Delete files that were set aside before a time; gives their names.

        Raises:
            OutboxError: one could not be deleted.
        """
        with _as_outbox_error(self):
            return forget_set_aside(self._path, before)

    def close(self) -> None:
        """Close the file. Closing twice is harmless; using it again opens it again."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self) -> sqlite3.Connection:
        """Give the open file; a file that is opened anew is checked, and set aside if broken."""
        if self._connection is None:
            with _as_outbox_error(self):
                try:
                    self._connection = _open_checked(self._path)
                except (sqlite3.Error, ChainError, ValueError) as error:
                    if not is_broken(error):
                        raise
                    self._set_aside(error)
        if self._connection is None:
            raise OutboxError(f"the outbox {self._path} is closed")
        return self._connection

    @contextlib.contextmanager
    def _writing(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        with _as_outbox_error(self):
            connection = self._open()
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._renew(connection)
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    def _renew(self, connection: sqlite3.Connection) -> None:
        """Before the first change since the start, or since an error: see that all is on the disk.

        The process before this one may have left the same, so the start counts as well; but then
        a reader who is in the way is no reason not to work.
        """
        if self._is_renewed:
            return
        self._is_renewed = renew(connection, self._path) or not self._has_failed
        if not self._is_renewed:
            raise OutboxError(f"{self._path} failed, and can't be written anew: somebody reads it")

    def distrust(self) -> None:
        """The disk has refused something: close the file; all is written anew before it is used."""
        self._is_renewed, self._has_failed = False, True
        self.close()

    def _again(self, connection: sqlite3.Connection, head: Head, record: dict[str, Any]) -> Head:
        again, head = chained(
            head,
            site=self._site,
            source=self._door,
            kind=str(record["type"]).removeprefix("gardien."),
            time=from_rfc3339(record["time"]),
            data=record["data"],
        )
        insert(connection, again)
        return head

    def _set_aside(self, why: Exception) -> None:
        """Rename a file that can't be read, and go on with what can be saved of it."""
        _log.error("the outbox %s can't be read: %s", self._path, why)
        saved = salvage(self._path)
        name = set_aside(self._path)
        self._connection = connect(self._path)
        with self._writing() as connection:
            for key, value in saved.kept:
                if saved.records is not None or not key.startswith(_OWN):
                    write(connection, key, value)
            for record in saved.records or ():
                insert(connection, record)
            if saved.records is None:
                write(connection, _LOST, name.name)
            else:
                write_head(connection, saved.head)


def _open_checked(path: Path) -> sqlite3.Connection:
    connection = connect(path)
    try:
        check_file(connection)
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def _as_outbox_error(outbox: Outbox) -> Iterator[None]:
    """Turn SQLite's errors into ours, and never trust a connection on which one has happened.

    After a failed fsync a second one may succeed although the data is gone.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        if isinstance(error, OutboxError):
            raise
        if not is_passing(error):
            outbox.distrust()
        code = getattr(error, "sqlite_errorcode", None)
        kind = OutboxFullError if code == sqlite3.SQLITE_FULL else OutboxError
        raise kind(f"the outbox can't be used: {error}") from error
