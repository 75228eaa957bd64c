"""All that is in one database, copied into another: from SQLite to PostgreSQL, or back.

The copy goes in batches, each of them committed, in the order of each table's key. So one that was
broken off, at whatever point, goes on where it was when it is begun again. Until it is whole, a
table of its own marks the database that is being filled, and no installation opens it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    MetaData,
    Table,
    Text,
    func,
    insert,
    inspect,
    literal,
    select,
    update,
)
from sqlalchemy import text as sql

from server import notifier_queue, schema
from server.database import Database
from server.history_embedded import history_point
from server.tables import metadata
from server.upgrade import upgrade

BATCH: Final = 2_000
"""How many rows are copied in one transaction."""

CURSOR_TABLES: Final[Sequence[Table]] = (*notifier_queue.TABLES, history_point)
"""What SQLite has in a file beside the ledger's: see `Installation.open_history`."""

_MARK: Final = Table(
    "unfinished_restore",
    MetaData(),
    Column("source", Text, primary_key=True),
    Column("is_whole", Boolean, nullable=False),
)

Advance = Callable[[int], object]


class MoveError(RuntimeError):
    """The database can't be filled, or is not what it was filled from."""


def ledger_tables() -> list[Table]:
    """Give all tables of the registry and the ledger, those first that others refer to."""
    return [table for table in metadata.sorted_tables if table not in CURSOR_TABLES]


def count_rows(database: Database, tables: Sequence[Table]) -> int:
    """Give how many rows there are to copy."""
    with database.reading() as connection:
        return sum(_count(connection, table) for table in _present(connection, tables))


def begin_filling(target: Database, source: str) -> None:
    """Make the tables in a database that is empty, or that an earlier try from `source` began.

    Args:
        target: what is to be filled.
        source: a name of what it is filled from, the same for the same content.

    Raises:
        MoveError: something else is in it.
        DatabaseError: not now.
    """
    with target.writing() as connection:
        names = set(inspect(connection).get_table_names())
        if _MARK.name in names:
            begun = connection.scalars(select(_MARK.c.source)).all()
            if list(begun) != [source]:
                raise MoveError(
                    f"{target.name}: another backup was being restored into it; go on with that "
                    "one, or empty the database first"
                )
        elif names & {table.name for table in (*ledger_tables(), *CURSOR_TABLES)}:
            raise MoveError(f"{target.name}: an installation is in it already; name an empty one")
        else:
            _MARK.create(connection)
            connection.execute(insert(_MARK), {"source": source, "is_whole": False})
    upgrade(target)
    make_cursor_tables(target)


def make_cursor_tables(database: Database) -> None:
    """Make what SQLite has in a file of its own, where it is missing."""
    with database.writing() as connection:
        for table in CURSOR_TABLES:
            table.create(connection, checkfirst=True)


def fill(
    source: Connection, target: Database, tables: Sequence[Table], advance: Advance = lambda _: None
) -> None:
    """Copy the rows of some tables that are not there yet; blocks until they are committed.

    Args:
        source: a connection that sees one moment.
        target: where to; nobody else writes to it.
        tables: those first that others refer to.
        advance: is told how many more rows are there, those of an earlier try among them.

    Raises:
        MoveError: a table has what this version of gardien does not know.
        DatabaseError: not now; what was committed stays, and another try goes on from there.
    """
    for table in _present(source, tables):
        with target.reading() as connection:
            done = _count(connection, table)
        advance(done)
        rest = select(*_columns(source, table)).order_by(*table.primary_key.columns).offset(done)
        rows = source.execute(rest, execution_options={"yield_per": BATCH})
        for batch in rows.mappings().partitions():
            with target.writing() as connection:
                connection.execute(insert(table), [dict(row) for row in batch])
            advance(len(batch))


def check_filled(sources: Sequence[tuple[Connection, Sequence[Table]]], target: Database) -> None:
    """Compare what is there with what it came from, and let its numbers go on. Blocks.

    Raises:
        MoveError: they differ.
        DatabaseError: not now.
    """
    with target.writing() as connection:
        for source, tables in sources:
            for table in _present(source, tables):
                _compare(source, connection, table)
                _go_on_counting(source, connection, table)


def mark_whole(target: Database) -> None:
    """Say that all is there, and was compared: it may be used from now on."""
    with target.writing() as connection:
        connection.execute(update(_MARK).values(is_whole=True))


def refuse_unfinished(database: Database) -> None:
    """Make sure that a database is not one that a restore was broken off in.

    SQLite's never is: a file has its name when it is whole.

    Raises:
        MoveError: it is.
        DatabaseError: not now.
    """
    if database.is_sqlite:
        return
    with database.reading() as connection:
        is_marked = inspect(connection).has_table(_MARK.name)
        if is_marked and not all(connection.scalars(select(_MARK.c.is_whole))):
            raise MoveError(
                f"{database.name}: the restore of a backup into it was broken off; type the same "
                "command again, and it goes on"
            )


def end_filling(target: Database) -> None:
    """Take away the mark of a database that is being filled."""
    with target.writing() as connection:
        _MARK.drop(connection, checkfirst=True)


def _present(connection: Connection, tables: Sequence[Table]) -> list[Table]:
    names = set(inspect(connection).get_table_names())
    return [table for table in tables if table.name in names]


def _columns(connection: Connection, table: Table) -> list[Column[Any]]:
    """Give the columns that a table has: of an older form, it may lack some."""
    names = {column["name"] for column in inspect(connection).get_columns(table.name)}
    if unknown := sorted(names - set(table.columns.keys())):
        raise MoveError(
            f"{table.name} has {', '.join(unknown)}, which this version of gardien does not know; "
            "use the version that made it"
        )
    return [column for column in table.columns if column.name in names]


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _compare(source: Connection, target: Connection, table: Table) -> None:
    """See that there are as many rows, and the same ends of the chains."""
    theirs, ours = _count(source, table), _count(target, table)
    if theirs != ours:
        raise MoveError(f"{table.name}: {ours} rows of {theirs} are there; empty it, and try again")
    if table is schema.ledger and _heads(source) != _heads(target):
        raise MoveError("the ends of the chains differ; empty the database, and try again")


def _heads(connection: Connection) -> list[tuple[Any, ...]]:
    """Give the last record of each chain, in order."""
    ledger = schema.ledger
    last = (
        select(ledger.c.site, ledger.c.source, func.max(ledger.c.seq).label("seq"))
        .group_by(ledger.c.site, ledger.c.source)
        .subquery()
    )
    found = connection.execute(
        select(ledger.c.site, ledger.c.source, ledger.c.seq, ledger.c.body).join(
            last,
            (ledger.c.site == last.c.site)
            & (ledger.c.source == last.c.source)
            & (ledger.c.seq == last.c.seq),
        )
    )
    return sorted(tuple(row) for row in found)


def _go_on_counting(source: Connection, target: Connection, table: Table) -> None:
    """Let the numbers that the database gives go on: none that was purged is given again."""
    column = table.autoincrement_column
    if column is None:
        return
    last = max(_last_given(source, table, column), _highest(target, column))
    if last and target.dialect.name == "postgresql":
        target.execute(select(func.setval(_sequence(table, column), last)))
    elif last and table.dialect_options["sqlite"]["autoincrement"]:
        target.execute(
            sql("UPDATE sqlite_sequence SET seq = :last WHERE name = :name AND seq < :last"),
            {"last": last, "name": table.name},
        )
        target.execute(
            sql(
                "INSERT INTO sqlite_sequence (name, seq) SELECT :name, :last"
                " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = :name)"
            ),
            {"last": last, "name": table.name},
        )


def _highest(connection: Connection, column: Column[Any]) -> int:
    return int(connection.execute(select(func.max(column))).scalar_one() or 0)


def _last_given(connection: Connection, table: Table, column: Column[Any]) -> int:
    """Give the last number that the database gave, of a row that may be gone since."""
    if connection.dialect.name == "postgresql":
        sequence = connection.execute(select(_sequence(table, column))).scalar_one()
        given = sql(f"SELECT last_value, is_called FROM {sequence}")  # noqa: S608 (its own name)
        last, is_called = connection.execute(given).one()
        return int(last) if is_called else 0
    if not table.dialect_options["sqlite"]["autoincrement"]:
        return 0
    found = connection.execute(
        sql("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table.name}
    )
    return int(found.scalar() or 0)


def _sequence(table: Table, column: Column[Any]) -> Any:  # noqa: ANN401 (an expression in SQL)
    return func.pg_get_serial_sequence(literal(table.name), literal(column.name))
