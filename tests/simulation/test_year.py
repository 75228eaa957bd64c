"""What lasts is looked at each night: with the real forgetting, on a real ledger."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import server.watching
import simulation.archive
import simulation.year
from simulation.evening import Result
from simulation.year import Year, simulate_year

SEED, DAYS = 1, 7
KEPT = timedelta(days=2)


@pytest.fixture
def soon_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the ledger name people for two days."""
    monkeypatch.setattr(simulation.archive, "KEPT", KEPT)
    monkeypatch.setattr(simulation.year, "KEPT", KEPT)


def lived(folder: Path) -> tuple[Result, Year, list[str]]:
    return simulate_year(SEED, DAYS, folder)


@pytest.mark.usefixtures("soon_forgotten")
def test_whoever_may_be_known_no_more_is_forgotten_and_the_ledger_stays_whole(
    tmp_path: Path,
) -> None:
    result, year, problems = lived(tmp_path)
    assert result.violation is None
    assert problems == []
    assert len(year.nights) == DAYS
    assert sum(night.forgotten for night in year.nights) > 100


@pytest.mark.usefixtures("soon_forgotten")
def test_one_who_is_known_for_too_long_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulation.archive, "take_out", lambda *_, **__: 0)
    result, _, _ = lived(tmp_path)
    assert result.violation is not None
    assert result.violation.number == 11


def test_one_who_is_taken_to_be_inside_for_days_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(*_: Any) -> None:
        """Sweep nobody."""

    monkeypatch.setattr(server.watching, "_sweep_after_hours", nothing)
    monkeypatch.setattr(simulation.year, "_OLDEST_STAY", timedelta(hours=12))
    result, _, _ = lived(tmp_path)
    assert result.violation is not None
    assert result.violation.number == 10


def test_a_queue_that_grows_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation.year, "_MOST_KEPT_BYTES", 10_000)
    result, _, _ = lived(tmp_path)
    assert result.violation is not None
    assert result.violation.number == 12
