"""The curve of a day or a month: from samples to a line of steps, and to places in a drawing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from access.calendar import instant
from server.history import Sample

_LEFT: Final = 34
_RIGHT: Final = 18
_TOP: Final = 14
_BOTTOM: Final = 24
_EARLIEST: Final = timedelta(hours=7)
"""Where the drawing starts, unless somebody was inside before."""

HOUR: Final = timedelta(hours=1)
"""Between two samples in the curve of a month."""

_DAY: Final = timedelta(days=1)
_EVERY_D: Final = 7
"""How many days lie between two labels of a month."""

_STEPS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
_MOST_LINES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One hour, or one day: the most people that were present in it, and at its end."""

    start: datetime
    peak: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """How many were inside through a day, or a month.

    Attributes:
        start: where the curve starts.
        end: the end of the day or the month.
        now: up to when it is known.
        points: when the number changed, and to what; the first one is at `start`. In a month: what
            it was at the end of each hour in which it changed.
        is_month: whether it is of a month.
        is_stand_in: whether it is the embedded store's, as the history was away.
    """

    start: datetime
    end: datetime
    now: datetime
    capacity: int
    points: tuple[tuple[datetime, int], ...]
    zone: ZoneInfo
    is_month: bool = False
    is_stand_in: bool = False

    @property
    def peak(self) -> int:
        """The most people that were present."""
        return max(present for _, present in self.points)

    @property
    def present(self) -> int:
        """How many are present now."""
        return self.points[-1][1]

    @property
    def is_empty(self) -> bool:
        """Whether nobody has been here."""
        return self.peak == 0

    @property
    def hours(self) -> tuple[Slot, ...]:
        """The same by the hour, for those who read a table."""
        return tuple(self._slots())

    @property
    def days(self) -> tuple[Slot, ...]:
        """A month by the day: the most at the end of an hour, and at the end of the day."""
        return tuple(self._day_slots())

    def _day_slots(self) -> Iterator[Slot]:
        start, before, points = self.start, 0, self.points[1:]
        while start < self.now:
            until = _next_midnight(start, self.zone)
            within = [present for at, present in points if start < at <= until]
            last = within[-1] if within else before
            yield Slot(start=start, peak=max([before, *within]), last=last)
            start, before = until, last

    def _slots(self) -> Iterator[Slot]:
        start, before = self.start, 0
        while start < self.now:
            within = [present for at, present in self.points if start <= at < start + HOUR]
            last = within[-1] if within else before
            # What was so at the turn of the hour counts for it, unless it changed right then.
            yield Slot(start=start, peak=max([before, *within]), last=last)
            start, before = start + HOUR, last


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """The size of a drawing in its own units, and how many hours lie between two labels."""

    width: int
    height: int
    every_h: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A text at a place."""

    text: str
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A curve in the coordinates of a drawing.

    Attributes:
        line: SVG path of the steps.
        area: SVG path of what lies below them.
        ticks: labels of the time axis: hours, or days of the month.
        levels: labels of the other one, each with a line.
        capacity_y: where the line of the capacity is.
        now_x: where now is.
        now_y: how high it is now.
    """

    curve: Curve
    line: str
    area: str
    ticks: tuple[Label, ...]
    levels: tuple[Label, ...]
    capacity_y: float
    now_x: float
    now_y: float
    left: float
    right: float
    bottom: float


def to_curve(
    samples: Sequence[Sample],
    *,
    start: datetime,
    end: datetime,
    now: datetime,
    capacity: int,
    zone: ZoneInfo,
) -> Curve:
    """Make the curve of a day of its samples.

    Args:
        samples: in order of time.
        start: the first instant of the day.
        end: the first instant after it.
        now: the time.
        capacity: the most that the site may hold.
        zone: of the site.
    """
    points = [(sample.at, sample.present) for sample in samples if start <= sample.at <= now]
    busy = [at for at, present in points if present]
    shown = start + _EARLIEST
    if busy and busy[0] < shown:
        shown = start + (busy[0] - start) // HOUR * HOUR
    if now < shown:
        shown = start
    before = [present for at, present in points if at <= shown]
    later = [(at, present) for at, present in points if at > shown]
    first = (shown, before[-1] if before else 0)
    return Curve(
        start=shown, end=end, now=now, capacity=capacity, points=(first, *later), zone=zone
    )


def to_month_curve(
    samples: Sequence[Sample],
    *,
    start: datetime,
    end: datetime,
    now: datetime,
    capacity: int,
    zone: ZoneInfo,
) -> Curve:
    """Make the curve of a month of what was so at the end of each hour.

    Args:
        samples: in order of time, each at the start of the hour that it was the last of.
        start: the first instant of the month.
        end: the first instant after it.
        now: the time.
        capacity: the most that the site may hold.
        zone: of the site.
    """
    known = min(now, end)
    points = [(min(sample.at + HOUR, known), sample.present) for sample in samples]
    return Curve(
        start=start,
        end=end,
        now=known,
        capacity=capacity,
        points=((start, 0), *points),
        zone=zone,
        is_month=True,
    )


def draw(curve: Curve, size: Drawing) -> Drawn:
    """Give a curve its coordinates."""
    top = max(curve.capacity, curve.peak)
    span = curve.end - curve.start
    bottom = size.height - _BOTTOM

    def x(at: datetime) -> float:
        part = (at - curve.start) / span
        return round(_LEFT + part * (size.width - _LEFT - _RIGHT), 1)

    def y(present: int) -> float:
        return round(bottom - present / top * (bottom - _TOP), 1)

    line = _steps([(x(at), y(present)) for at, present in curve.points], x(curve.now))
    return Drawn(
        curve=curve,
        line=line,
        area=f"{line}V{bottom}H{x(curve.start)}Z",
        ticks=tuple(
            Label(text=text, x=x(at), y=size.height - 6) for at, text in _ticks(curve, size)
        ),
        levels=tuple(
            Label(text=str(level), x=_LEFT - 7, y=y(level))
            for level in _levels(curve.capacity, top)
        ),
        capacity_y=y(curve.capacity),
        now_x=x(curve.now),
        now_y=y(curve.present),
        left=_LEFT,
        right=size.width - _RIGHT,
        bottom=bottom,
    )


def _steps(points: Sequence[tuple[float, float]], until: float) -> str:
    (x, y), *rest = points
    return f"M{x} {y}" + "".join(f"H{x}V{y}" for x, y in rest) + f"H{until}"


def _ticks(curve: Curve, size: Drawing) -> Iterator[tuple[datetime, str]]:
    at = curve.start
    while curve.is_month and at < curve.end:
        day = at.astimezone(curve.zone).day
        if day % _EVERY_D == 1:
            yield at, str(day)
        at = _next_midnight(at, curve.zone)
    while not curve.is_month and at <= curve.end:
        if at.astimezone(curve.zone).hour % size.every_h == 0:
            yield at, f"{at.astimezone(curve.zone):%H}"
        at += HOUR


def _next_midnight(at: datetime, zone: ZoneInfo) -> datetime:
    tomorrow = at.astimezone(zone).date() + _DAY
    return instant(datetime.combine(tomorrow, time()), zone, is_end=False)


def _levels(capacity: int, top: int) -> Iterator[int]:
    """Round numbers below the capacity, which has a label of its own, and far enough from it."""
    step = next((one for one in _STEPS if top / one <= _MOST_LINES), _STEPS[-1])
    yield 0
    for level in range(step, top, step):
        if abs(level - capacity) > step / 2:
            yield level
    yield capacity
