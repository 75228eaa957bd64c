"""Torture among the tests: few rounds of each, and all of them only where that is asked for."""

import sys
from pathlib import Path

import pytest

# The torments are programs of their own too: `python -m tests.torture`, from the root.
if (ROOT := str(Path(__file__).parents[2])) not in sys.path:
    sys.path.append(ROOT)


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", "torture: in full, for hours; run with -m torture")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes hours, unless it is asked for."""
    if "torture" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("torture")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
