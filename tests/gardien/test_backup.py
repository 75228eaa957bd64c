"""Backups: one encrypted file that brings the whole installation back, or says that it can't."""

import io
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from gardien.archive import read_backup, write_backup
from gardien.vault import PIECE, VaultReader, VaultWriter
from gardien.vault_keys import (
    Locker,
    Opener,
    Passphrase,
    PassphraseError,
    PrivateKey,
    PublicKey,
    VaultError,
)
from runtime.keys import KeyFileError
from server.folder import Folder
from tests.gardien.conftest import CommandLine

PASSPHRASE = "correct horse battery"  # noqa: S105 (of the tests)

WORDS = Passphrase(PASSPHRASE)

OLD_VAULT = (
    "4741524449454e0110d308dbeac213c1e0f63a74614f223dee6c00aae3494e1089ac6f886118b9e7"
    "0d4aa1438d03f81717aa82d4c831d55fda3f6510c7ac7a"
)


@pytest.fixture
def secret(tmp_path: Path) -> str:
    file = tmp_path / "passphrase"
    file.write_text(f"{PASSPHRASE}\n")
    return str(file)


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """A pair of keys, public and private, as openssl makes them."""
    private, public = tmp_path / "backup.key", tmp_path / "backup.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "X25519", "-out", str(private)], check=True)
    subprocess.run(
        ["openssl", "pkey", "-in", str(private), "-pubout", "-out", str(public)], check=True
    )
    return public, private


@pytest.fixture(params=["passphrase", "key"])
def lock(request: pytest.FixtureRequest) -> tuple[Locker, Opener]:
    """What locks, and what opens it."""
    if request.param == "passphrase":
        return WORDS, WORDS
    public, private = request.getfixturevalue("keys")
    return PublicKey(public), PrivateKey(private)


def sealed(content: bytes, locker: Locker = WORDS) -> bytes:
    file = io.BytesIO()
    with VaultWriter(file, locker.lock()) as vault:
        vault.write(content)
    return file.getvalue()


def opened(raw: bytes, opener: Opener = WORDS) -> bytes:
    return VaultReader(io.BytesIO(raw), opener).read()


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_what_was_sealed_is_read_back_whatever_its_length(
    size: int, lock: tuple[Locker, Opener]
) -> None:
    locker, opener = lock
    content = bytes(number % 251 for number in range(size))
    assert opened(sealed(content, locker), opener) == content


def test_a_changed_byte_is_seen_wherever_it_is(lock: tuple[Locker, Opener]) -> None:
    locker, opener = lock
    raw = sealed(b"the whole house" * 100, locker)
    for place in (7, 8, 10, 20, 40, 87, 90, len(raw) // 2, len(raw) - 1):
        changed = bytearray(raw)
        changed[place] ^= 1
        with pytest.raises(VaultError):
            opened(bytes(changed), opener)


def test_a_file_that_ends_anywhere_in_its_beginning_is_seen(lock: tuple[Locker, Opener]) -> None:
    locker, opener = lock
    raw = sealed(b"x", locker)
    for size in range(0, len(raw), 3):
        with pytest.raises(VaultError):
            opened(raw[:size], opener)


def test_a_key_opens_what_was_made_for_it_and_nothing_else(
    keys: tuple[Path, Path], tmp_path: Path
) -> None:
    public, private = keys
    other = tmp_path / "other.key"
    subprocess.run(["openssl", "genpkey", "-algorithm", "X25519", "-out", str(other)], check=True)
    raw = sealed(b"x", PublicKey(public))
    with pytest.raises(VaultError, match="another key"):
        opened(raw, PrivateKey(other))
    with pytest.raises(VaultError, match="private key"):
        opened(raw)
    with pytest.raises(VaultError, match="passphrase"):
        opened(sealed(b"x"), PrivateKey(private))
    for make, file in ((PublicKey, private), (PrivateKey, public), (PublicKey, tmp_path / "none")):
        with pytest.raises(KeyFileError):
            make(file)


def test_what_was_sealed_before_there_were_keys_is_read() -> None:
    # Written by the version before, with this passphrase.
    assert opened(bytes.fromhex(OLD_VAULT)) == b"the whole house"


def test_a_file_that_was_cut_short_or_put_together_anew_is_seen() -> None:
    raw = sealed(bytes(2 * PIECE) + b"end")
    head, step = 32, PIECE + 16
    first, second = raw[head : head + step], raw[head + step : head + 2 * step]
    swapped = raw[:head] + second + first + raw[head + 2 * step :]
    for broken in (raw[:head], raw[: head + step], raw[:-1], raw + b"x", swapped, b"", b"GARDIEN"):
        with pytest.raises(VaultError):
            opened(broken)


def test_another_passphrase_reads_nothing() -> None:
    with pytest.raises(VaultError, match="passphrase"):
        opened(sealed(b"x"), Passphrase("another horse battery"))


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(PassphraseError):
        Passphrase("short").lock()


def test_a_restored_installation_is_the_one_that_was_backed_up(
    house: CommandLine, tmp_path: Path, secret: str
) -> None:
    house.done("history", "rebuild")
    file = tmp_path / "house.backup"
    told = house.done("backup", str(file), "--passphrase-file", secret)
    assert told.endswith("read back and whole\n")
    assert file.stat().st_mode & 0o777 == 0o600
    assert b"Blanc" not in file.read_bytes()
    other = CommandLine(tmp_path / "other")
    other.done("restore", str(file), "--passphrase-file", secret)
    for command in (("member", "list"), ("badge", "list"), ("event", "list"), ("verify",)):
        assert other.done(*command) == house.done(*command)
    names = {path.relative_to(house.data) for path in house.data.rglob("*") if path.is_file()}
    restored = {path.relative_to(other.data) for path in other.data.rglob("*") if path.is_file()}
    gone = ("-wal", "-shm", "last-backup.json")
    kept = {name for name in names if not name.name.endswith(gone)}
    assert kept <= restored
    assert other.data.stat().st_mode & 0o777 == 0o700
    assert {(other.data / name).stat().st_mode & 0o777 for name in kept} == {0o600}


def test_a_backup_is_taken_while_somebody_writes(
    house: CommandLine, tmp_path: Path, secret: str
) -> None:
    file = tmp_path / "house.backup"
    with closing(sqlite3.connect(house.data / "gardien.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE member SET name = 'half done' WHERE id = 'nora'")
        house.done("backup", str(file), "--passphrase-file", secret)
        writer.execute("ROLLBACK")
    other = CommandLine(tmp_path / "other")
    other.done("restore", str(file), "--passphrase-file", secret)
    assert "Nora Blanc" in other.done("member", "list")


def test_nothing_is_overwritten(house: CommandLine, tmp_path: Path, secret: str) -> None:
    file = tmp_path / "house.backup"
    file.write_text("precious")
    assert house("backup", str(file), "--passphrase-file", secret).status == 1
    assert file.read_text() == "precious"
    file.unlink()
    house.done("backup", str(file), "--passphrase-file", secret)
    done = house("restore", str(file), "--passphrase-file", secret)
    assert done.status == 1
    assert "is not empty" in done.err


def test_a_restore_that_fails_leaves_nothing_behind(
    house: CommandLine, tmp_path: Path, secret: str
) -> None:
    file = tmp_path / "house.backup"
    house.done("backup", str(file), "--passphrase-file", secret)
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    other = CommandLine(tmp_path / "other")
    done = other("restore", str(file), "--passphrase-file", secret)
    assert done.status == 1
    assert done.err.count("\n") == 1
    assert not other.data.exists()


def test_a_passphrase_is_never_an_argument(house: CommandLine, tmp_path: Path) -> None:
    done = house("backup", str(tmp_path / "house.backup"))
    assert done.status == 2
    assert "--passphrase-file" in done.err


def test_with_a_public_key_a_backup_needs_no_secret_and_the_private_one_restores_it(
    house: CommandLine, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    public, private = map(str, keys)
    file = str(tmp_path / "house.backup")
    assert house.done("backup", file, "--public-key", public).endswith("read back and whole\n")
    other = CommandLine(tmp_path / "other")
    refused = other("restore", file, "--private-key", public)
    assert refused.status == 1
    other.done("restore", file, "--private-key", private)
    assert other.done("member", "list") == house.done("member", "list")


def test_a_backup_says_what_is_in_it(house: CommandLine, tmp_path: Path, secret: str) -> None:
    file = str(tmp_path / "house.backup")
    house.done("backup", file, "--passphrase-file", secret)
    told = house.done("backup", "--list", file, "--passphrase-file", secret)
    assert "made      2026-11-24T18:10:" in told
    assert "sites     malakoff" in told
    assert "database  sqlite, schema 00" in told
    assert "members   7" in told
    assert "whole:" in told
    for name in ("gardien.toml", "keys/server.pem", "gardien.db"):
        assert f"  {name}\n" in told
    raw = bytearray(Path(file).read_bytes())
    raw[-1] ^= 1
    Path(file).write_bytes(raw)
    assert house("backup", "--list", file, "--passphrase-file", secret).status == 1


@pytest.mark.parametrize(
    ("args", "way_out"),
    [
        (("--list", "x", "--public-key"), "--private-key"),
        (("x", "--private-key"), "--public-key"),
        (("x", "--passphrase-file", "SECRET", "--public-key"), "not both"),
    ],
)
def test_a_key_at_the_wrong_place_is_a_wrong_call(
    house: CommandLine, keys: tuple[Path, Path], secret: str, args: tuple[str, ...], way_out: str
) -> None:
    done = house("backup", *(secret if arg == "SECRET" else arg for arg in args), str(keys[0]))
    assert done.status == 2
    assert way_out in done.err


def test_a_disk_that_is_full_leaves_nothing_half_done(
    house: CommandLine, tmp_path: Path, secret: str
) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], check=False
    )
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        done = house("backup", str(small / "house.backup"), "--passphrase-file", secret)
        assert done.status == 1
        assert done.err.count("\n") == 1
        assert "house.backup" in done.err
        assert "the disk is full; free some space" in done.err
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert not list(house.data.glob(".backup-*"))


def test_what_a_backup_that_was_killed_left_is_in_no_later_one_and_goes(
    house: CommandLine, tmp_path: Path, secret: str
) -> None:
    old, new = house.data / ".backup-old", house.data / ".backup-new"
    for left in (old, new):
        left.mkdir()
        (left / "copy").write_text("Nora Blanc")
    long_ago = old.stat().st_mtime - timedelta(days=2).total_seconds()
    os.utime(old, (long_ago, long_ago))
    file = tmp_path / "house.backup"
    house.done("backup", str(file), "--passphrase-file", secret)
    assert not old.exists()
    assert new.exists(), "it may be one that is being made"
    parts = read_backup(file, WORDS).parts
    assert not [part.name for part in parts if "copy" in part.name]


def test_how_far_a_backup_is_is_told_of_a_total_that_is_reached(
    house: CommandLine, tmp_path: Path
) -> None:
    (house.data / "plan-of-the-house.pdf").write_bytes(bytes(3 * PIECE + PIECE // 2))
    told: dict[str, tuple[int | None, int]] = {}

    @contextmanager
    def show(title: str, total: int | None) -> Iterator[Callable[[int], None]]:
        told[title] = (total, 0)

        def advance(done: int) -> None:
            told[title] = (total, told[title][1] + done)

        yield advance

    write_backup(Folder(path=house.data), tmp_path / "house.backup", WORDS, show)
    assert told["backing up (MiB)"] == (3, 3)
    read = (tmp_path / "house.backup").stat().st_size // PIECE
    assert read >= 3
    assert told["reading it back (MiB)"] == (read, read)
