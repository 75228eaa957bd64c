"""The schema: migrations lead to it from nothing, and the ledger can only grow."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Table, insert, select
from sqlalchemy import text as sql

from server import api_requests, api_tokens, calendar_addresses, looks, sessions
from server.database import ConflictError, Database, DatabaseFaultError, open_database
from server.schema import ledger, metadata, time_entry
from server.upgrade import is_current, newest, upgrade

MORNING = datetime(2026, 11, 2, 8, tzinfo=UTC)

_OBJECTS = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '%alembic%'",
    "postgresql": """
        SELECT tgname, pg_get_triggerdef(t.oid)
          FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
         WHERE NOT tgisinternal AND c.relnamespace = current_schema()::regnamespace
        UNION SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
         WHERE connamespace = current_schema()::regnamespace AND conname NOT LIKE 'alembic%'
        UNION SELECT proname, prosrc FROM pg_proc
         WHERE pronamespace = current_schema()::regnamespace
        UNION SELECT table_name || '.' || column_name, coalesce(column_default, '')
          FROM information_schema.columns
         WHERE table_schema = current_schema() AND table_name NOT LIKE 'alembic%'""",
}


def objects(connection: Connection) -> dict[str, str]:
    """Give each table, index, constraint and trigger as the database itself describes it."""
    schema = "sqlite"
    if connection.dialect.name == "postgresql":
        schema = connection.exec_driver_sql("SELECT current_schema()").scalar_one()
    rows = connection.execute(sql(_OBJECTS[connection.dialect.name].replace(":", "\\:")))
    # SQLite adds a column's words where the text of the table ended, with the space before that.
    plain = {n: " ".join((t or "").split()).replace(" ,", ",").replace(" )", ")") for n, t in rows}
    return {name: text.replace(f"{schema}.", "") for name, text in plain.items()}


def one_entry() -> dict[str, object]:
    return {
        "site": "lyon",
        "source": "front",
        "seq": 1,
        "kind": "gardien.door.opened",
        "time": MORNING,
        "received": MORNING,
        "body": "{}",
    }


@pytest.fixture
def with_one_entry(database: Database) -> Database:
    with database.writing() as connection:
        connection.execute(insert(ledger), [one_entry()])
    return database


def test_migrations_from_nothing_lead_to_the_schema(database: Database) -> None:
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrations_make_the_same_triggers_and_constraints_as_the_schema(
    empty_database: Database,
) -> None:
    with empty_database.writing() as connection:
        metadata.create_all(connection)
        wanted = objects(connection)
        connection.rollback()
    upgrade(empty_database)
    with empty_database.reading() as connection:
        assert objects(connection) == wanted
    assert "ledger_no_update" in wanted or "ledger_no_change" in wanted


def test_upgrading_twice_changes_nothing(empty_database: Database) -> None:
    assert not is_current(empty_database)
    upgrade(empty_database)
    upgrade(empty_database)
    assert is_current(empty_database)
    with empty_database.reading() as connection:
        found = connection.execute(sql("SELECT version_num FROM alembic_version")).scalars().all()
    assert found == [newest()]


def test_an_upgrade_that_fails_leaves_nothing(empty_database: Database) -> None:
    with empty_database.writing() as connection:
        connection.execute(sql("CREATE TABLE time_entry (mine TEXT)"))
        before = objects(connection)
    with pytest.raises(DatabaseFaultError):
        upgrade(empty_database)
    with empty_database.reading() as connection:
        assert objects(connection) == before
    assert not is_current(empty_database)


def one_posting() -> dict[str, object]:
    return {
        "site": "lyon",
        "member": "anna",
        "minutes": 60,
        "cause": "watch",
        "watch": "w-1",
        "at": MORNING,
    }


@pytest.fixture(params=["ledger", "time_entry"])
def guarded(request: pytest.FixtureRequest, database: Database) -> tuple[Database, Table]:
    """A table that claims to be append-only, with one row."""
    table, row = (ledger, one_entry()) if request.param == "ledger" else (time_entry, one_posting())
    with database.writing() as connection:
        connection.execute(insert(table), [row])
    return database, table


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE {0} SET site = 'paris'",
        "UPDATE {0} SET id = id + 1",
        "DELETE FROM {0}",
        "INSERT INTO {0} SELECT * FROM {0} WHERE true ON CONFLICT (id) DO UPDATE SET site = 'x'",
    ],
)
def test_what_is_append_only_refuses_changes(guarded: tuple[Database, Table], change: str) -> None:
    database, table = guarded
    before = rows_of(database, table)
    with pytest.raises(ConflictError, match="append-only"), database.writing() as connection:
        connection.execute(sql(change.format(table.name)))
    assert rows_of(database, table) == before


@pytest.mark.parametrize("change", ["TRUNCATE {0}", "TRUNCATE {0} RESTART IDENTITY CASCADE"])
def test_what_is_append_only_refuses_to_be_truncated(
    guarded: tuple[Database, Table], change: str
) -> None:
    database, table = guarded
    if database.is_sqlite:
        pytest.skip("SQLite has no TRUNCATE")
    with pytest.raises(ConflictError, match="append-only"), database.writing() as connection:
        connection.execute(sql(change.format(table.name)))
    assert len(rows_of(database, table)) == 1


@pytest.mark.parametrize(
    "change",
    ["INSERT OR REPLACE INTO {0} SELECT * FROM {0}", "REPLACE INTO {0} SELECT * FROM {0}"],
)
def test_what_is_append_only_refuses_to_be_replaced(
    guarded: tuple[Database, Table], change: str
) -> None:
    database, table = guarded
    if not database.is_sqlite:
        pytest.skip("PostgreSQL has no INSERT OR REPLACE")
    before = rows_of(database, table)
    with pytest.raises(ConflictError, match="append-only"), database.writing() as connection:
        connection.execute(sql(change.format(table.name)))
    assert rows_of(database, table) == before


def rows_of(database: Database, table: Table) -> list[tuple[object, ...]]:
    with database.reading() as connection:
        return [tuple(row) for row in connection.execute(select(table))]


def test_a_purge_passes_with_its_permit(with_one_entry: Database) -> None:
    with with_one_entry.writing() as connection:
        connection.execute(sql("INSERT INTO purge_permit (id) VALUES (1)"))
        connection.execute(sql("UPDATE ledger SET member = NULL"))
        connection.execute(sql("DELETE FROM ledger"))
        connection.execute(sql("DELETE FROM purge_permit"))
    with with_one_entry.writing() as connection:
        added = connection.execute(insert(ledger).returning(ledger.c.id), one_entry()).scalar_one()
    assert added == 2, "ids are not used again"


def test_tables_of_other_modules_belong_to_the_schema() -> None:
    assert sessions.web_session.metadata is metadata
    assert looks.look.metadata is metadata
    assert calendar_addresses.calendar_address.metadata is metadata
    assert api_tokens.api_token.metadata is metadata
    assert api_requests.api_request.metadata is metadata


def test_every_table_says_what_it_is_for() -> None:
    assert [table.name for table in metadata.tables.values() if not table.comment] == []


@pytest.fixture
def raw(database_url: str) -> Iterator[Database]:
    with closing(open_database(database_url)) as database:
        yield database


def test_two_programs_that_upgrade_at_once_do_it_once(
    empty_database: Database, raw: Database
) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(upgrade, [empty_database, raw]))
    assert is_current(raw)
