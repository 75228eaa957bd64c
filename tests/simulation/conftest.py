"""How much the simulation is asked to do here."""

import os

import pytest

DEFAULT_SEEDS = 90
DEFAULT_HOURS = 14.0


@pytest.fixture(scope="session")
def seeds() -> range:
    """The seeds to run: `GARDIEN_SEEDS=500` for more, `GARDIEN_FIRST_SEED` for others."""
    first = int(os.environ.get("GARDIEN_FIRST_SEED", "0"))
    return range(first, first + int(os.environ.get("GARDIEN_SEEDS", str(DEFAULT_SEEDS))))


@pytest.fixture(scope="session")
def hours() -> float:
    """How many hours each lasts: `GARDIEN_SIMULATED_HOURS=168` for a week."""
    return float(os.environ.get("GARDIEN_SIMULATED_HOURS", str(DEFAULT_HOURS)))
