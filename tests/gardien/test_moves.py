"""From SQLite to PostgreSQL and back, by backup and restore; broken off anywhere, it goes on."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, inspect, select, text

from access.ids import SiteId
from gardien.restoring import Choice, restore_backup
from gardien.vault_keys import Passphrase
from runtime.clock import DemoClock
from server import ledger, moving, schema
from server.database import Database, DatabaseFaultError, open_database
from server.installation import open_installation
from server.upgrade import revision_of, upgrade
from server.verify import verify_site
from tests.gardien.conftest import TUESDAY_1910, CommandLine, open_watch
from tests.server.conftest import postgres_schema

PASSPHRASE = "correct horse battery"  # noqa: S105 (of the tests)
SITE = SiteId("malakoff")


@pytest.fixture
def secret(tmp_path: Path) -> str:
    file = tmp_path / "passphrase"
    file.write_text(f"{PASSPHRASE}\n")
    return str(file)


@pytest.fixture
def lived_in(house: CommandLine) -> CommandLine:
    """A house whose ledger, history, followers and time bank hold something."""
    open_watch(house)
    house.done("time", "correct", "gaelle", "--minutes=120", "--reason=test")
    house.done("history", "rebuild")
    return house


@pytest.fixture
def new_postgres(postgres_url: str) -> Iterator[Callable[[], str]]:
    """Makes an empty schema of the test's own each time, and gives its URL."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(postgres_schema(postgres_url))


def rows_of(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Give all rows of a database by table, of those that are not empty."""
    found = {}
    with database.reading() as connection:
        names = inspect(connection).get_table_names()
        for table in (*moving.ledger_tables(), *moving.CURSOR_TABLES):
            if table.name in names:
                rows = connection.execute(select(table).order_by(*table.primary_key.columns))
                found[table.name] = sorted((tuple(row) for row in rows), key=repr)
    return {name: rows for name, rows in found.items() if rows}


@contextmanager
def opened(house: CommandLine) -> Iterator[tuple[Database, Database]]:
    """Give an installation's database, and the one with its cursors."""
    with open_installation(house.data) as installation, installation.open_history() as (_, cursors):
        yield installation.database, cursors


def all_rows(house: CommandLine) -> dict[str, list[tuple[object, ...]]]:
    with opened(house) as (database, cursors):
        return rows_of(cursors) | rows_of(database)


def backed_up(house: CommandLine, secret: str, name: str) -> Path:
    file = house.data.with_name(f"{name}.backup")
    house.done("backup", str(file), "--passphrase-file", secret)
    return file


def restored(house: CommandLine, file: Path, secret: str, url: str) -> None:
    house.done("restore", str(file), "--passphrase-file", secret, "--database", url)


def test_a_move_to_postgresql_and_back_keeps_every_row(
    lived_in: CommandLine, tmp_path: Path, secret: str, new_postgres: Callable[[], str]
) -> None:
    before = all_rows(lived_in)
    assert {"ledger", "member", "badge", "time_entry", "follower", "history_point"} <= before.keys()
    there = CommandLine(tmp_path / "there")
    restored(there, backed_up(lived_in, secret, "one"), secret, new_postgres())
    assert all_rows(there) == before
    assert not list(there.data.glob("*.db"))
    there.done("verify")
    back = CommandLine(tmp_path / "back")
    restored(back, backed_up(there, secret, "two"), secret, "sqlite:///gardien.db")
    assert all_rows(back) == before
    for command in (("verify",), ("member", "list"), ("time", "balance"), ("event", "list")):
        assert back.done(*command) == lived_in.done(*command)


def test_numbers_go_on_and_the_ledger_is_append_only_after_a_move(
    lived_in: CommandLine, tmp_path: Path, secret: str, new_postgres: Callable[[], str]
) -> None:
    with opened(lived_in) as (database, _), database.writing() as connection:
        # As after a purge of the newest rows: their numbers are not given again.
        connection.execute(text("UPDATE sqlite_sequence SET seq = 7777 WHERE name = 'ledger'"))
    file = backed_up(lived_in, secret, "one")
    for name, url in (("there", new_postgres()), ("here", "sqlite:///gardien.db")):
        house = CommandLine(tmp_path / name)
        restored(house, file, secret, url)
        house.done("member", "add", "Zoé", "--id", "zoe", "--plan", "nomad")
        with opened(house) as (database, _):
            with database.reading() as connection:
                known = ledger.last_id(connection)
            house.done("watch", "close")
            with database.reading() as connection:
                first = select(func.min(schema.ledger.c.id)).where(schema.ledger.c.id > known)
                assert connection.execute(first).scalar_one() == 7778
            with pytest.raises(Exception, match="append-only"), database.writing() as connection:
                connection.execute(text("DELETE FROM ledger"))


def test_what_was_forgotten_is_vouched_for_after_a_move(
    lived_in: CommandLine, tmp_path: Path, secret: str, new_postgres: Callable[[], str]
) -> None:
    with DemoClock(lived_in.data / "clock") as clock:
        clock.leap_to(TUESDAY_1910 + timedelta(days=91))
    assert json.loads(lived_in.done("forget", "--json"))["entries"]
    lived_in.done("member", "erase", "nora", "--yes")
    there = CommandLine(tmp_path / "there")
    restored(there, backed_up(lived_in, secret, "one"), secret, new_postgres())
    with opened(there) as (database, _), database.reading() as connection:
        reports = verify_site(connection, SITE)
    assert reports
    assert all(report.is_whole for report in reports)
    assert "Nora" not in repr(all_rows(there))


def test_a_database_that_holds_something_is_not_filled(
    lived_in: CommandLine, tmp_path: Path, secret: str, new_postgres: Callable[[], str]
) -> None:
    file, url = backed_up(lived_in, secret, "one"), new_postgres()
    restored(CommandLine(tmp_path / "there"), file, secret, url)
    again = CommandLine(tmp_path / "again")
    done = again("restore", str(file), "--passphrase-file", secret, "--database", url)
    assert done.status == 1
    assert "an installation is in it already" in done.err
    assert not again.data.exists()


RESTORE = """
import sys
from pathlib import Path
from gardien.restoring import Choice, restore_backup
from gardien.vault_keys import Passphrase
from server import moving
moving.BATCH = 3
file, folder, url, passphrase = sys.argv[1:]
restore_backup(Path(file), Path(folder), Passphrase(passphrase), Choice(url=url))
"""


def test_a_move_that_is_killed_at_any_batch_goes_on_and_ends_the_same(
    lived_in: CommandLine, tmp_path: Path, secret: str, new_postgres: Callable[[], str]
) -> None:
    """F20. The kill comes before the Nth batch is committed, of each N in turn."""
    file, url = backed_up(lived_in, secret, "one"), new_postgres()
    before = all_rows(lived_in)
    lived_in.done("member", "add", "Zoé", "--id", "zoe", "--plan", "nomad")
    other = backed_up(lived_in, secret, "other")
    there = CommandLine(tmp_path / "there")
    shutil.copytree(lived_in.data, tmp_path / "pointing")
    pointing = CommandLine(tmp_path / "pointing")
    pointing.settings(lambda text: text.replace("sqlite:///gardien.db", url))
    kills, counted, refused = 0, 0, 0
    while killed_at_batch(file, there.data, url, kills + 1):
        kills += 1
        assert not (there.data / "gardien.toml").exists()
        with open_database(url) as database:
            rows = sum(map(len, rows_of(database).values()))
        assert rows >= counted
        counted = rows
        if kills == 3:
            assert "was broken off" in pointing("doctor").out
            with pytest.raises(moving.MoveError, match="another backup"):
                restore_backup(other, tmp_path / "other", Passphrase(PASSPHRASE), Choice(url=url))
        refused += kills > 1 and pointing("verify").status
    assert kills >= refused >= 5
    assert all_rows(there) == before
    there.done("verify")
    with open_database(url) as database, pytest.raises(DatabaseFaultError):  # noqa: SIM117
        with database.reading() as connection:
            connection.execute(text("SELECT * FROM unfinished_restore"))


def killed_at_batch(file: Path, folder: Path, url: str, number: int) -> bool:
    """Restore in a process that kills itself at its Nth batch; say whether it came to that."""
    killer = f"""
import os, signal
from server.database import Database
real, left = Database.writing, [{number}]
from contextlib import contextmanager
@contextmanager
def writing(self):
    with real(self) as connection:
        yield connection
        if not self.is_sqlite:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
Database.writing = writing
"""
    return killed(killer, file, folder, url)


def killed(killer: str, file: Path, folder: Path, url: str) -> bool:
    """Restore in a process that may kill itself; say whether it did."""
    done = subprocess.run(
        [sys.executable, "-c", killer + RESTORE, str(file), str(folder), url, PASSPHRASE],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode != 0


STEPS = """
import os, signal
from pathlib import Path
from gardien import archive
left = [{number}]
def step():
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
def before(real):
    def stepping(*args):
        step()
        return real(*args)
    return stepping
Path.rename, Path.rmdir, Path.unlink = map(before, (Path.rename, Path.rmdir, Path.unlink))
take = archive._take
def taking(tar, entry, into):
    if entry.name.endswith("gardien.db"):
        step()
    return take(tar, entry, into)
archive._take = taking
"""


def test_a_restore_into_a_file_that_is_killed_at_any_step_is_none_and_is_done_again(
    lived_in: CommandLine, tmp_path: Path, secret: str
) -> None:
    """F20. What is killed leaves no installation, or a whole one; never a half that starts."""
    file = backed_up(lived_in, secret, "one")
    before, there, kills = all_rows(lived_in), CommandLine(tmp_path / "there"), 0
    while killed(STEPS.format(number=kills + 1), file, there.data, "sqlite:///gardien.db"):
        kills += 1
        if (there.data / "gardien.toml").exists():
            assert all_rows(there) == before
            assert "is not empty" in there("restore", str(file), "--passphrase-file", secret).err
            shutil.rmtree(there.data)
    assert kills >= 8
    assert all_rows(there) == before
    assert not list(there.data.glob(".new-*"))


def test_a_folder_in_which_a_restore_was_killed_and_somebody_put_something_is_left_alone(
    lived_in: CommandLine, tmp_path: Path, secret: str
) -> None:
    file, there = backed_up(lived_in, secret, "one"), CommandLine(tmp_path / "there")
    assert killed(STEPS.format(number=4), file, there.data, "sqlite:///gardien.db")
    (there.data / "thesis.odt").write_text("precious")
    done = there("restore", str(file), "--passphrase-file", secret)
    assert done.status == 1
    assert "is not empty" in done.err
    assert (there.data / "thesis.odt").read_text() == "precious"


def test_a_move_that_is_killed_when_all_is_there_is_whole(
    lived_in: CommandLine, tmp_path: Path, secret: str, new_postgres: Callable[[], str]
) -> None:
    killer = """
import os, signal
from gardien import restoring
restoring.release = lambda _: os.kill(os.getpid(), signal.SIGKILL)
"""
    file, there = backed_up(lived_in, secret, "one"), CommandLine(tmp_path / "there")
    assert killed(killer, file, there.data, new_postgres())
    assert all_rows(there) == all_rows(lived_in)
    there.done("verify")


def test_a_backup_is_made_before_an_upgrade_and_upgraded_when_it_is_restored(
    lived_in: CommandLine, tmp_path: Path, secret: str, new_postgres: Callable[[], str]
) -> None:
    url = new_postgres()
    with open_database(url) as database:
        upgrade(database, to="0004")
        with database.writing() as connection:
            connection.execute(
                text(
                    "INSERT INTO member (id, name, language, plan, status, is_guardian, created)"
                    " VALUES ('zoe', 'Zoé', 'fr', 'nomad', 'active', false, 0)"
                )
            )
    lived_in.settings(lambda toml: toml.replace("sqlite:///gardien.db", url))
    file = backed_up(lived_in, secret, "before")
    told = lived_in.done("backup", "--list", str(file), "--passphrase-file", secret)
    assert "postgresql, schema 0004" in told
    with open_database(url) as database:
        assert revision_of(database) == "0004"
    for name, target in (("here", "sqlite:///gardien.db"), ("there", new_postgres())):
        house = CommandLine(tmp_path / name)
        restored(house, file, secret, target)
        assert "Zoé" in house.done("member", "list")
