"""`gardien restore`: an installation from a backup."""

from pathlib import Path

import click

from gardien.archive import database_of, restore_backup
from gardien.call import examples, this_call
from gardien.passphrases import ask_secret
from gardien.progress import progress_bar
from server.folder import Folder


@click.command(epilog=examples("gardien --data /srv/gardien restore gardien-2026-11-24.backup"))
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Holds the passphrase in its first line. Without it you are asked.",
)
def command(*, file: Path, passphrase_file: Path | None) -> None:
    """Make an installation from the backup FILE, in the folder of --data, new or empty.

    Then run `gardien doctor` and `gardien verify`. Doors that have handed in records since the
    backup was made must be looked at: their chains go on further than this ledger.
    """
    folder = Folder(path=this_call().data)
    passphrase = ask_secret("passphrase", passphrase_file, "--passphrase-file", is_new=False)
    with progress_bar("restoring", None):
        restore_backup(file, folder.path, passphrase)
        database_of(folder)
    click.echo(f"{folder.path}: restored; now run `gardien --data {folder.path} doctor`")
