"""The database behind the server: SQLite by default, PostgreSQL by URL, through SQLAlchemy Core."""

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NoReturn, Self

from sqlalchemy import (
    URL,
    BigInteger,
    Connection,
    Dialect,
    Engine,
    PoolProxiedConnection,
    TypeDecorator,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from access.instants import utc

BUSY_S: Final = 20
"""How long a statement waits for another writer, in seconds; less than a watchdog's patience."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MODE: Final = "gardien_mode"
_PRIVATE: Final = 0o600
_MOMENT_MS: Final = 50
_PART: Final = 1024 * 1024

_MAY_WRITE: Final = "PRAGMA query_only = 0"
_MAY_READ: Final = "PRAGMA query_only = 1"
_BEGIN_WRITING: Final = "BEGIN IMMEDIATE"
_BEGIN: Final = {
    "write": (_MAY_WRITE, _BEGIN_WRITING),
    "read": (_MAY_READ, "BEGIN"),
    None: (_MAY_WRITE, "BEGIN"),
}

_ON_CONNECT: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    # So that INSERT OR REPLACE fires the triggers on DELETE: https://sqlite.org/lang_conflict.html
    "PRAGMA recursive_triggers = ON",
)

_NOT_NOW: Final = {
    sqlite3.SQLITE_BUSY: f"another program has been writing to it for {BUSY_S} s; try again",
    sqlite3.SQLITE_LOCKED: "another part of this program is writing to it; try again",
    sqlite3.SQLITE_FULL: "the disk is full; free some space",
    sqlite3.SQLITE_IOERR: "the disk gave an error; check it before going on",
    sqlite3.SQLITE_CANTOPEN: "the file can't be opened; check its folder and its owner",
    sqlite3.SQLITE_READONLY: "it can't be written to; check its owner and its disk",
    sqlite3.SQLITE_NOMEM: "there is not enough memory",
    sqlite3.SQLITE_PROTOCOL: "another program holds its lock; try again",
    sqlite3.SQLITE_INTERRUPT: "the statement was interrupted; try again",
}


class DatabaseError(OSError):
    """Not now: locked, full, unreachable, or the disk failed. Nothing of the transaction counts."""


class DiskError(DatabaseError):
    """The disk failed to read, to write or to sync; and may go on as if it had not.

    After a failed fsync a second one may well succeed with the data gone, as PostgreSQL learnt in
    2018. So SQLite's log is written anew before the next transaction that writes.
    """


class DatabaseFaultError(RuntimeError):
    """Never: damaged, not made by gardien or not brought up to date, or a mistake of ours."""


class ConflictError(ValueError):
    """What was written is there already, breaks a rule of the schema, or came too late."""


class Instant(TypeDecorator[datetime]):
    """A column of instants: microseconds since 1970, UTC, as a 64-bit number."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 (SQLAlchemy's)
        """Turn an aware datetime into a number.

        Raises:
            NaiveTimeError: it has no time zone.
        """
        return None if value is None else (utc(value) - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (SQLAlchemy's)
        """Turn a number into a datetime in UTC."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class Database:
    """One open database. Threads may share it; a connection belongs to one of them at a time.

    Attributes:
        engine: SQLAlchemy's, for parts that bring tables of their own.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        # How often the disk has failed, and how often it had when the log was last written anew.
        self._failures, self._renewed_after = 0, -1
        self._renewing = threading.Lock()
        self._writing = engine.execution_options(**{_MODE: "write"})
        self._writers: list[Connection] = []
        self._reading = engine.execution_options(**_reading_options(engine))

    def __repr__(self) -> str:
        return f"Database({self.name})"

    @property
    def name(self) -> str:
        """Its URL, without the password."""
        return self.engine.url.render_as_string(hide_password=True)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite, where one transaction writes at a time."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Run a transaction that may write; it is on the disk when the block is left.

        An error in the block takes everything back. Blocks up to `BUSY_S` seconds for another
        writer, and for the disk.

        Raises:
            DatabaseError: not now; nothing was written. One exception: where the connection to
                PostgreSQL broke during the commit, it may have been.
            DiskError: the disk failed. Nothing counts now; should this process end before it has
                written again, the transaction may be there after all.
            ConflictError: a row is there already or breaks a rule; nothing was written.
            DatabaseFaultError: the database is damaged or has another schema.
        """
        self._renew()
        with self._our_errors(), self._writer() as connection, self._transaction(connection):
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Run a transaction that only reads: one moment of the database, held by no writer.

        Raises:
            DatabaseError: not now.
            DatabaseFaultError: the database is damaged or has another schema; or something was
                written in the block.
        """
        with self._our_errors(may_write=False), self._reading.begin() as connection:
            yield connection

    def problems(self, most: int) -> list[str]:
        """Say what is wrong inside a file of SQLite; nothing of PostgreSQL, which sees to itself.

        Reads the whole file: seconds for a large one.

        Args:
            most: how many problems to tell at the most.

        Raises:
            DatabaseError: not now.
        """
        if not self.is_sqlite:
            return []
        try:
            with self.reading() as connection:
                rows = connection.exec_driver_sql(f"PRAGMA quick_check({most:d})").scalars().all()
        except DatabaseFaultError as error:
            return [str(error)]
        return [_line(Exception(str(row))) for row in rows if row != "ok"]

    def maintain(self, *statements: str) -> None:
        """Run statements of SQLite that belong into no transaction: REINDEX, VACUUM.

        Blocks until they are done, and all who write meanwhile. On PostgreSQL it does nothing.

        Raises:
            DatabaseError: not now.
        """
        if not self.is_sqlite:
            return
        with self._our_errors(), closing(self.engine.raw_connection()) as pooled:
            driver = _with_leave(pooled, _MAY_WRITE)
            for statement in statements:
                driver.execute(statement).close()

    def rewrite(self, tables: Iterable[str]) -> None:
        """Write tables of PostgreSQL anew, so that no page of theirs holds what was deleted.

        Their statistics too, which hold values of theirs. Blocks until it is done, and all who use
        those tables meanwhile. On SQLite it does nothing: see `maintain`.

        Args:
            tables: their names, as the schema has them.

        Raises:
            DatabaseError: not now.
        """
        if self.is_sqlite:
            return
        engine = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        with self._our_errors(), engine.connect() as connection:
            quote = connection.dialect.identifier_preparer.quote
            for table in tables:
                connection.exec_driver_sql(f"VACUUM (FULL, ANALYZE) {quote(table)}")

    def checkpoint(self) -> bool:
        """Empty SQLite's write-ahead log, so that nothing that was overwritten is left in it.

        Blocks for the disk, and a moment for others; it does not insist, since a badge would wait
        with it. PostgreSQL sees to its own log: there it does nothing.

        Returns:
            Whether it is empty; False where somebody else is reading or writing: try again later.

        Raises:
            DatabaseError: not now.
        """
        if not self.is_sqlite:
            return True
        with self._our_errors(), closing(self.engine.raw_connection()) as pooled:
            driver: Any = pooled.driver_connection
            try:
                driver.execute(f"PRAGMA busy_timeout = {_MOMENT_MS}")
                is_busy = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            finally:
                driver.execute(f"PRAGMA busy_timeout = {BUSY_S * 1000}")
        return not is_busy

    def close(self) -> None:
        """Let go of all connections. Closing twice is harmless."""
        while self._writers:
            self._writers.pop().close()
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _writer(self) -> Iterator[Connection]:
        """Lend a connection for one transaction, and keep it for the next if nothing went wrong.

        To fetch one from the pool and give it back takes longer than a badge's statements.
        """
        try:
            connection = self._writers.pop()
        except IndexError:
            connection = self._writing.connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if self._writers:
            connection.close()
        else:
            self._writers.append(connection)

    def _transaction(self, connection: Connection) -> AbstractContextManager[object]:
        return _driver_transaction(connection) if self.is_sqlite else connection.begin()

    @contextmanager
    def _our_errors(self, *, may_write: bool = True) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            try:
                _raise_ours(self.name, error, may_write=may_write)
            except DiskError:
                self._failures += 1
                raise

    def _renew(self) -> None:
        """See that all of SQLite's log is on the disk, before the first change since it was opened.

        And before the first one after an error of the disk. A sync that failed, in this process or
        in one before it, leaves a part of the log that programs can read and the disk never got;
        what is written behind it would be lost with it when the power is cut.

        Raises:
            DatabaseError: not now.
            DiskError: the disk refuses still.
        """
        if self._renewed_after == self._failures or not self.is_sqlite:
            return
        with self._renewing, self._our_renewal_errors(), self._held() as file:
            failures = self._failures
            if self._renewed_after != failures:
                _write_anew(f"{file}-wal")
                self._renewed_after = failures

    @contextmanager
    def _held(self) -> Iterator[str]:
        """Keep others from writing, without writing oneself; give the path of SQLite's file."""
        with closing(self.engine.raw_connection()) as pooled:
            driver = _begin_writing(pooled)
            try:
                yield str(self.engine.url.database)
            finally:
                driver.rollback()

    @contextmanager
    def _our_renewal_errors(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            _raise_ours(self.name, error, may_write=True)
        except OSError as error:
            raise DiskError(
                f"{self.name}: {_NOT_NOW[sqlite3.SQLITE_IOERR]} ({error.strerror})"
            ) from error


def open_database(url: str, *, password: str | None = None) -> Database:
    """Open a database; a SQLite file that is missing is made, readable by its owner only.

    Connects to SQLite at once and to PostgreSQL at the first transaction. It makes no tables: see
    `server.upgrade`.

    Args:
        url: `sqlite:////path/gardien.db` or `postgresql+psycopg://user@host/name`.
        password: of PostgreSQL, where it has one.

    Raises:
        DatabaseError: the file can't be made or opened.
        DatabaseFaultError: the file is not a database.
        ValueError: the URL names neither of the two, or no file.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ValueError("the database's URL can't be read; write sqlite:////path/name") from error
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed)
    if parsed.get_backend_name() == "postgresql":
        return _open_postgresql(parsed, password)
    raise ValueError(
        f"{parsed.get_backend_name()} is not served; write sqlite:////path or postgresql+psycopg://"
    )


def _open_sqlite(url: URL) -> Database:
    if not url.database or url.database == ":memory:":
        raise ValueError("the ledger is kept in a file; write sqlite:////path/gardien.db")
    try:
        os.close(os.open(url.database, os.O_RDWR | os.O_CREAT, _PRIVATE))
    except OSError as error:
        raise DatabaseError(
            f"{url.database} can't be opened ({error.strerror}); check its folder and its owner"
        ) from error
    # The driver would begin transactions by itself, and only at the first write: too late.
    engine = create_engine(
        url,
        connect_args={"timeout": BUSY_S, "isolation_level": None},
        # No upper limit: writers hold a connection while they wait for the one that writes, and
        # that one may need a second for reading.
        max_overflow=-1,
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    database = Database(engine)
    try:
        with database.reading():
            return database
    except BaseException:
        database.close()
        raise


def _open_postgresql(url: URL, password: str | None) -> Database:
    url = url.set(drivername="postgresql+psycopg")
    if password is not None:
        url = url.set(password=password)
    engine = create_engine(url, pool_size=10, max_overflow=30)
    event.listen(engine, "connect", _prepare_postgresql)
    return Database(engine)


@contextmanager
def _driver_transaction(connection: Connection) -> Iterator[None]:
    """Have SQLite's driver begin and end a transaction that writes.

    SQLAlchemy joins in where a statement goes through it. None of a badge's does: to have it begin
    and commit takes three times as long as the driver does.
    """
    driver = _begin_writing(connection.connection)
    try:
        yield
    except BaseException:
        (connection if connection.in_transaction() else driver).rollback()
        raise
    (connection if connection.in_transaction() else driver).commit()


def _begin_writing(pooled: PoolProxiedConnection) -> Any:  # noqa: ANN401 (the driver's)
    driver = _with_leave(pooled, _MAY_WRITE)
    driver.execute(_BEGIN_WRITING).close()
    return driver


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:  # noqa: ARG001 (SQLAlchemy's)
    for statement in _ON_CONNECT:
        connection.execute(statement).close()


def _begin_sqlite(connection: Connection) -> None:
    leave, begin = _BEGIN[connection.get_execution_options().get(_MODE)]
    driver = _with_leave(connection.connection, leave)
    if not driver.in_transaction:  # begun already: see `_driver_transaction`
        driver.execute(begin)


def _with_leave(pooled: PoolProxiedConnection, leave: str) -> Any:  # noqa: ANN401 (the driver's)
    """Give the driver's connection with leave to write, or to read only.

    Said only where it was another one before, since SQLite then prepares all statements anew
    (OP_Expire in https://sqlite.org/src/file/src/pragma.c).
    """
    driver: Any = pooled.dbapi_connection
    if pooled.info.get(_MODE) != leave:
        driver.execute(leave).close()
        pooled.info[_MODE] = leave
    return driver


def _prepare_postgresql(connection: Any, record: object) -> None:  # noqa: ANN401, ARG001 (the driver's)
    connection.autocommit = True
    connection.execute(f"SET lock_timeout = '{BUSY_S}s'")
    connection.autocommit = False


def _reading_options(engine: Engine) -> dict[str, Any]:
    if engine.dialect.name == "postgresql":
        return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    return {_MODE: "read"}


def _raise_ours(name: str, error: SQLAlchemyError | sqlite3.Error, *, may_write: bool) -> NoReturn:
    cause = error.orig if isinstance(error, StatementError) else error
    if isinstance(cause, ValueError):
        raise cause from error  # a value that a column type refused, such as a naive time
    if isinstance(error, IntegrityError | sqlite3.IntegrityError):
        raise ConflictError(f"{name}: {_line(cause)}") from error
    if isinstance(cause, sqlite3.Error):
        _raise_sqlite(name, cause, error, may_write=may_write)
    if isinstance(error, OperationalError | InterfaceError | PoolTimeoutError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    ):
        raise DatabaseError(f"{name}: not now; {_line(cause or error)}") from error
    raise DatabaseFaultError(f"{name}: {_line(cause or error)}") from error


def _raise_sqlite(
    name: str, cause: sqlite3.Error, error: Exception, *, may_write: bool
) -> NoReturn:
    # The lowest byte is the primary code: https://sqlite.org/rescode.html
    code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_IOERR:
        raise DiskError(f"{name}: {_NOT_NOW[code]} ({_line(cause)})") from error
    is_ours = code == sqlite3.SQLITE_READONLY and not may_write
    if code in _NOT_NOW and not is_ours:
        raise DatabaseError(f"{name}: {_NOT_NOW[code]} ({_line(cause)})") from error
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        raise DatabaseFaultError(f"{name} is damaged; restore a backup ({_line(cause)})") from error
    raise DatabaseFaultError(f"{name}: {_line(cause)}") from error


def _write_anew(log: str) -> None:
    """Write what programs see of a log to the disk once more, in place, and sync it and its name.

    Nothing changes by it: what is there already is written as it is. SQLite itself overlooks it
    when the folder can't be synced. Nobody else may be writing.

    Raises:
        OSError: the disk refuses.
    """
    with suppress(FileNotFoundError), _opened(log, os.O_RDWR) as file:
        offset = 0
        while part := os.pread(file, _PART, offset):
            offset += os.pwrite(file, part, offset)
        os.fdatasync(file)
    with _opened(str(Path(log).parent), os.O_RDONLY | os.O_DIRECTORY) as folder:
        os.fsync(folder)


@contextmanager
def _opened(path: str, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _line(error: BaseException | None) -> str:
    return " ".join(str(error).split())[:300]
