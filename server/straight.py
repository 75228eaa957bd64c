"""Statements that a badge waits for, straight to SQLite's driver.

SQLAlchemy writes their SQL, once: to run one through it costs several times what the driver needs.
PostgreSQL's go through it all the same, since there the way to the server is what costs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Dialect, Insert, Update

Values = Mapping[str, Any]
"""What a row has, by the names of the statement's parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """A statement as SQLite's driver takes it: values by their place, each made ready for it."""

    sql: str
    places: tuple[tuple[str, Callable[[Any], Any] | None], ...]

    def row(self, values: Values) -> tuple[Any, ...]:
        return tuple(
            values[name] if make is None else make(values[name]) for name, make in self.places
        )


class Straight:
    """One statement that inserts or changes rows.

    Args:
        statement: has a parameter for each value.
        columns: those that an insertion sets.
    """

    def __init__(self, statement: Insert | Update, columns: Sequence[str] | None = None) -> None:
        self._statement: Final = statement
        self._columns: Final = columns
        self._written: _Written | None = None

    def run(self, connection: Connection, rows: Sequence[Values]) -> int:
        """Run it for each of some rows; blocks for the database.

        Args:
            connection: of a transaction that writes; it makes ours of the driver's errors.
            rows: at least one.

        Returns:
            How many rows an update has changed; what it gives for an insertion says nothing.
        """
        if connection.dialect.name != "sqlite":
            one_or_all = rows[0] if len(rows) == 1 else rows
            return connection.execute(self._statement, one_or_all).rowcount
        if self._written is None:
            self._written = self._write(connection.dialect)
        driver: Any = connection.connection.dbapi_connection
        changed: int = driver.executemany(self._written.sql, map(self._written.row, rows)).rowcount
        return changed

    def _write(self, dialect: Dialect) -> _Written:
        compiled: Any = self._statement.compile(dialect=dialect, column_keys=self._columns)
        return _Written(
            sql=str(compiled),
            places=tuple(
                (name, compiled.binds[name].type.bind_processor(dialect))
                for name in compiled.positiontup
            ),
        )
