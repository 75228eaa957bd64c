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
_LIST: Final = f"{_UNFINISHED}list"


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
    if path.exists() and not (path.is_dir() and _is_free(path)):
        raise FolderTakenError(f"{path} is not empty; name a new folder with --data")


@contextmanager
def filled(path: Path, last: str) -> Iterator[Path]:
    """Fill a folder that is new or empty: whole, or not at all.

    Gives a folder inside it, to be filled; what is in that moves up when the block ends well, and
    goes away when it does not. (A folder beside it would not do: where systemd makes the folder of
    a service, nobody but root may write beside it.) A try that is killed, at whatever moment,
    leaves a folder that the next one may fill, and that has no `last` in it until it is whole.

    Args:
        path: the folder.
        last: what moves up last: the part without which the others are nothing.

    Raises:
        FolderTakenError: there is something in it.
    """
    refuse_taken(path)
    was_there = path.exists()
    make_private(path)
    _clear(path)
    place = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=path))
    try:
        yield place
        _move_up(place, path, last)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        if not was_there:
            shutil.rmtree(path, ignore_errors=True)
        raise
    path.chmod(_FOLDER_OWNER_ONLY)


def _move_up(place: Path, path: Path, last: str) -> None:
    """Move what is in a folder up, having written down what that is: see `_moved`."""
    names = sorted((part.name for part in place.iterdir()), key=lambda name: (name == last, name))
    (path / _LIST).write_text("\n".join(names), encoding="utf-8")
    for name in names:
        (place / name).rename(path / name)
    place.rmdir()
    (path / _LIST).unlink()


def _moved(path: Path) -> list[str]:
    """Name what a try that was killed may have moved up, in its order; nothing without one."""
    try:
        return (path / _LIST).read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return []


def _is_free(path: Path) -> bool:
    """Whether all that is in a folder was left by a try that was killed before it was done."""
    moved = _moved(path)
    is_whole = bool(moved) and (path / moved[-1]).exists()
    names = {part.name for part in path.iterdir() if not part.name.startswith(_UNFINISHED)}
    return not is_whole and names <= set(moved)


def _clear(path: Path) -> None:
    """Take away what is in a folder that is free; the list of it last."""
    for left in sorted(path.iterdir(), key=lambda left: left.name == _LIST):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()
