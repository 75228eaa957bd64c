"""What goes onto the card of one door unit: its settings, and the keys that it needs."""

import io
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined

from access.ids import SiteId
from edge.settings import load_door_settings
from gardien.certificates import Identity
from gardien.errors import CommandError
from gardien.founding import card_key_file
from gardien.secret_files import make_private
from runtime.keys import make_card_key, read_badge_key, read_card_key, verifier, write_secret
from runtime.settings import SettingsError
from server.folder import Folder
from server.settings import DoorSettings

SETTINGS: Final = "door.toml"
CERTIFICATE: Final = "keys/door.crt"
REQUEST: Final = "keys/door.csr"
_OWNER_ONLY: Final = 0o600

Files = Mapping[str, bytes]
"""Contents by path in the door's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What only the person with the screwdriver knows.

    Attributes:
        kind: what it is.
        fail: what it does without power.
        is_active_high: whether a high pin unlocks it.
        is_released_in_hardware: whether the exit button and the fire panel cut its power.
        has_tamper: whether a switch says that the case of the unit is open.
    """

    kind: Literal["strike", "magnet"]
    fail: Literal["secure", "safe"]
    is_active_high: bool
    is_released_in_hardware: bool
    has_tamper: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """How the door reaches the broker, and what it shows there.

    Attributes:
        host: the broker's name or address.
        port: its port.
        ca: certificate of the authority that signed the broker's, PEM; None without TLS.
        identity: the door's own certificate, or
        password: its password.
    """

    host: str
    port: int
    ca: bytes | None = None
    identity: Identity | None = None
    password: bytes | None = None


def files_for(
    folder: Folder, site: SiteId, door: DoorSettings, wiring: Wiring, entry: Entry
) -> Files:
    """Make the files of a door unit; blocks for the disk.

    Raises:
        KeyFileError: a key of the installation is missing, or not one.
        SettingsError: the settings that come of it can't be used.
    """
    verifier(folder.public_key)
    badge_key = folder.badge_key(site)
    read_badge_key(badge_key)
    card_key = card_key_file(folder.path, site)
    if not card_key.exists():  # an installation from before there was one
        make_card_key(card_key)
    read_card_key(card_key)
    files = {
        SETTINGS: _settings(site, door, wiring, entry).encode(),
        "keys/server.pub.pem": folder.public_key.read_bytes(),
        "keys/badge.key": badge_key.read_bytes(),
        "keys/cards.key": card_key.read_bytes(),
    } | _credentials(entry)
    if wiring.is_released_in_hardware:
        _check(files)
    return files


def write_folder(files: Files, path: Path) -> None:
    """Write the files into a folder that is new or empty.

    Raises:
        CommandError: there is something in it.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise CommandError(f"{path} is there already; name a new folder, or remove it first")
    _write(files, path)


def write_tar(files: Files, path: Path, now: datetime) -> None:
    """Write the files into a new tar file, each for its owner alone.

    Raises:
        FileExistsError: there is one already.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), _OWNER_ONLY, now.timestamp()
            entry.uname = entry.gname = "gardien"
            tar.addfile(entry, io.BytesIO(content))
    write_secret(path, packed.getvalue())


def _credentials(entry: Entry) -> dict[str, bytes]:
    identity = entry.identity or Identity(key=b"")
    every = {
        "keys/ca.crt": entry.ca,
        "keys/door.key": identity.key or None,
        CERTIFICATE: identity.certificate,
        REQUEST: identity.request,
        "keys/mqtt.password": entry.password,
    }
    return {name: content for name, content in every.items() if content is not None}


def _settings(site: SiteId, door: DoorSettings, wiring: Wiring, entry: Entry) -> str:
    templates = Environment(
        loader=PackageLoader("gardien", "data"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        # TOML, not HTML: texts are written by `tojson`, whose strings are TOML's too.
        autoescape=False,  # noqa: S701
    )
    return templates.get_template("door-pi.toml.j2").render(
        site=site,
        door=door.id,
        host=entry.host,
        port=entry.port,
        has_ca=entry.ca is not None,
        has_certificate=entry.identity is not None,
        held_after_s=round(door.held_after.total_seconds()),
        is_active_high=wiring.is_active_high,
        fail=wiring.fail,
        kind=wiring.kind,
        is_released_in_hardware=wiring.is_released_in_hardware,
        readers=door.readers,
        has_contact=door.contact,
        has_tamper=wiring.has_tamper,
    )


def _check(files: Files) -> None:
    """Read the settings as the door unit will, so that nothing is found out at the door."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / SETTINGS
        file.write_bytes(files[SETTINGS])
        try:
            load_door_settings(file)
        except SettingsError as error:
            raise SettingsError(str(error).removeprefix(f"{file}: ")) from error


def _write(files: Files, path: Path) -> None:
    for name, content in files.items():
        make_private((path / name).parent)
        write_secret(path / name, content)
