"""The database: transactions are whole or nothing, and errors say whether to try again."""

import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select
from sqlalchemy import text as sql

from access.instants import NaiveTimeError
from server import database as database_module
from server.database import (
    ConflictError,
    Database,
    DatabaseError,
    DatabaseFaultError,
    open_database,
)
from server.schema import follower
from server.schema import set_aside as aside
from tests.server.migrated import open_migrated

MORNING = datetime(2026, 11, 2, 8, tzinfo=UTC)

WRITER = """
import sys
from sqlalchemy import insert, text
from server.database import open_database
from server.schema import follower
with open_database(sys.argv[1]) as database:
    number = 0
    while True:
        with database.writing() as connection:
            rows = [{"name": f"{number}-{part}", "cursor": number} for part in range(20)]
            connection.execute(insert(follower), rows)
        print(number, flush=True)
        number += 1
"""

FAILS = """
import sys
from sqlalchemy import insert
from server.database import DatabaseError, open_database
from server.schema import follower
with open_database(sys.argv[1]) as database:
    try:
        with database.writing() as connection:
            connection.execute(insert(follower), [{"name": "alerts", "cursor": 1}])
    except DatabaseError as error:
        print(type(error).__name__)
"""


def cursors(database: Database) -> dict[str, int]:
    with database.reading() as connection:
        return {row.name: row.cursor for row in connection.execute(select(follower))}


def add(database: Database, name: str, cursor: int = 1) -> None:
    add_all(database, {"name": name, "cursor": cursor})


def add_all(database: Database, *rows: dict[str, object]) -> None:
    """Add each row by a statement of its own, in one transaction."""
    with database.writing() as connection:
        for row in rows:
            connection.execute(insert(follower), [row])


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    return tmp_path / "gardien.db"


@pytest.fixture
def sqlite_database(sqlite_file: Path) -> Iterator[Database]:
    with open_migrated(sqlite_file) as database:
        yield database


def test_what_a_block_wrote_is_there_when_it_is_left(database: Database) -> None:
    add(database, "history", 7)
    assert cursors(database) == {"history": 7}


def test_an_error_in_the_block_takes_everything_back(database: Database) -> None:
    def stumble() -> None:
        with database.writing() as connection:
            connection.execute(insert(follower), [{"name": "history", "cursor": 7}])
            raise KeyError

    with pytest.raises(KeyError):
        stumble()
    assert cursors(database) == {}


def test_a_row_that_is_there_already_is_a_conflict_and_nothing_is_written(
    database: Database,
) -> None:
    add(database, "history", 7)
    with pytest.raises(ConflictError):
        add_all(database, {"name": "alerts", "cursor": 1}, {"name": "history", "cursor": 8})
    assert cursors(database) == {"history": 7}


def test_a_reading_block_refuses_to_write(database: Database) -> None:
    with pytest.raises(DatabaseFaultError), database.reading() as connection:
        connection.execute(insert(follower), [{"name": "history", "cursor": 7}])
    add(database, "alerts")
    assert cursors(database) == {"alerts": 1}


def test_a_reading_block_sees_one_moment(database: Database) -> None:
    with database.reading() as connection:
        before = connection.execute(select(follower)).all()
        add(database, "history")
        assert connection.execute(select(follower)).all() == before == []
    assert cursors(database) == {"history": 1}


def test_a_missing_table_is_a_fault_and_not_a_matter_of_time(empty_database: Database) -> None:
    with pytest.raises(DatabaseFaultError, match="follower"):
        cursors(empty_database)


def test_closing_twice_is_harmless(database: Database) -> None:
    database.close()
    database.close()


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    moment=st.datetimes(
        min_value=datetime(1900, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
        max_value=datetime(2200, 1, 1),  # noqa: DTZ001 - likewise
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))]),
    )
)
def test_an_instant_comes_back_to_the_microsecond(database: Database, moment: datetime) -> None:
    row = {"site": "lyon", "door": "front", "received": moment, "why": "", "body": ""}
    with database.writing() as connection:
        connection.execute(aside.delete())
        connection.execute(insert(aside), [row])
    with database.reading() as connection:
        found = connection.execute(select(aside.c.received)).scalar_one()
    assert found == moment
    assert found.tzinfo is UTC


def test_an_instant_is_kept_as_microseconds_since_1970(database: Database) -> None:
    at = datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC)
    row = {"site": "lyon", "door": "front", "received": at, "why": "", "body": ""}
    with database.writing() as connection:
        connection.execute(insert(aside), [row])
        assert connection.execute(sql("SELECT received FROM set_aside")).scalar() == 1_000_005


def test_a_time_without_zone_is_refused(database: Database) -> None:
    row = {"site": "lyon", "door": "front", "why": "", "body": ""}
    row |= {"received": MORNING.replace(tzinfo=None)}  # type: ignore[dict-item]
    with pytest.raises(NaiveTimeError), database.writing() as connection:
        connection.execute(insert(aside), [row])


def test_only_the_owner_may_read_the_file(sqlite_database: Database, sqlite_file: Path) -> None:
    add(sqlite_database, "history")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in sqlite_file.parent.iterdir()}
    assert modes == {0o600}


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("secure_delete", 1),
        ("busy_timeout", 20_000),
        ("recursive_triggers", 1),
    ],
)
def test_sqlite_is_set_for_durability_and_privacy(
    sqlite_database: Database, pragma: str, value: object
) -> None:
    with sqlite_database.reading() as connection:
        assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


def test_a_writer_waits_for_another_one(sqlite_database: Database) -> None:
    """Both begin, read and write: with a deferred BEGIN the second would fail at once."""
    started, waiting = threading.Event(), threading.Event()

    def count_up() -> None:
        started.wait(10)
        waiting.set()
        with sqlite_database.writing() as connection:
            found = connection.execute(select(follower.c.cursor)).scalar_one()
            connection.execute(follower.update().values(cursor=found + 1))

    add(sqlite_database, "history", 1)
    thread = threading.Thread(target=count_up)
    thread.start()
    with sqlite_database.writing() as connection:
        started.set()
        waiting.wait(10)
        found = connection.execute(select(follower.c.cursor)).scalar_one()
        connection.execute(follower.update().values(cursor=found + 1))
    thread.join(10)
    assert cursors(sqlite_database) == {"history": 3}


def test_a_locked_file_is_not_now(
    sqlite_file: Path, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_S", 0)
    other = sqlite3.connect(sqlite_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with (
            open_database(f"sqlite:///{sqlite_file}") as impatient,
            pytest.raises(DatabaseError, match="try again"),
            impatient.writing(),
        ):
            pass
        assert cursors(sqlite_database) == {}, "reading goes on"
    finally:
        other.close()
    add(sqlite_database, "history")


def test_a_full_disk_is_not_now_and_what_was_there_stays(sqlite_database: Database) -> None:
    add(sqlite_database, "history")
    with sqlite_database.writing() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    big = {"name": "x" * 1_000_000, "cursor": 1}
    with pytest.raises(DatabaseError, match="full"):
        add_all(sqlite_database, {"name": "alerts", "cursor": 1}, big)
    assert cursors(sqlite_database) == {"history": 1}


def test_many_writers_that_also_read_all_come_through(database: Database) -> None:
    def write(number: int) -> None:
        with database.writing() as connection:
            assert isinstance(cursors(database), dict)
            connection.execute(insert(follower), [{"name": str(number), "cursor": number}])

    with ThreadPoolExecutor(30) as pool:
        list(pool.map(write, range(60)))
    assert len(cursors(database)) == 60


def test_a_disk_that_fails_to_sync_is_told_apart(
    sqlite_database: Database, sqlite_file: Path, tmp_path: Path
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed (apt-get install strace)")
    add(sqlite_database, "history")
    sqlite_database.close()
    failing = ["-f", "-qq", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO"]
    program = [sys.executable, "-c", FAILS, f"sqlite:///{sqlite_file}"]
    done = subprocess.run(
        ["strace", *failing, "-o", str(tmp_path / "trace"), *program],
        capture_output=True,
        check=False,
    )
    if b"PTRACE" in done.stderr:
        pytest.skip("strace is not allowed here")
    assert done.stdout == b"DiskError\n", done.stderr


def test_a_file_that_is_no_database_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "gardien.db"
    path.write_bytes(b"not a database " * 100)
    with pytest.raises(DatabaseFaultError, match="restore a backup"):
        open_database(f"sqlite:///{path}")


def test_a_folder_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="folder"):
        open_database(f"sqlite:///{tmp_path / 'missing' / 'gardien.db'}")


@pytest.mark.parametrize("url", ["mysql://host/name", "sqlite://", "sqlite:///:memory:", "what"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="write sqlite"):
        open_database(url)


def test_a_postgresql_that_is_away_is_not_now(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed (the extra `postgres`)")
    with (
        open_database(f"postgresql+psycopg://gardien@/x?host={tmp_path}") as database,
        pytest.raises(DatabaseError, match="not now"),
        database.writing(),
    ):
        pass


def test_a_password_is_never_shown() -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed (the extra `postgres`)")
    with open_database("postgresql://gardien@host/x", password="hush-hush") as database:  # noqa: S106
        assert "hush" not in repr(database)
        assert "hush" not in database.name


def test_a_connection_that_postgresql_ends_is_not_now_and_the_next_one_works(
    postgres_url: str,
) -> None:
    def lose_the_connection(database: Database) -> None:
        with database.writing() as connection:
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            with database.reading() as other:
                other.execute(sql("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            connection.exec_driver_sql("SELECT 1")

    with open_database(postgres_url) as database:
        with pytest.raises(DatabaseError):
            lose_the_connection(database)
        with database.writing() as connection:
            assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1


@pytest.mark.parametrize("round_", range(3))
def test_a_writer_that_is_killed_leaves_whole_transactions_only(
    database: Database, database_url: str, round_: int
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, database_url], stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    assert process.stdout is not None
    with process.stdout as out:
        for _ in range(5 + 13 * round_):
            told = int(out.readline())
        process.send_signal(signal.SIGKILL)
        told = max([told, *(int(line) for line in out if line.endswith(b"\n"))])
    process.wait(10)
    by_number: dict[int, int] = {}
    for number in cursors(database).values():
        by_number[number] = by_number.get(number, 0) + 1
    assert set(by_number.values()) == {20}, "all or nothing"
    assert by_number.keys() >= set(range(told + 1)), "what was told is kept"
