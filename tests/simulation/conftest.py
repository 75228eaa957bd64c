"""How much the simulation is asked to do here, and when: many weeks, beside all other tests."""

import os
from collections.abc import Generator

import pytest

from gardien.progress import progress_bar
from simulation.many import Tally
from tests.simulation.beside import Beside

DEFAULT_SEEDS = 500
DEFAULT_HOURS = 168.0
FIXTURE = "tally"

_first = int(os.environ.get("GARDIEN_FIRST_SEED", "0"))
_seeds = range(_first, _first + int(os.environ.get("GARDIEN_SEEDS", str(DEFAULT_SEEDS))))
_hours = float(os.environ.get("GARDIEN_SIMULATED_HOURS", str(DEFAULT_HOURS)))
_beside = Beside(seeds=_seeds, hours=_hours)


@pytest.fixture(scope="session")
def hours() -> float:
    """How many hours each lasts: `GARDIEN_SIMULATED_HOURS=14` for an evening."""
    return _hours


@pytest.fixture(scope="session")
def tally() -> Tally:
    """What all seeds came to: `GARDIEN_SEEDS=90` for fewer, `GARDIEN_FIRST_SEED` for others."""
    with progress_bar(f"simulating {_hours:g} h of each seed", len(_seeds)) as advance:
        return _beside.wait(advance)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what waits for the simulations last, so that they run beside all others."""
    items.sort(key=_needs_tally)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin, if anybody will ask."""
    is_asked = any(_needs_tally(item) for item in session.items)
    if is_asked and not session.config.option.collectonly:
        _beside.start()


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish() -> Generator[None, object, object]:
    """End them, where the tests ended before."""
    _beside.cancel()
    return (yield)


def _needs_tally(item: pytest.Item) -> bool:
    return FIXTURE in getattr(item, "fixturenames", ())
