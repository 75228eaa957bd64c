"""The databases of an installation on their way into a backup and out of one.

In a backup they are always SQLite files: the ledger, and beside it the history with the followers'
cursors. So it can be restored into either kind of database, whichever it was made from.
"""

import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from gardien.errors import CommandError
from gardien.progress import ShowProgress
from gardien.snapshot_sqlite import snapshot
from server import moving
from server.database import open_database
from server.folder import Folder
from server.installation import open_ledger
from server.settings import ServerSettings
from server.upgrade import revision_of, upgrade

LEDGER_FILE: Final = Path("gardien.db")
"""The ledger in the backup of an installation whose database is PostgreSQL."""

_SQLITE: Final = "sqlite:///"
_DATABASE_LINE: Final = re.compile(r'^database\s*=\s*"[^"]*"', re.MULTILINE)
_PASSWORD_LINE: Final = re.compile(r"^database_password_file\s*=.*\n", re.MULTILINE)


class DatabaseChoiceError(CommandError):
    """The database can't be used for what was asked; the message says why."""


def is_postgresql(settings: ServerSettings) -> bool:
    """Whether the database is PostgreSQL, and not a file."""
    return not str(settings.database).startswith(_SQLITE)


def ledger_file(folder: Folder, settings: ServerSettings) -> Path | None:
    """Give the ledger's file; None where the database is PostgreSQL.

    Raises:
        DatabaseChoiceError: it is a file outside the folder.
    """
    if is_postgresql(settings):
        return None
    file = Path(str(settings.database).removeprefix(_SQLITE))
    if not file.is_relative_to(folder.path.absolute()):
        raise DatabaseChoiceError(
            f"{file} is not in {folder.path}; move it there, so that one file holds all"
        )
    return file


def copy_out(folder: Folder, place: Path, progress: ShowProgress) -> Sequence[tuple[Path, Path]]:
    """Copy the databases of an installation as they are at one moment. Blocks.

    The server may run meanwhile. The history is copied before the ledger, so that its cursor is
    never ahead of what it follows.

    Args:
        folder: of the installation.
        place: where the copies are made; new and empty.
        progress: shows how far it is.

    Returns:
        Each copy, with its name in the folder of the installation.

    Raises:
        DatabaseChoiceError: the ledger is a file outside the folder.
        SnapshotError: a file can't be copied.
        MoveError: a restore into the database was broken off.
        DatabaseError: not now.
    """
    settings = folder.load_settings()
    ledger = ledger_file(folder, settings)
    if ledger is None:
        return _copy_out_rows(settings, folder, place, progress)
    root, copies = folder.path.absolute(), []
    # In one step, so that nobody who writes meanwhile makes it begin anew: no total to be told.
    with progress("copying the database", None):
        for file in (folder.history_file.absolute(), ledger):
            if file.exists():
                snapshot(file, place / file.name)
                copies.append((place / file.name, file.relative_to(root)))
    return copies


def _copy_out_rows(
    settings: ServerSettings, folder: Folder, place: Path, progress: ShowProgress
) -> Sequence[tuple[Path, Path]]:
    """Copy each row out of PostgreSQL: all of them as they are at one moment."""
    history = place / folder.history_file.name
    with ExitStack() as stack:
        source = stack.enter_context(open_ledger(settings))
        moving.refuse_unfinished(source)
        ours = stack.enter_context(open_database(f"{_SQLITE}{place / LEDGER_FILE}"))
        beside = stack.enter_context(open_database(f"{_SQLITE}{history}"))
        # As it is: a backup is made before an upgrade, too.
        upgrade(ours, to=revision_of(source))
        moving.make_cursor_tables(beside)
        tables = moving.ledger_tables()
        rows = moving.count_rows(source, [*tables, *moving.CURSOR_TABLES])
        with source.reading() as moment, progress("copying rows", rows) as advance:
            parts = [(ours, tables), (beside, moving.CURSOR_TABLES)]
            for target, these in parts:
                moving.fill(moment, target, these, advance)
                moving.check_filled([(moment, these)], target)
    return [(file, file.relative_to(place)) for file in (history, place / LEDGER_FILE)]


def choose_database(place: Path, url: str, password_file: Path | None) -> None:
    """Write another database into the settings of an installation.

    Args:
        place: its folder.
        url: of the database; a relative SQLite file is in the folder.
        password_file: holds the password of PostgreSQL; its content is kept among the secrets.

    Raises:
        DatabaseChoiceError: the settings have no line for it.
        SettingsError: the URL can't be used.
    """
    file = Folder(path=place).settings_file
    text, found = _DATABASE_LINE.subn(
        lambda _: f'database = "{url}"', _PASSWORD_LINE.sub("", file.read_text("utf-8")), count=1
    )
    if not found:
        raise DatabaseChoiceError(f'{file.name} has no line database = "..."; write one, try again')
    if password_file is not None:
        secret = Path("secrets/database.password")
        (place / secret.parent).mkdir(mode=0o700, exist_ok=True)
        (place / secret).touch(0o600)
        (place / secret).write_text(password_file.read_text("utf-8"), "utf-8")
        text = text.replace(
            f'database = "{url}"', f'database = "{url}"\ndatabase_password_file = "{secret}"', 1
        )
    file.write_text(text, "utf-8")
    Folder(path=place).load_settings()


def release(settings: ServerSettings) -> None:
    """Say that a PostgreSQL which was filled is an installation's now."""
    with open_ledger(settings) as database:
        moving.end_filling(database)


def copy_in(place: Path, ledger: Path, source: str, progress: ShowProgress) -> None:
    """Fill the PostgreSQL that the settings name from the files of a backup, and delete those.

    It goes on where an earlier try of the same backup was broken off. Blocks.

    Args:
        place: the folder of the installation that is being restored.
        ledger: the ledger's file in it.
        source: a name of the backup, the same for the same content.
        progress: shows how far it is.

    Raises:
        MoveError: something else is in the database.
        DatabaseError: not now; try again.
    """
    folder = Folder(path=place)
    with ExitStack() as stack:
        ours = stack.enter_context(open_database(f"{_SQLITE}{ledger}"))
        beside = stack.enter_context(open_database(f"{_SQLITE}{folder.history_file}"))
        target = stack.enter_context(open_ledger(folder.load_settings()))
        upgrade(ours)
        moving.begin_filling(target, source)
        tables = moving.ledger_tables()
        rows = moving.count_rows(ours, tables) + moving.count_rows(beside, moving.CURSOR_TABLES)
        with ours.reading() as first, beside.reading() as second:
            parts = [(first, tables), (second, moving.CURSOR_TABLES)]
            with progress("copying rows", rows) as advance:
                for connection, these in parts:
                    moving.fill(connection, target, these, advance)
            moving.check_filled(parts, target)
        moving.mark_whole(target)
    for file in (ledger, folder.history_file):
        for name in (file, Path(f"{file}-wal"), Path(f"{file}-shm")):
            name.unlink(missing_ok=True)
