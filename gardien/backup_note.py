"""What an installation remembers of its last backup, for `gardien doctor`."""

from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from server.folder import Folder

NOTE: Final = "last-backup.json"
"""Its name in the installation's folder. It is in no backup: it would be older than that."""


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """The last backup.

    Attributes:
        made: when it was whole, by this machine's clock.
        file: its path.
    """

    made: datetime
    file: str


def write_note(folder: Folder, file: Path, made: datetime) -> None:
    """Note a backup that is whole. Blocks for the disk.

    Raises:
        OSError: it can't be written.
    """
    note = Note(made=made, file=str(file.absolute()))
    (folder.path / NOTE).write_bytes(msgspec.json.encode(note))


def read_note(folder: Folder) -> Note | None:
    """Give what is noted; None where nothing is, or nothing that can be read."""
    try:
        return msgspec.json.decode((folder.path / NOTE).read_bytes(), type=Note)
    except (OSError, msgspec.DecodeError):
        return None
