"""Commands that read the whole ledger: `verify` and `history rebuild`; and the bar they show."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gardien.progress import progress_bar
from tests.gardien.conftest import CommandLine, open_watch


def points(data: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(data / "history.db")) as history:
        tables = history.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        name = next(table for (table,) in tables if "history" in table or "point" in table)
        rows = history.execute(f"SELECT * FROM {name} ORDER BY 1, 2, 3, 4")  # noqa: S608 (our own table)
        # How the database spaces its JSON says nothing.
        return [(*row[:-1], json.loads(row[-1])) for row in rows]


def test_a_whole_ledger_is_said_to_be_whole_with_the_ends_of_its_chains(
    house: CommandLine,
) -> None:
    open_watch(house)
    report = json.loads(house.done("verify", "--json"))
    assert [(one["source"], one["problem"]) for one in report["chains"]] == [("server", None)]
    assert [one["problems"] for one in report["states"]] == [[]]
    told = house.done("verify")
    assert report["chains"][0]["head"]["hash"] in told
    assert "the state is what follows from the ledger" in told


def test_a_state_that_was_changed_behind_the_ledger_is_found(house: CommandLine) -> None:
    open_watch(house)
    with closing(sqlite3.connect(house.data / "gardien.db", isolation_level=None)) as intruder:
        intruder.execute("UPDATE site_state SET body = json_set(body, '$.watch', null)")
    done = house("verify")
    assert done.status == 1
    assert "the state is not what follows from the ledger: by the state no watch runs" in done.out


def test_a_record_that_was_changed_is_found(house: CommandLine) -> None:
    open_watch(house)
    with closing(sqlite3.connect(house.data / "gardien.db", isolation_level=None)) as intruder:
        intruder.execute("DROP TRIGGER ledger_no_update")
        intruder.execute("UPDATE ledger SET body = replace(body, 'gaelle', 'ines')")
    done = house("verify")
    assert done.status == 1
    assert "is not what its hash says" in done.out
    assert done.err == ""


def test_the_history_is_the_same_however_often_it_is_written(house: CommandLine) -> None:
    open_watch(house)
    told = house.done("history", "rebuild")
    first = points(house.data)
    assert first
    assert house.done("history", "rebuild") == told
    assert points(house.data) == first
    (house.data / "history.db").unlink()
    assert house.done("history", "rebuild") == told
    assert points(house.data) == first


def test_a_history_out_of_reach_is_told_in_one_line(house: CommandLine) -> None:
    house.settings(lambda text: text + '\n[history]\nurl = "http://127.0.0.1:1"\n')
    done = house("history", "rebuild")
    assert done.status == 1
    assert done.err.count("\n") == 1


def test_a_bar_comes_on_a_terminal_when_the_work_is_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress_bar("writing", 2, patience_s=60) as advance:
        advance(1)
    assert capsys.readouterr().err == ""
    with progress_bar("writing", None, patience_s=0) as advance:
        advance(1)
    monkeypatch.delenv("FORCE_COLOR")
    with progress_bar("writing", 2, patience_s=0) as advance:
        advance(2)
    assert capsys.readouterr().out == ""
