"""The databases that the tests of the server run on: SQLite, and PostgreSQL where there is one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine
from sqlalchemy import text as sql

from server.database import Database, open_database
from server.upgrade import upgrade


@contextmanager
def postgres_schema(url: str) -> Iterator[str]:
    """Make a schema of one's own; give a URL whose tables are made in it; drop it afterwards."""
    name = f"test_{uuid4().hex}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sql(f"CREATE SCHEMA {name}"))
    try:
        yield f"{url}&options=-csearch_path%3D{name}"
    finally:
        with engine.connect() as connection:
            connection.execute(sql(f"DROP SCHEMA {name} CASCADE"))
        engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of the test's own, without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'gardien.db'}"
    else:
        with postgres_schema(request.getfixturevalue("postgres_url")) as url:
            yield url


@pytest.fixture
def empty_database(database_url: str) -> Iterator[Database]:
    """An open database without tables."""
    with open_database(database_url) as database:
        yield database


@pytest.fixture
def database(empty_database: Database) -> Database:
    """An open database with the newest schema."""
    upgrade(empty_database)
    return empty_database
