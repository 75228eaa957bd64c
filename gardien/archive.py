"""A whole installation in one encrypted file: written while it runs, and read back."""

import errno
import hashlib
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, Final, cast

import msgspec

from gardien.backup_about import About, about_from, about_this, header_of
from gardien.backup_note import NOTE
from gardien.databases import copy_out
from gardien.errors import CommandError
from gardien.progress import Advance, ShowProgress, progress_bar
from gardien.secret_files import make_private
from gardien.vault import PIECE, VaultReader, VaultWriter
from gardien.vault_keys import Locker, Opener, Remembered, VaultError
from server.folder import RUN_FOLDER, Folder

_DATABASES: Final = (".db", ".db-wal", ".db-shm", ".db-journal")
_LEFT_OUT: Final = ("broker", RUN_FOLDER, NOTE)
_COPIES: Final = ".backup-"
_ABANDONED_S: Final = 24 * 3600
_OWNER_ONLY: Final = 0o600


class ArchiveError(CommandError):
    """The backup can't be made or brought back; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file of a backup.

    Attributes:
        name: in the folder of the installation.
        size: of its content, in bytes.
        digest: SHA-256 of its content, hex.
    """

    name: str
    size: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What is in a backup.

    Attributes:
        about: what it says of itself; None where an older version made it.
        parts: its files, in order.
    """

    about: About | None
    parts: Sequence[Part]


def write_backup(
    folder: Folder, target: Path, locker: Locker, progress: ShowProgress = progress_bar
) -> Contents:
    """Write an installation into a new file, and read it back to be sure. Blocks.

    The server may run meanwhile: see `gardien.databases.copy_out`. The file has its name only when
    it is whole.

    Args:
        folder: of the installation.
        target: the file.
        locker: who will be able to open it.
        progress: shows how far it is.

    Raises:
        FileExistsError: the file is there already.
        ArchiveError: the file did not read back the same.
        DatabaseChoiceError: the database is a file outside the folder.
        DatabaseError: the database can't be read now.
        SnapshotError: a database can't be copied.
        PassphraseError: the passphrase is too short.
        OSError: the disk is full, or fails.
    """
    key = locker.lock()
    with _new_file(target) as (file, part), _place_for_copies(folder.path) as place:
        copies = copy_out(folder, place, progress)
        about = about_this(folder, copies)
        files = list(_files_of(folder.path, part, copies))
        with (
            progress("backing up (MiB)", _mib(path.stat().st_size for path, _ in files)) as advance,
            VaultWriter(file, key) as vault,
            _writing(vault, about) as tar,
        ):
            written = [_add(tar, path, name, advance) for path, name in files]
        file.flush()
        os.fsync(file.fileno())
        found = read_backup(part, Remembered(key), title="reading it back", progress=progress)
        if found != Contents(about=about, parts=written):
            raise ArchiveError(f"{target} did not read back as it was written; check the disk")
    return found


def read_backup(
    source: Path,
    opener: Opener,
    into: Path | None = None,
    *,
    title: str = "reading",
    progress: ShowProgress = progress_bar,
) -> Contents:
    """Read a whole backup, and write its files into a folder if one is given. Blocks.

    Args:
        source: the file.
        opener: finds its key.
        into: the folder; None to look only.
        title: what is being done, for people.
        progress: shows how far it is.

    Raises:
        ArchiveError: it is no backup, or the opener does not open it.
    """
    try:
        size = _mib([source.stat().st_size])
        with source.open("rb") as file, progress(f"{title} (MiB)", size) as advance:
            vault = cast("Any", VaultReader(_Told(file, advance), opener))
            with tarfile.open(fileobj=vault, mode="r|") as tar:
                parts = [_take(tar, entry, into) for entry in tar]
                return Contents(about=about_from(tar.pax_headers), parts=parts)
    except (VaultError, tarfile.TarError, msgspec.DecodeError) as error:
        raise ArchiveError(f"{source}: {error}") from error


@contextmanager
def _new_file(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """Open a new file for its owner alone, and take it away again if the work fails.

    Gives the file, and its path until then: it has its own when all is in it.
    """
    part = path.with_name(f"{path.name}.part")
    if path.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file, part
        part.rename(path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def _place_for_copies(folder: Path) -> Iterator[Path]:
    """Make a folder in an installation's own; what a backup that was killed left goes with it."""
    for left in folder.glob(f"{_COPIES}*"):
        if left.stat().st_mtime < time.time() - _ABANDONED_S:
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_COPIES, dir=folder) as place:
        yield Path(place)


def _writing(vault: VaultWriter, about: About) -> tarfile.TarFile:
    header = header_of(about)
    return tarfile.open(
        fileobj=cast("Any", vault), mode="w|", format=tarfile.PAX_FORMAT, pax_headers=header
    )


class _Told:
    """A file that is read, and tells how much of it was, MiB by MiB."""

    def __init__(self, file: BinaryIO, advance: Advance) -> None:
        self._file, self._advance = file, advance
        self._read = 0

    def read(self, size: int = -1) -> bytes:
        """Read from the file."""
        content = self._file.read(size)
        before, self._read = self._read, self._read + len(content)
        if done := self._read // PIECE - before // PIECE:
            self._advance(done)
        return content


def _mib(sizes: Iterable[int]) -> int:
    return sum(size // PIECE for size in sizes)


def _files_of(
    folder: Path, target: Path, copies: Sequence[tuple[Path, Path]]
) -> Iterator[tuple[Path, Path]]:
    """Give all that goes into a backup, with its name in the folder; the databases last."""
    yield from ((path, path.relative_to(folder)) for path in _plain_files(folder, target))
    yield from copies


def _plain_files(folder: Path, target: Path) -> Iterator[Path]:
    """Go through all that is not a database, a socket, the broker's own, or the backup itself."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if inside.parts[0] in _LEFT_OUT or inside.parts[0].startswith(_COPIES):
            continue
        is_plain = path.is_file() and not path.is_symlink() and not path.name.endswith(_DATABASES)
        if is_plain and not path.samefile(target):
            yield path


def _add(tar: tarfile.TarFile, path: Path, name: Path, advance: Advance) -> Part:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        entry = tarfile.TarInfo(name.as_posix())
        entry.size, entry.mode = path.stat().st_size, _OWNER_ONLY
        tar.addfile(entry, cast("Any", _Told(file, advance)))
    return Part(name=name.as_posix(), size=entry.size, digest=digest)


def _take(tar: tarfile.TarFile, entry: tarfile.TarInfo, into: Path | None) -> Part:
    name = PurePosixPath(entry.name)
    content = tar.extractfile(entry)
    if content is None or name.is_absolute() or ".." in name.parts:
        raise ArchiveError(f"the backup holds {entry.name!r}, which is no file of an installation")
    if into is None:
        return Part(name=entry.name, size=entry.size, digest=_copied(content, None))
    make_private((into / name).parent)
    descriptor = os.open(into / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        return Part(name=entry.name, size=entry.size, digest=_copied(content, file))


def _copied(content: IO[bytes], file: BinaryIO | None) -> str:
    """Give the SHA-256 of a content, however large, and write it into a file if there is one."""
    digest = hashlib.sha256()
    while piece := content.read(PIECE):
        digest.update(piece)
        if file is not None:
            file.write(piece)
    if file is not None:
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()
