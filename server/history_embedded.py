"""The history in the database that is there anyway: SQLite or PostgreSQL, through SQLAlchemy."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    Engine,
    MetaData,
    PrimaryKeyConstraint,
    ScalarSelect,
    Select,
    String,
    Table,
    Text,
    delete,
    func,
    literal,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from access.ids import SiteId
from server.history import (
    DecisionCount,
    Flaw,
    HistoryRejected,
    HistoryUnavailable,
    Range,
    Retention,
    Sample,
    from_us,
    to_us,
    totals,
)
from server.history_points import Measurement, Point

history_metadata: Final = MetaData()
"""The schema of the history, for `prepare` and for migrations."""

history_point: Final = Table(
    "history_point",
    history_metadata,
    Column("measurement", String(16), nullable=False),
    Column("retention", String(8), nullable=False),
    Column("site", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False, comment="microseconds since 1970, UTC"),
    Column("tags", Text, nullable=False, comment="JSON, sorted by name: part of the key"),
    Column("fields", JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
    # In the order in which readings narrow down, so that each is one range of the index.
    PrimaryKeyConstraint(
        "measurement", "retention", "site", "at_us", "tags", name="pk_history_point"
    ),
    sqlite_with_rowid=False,
)

_DIALECTS: Final = frozenset({"sqlite", "postgresql"})


class EmbeddedHistory:
    """The history over an engine that somebody else made, shares and disposes of."""

    def __init__(self, engine: Engine) -> None:
        """Keep `engine`; nothing is connected yet.

        Raises:
            ValueError: it is neither SQLite nor PostgreSQL.
        """
        if engine.dialect.name not in _DIALECTS:
            raise ValueError(
                f"the embedded history needs SQLite or PostgreSQL, not {engine.dialect.name}"
            )
        self._engine = engine

    def __repr__(self) -> str:
        return f"EmbeddedHistory({self._engine.url.render_as_string(hide_password=True)})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def prepare(self) -> None:
        """Make the table when it is missing. See `History.prepare`."""
        with _our_errors("prepare the history"):
            history_metadata.create_all(self._engine, checkfirst=True)

    def flaws(self) -> list[Flaw]:
        """Find none: what is old is forgotten by the program itself. See `History.flaws`."""
        return []

    def is_ready(self) -> bool:
        """Whether the table is there. See `History.is_ready`."""
        try:
            with _our_errors("look for the history"), self._engine.connect() as connection:
                connection.execute(select(history_point.c.at_us).limit(1))
        except HistoryUnavailable:
            return False
        return True

    def write(self, points: Sequence[Point], *, retention: Retention = Retention.RAW) -> None:
        """Keep points, all in one transaction. See `History.write`."""
        if not points:
            return
        rows = [_row(point, retention) for point in points]
        with _our_errors("write points", len(rows)), self._engine.begin() as connection:
            connection.execute(self._upsert(), rows)

    def occupancy(
        self,
        site: SiteId,
        *,
        start: datetime,
        end: datetime,
        step: timedelta | None = None,
        retention: Retention = Retention.RAW,
    ) -> list[Sample]:
        """Read how many were inside. See `History.occupancy`."""
        asked = Range.of(site, start, end, step)
        query = _changes(asked, retention) if asked.step_us is None else _last(asked, retention)
        with _our_errors("read the occupancy"), self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [_sample(at_us, fields) for at_us, fields in rows]

    def decisions(
        self,
        site: SiteId,
        *,
        start: datetime,
        end: datetime,
        retention: Retention = Retention.RAW,
    ) -> list[DecisionCount]:
        """Count decisions. See `History.decisions`."""
        asked = Range.of(site, start, end)
        count = func.sum(history_point.c.fields["count"].as_integer())
        query = (
            select(history_point.c.tags, count)
            .where(*_within(Measurement.ACCESS, asked, retention))
            .group_by(history_point.c.tags)
        )
        with _our_errors("count decisions"), self._engine.connect() as connection:
            rows = connection.execute(query).all()
        found = [(_access_tags(tags), n) for tags, n in rows if n is not None]
        return totals((tags.reason, tags.granted, int(n)) for tags, n in found)

    def forget(self, before: datetime) -> int:
        """Delete raw points from before a time, as the rules ask for after 13 months. Blocks.

        InfluxDB does this by itself, by its retention policy. Hourly points stay.

        Args:
            before: the first instant to keep, aware.

        Returns:
            How many points were deleted.

        Raises:
            HistoryUnavailable: the store cannot be reached.
        """
        is_old = (
            history_point.c.retention == Retention.RAW.value,
            history_point.c.at_us < to_us(before),
        )
        with _our_errors("forget old points"), self._engine.begin() as connection:
            return connection.execute(delete(history_point).where(*is_old)).rowcount

    def close(self) -> None:
        """Do nothing: the engine belongs to whoever made it."""

    def _upsert(self) -> sqlite.Insert | postgresql.Insert:
        # Fields are merged, as InfluxDB merges them, so that both stores hold the same.
        key = history_point.primary_key
        if self._engine.dialect.name == "sqlite":
            lite = sqlite.insert(history_point)
            merged = func.json_patch(history_point.c.fields, lite.excluded.fields)
            return lite.on_conflict_do_update(index_elements=key, set_={"fields": merged})
        post = postgresql.insert(history_point)
        joined = history_point.c.fields.op("||")(post.excluded.fields)
        return post.on_conflict_do_update(index_elements=key, set_={"fields": joined})


@contextmanager
def _our_errors(doing: str, points: int = 0) -> Iterator[None]:
    """Turn the errors of SQLAlchemy and its drivers into ours; only points can be refused."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        if points and isinstance(error, DataError | IntegrityError):
            # All of them: the transaction that they share was rolled back.
            message = f"the database will never {doing}: {cause}"
            raise HistoryRejected(message, dropped=points) from error
        raise HistoryUnavailable(f"the database cannot {doing} now: {cause}") from error


def _row(point: Point, retention: Retention) -> Mapping[str, object]:
    return {
        "measurement": point.measurement.value,
        "retention": retention.value,
        "site": point.tags["site"],
        "at_us": to_us(point.at),
        "tags": msgspec.json.encode(dict(point.tags)).decode(),
        "fields": dict(point.fields),
    }


def _within(
    measurement: Measurement, asked: Range, retention: Retention
) -> tuple[ColumnElement[bool], ...]:
    return (
        *_of(measurement, asked, retention),
        history_point.c.at_us >= asked.start_us,
        history_point.c.at_us < asked.end_us,
    )


def _of(
    measurement: Measurement, asked: Range, retention: Retention
) -> tuple[ColumnElement[bool], ...]:
    return (
        history_point.c.measurement == measurement.value,
        history_point.c.retention == retention.value,
        history_point.c.site == asked.site,
    )


def _changes(asked: Range, retention: Retention) -> Select[tuple[int, Any]]:
    return (
        select(history_point.c.at_us, history_point.c.fields)
        .where(*_within(Measurement.OCCUPANCY, asked, retention))
        .order_by(history_point.c.at_us)
    )


def _last(asked: Range, retention: Retention) -> Select[tuple[int, Any]]:
    """Give the last row of each step, with the time that its step starts.

    Goes from the last row of a step straight to that of the step before it which has one, so that a
    month costs the same in a place where much happens as where little does.
    """
    at_us = history_point.c.at_us
    is_first = at_us >= asked.start_us
    ends = literal(asked.end_us, BigInteger)
    lasts = select(_one(at_us, asked, retention, is_first, at_us < ends).label("at_us")).cte(
        "lasts", recursive=True
    )
    before = _one(at_us, asked, retention, is_first, at_us < _begins(asked, lasts.c.at_us))
    lasts = lasts.union_all(select(before).where(lasts.c.at_us.is_not(None)))
    fields = _one(history_point.c.fields, asked, retention, at_us == lasts.c.at_us)
    return (
        select(_begins(asked, lasts.c.at_us), fields)
        .where(lasts.c.at_us.is_not(None))
        .order_by(lasts.c.at_us)
    )


def _begins(asked: Range, at_us: ColumnElement[int]) -> ColumnElement[int]:
    """Give the time that the step starts in which another time lies."""
    return asked.start_us + (at_us - asked.start_us) // asked.step_us * asked.step_us


def _one(
    column: ColumnElement[Any], asked: Range, retention: Retention, *where: ColumnElement[bool]
) -> ScalarSelect[Any]:
    """Give a column of the latest row of a site's occupancy that fits; nothing if none does.

    A bound is given once: of two upper ones, the index may be searched by the wrong one.
    """
    return (
        select(column)
        .where(*_of(Measurement.OCCUPANCY, asked, retention), *where)
        .order_by(history_point.c.at_us.desc())
        .limit(1)
        .correlate_except(history_point)
        .scalar_subquery()
    )


def _sample(at_us: int, fields: Mapping[str, int]) -> Sample:
    return msgspec.convert({**fields, "at": from_us(at_us)}, Sample)


class _AccessTags(msgspec.Struct):
    reason: str
    granted: str


def _access_tags(text: str) -> _AccessTags:
    return msgspec.json.decode(text, type=_AccessTags)
