"""`gardien restore`: an installation from a backup."""

from pathlib import Path

import click

from gardien.call import examples, this_call
from gardien.restoring import Choice, restore_backup
from gardien.vault_options import PASSPHRASE_OPTION, PRIVATE_OPTION, opener_from
from server.folder import Folder


@click.command(
    epilog=examples(
        "gardien --data /srv/gardien restore gardien-2026-11-24.backup",
        "gardien --data /srv/gardien restore house.backup --private-key backup.key",
        "gardien --data /srv/gardien restore house.backup"
        " --database postgresql+psycopg://gardien@db.example.org/gardien",
        "gardien --data /srv/gardien restore house.backup --database sqlite:///gardien.db",
    )
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@PASSPHRASE_OPTION
@PRIVATE_OPTION
@click.option(
    "--database",
    metavar="URL",
    help="Restore into this database, whichever the backup was made of. Without it: the one that"
    " the settings in the backup name.",
)
@click.option(
    "--database-password-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Holds the password of PostgreSQL in its first line; it is kept among the secrets.",
)
def command(
    *,
    file: Path,
    passphrase_file: Path | None,
    private_key: Path | None,
    database: str | None,
    database_password_file: Path | None,
) -> None:
    """Make an installation from the backup FILE, in the folder of --data, new or empty.

    To move from SQLite to PostgreSQL, or back, stop the server, back up, and restore with
    --database into a new folder. A PostgreSQL must be empty. If that is broken off, type the same
    command again: it goes on where it was.

    Then run `gardien doctor` and `gardien verify`. Doors that have handed in records since the
    backup was made must be looked at: their chains go on further than this ledger.
    """
    folder = Folder(path=this_call().data)
    opener = opener_from(passphrase_file, private_key)
    choice = Choice(url=database, password_file=database_password_file) if database else None
    restore_backup(file, folder.path, opener, choice)
    click.echo(f"{folder.path}: restored; now run `gardien --data {folder.path} doctor`")
