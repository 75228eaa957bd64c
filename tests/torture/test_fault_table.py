"""The table of faults names tests that exist, every fault once, and the torments as they are."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "faults.md"
FAULTS = 29


def named() -> list[tuple[str, str]]:
    found = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TABLE.read_text(encoding="utf-8"))
    return sorted(set(found))


def functions_in(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("file", "name"), named())
def test_every_test_that_the_table_names_exists(file: str, name: str) -> None:
    assert (ROOT / file).is_file()
    assert name in functions_in(ROOT / file)


def test_every_fault_has_its_row() -> None:
    rows = re.findall(r"^\| F(\d+) \|", TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [int(row) for row in rows] == list(range(1, FAULTS + 1))


def test_what_no_test_shows_is_called_open() -> None:
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if re.match(r"\| F\d+ \|", line):
            assert "::" in line or "| open" in line, line


def test_the_torments_are_told_as_they_are() -> None:
    from tests.torture.catalogue import TORMENTS  # noqa: PLC0415 (conftest makes it importable)

    rows = re.findall(
        r"^\| `([\w-]+)` \| ([\d,]+), (\d+) \|", TABLE.read_text(encoding="utf-8"), re.MULTILINE
    )
    told = {(name, int(full.replace(",", "")), int(few)) for name, full, few in rows}
    assert told == {(torment.name, torment.full, torment.few) for torment in TORMENTS}
