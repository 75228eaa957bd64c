"""Backups: one encrypted file that brings the whole installation back, or says that it can't."""

import io
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gardien.vault import PIECE, PassphraseError, VaultError, VaultReader, VaultWriter
from tests.gardien.conftest import CommandLine

PASSPHRASE = "correct horse battery"  # noqa: S105 (of the tests)


@pytest.fixture
def secret(tmp_path: Path) -> str:
    file = tmp_path / "passphrase"
    file.write_text(f"{PASSPHRASE}\n")
    return str(file)


def sealed(content: bytes) -> bytes:
    file = io.BytesIO()
    with VaultWriter(file, PASSPHRASE) as vault:
        vault.write(content)
    return file.getvalue()


def opened(raw: bytes, passphrase: str = PASSPHRASE) -> bytes:
    return VaultReader(io.BytesIO(raw), passphrase).read()


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_what_was_sealed_is_read_back_whatever_its_length(size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    assert opened(sealed(content)) == content


def test_a_changed_byte_is_seen_wherever_it_is() -> None:
    raw = sealed(b"the whole house" * 100)
    for place in (8, 10, 20, 40, len(raw) // 2, len(raw) - 1):
        changed = bytearray(raw)
        changed[place] ^= 1
        with pytest.raises(VaultError):
            opened(bytes(changed))


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
        opened(sealed(b"x"), "another horse battery")


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(PassphraseError):
        VaultWriter(io.BytesIO(), "short")


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
    kept = {name for name in names if not name.name.endswith(("-wal", "-shm"))}
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
