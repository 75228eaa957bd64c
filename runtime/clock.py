"""What time it is: the system's clock, or a demonstration's, which leaps over the dull hours."""

import mmap
import struct
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

_OFFSET: Final = struct.Struct("<d")
_DEMO: Final = "demo:"


class Clock(Protocol):
    """A source of time."""

    def now(self) -> datetime:
        """The time of day, UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back, for measuring how long something takes."""


class ClockError(OSError):
    """The clock that the settings name can't be read."""


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """The time of day, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        return time.monotonic()


class DemoClock:
    """A clock that a demonstration moves: the system's plus an offset that several programs share.

    It runs as fast as the real one; only now and then it leaps ahead. So a pulse of five seconds
    lasts five seconds, and yet a day passes in minutes.

    Args:
        path: the file that holds the offset in seconds, 8 bytes, IEEE 754, little-endian.

    Raises:
        ClockError: the file is missing or has another size.
    """

    def __init__(self, path: Path) -> None:
        try:
            with path.open("r+b") as file:
                self._map = mmap.mmap(file.fileno(), _OFFSET.size)
        except (OSError, ValueError) as error:
            raise ClockError(f"no demonstration clock at {path}; start `gardien demo`") from error

    @classmethod
    def create(cls, path: Path, start: datetime) -> Self:
        """Make the file of a clock that shows `start` now."""
        offset = (start - datetime.now(UTC)).total_seconds()
        path.write_bytes(_OFFSET.pack(offset))
        return cls(path)

    def now(self) -> datetime:
        """The time of the demonstration, UTC."""
        return datetime.now(UTC) + timedelta(seconds=self._offset())

    def monotonic(self) -> float:
        """Real seconds; leaps don't count."""
        return time.monotonic()

    def leap_to(self, moment: datetime) -> None:
        """Go on from `moment`; does nothing if it has passed, for time never goes back."""
        ahead = (moment - self.now()).total_seconds()
        if ahead > 0:
            _OFFSET.pack_into(self._map, 0, self._offset() + ahead)

    def close(self) -> None:
        """Let go of the file. Closing twice is harmless."""
        self._map.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def _offset(self) -> float:
        offset: float = _OFFSET.unpack_from(self._map, 0)[0]
        return offset


def clock_from(setting: str) -> Clock:
    """Make the clock that a setting names.

    Args:
        setting: `system`, or `demo:` and the path of a demonstration's clock.

    Raises:
        ClockError: the demonstration's clock can't be read.
        ValueError: the setting is neither.
    """
    if setting == "system":
        return SystemClock()
    if setting.startswith(_DEMO):
        return DemoClock(Path(setting.removeprefix(_DEMO)))
    raise ValueError(f"clock must be 'system' or 'demo:<file>', not {setting!r}")
