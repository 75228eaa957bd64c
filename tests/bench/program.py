"""What the measuring programs share: the machine, sizes, a folder on the disk, how all is told."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests.bench.beside import Watching
from tests.bench.shape import Findings, Found, Value, to_json, told
from tests.machine import machine

Measure = Callable[[argparse.Namespace, Path], Found]


@dataclass(frozen=True, slots=True)
class Size:
    """How much to measure: in earnest, and quickly, to see that it runs.

    A size of several numbers is written with commas on the command line.
    """

    full: int | float | tuple[int, ...]
    quick: int | float | tuple[int, ...]
    what: str

    def read(self, text: str) -> int | float | tuple[int, ...]:
        """Read one from the command line."""
        if isinstance(self.full, tuple):
            return tuple(map(int, text.split(",")))
        return type(self.full)(text)

    def __str__(self) -> str:
        return ",".join(map(str, self.full)) if isinstance(self.full, tuple) else str(self.full)


def version_of(*packages: str) -> dict[str, str]:
    """Give the versions of packages that count for a measurement."""
    return {package: version(package) for package in packages}


def run(
    file: str,
    about: str | None,
    arguments: Sequence[str],
    measure: Measure,
    *,
    parts: dict[str, str] | None = None,
    **sizes: Size,
) -> int:
    """Measure in a folder that is deleted afterwards, and tell.

    Args:
        file: `__file__` of the program.
        about: its docstring.
        arguments: of the command line.
        measure: gets the sizes by name, and the folder.
        parts: versions of other parts that count.
        sizes: each becomes an option.

    Returns:
        0 if each promise is kept, else 1.
    """
    options = _parse(about or "", arguments, sizes)
    folder = Path(tempfile.mkdtemp(prefix="gardien-bench-", dir=options.folder))
    watching = Watching.begin()
    try:
        found = measure(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    findings = Findings(
        program=Path(file).stem,
        about=(about or "").strip(),
        machine=machine() | (parts or {}),
        settings={name: _plain(getattr(options, name)) for name in sizes},
        found=found,
        beside=watching.seen(),
    )
    sys.stdout.write(told(findings))
    if options.json is not None:
        options.json.write_bytes(to_json(findings))
    return 0 if findings.is_kept else 1


def _parse(about: str, arguments: Sequence[str], sizes: dict[str, Size]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, size in sizes.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=size.read, help=f"{size.what} (default {size})")
    parser.add_argument("--quick", action="store_true", help="as little as shows that it runs")
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: temporary)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there too")
    options = parser.parse_args(arguments)
    for name, size in sizes.items():
        if getattr(options, name) is None:
            setattr(options, name, size.quick if options.quick else size.full)
    return options


def _plain(size: Value | tuple[int, ...]) -> Value | list[Value]:
    return list(size) if isinstance(size, tuple) else size
