"""What is to be said of backups: how old the newest is, and whether one is kept for too long."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from gardien.backup_note import read_note
from gardien.findings import Finding, Findings, bad, good, mind
from gardien.vault_keys import is_vault
from server.folder import Folder
from server.settings import BackupSettings

TOO_OLD_TO_KEEP: Final = timedelta(days=90)
"""So long may a backup be kept: nothing in it can be forgotten (docs/privacy.md)."""

_A_DAY: Final = timedelta(days=1)
_HOW: Final = "docs/install.md"


def check_backups(folder: Folder, settings: BackupSettings, now: datetime) -> Findings:
    """Look at the backups where the settings say that they go, else at what was last made.

    Args:
        folder: of the installation.
        settings: where backups go, and how old the newest may be.
        now: the machine's time.
    """
    if settings.folder is None:
        yield _noted(folder, settings, now)
        return
    try:
        files = {path: _made(path) for path in settings.folder.iterdir() if _is_backup(path)}
    except OSError as error:
        yield bad(
            en=f"backups: {settings.folder} can't be looked at ({error.strerror}); plug the disk "
            "in, or correct folder under [backup]",
            fr=f"sauvegardes : {settings.folder} est inaccessible ({error.strerror}) ; branchez le "
            "disque, ou corrigez folder sous [backup]",
        )
        return
    if not files:
        yield bad(
            en=f"backups: there is none in {settings.folder}; make one with `gardien backup` "
            f"({_HOW})",
            fr=f"sauvegardes : aucune dans {settings.folder} ; faites-en une avec `gardien backup` "
            f"({_HOW})",
        )
        return
    newest = max(files, key=lambda path: files[path])
    yield judge(str(newest), now - files[newest], settings.oldest)
    yield from _kept_too_long(files, now)


def judge(name: str, age: timedelta, oldest: timedelta) -> Finding:
    """Say whether the newest backup is new enough. Pure.

    Args:
        name: of its file.
        age: of it.
        oldest: how old it may be; twice that is bad.
    """
    days = age / _A_DAY
    en = f"backups: the last one, {name}, is {days:.1f} days old"
    fr = f"sauvegardes : la dernière, {name}, a {days:.1f} jours"
    if age <= oldest:
        return good(en=en, fr=fr)
    return (bad if age > 2 * oldest else mind)(
        en=f"{en}; see why none was made since, and make one with `gardien backup` ({_HOW})",
        fr=f"{fr} ; voyez pourquoi aucune n'a été faite depuis, et faites-en une avec "
        f"`gardien backup` ({_HOW})",
    )


def _noted(folder: Folder, settings: BackupSettings, now: datetime) -> Finding:
    note = read_note(folder)
    if note is None:
        return mind(
            en=f"backups: none was ever made of {folder.path}; make one with `gardien backup`, and "
            f"say under [backup] where they go ({_HOW})",
            fr=f"sauvegardes : {folder.path} n'a jamais été sauvegardé ; faites-le avec `gardien "
            f"backup`, et dites sous [backup] où vont les sauvegardes ({_HOW})",
        )
    return judge(note.file, now - note.made, settings.oldest)


def _kept_too_long(made: dict[Path, datetime], now: datetime) -> Findings:
    old = [path for path, at in made.items() if now - at > TOO_OLD_TO_KEEP]
    if old:
        first = min(old, key=lambda path: made[path])
        yield bad(
            en=f"backups: {len(old)} are older than {TOO_OLD_TO_KEEP.days} days, such as {first}, "
            "and hold what was to be forgotten; delete them",
            fr=f"sauvegardes : {len(old)} ont plus de {TOO_OLD_TO_KEEP.days} jours, comme {first}, "
            "et contiennent ce qui devait être oublié ; supprimez-les",
        )


def _is_backup(path: Path) -> bool:
    return path.is_file() and is_vault(path)


def _made(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
