"""The history, as a port: occupancy and counts over time, without anybody's name.

The adapters are `history_embedded` (SQLite or PostgreSQL) and `history_influx` (InfluxDB 1.6
to 3). One suite of behaviour runs against both.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from types import TracebackType
from typing import Final, Protocol, Self

from access.ids import SiteId
from access.instants import utc
from server.history_points import Point, tag_value

RAW_KEPT: Final = timedelta(days=397)
"""How long `Retention.RAW` is kept: 13 months, the longest there are."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class HistoryError(OSError):
    """The history could not do what was asked."""


class HistoryUnavailable(HistoryError, ConnectionError):  # noqa: N818 - named for when, not for what
    """Not now: the same call may work later. Nothing is wrong with what was given."""


class HistoryForbidden(HistoryUnavailable, PermissionError):  # noqa: N818 - likewise
    """Not now: the store refuses the user, password or token. Works once they are put right."""


class HistoryRejected(HistoryError, ValueError):  # noqa: N818 - named for when, not for what
    """Never: the store will not take what was given, however often it is tried.

    Attributes:
        dropped: how many points were not stored, 1 or more. All others of the same call were.
    """

    def __init__(self, message: str, *, dropped: int = 0) -> None:
        super().__init__(message)
        self.dropped = dropped


class Retention(Enum):
    """How long points are kept."""

    RAW = "raw"
    """Each point as it happened, for 13 months."""
    HOURLY = "hourly"
    """One point an hour, for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """Points of one retention are kept for another time than they should.

    Attributes:
        retention: which.
        kept: for how long, in the store's own words; "ever" for ever; empty where it is missing.
        mend: what to say to the store, in its own language.
    """

    retention: Retention
    kept: str
    mend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """How many were inside, at a time. See `occupancy_point` for the fields."""

    at: datetime
    present: int
    margin: int
    members: int
    guests: int
    capacity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionCount:
    """How many decisions had this reason and this answer."""

    reason: str
    granted: bool
    count: int


class History(Protocol):
    """Where the figures of a site are kept and read back. Safe to use from several threads."""

    def prepare(self) -> None:
        """Make what is missing of the store; harmless when nothing is. Blocks.

        Call it before the first write, and again after a `HistoryUnavailable`.

        Raises:
            HistoryUnavailable: the store cannot be reached, or must be prepared by hand.
        """

    def flaws(self) -> list[Flaw]:
        """Say which points are not kept for as long as the rules ask. Blocks.

        Returns:
            None where all is well, or the store can't be asked.

        Raises:
            HistoryUnavailable: the store cannot be reached, or has no such database.
        """

    def is_ready(self) -> bool:
        """Whether points can be written and read now. Blocks for the reading budget at most."""

    def write(self, points: Sequence[Point], *, retention: Retention = Retention.RAW) -> None:
        """Keep points; returns when they are stored. Blocks.

        A point that is held already, by measurement, tags and time, is replaced field by field:
        the same point written again changes nothing.

        Args:
            points: in any order; none is fine.
            retention: how long to keep them.

        Raises:
            HistoryUnavailable: try all of them again later; some may have been stored.
            HistoryRejected: some will never be taken; the others are stored.
        """

    def occupancy(
        self,
        site: SiteId,
        *,
        start: datetime,
        end: datetime,
        step: timedelta | None = None,
        retention: Retention = Retention.RAW,
    ) -> list[Sample]:
        """Read how many were inside. Blocks for the reading budget at most.

        Args:
            site: which site.
            start: first instant, aware.
            end: first instant after the last, aware; later than `start`.
            step: None for every change. Otherwise steps of this length are counted from `start`,
                each gives the last value in it, at the time that the step starts, and a step
                without a change gives nothing.
            retention: which points to read.

        Returns:
            Samples in order of time.

        Raises:
            ValueError: the times are naive or in the wrong order, or `step` is not positive.
            HistoryUnavailable: the store cannot be reached, or took too long.
        """

    def decisions(
        self,
        site: SiteId,
        *,
        start: datetime,
        end: datetime,
        retention: Retention = Retention.RAW,
    ) -> list[DecisionCount]:
        """Count the decisions of a span of time. Blocks for the reading budget at most.

        Args:
            site: which site.
            start: first instant, aware.
            end: first instant after the last, aware; later than `start`.
            retention: which points to read.

        Returns:
            One count for each reason and answer that occurred, the most frequent first.

        Raises:
            ValueError: the times are naive or in the wrong order.
            HistoryUnavailable: the store cannot be reached, or took too long.
        """

    def close(self) -> None:
        """Let go of connections. Closing twice is harmless."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What a reading asks for, checked, in microseconds since 1970 (what both stores count in).

    Attributes:
        site: a value that a tag can have.
        start_us: first instant.
        end_us: first instant after the last.
        step_us: length of a step; None for no steps.
    """

    site: str
    start_us: int
    end_us: int
    step_us: int | None = None

    @classmethod
    def of(
        cls, site: SiteId, start: datetime, end: datetime, step: timedelta | None = None
    ) -> Self:
        """Check what a caller asked for.

        Raises:
            ValueError: the times are naive or in the wrong order, `step` is not positive, or the
                site cannot be one.
        """
        start_us, end_us = to_us(start), to_us(end)
        if end_us <= start_us:
            raise ValueError(f"the end, {end}, must be later than the start, {start}")
        if step is not None and step < _MICROSECOND:
            raise ValueError(f"a step of {step} must be longer than nothing")
        step_us = None if step is None else step // _MICROSECOND
        return cls(site=tag_value(site, "site"), start_us=start_us, end_us=end_us, step_us=step_us)


def to_us(at: datetime) -> int:
    """Give an aware time as whole microseconds since 1970, exactly.

    Raises:
        NaiveTimeError: `at` has no time zone.
    """
    return (utc(at) - _EPOCH) // _MICROSECOND


def from_us(at_us: int) -> datetime:
    """Give microseconds since 1970 as a time in UTC, exactly."""
    return _EPOCH + at_us * _MICROSECOND


def totals(counts: Iterable[tuple[str, str, int]]) -> list[DecisionCount]:
    """Add up counts as `History.decisions` gives them.

    Args:
        counts: the tags `reason` and `granted`, and how many; the same tags may come again.
    """
    sums: dict[tuple[str, bool], int] = {}
    for reason, granted, count in counts:
        key = (reason, granted == "true")
        sums[key] = sums.get(key, 0) + count
    every = (DecisionCount(reason=why, granted=yes, count=n) for (why, yes), n in sums.items())
    return sorted(every, key=lambda one: (-one.count, one.reason, one.granted))
