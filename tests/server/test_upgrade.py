"""Upgrading a database that holds something: what is said before, and how far it has come."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import text as sql

from server import upgrade
from server.database import Database, DatabaseFaultError
from server.upgrade import Advance, is_current

_INSERT = sql(
    "INSERT INTO ledger (site, source, seq, kind, time, received, body)"
    " VALUES (:site, :source, :seq, :kind, :at, :at, :body)"
)
_COUNT = sql("SELECT count(*) FROM ledger")
VERSIONS = Path(upgrade.__file__).parent / "migrations" / "versions"


@dataclass
class Shown:
    """Keeps what a person would have been shown."""

    titles: list[str] = field(default_factory=list)
    steps: int = 0
    done: list[int] = field(default_factory=list)

    @contextmanager
    def __call__(self, title: str, steps: int) -> Iterator[Advance]:
        self.titles.append(title)
        self.steps = steps
        yield self.done.append


@pytest.fixture
def older(empty_database: Database) -> Database:
    """A database of the first schema, with 3,000 records."""
    with empty_database.writing() as connection:
        command.upgrade(upgrade._config(connection), "0001")  # noqa: SLF001 (an older schema)
        row = {"site": "lyon", "source": "front", "kind": "gardien.door.opened", "body": "{}"}
        connection.execute(
            _INSERT, [row | {"seq": number, "at": number * 1_000_000} for number in range(3_000)]
        )
    return empty_database


def test_an_upgrade_says_how_much_there_is_and_about_how_long_it_takes(
    older: Database, caplog: pytest.LogCaptureFixture
) -> None:
    shown = Shown()
    with caplog.at_level(logging.INFO):
        upgrade.upgrade(older, shown)
    assert is_current(older)
    (title,) = shown.titles
    assert re.fullmatch(
        r"bringing the database to its new form \(3,000 records, (a moment|about \d+ s)\)", title
    )
    assert title in caplog.messages
    assert shown.steps == len(list(VERSIONS.glob("0*.py"))) - 1
    assert shown.done == [1] * shown.steps
    with older.reading() as connection:
        assert connection.execute(_COUNT).scalar_one() == 3_000


def test_a_new_database_is_said_to_be_one_and_a_current_one_needs_nothing(
    empty_database: Database,
) -> None:
    shown = Shown()
    upgrade.upgrade(empty_database, shown)
    assert shown.titles == ["bringing the database to its new form (a new one)"]
    again = Shown()
    upgrade.upgrade(empty_database, again)
    assert again.titles == []


def test_an_upgrade_that_fails_with_records_leaves_them_as_they_were(older: Database) -> None:
    with older.writing() as connection:
        connection.execute(sql("CREATE TABLE announced (mine TEXT)"))
    shown = Shown()
    with pytest.raises(DatabaseFaultError):
        upgrade.upgrade(older, shown)
    assert 0 < len(shown.done) < shown.steps
    assert not is_current(older)
    with older.reading() as connection:
        assert connection.execute(_COUNT).scalar_one() == 3_000
        assert connection.execute(sql("SELECT version_num FROM alembic_version")).scalar() == "0001"


def test_every_step_that_goes_through_the_ledger_says_how_often() -> None:
    scripts = ScriptDirectory(str(VERSIONS.parent)).walk_revisions()
    silent = [
        script.revision
        for script in scripts
        if script.revision != "0001"
        and '"ledger"' in Path(script.path).read_text(encoding="utf-8")
        and not hasattr(script.module, "LEDGER_PASSES")
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("length_s", "says"),
    [(0.4, "a moment"), (3.2, "about 3 s"), (119, "about 119 s"), (200, "about 3 min")],
)
def test_lengths_are_told_as_people_would(length_s: float, says: str) -> None:
    assert upgrade.about(length_s) == says


def test_what_a_newer_version_has_used_is_not_touched(empty_database: Database) -> None:
    upgrade.upgrade(empty_database)
    with empty_database.writing() as connection:
        connection.execute(sql("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseFaultError, match="a newer version of gardien has used it"):
        upgrade.upgrade(empty_database)
    with pytest.raises(DatabaseFaultError, match="a newer version of gardien has used it"):
        is_current(empty_database)
    with empty_database.reading() as connection:
        assert connection.execute(sql("SELECT version_num FROM alembic_version")).scalar() == "9999"
