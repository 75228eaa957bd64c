"""Bring an installation's database to the newest schema, with Alembic, configured here in code."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy import text as sql

from server.database import Database

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
# Two programs that start together upgrade one after the other. SQLite sees to it by itself.
_UPGRADE_LOCK: Final = sql("SELECT pg_advisory_xact_lock(7310577114)")


def upgrade(database: Database) -> None:
    """Bring the database to the newest schema, from any older one or from nothing.

    One transaction: it is done whole or not at all. Blocks until it is done; a database that is
    current already is only read.

    Raises:
        DatabaseError: not now; nothing was changed.
        DatabaseFaultError: the database holds something else than gardien's tables.
    """
    if is_current(database):
        return
    with database.writing() as connection:
        if not database.is_sqlite:
            connection.execute(_UPGRADE_LOCK)
        if _revision(connection) != newest():
            command.upgrade(_config(connection), "head")


def is_current(database: Database) -> bool:
    """Whether the database has the newest schema.

    Raises:
        DatabaseError: not now.
    """
    with database.reading() as connection:
        return _revision(connection) == newest()


def newest() -> str | None:
    """Name the newest revision."""
    return ScriptDirectory(str(_MIGRATIONS)).get_current_head()


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
