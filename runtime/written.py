"""The kinds of setting that people write as text: durations, hours, spans of days, addresses."""

import ipaddress
import itertools
import re
from collections.abc import Iterable
from datetime import date, time, timedelta
from pathlib import Path
from typing import ClassVar, Self

_UNITS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}
_MICROSECONDS = {unit: round(seconds * 1_000_000) for unit, seconds in _UNITS.items()}
_DURATION = re.compile(r"(\d{1,9}) ?(ms|s|min|h|d)", re.ASCII)
_WINDOW = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)", re.ASCII)
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):(\d{1,5})", re.ASCII)
_MINUTES_A_DAY = 24 * 60
_MINUTES_A_WEEK = 7 * _MINUTES_A_DAY
_HIGHEST_PORT = 65535


class Written:
    """Something that is written in a settings file as one value and read into a type of its own.

    Attributes:
        allowed: what may be written, in words, for the message that refuses anything else.
    """

    __slots__ = ()
    allowed: ClassVar[str]

    @classmethod
    def parse(cls, value: object, folder: Path) -> Self:
        """Read the value as TOML gave it.

        Args:
            value: what stands in the file.
            folder: the folder of the file, absolute; relative paths start there.

        Raises:
            ValueError: the value is not allowed; the message says what is.
        """
        raise NotImplementedError


class Duration(timedelta, Written):
    """A length of time, written with its unit: "400 ms", "5 s", "15 min", "72 h", "90 d"."""

    allowed = 'a whole number and its unit (ms, s, min, h, d) in quotes, such as "5 s"'

    @classmethod
    def parse(cls, value: object, folder: Path) -> Self:  # noqa: ARG003 (not a path)
        """Read a duration; a number without a unit is refused (see `Written.parse`)."""
        found = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            raise ValueError(f"write {cls.allowed}")
        return cls(microseconds=int(found[1]) * _MICROSECONDS[found[2]])

    def __str__(self) -> str:
        """Write the duration as a person would: the largest unit that leaves no rest."""
        whole = self // timedelta(microseconds=1)
        for unit in ("d", "h", "min", "s", "ms"):
            if whole and whole % _MICROSECONDS[unit] == 0:
                return f"{whole // _MICROSECONDS[unit]} {unit}"
        return f"{whole // 1000} ms"


class Between:
    """The bounds of a `Duration`, both allowed; used in `Annotated`."""

    def __init__(self, low: str, high: str) -> None:
        self.low = Duration.parse(low, Path())
        self.high = Duration.parse(high, Path())

    def check(self, value: timedelta) -> None:
        """Raise ValueError when the value is out of bounds."""
        if not self.low <= value <= self.high:
            raise ValueError(f"write a duration {self}")

    def __str__(self) -> str:
        return f"from {self.low} to {self.high}"


class Window(tuple[time, time], Written):
    """Hours of one day, half-open, written "09:00-18:30": a pair (start, end).

    An end that is not after the start lies on the next day: "22:00-02:00". An end of "24:00" is
    midnight, and is held as 00:00 of the next day.
    """

    __slots__ = ()
    allowed = 'hours as "09:00-18:30", with "24:00" for an end at midnight'

    @classmethod
    def parse(cls, value: object, folder: Path) -> Self:  # noqa: ARG003 (not a path)
        """Read the hours (see `Written.parse`)."""
        found = _WINDOW.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            raise ValueError(f"write {cls.allowed}")
        start, end = _minutes(found[1], found[2]), _minutes(found[3], found[4])
        if start == _MINUTES_A_DAY:
            raise ValueError('a start of "24:00" is "00:00" of the next day; write it there')
        if start == end:
            raise ValueError('start and end are the same; write "00:00-24:00" for a whole day')
        return cls((_time_of(start), _time_of(end)))

    @property
    def start(self) -> time:
        """The local time at which the window starts."""
        return self[0]

    @property
    def end(self) -> time:
        """The local time at which it ends, on the next day when `is_overnight`."""
        return self[1]

    @property
    def is_overnight(self) -> bool:
        """Whether the end lies on the next day (midnight itself does)."""
        return self.end <= self.start

    @property
    def start_min(self) -> int:
        """Minutes from the day's midnight to the start, 0 to 1439."""
        return self.start.hour * 60 + self.start.minute

    @property
    def end_min(self) -> int:
        """Minutes from the day's midnight to the end, 1 to 2879; 1440 is midnight."""
        end = self.end.hour * 60 + self.end.minute
        return end + _MINUTES_A_DAY if self.is_overnight else end

    def __str__(self) -> str:
        end = "24:00" if self.end == time() else f"{self.end:%H:%M}"
        return f"{self.start:%H:%M}-{end}"


def find_overlap(days: Iterable[Iterable[Window]]) -> tuple[Window, Window] | None:
    """Find two windows that share a minute.

    Args:
        days: one day, or the seven of a week from Monday. A week runs round: a window across
            Sunday's midnight reaches into Monday.

    Returns:
        The two windows, or None.
    """
    spans = sorted(
        (day * _MINUTES_A_DAY + window.start_min, day * _MINUTES_A_DAY + window.end_min, window)
        for day, windows in enumerate(days)
        for window in windows
    )
    for (_, end, first), (start, _, second) in itertools.pairwise(spans):
        if start < end:
            return first, second
    if spans and spans[-1][1] - _MINUTES_A_WEEK > spans[0][0]:
        return spans[-1][2], spans[0][2]
    return None


class DateSpan(tuple[date, date], Written):
    """Days, first and last included, written 2026-08-15 or "2026-08-01..2026-08-15"."""

    __slots__ = ()
    allowed = 'a date as "2026-08-15", or two with both included as "2026-08-01..2026-08-15"'

    @classmethod
    def parse(cls, value: object, folder: Path) -> Self:  # noqa: ARG003 (not a path)
        """Read the days; a TOML date without quotes is one day (see `Written.parse`)."""
        if type(value) is date:
            return cls((value, value))
        if not isinstance(value, str):
            raise ValueError(f"write {cls.allowed}")  # noqa: TRY004 (settings raise ValueError)
        first, _, last = value.partition("..")
        days = _date_of(first), _date_of(last or first)
        if days[0] > days[1]:
            raise ValueError("the last day is before the first; write the earlier date first")
        return cls(days)

    @property
    def first(self) -> date:
        """The first day."""
        return self[0]

    @property
    def last(self) -> date:
        """The last day, included."""
        return self[1]


class Day(DateSpan):
    """One day, written 2026-12-24 with or without quotes."""

    __slots__ = ()
    allowed = 'one date as "2026-12-24"'

    @classmethod
    def parse(cls, value: object, folder: Path) -> Self:
        """Read the day (see `Written.parse`)."""
        span = super().parse(value, folder)
        if span.first != span.last:
            raise ValueError(f"write {cls.allowed}")
        return span


class Address(tuple[str, int], Written):
    """Where a program listens, written "127.0.0.1:8080" or "[::1]:8080": a pair (host, port)."""

    __slots__ = ()
    allowed = 'host and port as "127.0.0.1:8080"'

    @classmethod
    def parse(cls, value: object, folder: Path) -> Self:  # noqa: ARG003 (not a path)
        """Read the address (see `Written.parse`)."""
        found = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
        if found is None or not 0 < int(found[2]) <= _HIGHEST_PORT:
            raise ValueError(f"write {cls.allowed}")
        return cls((found[1].strip("[]"), int(found[2])))

    @property
    def host(self) -> str:
        """The host name or IP address."""
        return self[0]

    @property
    def port(self) -> int:
        """The TCP port, 1 to 65535."""
        return self[1]


class ClockChoice(str, Written):
    """Where the time comes from: "system", or "demo:<file>" for the demo's fast clock."""

    __slots__ = ()
    allowed = '"system", or "demo:" and a file for the fast clock of the demo'

    @classmethod
    def parse(cls, value: object, folder: Path) -> Self:
        """Read the choice; a relative file starts in the folder (see `Written.parse`)."""
        if value == "system":
            return cls(value)
        if isinstance(value, str) and value.startswith("demo:"):
            return cls(f"demo:{path_in(folder, value.removeprefix('demo:'))}")
        raise ValueError(f"write {cls.allowed}")

    @property
    def demo_file(self) -> Path | None:
        """The file of the demo's clock, absolute; None for the system's clock."""
        return Path(self.removeprefix("demo:")) if self.startswith("demo:") else None


def path_in(folder: Path, value: object) -> Path:
    """Read a path; a relative one starts in the folder. Does not touch the disk.

    Raises:
        ValueError: it is not a path.
    """
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError("write the path of a file; a relative one starts at this file's folder")
    return folder / value


def is_loopback(host: str) -> bool:
    """Say whether a host can only be this machine, without asking any name server."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _minutes(hour: str, minute: str) -> int:
    total = int(hour) * 60 + int(minute)
    if int(minute) > 59 or total > _MINUTES_A_DAY:  # noqa: PLR2004 (a clock's face)
        raise ValueError(f'{hour}:{minute} is no time of day; write "00:00" to "24:00"')
    return total


def _time_of(minutes: int) -> time:
    return time(minutes // 60 % 24, minutes % 60)


def _date_of(written: str) -> date:
    # fromisoformat would also take "20260815" and week dates, which nobody means to write.
    if re.fullmatch(r"\d{4}-\d\d-\d\d", written, re.ASCII) is None:
        raise ValueError(f"write {DateSpan.allowed}")
    try:
        return date.fromisoformat(written)
    except ValueError as error:
        raise ValueError(f"{written} is not in the calendar; write {DateSpan.allowed}") from error
