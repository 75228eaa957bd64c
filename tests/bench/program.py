"""What the measuring programs share: the machine, a folder on the disk, how the result is told."""

import argparse
import os
import platform
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

import sqlalchemy as sa


class Measured(Protocol):
    """A result that knows whether what is promised was kept."""

    @property
    def is_met(self) -> bool:
        """Whether it was."""


_R = TypeVar("_R", bound=Measured)


def machine(**more: str) -> dict[str, str]:
    """Say what it was measured on; `more` are versions of other parts."""
    return {
        "cores": str(os.cpu_count()),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "sqlalchemy": sa.__version__,
        **more,
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `run`."""
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: temporary)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there too")


def run(
    options: argparse.Namespace,
    measure: Callable[[argparse.Namespace, Path], _R],
    told: Callable[[_R], str],
    to_json: Callable[[_R], str],
) -> int:
    """Measure in a folder that is deleted afterwards, and tell; 0 if all is met, else 1."""
    folder = Path(tempfile.mkdtemp(prefix="gardien-bench-", dir=options.folder))
    try:
        result = measure(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write(f"{told(result)}\n")
    if options.json is not None:
        options.json.write_text(to_json(result))
    return 0 if result.is_met else 1
