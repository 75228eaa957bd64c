"""What is said to InfluxDB and what it answers: InfluxQL, which 1.6 to 3 all speak, and its JSON.

Facts from docs.influxdata.com: InfluxQL reference, `/query` and `/write` of the 1.x API, and the
1.x compatibility pages of 2.x and 3.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

import msgspec

from server.history import RAW_KEPT, Range, Retention, Sample, from_us
from server.history_points import Measurement

SAMPLE_FIELDS: Final = ("present", "margin", "members", "guests", "capacity")

_WINDOW_US: Final = 71 * 3600 * 1_000_000  # InfluxDB 3 Core answers for 72 hours at most
_VERSION: Final = re.compile(r"^v?(\d+)\.(\d+)")
_DROPPED: Final = re.compile(r"dropped=(\d+)")
_DURATIONS: Final = {Retention.RAW: f"{RAW_KEPT.days}d", Retention.HOURLY: "INF"}
_DURATIONS_SHOWN: Final = {
    Retention.RAW: f"{RAW_KEPT.days * 24}h0m0s",
    Retention.HOURLY: "0s",
}
_SHARDS: Final = {Retention.RAW: "7d", Retention.HOURLY: "91d"}

Cell = int | float | str | bool | None


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Version:
    """What a server says it is. 0.0 says nothing, and is then asked only what all can do."""

    major: int = 0
    minor: int = 0

    @classmethod
    def of(cls, text: str | None) -> Self:
        """Read the header `X-Influxdb-Version`: `1.6.7~rc0`, `v2.7.1`, or nothing."""
        found = _VERSION.match(text or "")
        return cls(major=int(found[1]), minor=int(found[2])) if found else cls()

    @property
    def has_v2_write(self) -> bool:
        """Whether `/api/v2/write` is there."""
        return (self.major, self.minor) >= (1, 8)

    @property
    def has_management(self) -> bool:
        """Whether databases and retention policies are made in InfluxQL."""
        return self.major == 1


class Series(msgspec.Struct, frozen=True):
    """One table of an answer."""

    columns: list[str] = []
    values: list[list[Cell]] = []
    tags: dict[str, str] = {}


class Result(msgspec.Struct, frozen=True):
    """What one statement gave."""

    series: list[Series] = []
    error: str | None = None
    partial: bool = False


class Answer(msgspec.Struct, frozen=True):
    """The answer of `/query`."""

    results: list[Result] = []
    error: str | None = None

    @property
    def first_error(self) -> str | None:
        """What went wrong, if anything did: the answer's status is 200 all the same."""
        return self.error or next((one.error for one in self.results if one.error), None)

    @property
    def is_partial(self) -> bool:
        """Whether more was to come after the last chunk."""
        return bool(self.results) and self.results[-1].partial

    def series(self) -> Iterator[Series]:
        """Give each table in order."""
        for result in self.results:
            yield from result.series


_DECODER: Final = msgspec.json.Decoder(Answer)


class Refusal(msgspec.Struct, frozen=True):
    """The body of an answer that is not 2xx: `error` in 1.x and 3, `message` in 2.x."""

    error: str | None = None
    message: str | None = None


def answer(body: bytes) -> Answer:
    """Put the chunks of an answer together.

    Answers are asked for in chunks, one JSON object a line: whole ones are cut short by the
    server's `max-row-limit`, and 1.6 marks them as partial from 10,000 rows on, cut or not.

    Raises:
        msgspec.DecodeError: it is not an answer of `/query`.
    """
    chunks = _DECODER.decode_lines(body)
    error = next((one.error for one in chunks if one.error), None)
    return Answer(results=[result for one in chunks for result in one.results], error=error)


def refusal_text(body: bytes | str | None, otherwise: str) -> str:
    """Give the server's own words for an error, 300 characters at most."""
    try:
        refusal = msgspec.json.decode(body or b"", type=Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return otherwise[:300]
    return (refusal.error or refusal.message or otherwise)[:300]


def dropped(text: str) -> int | None:
    """How many points a partial write says that it dropped; None when it is not one."""
    found = _DROPPED.search(text)
    return int(found[1]) if found and "partial write" in text else None


def windows(asked: Range) -> Iterator[Range]:
    """Cut a range into pieces of less than 72 hours, in order."""
    for start_us in range(asked.start_us, asked.end_us, _WINDOW_US):
        end_us = min(start_us + _WINDOW_US, asked.end_us)
        yield Range(site=asked.site, start_us=start_us, end_us=end_us, step_us=asked.step_us)


def select_occupancy(window: Range, asked: Range) -> str:
    """Ask for every change in a window, or for the last of each of its steps.

    Steps are counted from the start of what was asked for, not of the window.
    """
    if window.step_us is None:
        fields = ", ".join(f'"{name}"' for name in SAMPLE_FIELDS)
        return f"SELECT {fields} {_where(Measurement.OCCUPANCY, window)}"
    fields = ", ".join(f'last("{name}") AS "{name}"' for name in SAMPLE_FIELDS)
    steps = f"time({window.step_us}u, {asked.start_us % window.step_us}u)"
    where = _where(Measurement.OCCUPANCY, window)
    return f"SELECT {fields} {where} GROUP BY {steps} fill(none)"


def select_decisions(window: Range) -> str:
    """Ask for the number of decisions by reason and answer."""
    where = _where(Measurement.ACCESS, window)
    return f'SELECT sum("count") AS "count" {where} GROUP BY "reason", "granted"'


def select_anything() -> str:
    """Ask for next to nothing: it fails when the database cannot be read."""
    return 'SELECT "present" FROM "occupancy" WHERE time > now() - 1m LIMIT 1'


def show_databases() -> str:
    """Ask which databases there are."""
    return "SHOW DATABASES"


def show_retentions(database: str) -> str:
    """Ask which retention policies a database has."""
    return f"SHOW RETENTION POLICIES ON {_name(database)}"


def create_database(database: str) -> str:
    """Make a database."""
    return f"CREATE DATABASE {_name(database)}"


def create_retention(database: str, retention: Retention) -> str:
    """Make a retention policy; the raw one is where writes go that name none."""
    default = " DEFAULT" if retention is Retention.RAW else ""
    return (
        f"CREATE RETENTION POLICY {_name(retention.value)} ON {_name(database)} "
        f"DURATION {_DURATIONS[retention]} REPLICATION 1 "
        f"SHARD DURATION {_SHARDS[retention]}{default}"
    )


def alter_retention(database: str, retention: Retention) -> str:
    """Have a retention policy keep points for as long as it should."""
    return (
        f"ALTER RETENTION POLICY {_name(retention.value)} ON {_name(database)} "
        f"DURATION {_DURATIONS[retention]}"
    )


def wrong_durations(shown: Answer) -> dict[Retention, str]:
    """Find the retention policies that keep points for another time than they should.

    Args:
        shown: what `show_retentions` gave.

    Returns:
        For how long each keeps them, or "ever"; an empty text where there is no such policy.
    """
    found: dict[str, str] = {}
    for one in shown.series():
        name, duration = one.columns.index("name"), one.columns.index("duration")
        found |= {str(row[name]): str(row[duration]) for row in one.values}
    kept = {retention: found.get(retention.value, "") for retention in Retention}
    wrong = {one: shown for one, shown in kept.items() if shown != _DURATIONS_SHOWN[one]}
    return {one: "ever" if shown == "0s" else shown for one, shown in wrong.items()}


def names(shown: Answer) -> Iterator[str]:
    """Give the names that a SHOW statement lists."""
    for one in shown.series():
        column = one.columns.index("name")
        yield from (str(row[column]) for row in one.values)


def samples(given: Answer) -> Iterator[Sample]:
    """Give the samples of an answer in order; rows that others wrote in part are left out."""
    for one in given.series():
        for row in one.values:
            cells = dict(zip(one.columns, row, strict=True))
            time_ns = cells.pop("time")
            if isinstance(time_ns, int) and None not in cells.values():
                at = from_us(time_ns // 1000)
                yield msgspec.convert({**cells, "at": at}, Sample)


def decision_counts(given: Answer) -> Iterator[tuple[str, str, int]]:
    """Give reason, `granted` and number for each group of an answer."""
    for one in given.series():
        column = one.columns.index("count")
        for row in one.values:
            cell = row[column]
            if isinstance(cell, int):
                yield one.tags["reason"], one.tags["granted"], cell


def _where(measurement: Measurement, window: Range) -> str:
    return (
        f'FROM {_name(measurement.value)} WHERE "site" = {_text(window.site)} '
        f"AND time >= {window.start_us * 1000} AND time < {window.end_us * 1000}"
    )


def _text(value: str) -> str:
    return "'" + value.replace("\\", r"\\").replace("'", r"\'").replace("\n", r"\n") + "'"


def _name(value: str) -> str:
    return '"' + value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") + '"'
