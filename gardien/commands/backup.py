"""`gardien backup`: the whole installation in one encrypted file."""

from pathlib import Path

import click

from gardien.archive import write_backup
from gardien.call import examples, this_call
from gardien.passphrases import ask_secret
from server.folder import Folder


@click.command(
    epilog=examples(
        "gardien --data /srv/gardien backup /media/usb/gardien-2026-11-24.backup",
        "gardien backup house.backup --passphrase-file /etc/gardien/backup.passphrase",
    )
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Holds the passphrase in its first line. Without it you are asked.",
)
def command(*, file: Path, passphrase_file: Path | None) -> None:
    """Write settings, keys, ledger and history into one new encrypted FILE, while all runs.

    The file is read back to be sure. Keep the passphrase apart from it: without it nobody can read
    the file, you included.
    """
    folder = Folder(path=this_call().data)
    folder.load_settings()
    passphrase = ask_secret("passphrase", passphrase_file, "--passphrase-file", is_new=True)
    parts = write_backup(folder, file, passphrase)
    click.echo(f"{file}: {len(parts)} files, {file.stat().st_size} bytes, read back and whole")
