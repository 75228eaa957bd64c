"""`gardien simulate`: one evening as a story, or many to be judged."""

import json

import pytest
from click.testing import CliRunner

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
