"""What a program did to the files of one folder, call by call, as strace saw it."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tests.torture.place import ROOT, NotSoError, environment

_CALLS: Final = "openat,pwrite64,write,fdatasync,fsync,ftruncate,unlink,rename,fallocate"
_SYNCS: Final = frozenset({"fsync", "fdatasync"})
_LINE: Final = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)")
_TEXT: Final = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_HELD: Final = re.compile(r"^(\d+)<((?:\\x[0-9a-f]{2})*)>")

Kind = Literal[
    "make",
    "write",
    "size",
    "sync",
    "sync-refused",
    "sync-names",
    "sync-names-refused",
    "drop",
    "note",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One thing that was done.

    Attributes:
        kind: a file was made, written to, cut or stretched, synced or deleted; the folder was
            synced; a sync was refused; or the program said something.
        name: of the file, without its folder.
        offset: where was written, or the new size.
        data: what was written, or said.
    """

    kind: Kind
    name: str = ""
    offset: int = 0
    data: bytes = b""


def record(
    command: Sequence[str], folder: Path, log: Path, refused: str | None = None
) -> list[Call]:
    """Run a program to its end, and give what it did to the files of a folder, in order.

    Args:
        command: the program and its words.
        folder: where its files are.
        log: what strace writes; new.
        refused: which syncs fail with EIO, as strace's `when=`; None for none.

    Raises:
        NotSoError: it failed.
    """
    options = ["-f", "-qqq", "-y", "-xx", "-s", "1000000", f"-etrace={_CALLS}"]
    # The two don't go together.
    options += (
        ["--seccomp-bpf"] if refused is None else [f"--inject=fdatasync:error=EIO:when={refused}"]
    )
    done = subprocess.run(
        ["strace", *options, f"-o{log}", *command],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise NotSoError(f"the program failed: {done.stderr.decode(errors='replace')[-1000:]}")
    with log.open(encoding="ascii") as lines:
        return list(_calls(lines, str(folder)))


def _calls(lines: Iterator[str], folder: str) -> Iterator[Call]:
    for line in lines:
        found = _LINE.match(line)
        if found is not None:
            is_done = int(found[3]) >= 0
            if is_done or found[1] in _SYNCS:
                yield from _call(found[1], found[2], folder, is_done=is_done)


def _call(call: str, arguments: str, folder: str, *, is_done: bool) -> Iterator[Call]:
    """Read one line of the log; nothing if it is about something else."""
    texts = [bytes.fromhex(text.replace("\\x", "")) for text in _TEXT.findall(arguments)]
    held = _HELD.match(arguments)
    if call == "write" and held is not None and held[1] == "1":
        yield Call(kind="note", data=texts[0])
        return
    path = _unhex(held[2]) if held is not None else texts[0].decode()
    if call in _SYNCS and path == folder:
        yield Call(kind="sync-names" if is_done else "sync-names-refused")
    elif call in _SYNCS and path.startswith(f"{folder}/"):
        yield Call(kind="sync" if is_done else "sync-refused", name=path[len(folder) + 1 :])
    elif path.startswith(f"{folder}/"):
        yield from _of_file(call, path[len(folder) + 1 :], arguments, texts)


def _of_file(call: str, name: str, arguments: str, texts: list[bytes]) -> Iterator[Call]:
    match call:
        case "openat" if "O_CREAT" in arguments:
            yield Call(kind="make", name=name)
            if "O_TRUNC" in arguments:
                yield Call(kind="size", name=name)
        case "pwrite64":
            yield Call(kind="write", name=name, offset=_last(arguments), data=texts[0])
        case "ftruncate":
            yield Call(kind="size", name=name, offset=_last(arguments))
        case "unlink":
            yield Call(kind="drop", name=name)
        case "write" | "rename":
            raise NotSoError(f"{call} of {name} is not understood")


def _last(arguments: str) -> int:
    return int(arguments.rpartition(",")[2])


def _unhex(text: str) -> str:
    return bytes.fromhex(text.replace("\\x", "")).decode()
