"""The schema: migrations lead to it from nothing, and the ledger can only grow."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, insert
from sqlalchemy import text as sql

from server import api_requests, api_tokens, calendar_addresses, sessions
from server.database import ConflictError, Database, DatabaseFaultError, open_database
from server.schema import ledger, metadata
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
    plain = {name: " ".join((text or "").split()) for name, text in rows}
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


@pytest.mark.parametrize("change", ["UPDATE ledger SET body = 'x'", "DELETE FROM ledger"])
def test_the_ledger_refuses_changes(with_one_entry: Database, change: str) -> None:
    with pytest.raises(ConflictError, match="append-only"), with_one_entry.writing() as connection:
        connection.execute(sql(change))
    with with_one_entry.reading() as connection:
        assert connection.execute(sql("SELECT body FROM ledger")).scalars().all() == ["{}"]


def test_the_ledger_refuses_to_be_truncated(with_one_entry: Database) -> None:
    if with_one_entry.is_sqlite:
        pytest.skip("SQLite has no TRUNCATE")
    with pytest.raises(ConflictError, match="append-only"), with_one_entry.writing() as connection:
        connection.execute(sql("TRUNCATE ledger"))


def test_replacing_an_entry_is_refused(with_one_entry: Database) -> None:
    if not with_one_entry.is_sqlite:
        pytest.skip("PostgreSQL has no INSERT OR REPLACE")
    with pytest.raises(ConflictError, match="append-only"), with_one_entry.writing() as connection:
        connection.execute(insert(ledger).prefix_with("OR REPLACE"), [one_entry() | {"body": "x"}])


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
