"""The tests of the rules look at each way through them: 100 % of the branches."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

RULES = ("policy", "calendar", "watch", "tokens", "time_bank", "presence_hours", "overlaps")
HERE = Path(__file__)
FEW = """from hypothesis import settings
settings.register_profile("few", max_examples=10, derandomize=True, database=None, deadline=None)
settings.load_profile("few")
"""
"""Few examples, always the same: it is the table and the plain cases that go through all."""


def test_each_branch_of_the_rules_is_gone_through(tmp_path: Path) -> None:
    python = (sys.executable, "-m")
    files = ",".join(f"access/{name}.py" for name in RULES)
    values: dict[str, Any] = {"cwd": HERE.parents[2], "capture_output": True, "text": True}
    (tmp_path / "few_examples.py").write_text(FEW, encoding="utf-8")
    env = os.environ | {
        "COVERAGE_FILE": str(tmp_path / "coverage"),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH")))),
    }
    others = (f"--ignore={HERE}", f"--ignore={HERE.with_name('test_explain.py')}")
    tests = (
        "pytest",
        "-q",
        "-p",
        "few_examples",
        "-p",
        "no:cacheprovider",
        "tests/access",
        *others,
    )
    run = subprocess.run(
        (*python, "coverage", "run", "--branch", f"--include={files}", "-m", *tests),
        env=env,
        check=False,
        **values,
    )
    assert run.returncode == 0, run.stdout[-3000:]
    told = subprocess.run(
        (*python, "coverage", "report", "--show-missing", "--fail-under=100", "--precision=2"),
        env=env,
        check=False,
        **values,
    )
    assert told.returncode == 0, told.stdout
    assert all(f"{name}.py" in told.stdout for name in RULES), told.stdout
