"""`gardien backup`: the whole installation in one encrypted file."""

import logging
from pathlib import Path

import click

from gardien.archive import Contents, read_backup, write_backup
from gardien.backup_note import write_note
from gardien.call import examples, this_call
from gardien.errors import one_line
from gardien.vault_options import (
    PASSPHRASE_OPTION,
    PRIVATE_OPTION,
    PUBLIC_OPTION,
    locker_from,
    opener_from,
)
from runtime.clock import SystemClock
from server.folder import Folder

_log = logging.getLogger(__name__)


@click.command(
    epilog=examples(
        "gardien --data /srv/gardien backup /media/usb/gardien-2026-11-24.backup",
        "gardien backup house.backup --passphrase-file /etc/gardien/backup.passphrase",
        "gardien backup --list house.backup",
        "openssl genpkey -algorithm X25519 -out backup.key",
        "openssl pkey -in backup.key -pubout -out backup.pub",
        "gardien backup house.backup --public-key backup.pub",
        "gardien backup --list house.backup --private-key backup.key",
    )
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--list", "is_list", is_flag=True, help="Say what is in FILE, and whether it is whole."
)
@PASSPHRASE_OPTION
@PUBLIC_OPTION
@PRIVATE_OPTION
def command(
    *,
    file: Path,
    is_list: bool,
    passphrase_file: Path | None,
    public_key: Path | None,
    private_key: Path | None,
) -> None:
    """Write settings, keys, ledger and history into one new encrypted FILE, while all runs.

    The file is read back to be sure. Keep the passphrase, or the private key, apart from it:
    without it nobody can read the file, you included. Delete the file before it is 90 days old:
    nothing in it can be forgotten any more.

    With a pair of keys, which openssl makes, the machine that makes backups has no secret that
    opens them: it has the public key, and the private one is kept elsewhere.
    """
    if is_list:
        if public_key is not None:
            raise click.UsageError("a public key opens nothing; give --private-key")
        _list(file, passphrase_file, private_key)
        return
    if private_key is not None:
        raise click.UsageError("a backup is made for a public key; give --public-key")
    folder = Folder(path=this_call().data)
    folder.load_settings()
    parts = write_backup(folder, file, locker_from(passphrase_file, public_key)).parts
    try:
        write_note(folder, file, SystemClock().now())
    except OSError as error:
        _log.warning("`gardien doctor` will not know of this backup: %s", one_line(error))
    click.echo(f"{file}: {len(parts)} files, {file.stat().st_size} bytes, read back and whole")


def _list(file: Path, passphrase_file: Path | None, private_key: Path | None) -> None:
    contents = read_backup(file, opener_from(passphrase_file, private_key))
    click.echo("\n".join(_told(contents)))


def _told(contents: Contents) -> list[str]:
    about = contents.about
    if about is None:
        return [
            "made      by an older version of gardien, which did not say when",
            *_files(contents),
        ]
    return [*about.lines(), *_files(contents)]


def _files(contents: Contents) -> list[str]:
    """List the files, as they were read: what is listed is whole."""
    total = sum(part.size for part in contents.parts)
    head = f"files     {len(contents.parts)}, {total:,} bytes, whole:"
    return [head, *(f"{part.size:>14,}  {part.name}" for part in contents.parts)]
