"""What an error says to the person who typed the command: one line, with the way out."""

import errno
from typing import Final

_OURS: Final = frozenset({"access", "runtime", "edge", "server", "dashboards", "gardien"})

_WAYS_OUT: Final = {
    errno.EACCES: "check its owner and its permissions",
    errno.EPERM: "check its owner and its permissions",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path",
    errno.EISDIR: "name a file, not a folder",
    errno.EEXIST: "it is there already; name another, or move it away first",
    errno.ENOSPC: "the disk is full; free some space",
    errno.EROFS: "the disk can't be written to; check how it is mounted",
    errno.EADDRINUSE: "stop the program that has the port, or choose another",
}


class CommandError(ValueError):
    """The command can't do what was asked; the message says why, and what to do."""


class NoSuchThingError(CommandError, LookupError):
    """What the command was to work on is not there."""


def is_expected(error: BaseException) -> bool:
    """Whether an error is one that a user can cause, rather than a fault of the program.

    Those are the errors of our own packages, which say what to do, and what the system refuses.
    """
    if isinstance(error, OSError):
        return True
    return isinstance(error, Exception) and type(error).__module__.partition(".")[0] in _OURS


def one_line(error: BaseException) -> str:
    """Tell an error in one line, whatever stands in it."""
    text = str(error)
    if type(error).__module__ == "builtins" and isinstance(error, OSError):
        text = _of_system(error)
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split()) or type(error).__name__


def _of_system(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    way_out = _WAYS_OUT.get(error.errno or 0)
    return f"{place}{error.strerror or error}" + (f"; {way_out}" if way_out else "")
