"""Files and folders that hold secrets: for their owner alone. See also `runtime.keys`."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gardien.errors import CommandError

_FOLDER_OWNER_ONLY: Final = 0o700
_OTHERS: Final = 0o077
_UNFINISHED: Final = ".new-"


class FolderTakenError(CommandError):
    """There is something already where a folder should be filled."""


def make_private(path: Path) -> None:
    """Make a folder, and those above it, for their owner alone; one that is there stays."""
    path.mkdir(mode=_FOLDER_OWNER_ONLY, parents=True, exist_ok=True)


def is_private(path: Path) -> bool:
    """Whether nobody but its owner may do anything with a file or folder."""
    return not path.stat().st_mode & _OTHERS


def refuse_taken(path: Path) -> None:
    """Make sure that a folder is new or empty; what a try left that was killed does not count.

    Raises:
        FolderTakenError: it is not.
    """
    if path.exists() and not (
        path.is_dir() and all(part.name.startswith(_UNFINISHED) for part in path.iterdir())
    ):
        raise FolderTakenError(f"{path} is not empty; name a new folder with --data")


@contextmanager
def filled(path: Path) -> Iterator[Path]:
    """Fill a folder that is new or empty: whole, or not at all.

    Gives a folder inside it, to be filled; what is in that moves up when the block ends well, and
    goes away when it does not. (A folder beside it would not do: where systemd makes the folder of
    a service, nobody but root may write beside it.)

    Raises:
        FolderTakenError: there is something in it.
    """
    refuse_taken(path)
    was_there = path.exists()
    make_private(path)
    for left in path.iterdir():
        shutil.rmtree(left)
    place = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=path))
    try:
        yield place
        for part in place.iterdir():
            part.rename(path / part.name)
        place.rmdir()
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        if not was_there:
            shutil.rmtree(path, ignore_errors=True)
        raise
    path.chmod(_FOLDER_OWNER_ONLY)
