"""What lasts is looked at each night: with the real forgetting, on a real ledger and registry."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import server.forgetting
import server.watching
import simulation.archive
import simulation.year
from server import api_tokens, badge_tokens, forgetting_registry
from server.forgetting import Forgetter
from simulation.archive import Archive
from simulation.evening import Result
from simulation.rulebook import Rulebook
from simulation.year import Year, simulate_year

SEED, DAYS = 2, 8
KEPT = timedelta(days=1)
LONG = timedelta(days=90)


@pytest.fixture
def soon_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ledger and registry name people for a day."""
    monkeypatch.setattr(simulation.archive, "KEPT", KEPT)
    monkeypatch.setattr(simulation.archive, "ROWS_KEPT", KEPT)
    monkeypatch.setattr(simulation.year, "KEPT", KEPT)
    monkeypatch.setattr(forgetting_registry, "MEMBERS_KEPT", KEPT)
    monkeypatch.setattr(api_tokens, "KEPT", KEPT)


def lived(folder: Path) -> tuple[Result, Year, list[str]]:
    return simulate_year(SEED, DAYS, folder)


def nothing(*_: Any, **__: Any) -> int:
    """Forget, or sweep, nobody."""
    return 0


def must_be_noticed(folder: Path, number: int, text: str) -> None:
    result, _, _ = lived(folder)
    assert result.violation is not None
    assert result.violation.number == number
    assert text in result.violation.text


@pytest.mark.usefixtures("soon_forgotten")
def test_whoever_may_be_known_no_more_is_forgotten_and_the_ledger_stays_whole(
    tmp_path: Path,
) -> None:
    result, year, problems = lived(tmp_path)
    assert result.violation is None
    assert problems == []
    assert len(year.nights) == DAYS
    assert sum(night.forgotten for night in year.nights) > 100
    assert year.nights[-1].gone > 2
    happened = ("left", "erased", "joined", "lost_a_badge", "old_badge_found")
    assert [what for what in happened if not result.counts[what]] == []


@pytest.mark.usefixtures("soon_forgotten")
def test_one_who_is_known_for_too_long_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.forgetting, "take_out", nothing)
    must_be_noticed(tmp_path, 11, "entries are filed under somebody")


def test_an_old_badge_that_is_known_for_more_than_a_day_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.forgetting, "UNKNOWN_KEPT", LONG)
    monkeypatch.setattr(simulation.year, "_RELIED_ON", timedelta())
    must_be_noticed(tmp_path, 11, "a badge that nobody has")


@pytest.mark.usefixtures("soon_forgotten")
def test_rows_of_each_kind_that_stay_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting_registry, "MEMBERS_KEPT", LONG)
    monkeypatch.setattr(badge_tokens, "forget", nothing)
    monkeypatch.setattr(api_tokens, "KEPT", LONG)
    monkeypatch.setattr(forgetting_registry, "_listed", nothing)
    too_old, said = Archive.rows_too_old, list[str]()

    def go_on(archive: Archive, *asked: Any) -> list[str]:
        said.extend(too_old(archive, *asked))
        return []

    monkeypatch.setattr(Archive, "rows_too_old", go_on)
    lived(tmp_path)
    kinds = {one.partition(" ")[2] for one in said}
    assert kinds == {
        *("members", "tokens of badges", "tokens of programs", "people on a roll-call")
    }


@pytest.mark.usefixtures("soon_forgotten")
def test_the_first_row_that_stays_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(badge_tokens, "forget", nothing)
    must_be_noticed(tmp_path, 11, "tokens of badges")


def test_one_who_is_erased_and_left_in_the_file_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Forgetter, "wipe", nothing)
    must_be_noticed(tmp_path, 11, "after they were erased")


def test_what_is_left_in_the_end_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    becomes = Rulebook.become

    def become(rules: Rulebook, members: Any, badges: Any) -> None:
        """Let doors be told of each badge for ever."""
        becomes(rules, members, rules.badges | badges)

    def itself(token: str) -> str:
        """Keep a program's secret as it is."""
        return token

    monkeypatch.setattr(Rulebook, "become", become)
    monkeypatch.setattr(api_tokens, "_digest", itself)
    result, _, problems = lived(tmp_path)
    assert result.violation is None
    assert [one for one in problems if "at a door or the broker" in one]
    assert [one for one in problems if one.startswith("a secret")]


def test_one_who_is_taken_to_be_inside_for_days_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.watching, "_sweep_after_hours", nothing)
    monkeypatch.setattr(simulation.year, "_OLDEST_STAY", timedelta(hours=12))
    must_be_noticed(tmp_path, 10, "is taken to be inside")


def test_a_queue_that_grows_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation.year, "_MOST_KEPT_BYTES", 10_000)
    must_be_noticed(tmp_path, 12, "kept is")
