"""Room on the disk that is kept free for the day on which the disk is full.

Even deleting needs room in SQLite's write-ahead log; without a reserve, a journal on a full disk
could neither be emptied nor take the last words.
"""

import contextlib
import os
from pathlib import Path
from typing import Final

SIZE: Final = 1024 * 1024
"""How much is reserved, in bytes: some 200 records with their place in the log."""

_SPARE: Final = 2


class Reserve:
    """A file that takes up room, until the room is needed.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.is_whole = False
        self.fill()

    def fill(self) -> None:
        """Take the room, if the disk has twice as much; does nothing if it is taken already."""
        if self.is_whole:
            return
        with contextlib.suppress(OSError):
            if not self._has_room():
                return
            with self._path.open("r+b" if self._path.exists() else "w+b") as file:
                os.posix_fallocate(file.fileno(), 0, SIZE)
            self.is_whole = True

    def release(self) -> bool:
        """Give the room back to the disk; returns whether there was any to give."""
        was_whole, self.is_whole = self.is_whole, False
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        return was_whole

    def _has_room(self) -> bool:
        if self._path.exists() and self._path.stat().st_size >= SIZE:
            return True
        disk = os.statvfs(self._path.parent)
        return disk.f_bavail * disk.f_frsize >= _SPARE * SIZE
