"""An installation out of a backup: into a new folder, and a database that may be another."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gardien.archive import ArchiveError, Part, read_backup
from gardien.databases import LEDGER_FILE, choose_database, copy_in, ledger_file, release
from gardien.progress import ShowProgress, progress_bar
from gardien.secret_files import filled
from gardien.vault_keys import Opener
from server.folder import SETTINGS_FILE, Folder
from server.settings import ServerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The database to restore into, where it is not the one that the backup was made of.

    Attributes:
        url: as in `gardien.toml`; a relative SQLite file is in the folder.
        password_file: holds the password of PostgreSQL.
    """

    url: str
    password_file: Path | None = None


def restore_backup(
    source: Path,
    path: Path,
    opener: Opener,
    choice: Choice | None = None,
    progress: ShowProgress = progress_bar,
) -> ServerSettings:
    """Make an installation of a backup, in a folder that is new or empty: whole, or not at all.

    A PostgreSQL that is filled by it keeps what it has when this is broken off, and another try
    goes on from there; there is no installation in the folder until it is whole.

    Returns:
        Its settings.

    Raises:
        FolderTakenError: the folder is not empty.
        ArchiveError: it is no backup, or the opener does not open it.
        MoveError: something else is in the database.
        DatabaseError: the database can't be filled now.
        SettingsError: its settings can't be used here.
    """
    with filled(path, SETTINGS_FILE) as place:
        parts = read_backup(source, opener, place, title="restoring", progress=progress).parts
        if SETTINGS_FILE not in {part.name for part in parts}:
            raise ArchiveError(f"{source} holds no installation: {SETTINGS_FILE} is not in it")
        folder = Folder(path=place)
        before = ledger_file(folder, folder.load_settings()) or place.absolute() / LEDGER_FILE
        if choice is not None:
            choose_database(place, choice.url, choice.password_file)
        after = ledger_file(folder, folder.load_settings())
        if after is None:
            copy_in(place, before, _name_of(parts), progress)
        elif before.exists():
            before.rename(after)
    settings = Folder(path=path).load_settings()
    if after is None:
        release(settings)
    return settings


def _name_of(parts: Sequence[Part]) -> str:
    """Name a backup by its content."""
    named = "\n".join(f"{part.digest} {part.name}" for part in parts)
    return hashlib.sha256(named.encode()).hexdigest()
