"""An installation's folder: where its settings, keys, ledger and history are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from access.ids import SiteId
from server.settings import ServerSettings, load_server_settings

SETTINGS_FILE: Final = "gardien.toml"

RUN_FOLDER: Final = "run"
"""What programs write there is of no use once they have ended."""


class InstallationError(OSError):
    """The folder does not hold an installation, or not a whole one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """The paths of an installation.

    Attributes:
        path: the folder that `--data` names.
    """

    path: Path

    @property
    def settings_file(self) -> Path:
        """Where `gardien.toml` is."""
        return self.path / SETTINGS_FILE

    @property
    def signing_key(self) -> Path:
        """The server's private key."""
        return self.path / "keys" / "server.pem"

    @property
    def public_key(self) -> Path:
        """The server's public key, which doors have too."""
        return self.path / "keys" / "server.pub.pem"

    def badge_key(self, site: SiteId) -> Path:
        """The badge key of a site, which its doors have too."""
        return self.path / "keys" / f"{site}.badge.key"

    @property
    def history_file(self) -> Path:
        """The embedded history, and the followers' cursors."""
        return self.path / "history.db"

    @property
    def report_file(self) -> Path:
        """The server's own numbers, while it runs."""
        return self.path / RUN_FOLDER / "server.prom"

    @property
    def unwritten_file(self) -> Path:
        """Says by its time that the ledger can't be written: see `server.unwritten`."""
        return self.path / RUN_FOLDER / "unwritten"

    def load_settings(self) -> ServerSettings:
        """Read `gardien.toml`.

        Raises:
            InstallationError: there is none here.
            SettingsError: it can't be used; the message says where and why.
        """
        if not self.settings_file.is_file():
            raise InstallationError(
                f"no installation in {self.path}: {SETTINGS_FILE} is missing; make one with "
                "`gardien init`, or name its folder with --data"
            )
        return load_server_settings(self.settings_file)
