"""Bring an installation's database to the newest schema, with Alembic, configured here in code."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, inspect
from sqlalchemy import text as sql

from server.database import Database, DatabaseFaultError

_log = logging.getLogger(__name__)

Advance = Callable[[int], None]
Show = Callable[[str, int], AbstractContextManager[Advance]]
"""Shows how far something has come: told what is done and in how many steps, and then each step."""

_SAMPLE: Final = 20_000
"""How many records are read to learn how long a pass over all of them takes."""

_PASS: Final = 2.0
"""How much longer than reading a pass takes that makes an index of what it reads.

On SQLite, with ten million records, between 0.7 and 2.3 times.
"""

_MINUTE_S: Final = 60

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
# Two programs that start together upgrade one after the other. SQLite sees to it by itself.
_UPGRADE_LOCK: Final = sql("SELECT pg_advisory_xact_lock(7310577114)")


@contextmanager
def unseen(title: str, steps: int) -> Iterator[Advance]:  # noqa: ARG001 (as `Show` has them)
    """Show nothing."""
    yield lambda _: None


def upgrade(database: Database, show: Show = unseen, to: str | None = None) -> None:
    """Bring the database to the newest schema, from any older one or from nothing.

    One transaction: it is done whole or not at all. Blocks until it is done; a database that is
    current already is only read.

    Args:
        database: to bring there.
        show: shows how far it has come, and about how long it will take.
        to: an older revision to bring it to, where that is wanted.

    Raises:
        DatabaseError: not now; nothing was changed.
        DatabaseFaultError: the database holds something else than gardien's tables, or a newer
            version of gardien has used it.
    """
    wanted = to or newest()
    if revision_of(database) == wanted:
        return
    with database.writing() as connection:
        if not database.is_sqlite:
            connection.execute(_UPGRADE_LOCK)
        steps = _steps(database.name, _revision(connection), wanted)
        if not steps:
            return
        title = f"bringing the database to its new form ({_extent(connection, steps)})"
        _log.info("%s", title, extra={"steps": len(steps)})
        with show(title, len(steps)) as advance:
            command.upgrade(_config(connection, advance), wanted or "head")


def is_current(database: Database) -> bool:
    """Whether the database has the newest schema.

    Raises:
        DatabaseError: not now.
        DatabaseFaultError: a newer version of gardien has used it.
    """
    revision = revision_of(database)
    _refuse_unknown(database.name, revision)
    return revision == newest()


def revision_of(database: Database) -> str | None:
    """Name the revision of a database; None where it has no tables yet.

    Raises:
        DatabaseError: not now.
    """
    with database.reading() as connection:
        return _revision(connection)


def newest() -> str | None:
    """Name the newest revision."""
    return ScriptDirectory(str(_MIGRATIONS)).get_current_head()


def _steps(name: str, revision: str | None, wanted: str | None) -> list[Script]:
    """Give the migrations that lead from a revision to another one."""
    _refuse_unknown(name, revision)
    scripts = ScriptDirectory(str(_MIGRATIONS))
    return list(scripts.iterate_revisions(wanted or "head", revision or "base"))


def _refuse_unknown(name: str, revision: str | None) -> None:
    """Make sure that this version knows a database's revision."""
    scripts = ScriptDirectory(str(_MIGRATIONS)).walk_revisions()
    if revision is not None and revision not in {script.revision for script in scripts}:
        raise DatabaseFaultError(
            f"{name}: a newer version of gardien has used it (its form is {revision}); install "
            "that version again, or restore the backup that was made before it"
        )


def _extent(connection: Connection, steps: Sequence[Script]) -> str:
    """Say how many records there are, and about how long the steps will take over them.

    Steps say by `LEDGER_PASSES` how often they go through the whole ledger; all else is quick.
    """
    if not inspect(connection).has_table("ledger"):
        return "a new one"
    records = int(connection.execute(sql("SELECT coalesce(max(id), 0) FROM ledger")).scalar_one())
    passes = sum(getattr(step.module, "LEDGER_PASSES", 0) for step in steps)
    about_s = _reading_s(connection, records) * _PASS * passes
    return f"{records:,} records, {about(about_s)}"


def _reading_s(connection: Connection, records: int) -> float:
    """Say how long it would take to read all records, by those that come first."""
    start = time.perf_counter()
    connection.execute(
        sql("SELECT max(length(body)) FROM (SELECT body FROM ledger ORDER BY id LIMIT :n) AS few"),
        {"n": _SAMPLE},
    ).scalar_one()
    return (time.perf_counter() - start) * records / min(_SAMPLE, max(1, records))


def about(length_s: float) -> str:
    """Say in a few words about how long something takes."""
    if length_s < 1:
        return "a moment"
    if length_s < 2 * _MINUTE_S:
        return f"about {length_s:.0f} s"
    return f"about {length_s / _MINUTE_S:.0f} min"


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config(connection: Connection, advance: Advance = lambda _: None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["advance"] = advance
    return config
