"""Files and folders that hold secrets: for their owner alone. See also `runtime.keys`."""

from pathlib import Path
from typing import Final

_FOLDER_OWNER_ONLY: Final = 0o700
_OTHERS: Final = 0o077


def make_private(path: Path) -> None:
    """Make a folder, and those above it, for their owner alone; one that is there stays as it is."""
    path.mkdir(mode=_FOLDER_OWNER_ONLY, parents=True, exist_ok=True)


def is_private(path: Path) -> bool:
    """Whether nobody but its owner may do anything with a file or folder."""
    return not path.stat().st_mode & _OTHERS
