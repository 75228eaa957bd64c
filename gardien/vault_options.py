"""Who may open a backup, as the command line says it: a passphrase, or a pair of keys."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from gardien.passphrases import ask_secret
from gardien.vault_keys import Locker, Opener, Passphrase, PrivateKey, PublicKey

_FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)
_OPTION: Final = "--passphrase-file"

PASSPHRASE_OPTION: Final[Callable[[Any], Any]] = click.option(
    _OPTION,
    type=_FILE,
    help="Holds the passphrase in its first line. Without it you are asked.",
)
PUBLIC_OPTION: Final[Callable[[Any], Any]] = click.option(
    "--public-key",
    type=_FILE,
    help="X25519, PEM: in place of a passphrase. Then whoever makes backups can read none.",
)
PRIVATE_OPTION: Final[Callable[[Any], Any]] = click.option(
    "--private-key",
    type=_FILE,
    help="The key that belongs to the public one that the backup was made for.",
)


def locker_from(passphrase_file: Path | None, public_key: Path | None) -> Locker:
    """Give what a new backup is locked with; may ask on the terminal.

    Raises:
        SettingsError: the passphrase's file can't be read.
        KeyFileError: the public key can't be used.
    """
    if public_key is not None:
        _refuse_both(passphrase_file, "--public-key")
        return PublicKey(public_key)
    return Passphrase(ask_secret("passphrase", passphrase_file, _OPTION, is_new=True))


def opener_from(passphrase_file: Path | None, private_key: Path | None) -> Opener:
    """Give what opens a backup; may ask on the terminal.

    Raises:
        SettingsError: the passphrase's file can't be read.
        KeyFileError: the private key can't be used.
    """
    if private_key is not None:
        _refuse_both(passphrase_file, "--private-key")
        return PrivateKey(private_key)
    return Passphrase(ask_secret("passphrase", passphrase_file, _OPTION, is_new=False))


def _refuse_both(passphrase_file: Path | None, option: str) -> None:
    if passphrase_file is not None:
        raise click.UsageError(f"give {_OPTION} or {option}, not both")
