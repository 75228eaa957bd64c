"""What is to be said of an installation's files: keys, permissions, room on the disk."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from access.ids import SiteId
from gardien.errors import one_line
from gardien.findings import Finding, Findings, bad, good, mind
from gardien.secret_files import is_private
from runtime.keys import read_badge_key, signer, verifier
from server.folder import Folder
from server.settings import ServerSettings

LITTLE_ROOM: Final = 1_000_000_000
"""Bytes: below that there is something to do."""

NO_ROOM: Final = 100_000_000
"""Bytes: below that it must be done now."""

_SQLITE: Final = "sqlite:///"


def check_keys(folder: Folder, settings: ServerSettings) -> Findings:
    """Look whether all keys are there and are keys. Blocks for the disk."""
    reads: list[tuple[Callable[[Path], object], Path]] = [
        (signer, folder.signing_key),
        (verifier, folder.public_key),
        *((read_badge_key, folder.badge_key(SiteId(site.id))) for site in settings.sites),
    ]
    problems = []
    for read, path in reads:
        try:
            read(path)
        except ValueError as error:
            problems.append(
                bad(
                    en=f"keys: {one_line(error)}; bring it back from a backup",
                    fr=f"clés : {one_line(error)} ; reprenez-la d'une sauvegarde",
                )
            )
    yield from problems or [good(en="keys: all there", fr="clés : toutes là")]


def check_permissions(folder: Folder) -> Findings:
    """Look whether others can read what is secret. Blocks for the disk."""
    secret = [folder.settings_file, folder.signing_key]
    for part in ("keys", "secrets"):
        secret += [path for path in sorted((folder.path / part).glob("*")) if path.is_file()]
    secret += sorted(folder.path.glob("*.db"))
    public = {folder.public_key}
    seen = dict.fromkeys(path for path in secret if path.exists() and path not in public)
    if is_private(folder.path):
        yield good(
            en="permissions: the folder is for its owner alone",
            fr="droits : le dossier n'est qu'à son propriétaire",
        )
        return
    readable = [path for path in seen if not is_private(path)]
    for path in readable:
        yield bad(
            en=f"permissions: others can read {path}; chmod 600 {path}",
            fr=f"droits : d'autres peuvent lire {path} ; chmod 600 {path}",
        )
    if not readable:
        yield mind(
            en=f"permissions: others may look into {folder.path}; chmod 700 {folder.path}",
            fr=f"droits : d'autres peuvent regarder dans {folder.path} ; chmod 700 {folder.path}",
        )


def check_room(folder: Folder, settings: ServerSettings) -> Findings:
    """Look how much room is left where the installation and its database are."""
    places = [folder.path]
    if settings.database.startswith(_SQLITE):
        file = Path(settings.database.removeprefix(_SQLITE))
        places += [file.parent] if file.parent.is_dir() else []
    disks = {place.stat().st_dev: place for place in reversed(places)}
    for place in disks.values():
        yield room_at(place)


def room_at(place: Path) -> Finding:
    """Say how much room is left on the disk of a folder that is there."""
    free = shutil.disk_usage(place).free
    en, fr = f"disk: {free / 1e9:.1f} GB free", f"disque : {free / 1e9:.1f} Go libres"
    if free < NO_ROOM:
        return bad(
            en=f"{en} at {place}; free some space now: without it nothing can be recorded",
            fr=f"{fr} sous {place} ; libérez de la place maintenant : sans elle, rien ne peut être "
            "enregistré",
        )
    if free < LITTLE_ROOM:
        return mind(
            en=f"{en} at {place}; free some space",
            fr=f"{fr} sous {place} ; libérez de la place",
        )
    return good(en=f"{en} at {place}", fr=f"{fr} sous {place}")
