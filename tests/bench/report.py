"""Run every measurement, and make one report of all: text, JSON, and a picture of each curve.

    make bench                                     everything, into docs/figures
    make bench ARGS="--only decide_at_scale"       one program, into tests/out/bench
    make bench ARGS="--quick"                      as little as shows that it runs, there too

PEERS=1 in the environment measures two programs of others as well, where they are installed.
"""

import argparse
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

if (ROOT := str(Path(__file__).parents[2])) not in sys.path:
    sys.path.append(ROOT)

from tests.bench.pictures import draw
from tests.bench.shape import Curve, Findings, from_json, told

HERE: Final = Path(__file__).parent
FIGURES: Final = HERE.parents[1] / "docs" / "figures"
OUT: Final = HERE.parents[1] / "tests" / "out" / "bench"
PEERS: Final = "peers_"
_KEPT_OR_NOT: Final = (0, 1)
"""Exit statuses of a program that has measured: each promise is kept, or one is not."""


def programs(only: Sequence[str], *, with_peers: bool) -> list[Path]:
    """Give the programs that can be started: their first line names the interpreter.

    Raises:
        SystemExit: there is none of that name.
    """
    found = sorted(path for path in HERE.glob("*.py") if os.access(path, os.X_OK))
    unknown = set(only) - {path.stem for path in found}
    if unknown:
        raise SystemExit(
            f"no such measurement: {', '.join(sorted(unknown))}; "
            f"there are {', '.join(path.stem for path in found)}"
        )
    if only:
        return [path for path in found if path.stem in only]
    return [path for path in found if with_peers or not path.stem.startswith(PEERS)]


def run(program: Path, *, is_quick: bool) -> Findings | None:
    """Run one program; None if it broke off."""
    options = ["--quick"] if is_quick else []
    with TemporaryDirectory(prefix="gardien-bench-") as folder:
        file = Path(folder) / "found.json"
        command = [sys.executable, str(program), "--json", str(file), *options]
        done = subprocess.run(command, check=False)
        if done.returncode not in _KEPT_OR_NOT or not file.exists():
            return None
        return from_json(file.read_bytes())


def pictures(every: Sequence[Findings]) -> dict[str, list[Curve]]:
    """Give the curves of each picture."""
    found: dict[str, list[Curve]] = defaultdict(list)
    for findings in every:
        for curve in findings.found.curves:
            found[curve.picture].append(curve)
    return dict(found)


def notes(every: Sequence[Findings]) -> dict[str, str]:
    """Give what is set below each picture: which program made it, on what, and beside what."""
    found: dict[str, str] = {}
    for one in every:
        note = (
            f"{one.program}, {one.machine['cores']} cores, Python {one.machine['python']}; "
            f"meanwhile other work on {one.beside.other_cores:.1f} cores"
        )
        found |= {curve.picture: note for curve in one.found.curves}
    return found


def text(every: Sequence[Findings], missing: Sequence[str], at: datetime) -> str:
    """Write the report for people."""
    return "\n".join(_text(every, missing, at)) + "\n"


def _text(every: Sequence[Findings], missing: Sequence[str], at: datetime) -> Iterator[str]:
    peers = "PEERS=1 " if any(one.program.startswith(PEERS) for one in every) else ""
    yield f"gardien, measured on {at:%Y-%m-%d} by: {peers}make bench"
    yield ""
    yield "Only what was measured in one run, by one program, can be compared: what else the"
    yield "machine did came and went, and is told with each. Take ratios, not figures."
    broken = [p for one in every for p in one.found.promises if not p.is_kept]
    promised = sum(len(one.found.promises) for one in every)
    yield f"Of {promised} promises {promised - len(broken)} were kept."
    for name in missing:
        yield f"{name} broke off: nothing of it is here."
    for one in every:
        yield ""
        yield ""
        yield f"== {one.program}"
        yield ""
        yield one.about
        yield ""
        yield told(one).rstrip("\n")


def write(every: Sequence[Findings], missing: Sequence[str], out: Path) -> None:
    """Write text, JSON and pictures into a folder, in place of an earlier report."""
    for old in (*out.glob("*.svg"), out / "report.txt", out / "report.json"):
        old.unlink(missing_ok=True)
    (out / "report.txt").write_text(text(every, missing, datetime.now(UTC)))
    (out / "report.json").write_bytes(
        msgspec.json.format(msgspec.json.encode({one.program: one for one in every}), indent=2)
        + b"\n"
    )
    below = notes(every)
    for name, curves in pictures(every).items():
        draw(curves, out / f"{name}.svg", below[name])


def main(arguments: list[str]) -> int:
    """Measure everything, and say by the exit status whether all ran and each promise is kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", default=[], metavar="PROGRAM", help="this one")
    parser.add_argument("--quick", action="store_true", help="as little as shows that it runs")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the report goes")
    options = parser.parse_args(arguments)
    chosen = programs(options.only, with_peers=os.environ.get("PEERS", "") not in {"", "0"})
    is_whole = not (options.only or options.quick)
    out = options.out or (FIGURES if is_whole else OUT)
    out.mkdir(parents=True, exist_ok=True)
    every: list[Findings] = []
    missing: list[str] = []
    for place, program in enumerate(chosen, start=1):
        sys.stdout.write(f"== {place} of {len(chosen)}: {program.stem}\n")
        sys.stdout.flush()
        findings = run(program, is_quick=options.quick)
        if findings is None:
            missing.append(program.stem)
        else:
            every.append(findings)
    write(every, missing, out)
    sys.stdout.write(f"The report is in {out}\n")
    return 0 if not missing and all(one.is_kept for one in every) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
