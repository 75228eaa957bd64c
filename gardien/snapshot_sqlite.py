"""A copy of an SQLite database as it was at one moment, while others go on writing to it.

See https://sqlite.org/backup.html.
"""

import sqlite3
from contextlib import closing
from pathlib import Path


class SnapshotError(OSError):
    """The database could not be copied, or the copy is not whole."""


def snapshot(source: Path, target: Path) -> None:
    """Copy a database into a new file, and check that the copy is whole. Blocks for the disk.

    Raises:
        SnapshotError: it could not be copied, or the copy is damaged.
    """
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as live,
            closing(sqlite3.connect(target)) as copy,
        ):
            live.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE").close()
            found = copy.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.Error as error:
        raise SnapshotError(f"{source} can't be copied: {error}") from error
    if found != ("ok",):
        raise SnapshotError(f"{source} is damaged: {found[0]}; restore an older backup")
