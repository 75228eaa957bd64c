"""The one shape in which every measuring program says what it found: for people, and as JSON."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

Value = int | float | str | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What one thing costs along a curve: pairs of x and y, in order of x."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Several lines over one axis.

    Attributes:
        picture: curves of one name are drawn beside each other, in a file of that name.
        title: what is shown.
        x: what is changed, with its unit.
        y: what is measured, with its unit.
    """

    picture: str
    title: str
    x: str
    y: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a table."""

    name: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Figures side by side; each column's head says its unit."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A figure that may not go over, or not below, a limit.

    Attributes:
        is_least: whether the limit is the least that it may be, not the most.
    """

    what: str
    value: float
    limit: float
    is_least: bool = False

    @property
    def is_kept(self) -> bool:
        """Whether it holds."""
        return self.value >= self.limit if self.is_least else self.value <= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a program found."""

    tables: tuple[Table, ...] = ()
    curves: tuple[Curve, ...] = ()
    promises: tuple[Promise, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What else the machine did meanwhile.

    Attributes:
        other_cores: how many cores were busy, on average, with what is not the measurement.
        load: the load average of the last minute, at the end.
        seconds: how long it took.
    """

    other_cores: float
    load: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a program found, and how and where.

    Attributes:
        program: its name, without `.py`.
        about: its docstring.
        machine: what it was measured on, and versions of parts.
        settings: the sizes it was run with.
    """

    program: str
    about: str
    machine: dict[str, str]
    settings: dict[str, Value | list[Value]]
    found: Found
    beside: Beside

    @property
    def is_kept(self) -> bool:
        """Whether every promise is kept."""
        return all(promise.is_kept for promise in self.found.promises)

    @property
    def title(self) -> str:
        """The first line of what it is about."""
        return self.about.strip().splitlines()[0]


def to_json(findings: Findings) -> bytes:
    """Write for programs."""
    return msgspec.json.format(msgspec.json.encode(findings), indent=2) + b"\n"


def from_json(raw: bytes) -> Findings:
    """Read what `to_json` wrote.

    Raises:
        msgspec.DecodeError: it is of another shape.
    """
    return msgspec.json.decode(raw, type=Findings)


def told(findings: Findings) -> str:
    """Write for people."""
    return "\n".join(_lines(findings)) + "\n"


def number(value: float) -> str:
    """Write a figure with about three digits."""
    if value == 0 or float(value).is_integer():
        return f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 4)}f}"


def _lines(findings: Findings) -> Iterator[str]:
    found, beside = findings.found, findings.beside
    yield ", ".join(f"{name} {value}" for name, value in findings.machine.items())
    yield "with " + ", ".join(f"{name} {_setting(v)}" for name, v in findings.settings.items())
    yield (
        f"in {beside.seconds:.0f} s, beside other work on {beside.other_cores:.2f} cores "
        f"(load {beside.load:.1f} at the end)"
    )
    for table in found.tables:
        yield ""
        yield from _aligned([[table.title, *table.columns], *map(_cells, table.rows)])
    for curve in found.curves:
        yield ""
        yield f"{curve.title}: {curve.y}, by {curve.x}"
        yield from _aligned(_grid(curve))
    if found.promises:
        yield ""
    for promise in found.promises:
        limit = f"{'at least' if promise.is_least else 'at most'} {number(promise.limit)}"
        kept = "" if promise.is_kept else "  NOT KEPT"
        yield f"{promise.what}: {number(promise.value)} ({limit}){kept}"


def _setting(value: Value | list[Value]) -> str:
    if isinstance(value, list):
        return " ".join(map(_setting, value))
    return str(value) if isinstance(value, str | bool) else number(value)


def _cells(row: Row) -> list[str]:
    return [row.name, *map(number, row.values)]


def _grid(curve: Curve) -> Iterator[list[str]]:
    places = sorted({x for line in curve.lines for x, _ in line.points})
    yield [curve.x, *map(number, places)]
    for line in curve.lines:
        at = dict(line.points)
        yield [line.name, *(number(at[x]) if x in at else "-" for x in places)]


def _aligned(rows: Iterator[list[str]] | Sequence[list[str]]) -> Iterator[str]:
    """Put cells below each other: names to the left, figures to the right."""
    every = list(rows)
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    for name, *cells in every:
        figures = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join([name.ljust(widths[0]), *figures])
