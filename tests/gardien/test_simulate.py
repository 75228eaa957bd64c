"""`gardien simulate`: one evening as a story, or many to be judged."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from edge.latch import Latch
from gardien.main import cli


@pytest.mark.parametrize(
    ("language", "says"),
    [("fr", "Tous les invariants ont tenu"), ("en", "Every invariant held")],
)
def test_an_evening_is_told_as_a_story(language: str, says: str) -> None:
    told = CliRunner().invoke(cli, ["simulate", "--seed=7", "--hours=4", f"--language={language}"])
    assert told.exit_code == 0
    assert says in told.output


def test_the_same_seed_gives_the_same_evening_in_one_process_and_in_many() -> None:
    runner = CliRunner()
    one = json.loads(runner.invoke(cli, ["simulate", "--seed=7", "--hours=4", "--json"]).output)
    many = runner.invoke(cli, ["simulate", "--seed=7", "--count=1", "--hours=4", "--json"])
    told = json.loads(many.output)
    assert told["seeds"] == 1
    assert told["failed"] == []
    assert (told["steps"], told["counts"]) == (one["steps"], one["counts"])


def test_what_is_left_out_by_a_name_of_nothing_is_refused_with_the_names_that_there_are() -> None:
    refused = CliRunner().invoke(cli, ["simulate", "--seed=7", "--without=rain"])
    assert refused.exit_code == 2
    assert "rain is none of these: " in refused.output
    assert "fire" in refused.output


def test_what_is_left_out_is_not_in_the_evening() -> None:
    runner = CliRunner()
    words = ["simulate", "--seed=7", "--hours=4", "--json"]
    whole = json.loads(runner.invoke(cli, words).output)
    left = [f"--without={name}" for name in whole["faults"]]
    less = json.loads(runner.invoke(cli, [*words, "--from=1", "--until=2", *left]).output)
    assert less["faults"] == []
    assert whole["counts"]["impatient"]
    assert "impatient" not in less["counts"]


def test_a_broken_invariant_is_told_with_the_least_that_breaks_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Latch, "is_over", lambda _self, _mono: False)
    monkeypatch.setattr("simulation.shrinking.PATIENCE_S", 5.0)
    told = CliRunner().invoke(cli, ["simulate", "--seed=7", "--hours=4", "--language=en"])
    assert told.exit_code == 1
    assert "Invariant 12 is broken" in told.output
    assert "it takes no more than: " in told.output
    assert "again: gardien simulate --seed 7 --hours 4" in told.output


@pytest.mark.parametrize("whom", [os.killpg, os.kill], ids=["terminal", "process"])
def test_interrupted_in_the_midst_of_many_it_tells_of_those_that_are_done(
    whom: Callable[[int, int], None],
) -> None:
    words = [sys.executable, "-m", "gardien", "simulate", "--seed=0", "--count=100000", "--hours=1"]
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as many:
        threading.Timer(6.0, whom, (many.pid, signal.SIGINT)).start()
        out, err = many.communicate(timeout=60)
    assert many.returncode == 130
    assert re.fullmatch(r"0 of \d+ simulations broke an invariant\n", out)
    assert err == ""
