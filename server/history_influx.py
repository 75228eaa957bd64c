"""The history in InfluxDB 1.6 to 3: points go out as line protocol, readings are InfluxQL.

Points always carry nanoseconds. Only SELECT and SHOW go by GET, so that a user who may only read
is enough for reading. 1.6 would do more by GET, a DROP DATABASE even, so nothing else is sent.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self, TypeVar

from access.ids import SiteId
from server import history_influxql as influxql
from server.history import (
    DecisionCount,
    Flaw,
    HistoryRejected,
    HistoryUnavailable,
    Range,
    Retention,
    Sample,
    totals,
)
from server.history_influx_client import InfluxClient, InfluxSettings
from server.history_points import Point

Found = TypeVar("Found")


class _Budget:
    """The time that a reading may still take, over all its requests."""

    def __init__(self, total_s: float) -> None:
        self._total_s = total_s
        self._ends_at = time.monotonic() + total_s

    def left_s(self) -> float:
        """Give the seconds left.

        Raises:
            HistoryUnavailable: none are.
        """
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            raise HistoryUnavailable(
                f"InfluxDB did not answer within {self._total_s} s; ask for a shorter time"
            )
        return left_s


class InfluxHistory:
    """The history in InfluxDB. Connects at the first call; safe to use from several threads."""

    def __init__(self, settings: InfluxSettings) -> None:
        self._settings = settings
        self._client = InfluxClient(settings)

    def __repr__(self) -> str:
        return f"InfluxHistory({self._settings!r})"

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
        """Make the database and its retention policies where InfluxQL can. See `History.prepare`.

        1.x only. On 2.x the buckets `gardien/raw` and `gardien/hourly` are made by hand; 3 makes
        its databases at the first write.

        Raises:
            HistoryForbidden: something is missing and the user may not make it.
            HistoryUnavailable: the server cannot be reached.
        """
        if not self._client.version().has_management:
            return
        database = self._settings.database
        if database not in self._show(influxql.show_databases()):
            self._manage(influxql.create_database(database))
        there = self._show(influxql.show_retentions(database))
        for retention in Retention:
            if retention.value not in there:
                self._manage(influxql.create_retention(database, retention))

    def flaws(self) -> list[Flaw]:
        """Compare the retention policies with what they should be, on 1.x. See `History.flaws`."""
        if not self._client.version().has_management:
            return []
        database = self._settings.database
        answer = self._client.query(
            "GET", influxql.show_retentions(database), [], self._settings.timeout_s
        )
        wrong = self._checked_found(influxql.wrong_durations, self._checked(answer))
        return [
            Flaw(
                retention=retention,
                kept=kept,
                mend=influxql.alter_retention(database, retention)
                if kept
                else influxql.create_retention(database, retention),
            )
            for retention, kept in wrong.items()
        ]

    def is_ready(self) -> bool:
        """Whether the server answers, lets us in and has the database. See `History.is_ready`."""
        try:
            budget = _Budget(self._settings.timeout_s)
            for retention in Retention:
                self._read(influxql.select_anything(), budget, retention)
        except HistoryUnavailable:
            return False
        return True

    def write(self, points: Sequence[Point], *, retention: Retention = Retention.RAW) -> None:
        """Keep points, in batches, each tried a few times. See `History.write`."""
        size = self._settings.batch_points
        batches = [points[first : first + size] for first in range(0, len(points), size)]
        refused = [why for batch in batches if (why := self._write_batch(batch, retention))]
        if refused:
            dropped = sum(why.dropped for why in refused)
            raise HistoryRejected(
                f"InfluxDB dropped {dropped} of {len(points)} points: {refused[0]}",
                dropped=dropped,
            ) from refused[0]

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
        budget = _Budget(self._settings.timeout_s)
        # By time, because a step may begin in one window and have its last value in the next.
        found: dict[datetime, Sample] = {}
        for window in influxql.windows(asked):
            answer = self._read(influxql.select_occupancy(window, asked), budget, retention)
            found.update((sample.at, sample) for sample in self._found(influxql.samples, answer))
        return list(found.values())

    def decisions(
        self,
        site: SiteId,
        *,
        start: datetime,
        end: datetime,
        retention: Retention = Retention.RAW,
    ) -> list[DecisionCount]:
        """Count decisions. See `History.decisions`."""
        budget = _Budget(self._settings.timeout_s)
        return totals(
            count
            for window in influxql.windows(Range.of(site, start, end))
            for count in self._found(
                influxql.decision_counts,
                self._read(influxql.select_decisions(window), budget, retention),
            )
        )

    def close(self) -> None:
        """Let go of connections. See `History.close`."""
        self._client.close()

    def _write_batch(self, points: Sequence[Point], retention: Retention) -> HistoryRejected | None:
        """Store one batch; a refusal is handed back, so that the next batches are still tried."""
        try:
            self._client.write(points, retention)
        except HistoryRejected as refused:
            return refused
        return None

    def _read(self, statement: str, budget: _Budget, retention: Retention) -> influxql.Answer:
        params = [("db", self._settings.database), ("rp", retention.value)]
        return self._checked(self._client.query("GET", statement, params, budget.left_s()))

    def _show(self, statement: str) -> list[str]:
        answer = self._client.query("GET", statement, [], self._settings.timeout_s)
        return self._found(influxql.names, self._checked(answer))

    def _manage(self, statement: str) -> None:
        self._checked(self._client.query("POST", statement, [], self._settings.write_timeout_s))

    def _checked(self, answer: influxql.Answer) -> influxql.Answer:
        if (error := answer.first_error) is not None:
            raise HistoryUnavailable(f"InfluxDB at {self._settings.url} says: {error}")
        if answer.is_partial:
            raise HistoryUnavailable(
                f"InfluxDB at {self._settings.url} stopped in the middle of an answer"
            )
        return answer

    def _found(
        self, parse: Callable[[influxql.Answer], Iterator[Found]], answer: influxql.Answer
    ) -> list[Found]:
        """Take what was asked for out of an answer, which may come from something else."""
        return self._checked_found(lambda given: list(parse(given)), answer)

    def _checked_found(
        self, parse: Callable[[influxql.Answer], Found], answer: influxql.Answer
    ) -> Found:
        try:
            return parse(answer)
        except (KeyError, ValueError) as error:
            # VictoriaMetrics answers every question with its list of databases, for one.
            raise HistoryUnavailable(
                f"what is at {self._settings.url} does not answer as InfluxDB does"
            ) from error
