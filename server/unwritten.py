"""When the ledger could not be written: told at once beside it, and in it once that is possible.

The database can't say that it can't be written, so a file that is always there says so, by its
time: to set that takes no room on a full disk.
"""

import contextlib
import os
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from server.database import DatabaseError, DiskError

TOLD_AFTER_S: Final = 10.0
"""What was over sooner, as a database that is started again, is worth no alert."""

_FRESH_S: Final = 30.0
"""How long a word counts that is not taken back: a statement may wait for another writer for 20 s
before it is given up, and this is said again."""

_APART_S: Final = 60.0
"""What could not be written so long after something else is a matter of its own."""

_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600


class UnwrittenNote:
    """The file by which the server tells the dashboard, which is another program.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def make(self) -> None:
        """Make the file, of nothing, unless it is there; what can't be made is done without."""
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=_FOLDER_MODE, exist_ok=True)
            os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY, _FILE_MODE))
        self.take_back()

    def say(self) -> None:
        """Say that the ledger can't be written now."""
        self._set_time(time.time())

    def take_back(self) -> None:
        """Say that it can be written again."""
        self._set_time(0.0)

    def is_said(self) -> bool:
        """Whether the server said so just now."""
        try:
            said = self._path.stat().st_mtime
        except OSError:
            return False
        return abs(time.time() - said) < _FRESH_S

    def _set_time(self, at: float) -> None:
        with contextlib.suppress(OSError):
            os.utime(self._path, (at, at))


@dataclass(slots=True)
class Unwritten:
    """Keeps in mind since when the ledger can't be written.

    Attributes:
        note: tells it at once; None for nobody.
        since: the server's time of the first refusal; None while all is well.
    """

    note: UnwrittenNote | None = None
    since: datetime | None = None
    _first: float = 0.0
    _last: float = 0.0
    _is_disk: bool = False

    def refused(self, error: DatabaseError, now: datetime, mono: float) -> None:
        """Learn that something could not be written."""
        if self.since is None or mono - self._last > _APART_S:
            self.since, self._first = now, mono
        self._last = mono
        self._is_disk |= isinstance(error, DiskError)
        if self.note is not None:
            self.note.say()

    def is_worth_telling(self) -> bool:
        """Whether it is to be recorded: a disk that failed always, else what lasts for long."""
        is_long = self._last - self._first >= TOLD_AFTER_S
        return self.since is not None and (self._is_disk or is_long)

    def is_over(self) -> None:
        """Learn that something could be written."""
        if self.since is not None and self.note is not None:
            self.note.take_back()
        self.since, self._is_disk = None, False
