"""The programs of gardien's, started as a user starts them."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.torture.place import ROOT, environment

_STOP_S: Final = 15.0


@contextmanager
def running(
    data: Path, *words: str, module: str = "gardien"
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `gardien --data DATA WORDS...`, and end it kindly at the end.

    What it prints is in `log_of(data, words[0])`.

    Args:
        data: the folder of the installation.
        words: the command, and its options.
        module: what is run in place of `gardien`, and takes the same words.
    """
    with log_of(data, words[0]).open("wb") as log:
        program = subprocess.Popen(
            [sys.executable, "-m", module, "--data", str(data), *words],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield program
    finally:
        program.terminate()
        try:
            program.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()


def log_of(data: Path, name: str) -> Path:
    """Where a program prints to: beside its folder."""
    return data.parent / f"{data.name}-{name}.log"


def has_said(data: Path, name: str, words: str) -> bool:
    """Whether a program has printed some words since it was last started."""
    return words in log_of(data, name).read_text(errors="replace")
