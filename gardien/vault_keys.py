"""Who can open a vault: whoever knows its passphrase, or has the private key to a public one.

From a passphrase the key comes by scrypt (RFC 7914). For a public key (X25519, RFC 7748) a key is
made for this one vault, and sealed by HPKE (RFC 9180, base mode, HKDF-SHA256, AES-256-GCM).
"""

import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from runtime.keys import KeyFileError

LEAST_PASSPHRASE: Final = 12
"""The shortest passphrase, in characters."""

_BY_PASSPHRASE: Final = b"GARDIEN\x01"
_BY_KEY: Final = b"GARDIEN\x02"
_COST: Final = 16  # 2 to this many rounds: 64 MiB and some 200 ms on a small machine
_MOST_COST: Final = 20
_SALT: Final = 16
_KEY: Final = 32
_SEALED: Final = 80  # HPKE's own 32 bytes, the key, and a tag of 16
_OF_PASSPHRASE: Final = struct.Struct(f">B{_SALT}s")
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class VaultError(ValueError):
    """The file is not one of ours, was changed, or the passphrase or key is another."""


class PassphraseError(ValueError):
    """The passphrase is too short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultKey:
    """The key of one vault.

    Attributes:
        header: how the vault begins: what the key was made of, or is sealed in.
        key: 32 bytes.
    """

    header: bytes
    key: bytes = field(repr=False)


class Readable(Protocol):
    """What a vault is read from: an open file."""

    def read(self, size: int = -1, /) -> bytes:
        """Give up to so many bytes; less at the end only."""


class Locker(Protocol):
    """Makes the keys of new vaults."""

    def lock(self) -> VaultKey:
        """Make the key of a new vault."""


class Opener(Protocol):
    """Finds the keys of vaults that are there."""

    def open(self, file: Readable) -> VaultKey:
        """Find the key of the vault that begins where `file` is; its header is read.

        Raises:
            VaultError: it is no vault, or this does not open it.
        """


class Passphrase:
    """A passphrase locks and opens."""

    def __init__(self, text: str) -> None:
        self._text = text

    def lock(self) -> VaultKey:
        """Make the key of a new vault; takes some 200 ms on a small machine.

        Raises:
            PassphraseError: the passphrase has less than 12 characters.
        """
        if len(self._text) < LEAST_PASSPHRASE:
            raise PassphraseError(
                f"a passphrase has {LEAST_PASSPHRASE} characters or more, not {len(self._text)}; "
                "four words do well"
            )
        return self._key(_COST, os.urandom(_SALT))

    def open(self, file: Readable) -> VaultKey:
        """Find the key of a vault. See `Opener`."""
        if _magic(file) != _BY_PASSPHRASE:
            raise VaultError("it was made for a key; give the file of its private key")
        cost, salt = _OF_PASSPHRASE.unpack(exactly(file, _OF_PASSPHRASE.size))
        if not 1 <= cost <= _MOST_COST:
            raise VaultError("it was made by a newer version of gardien, or damaged")
        return self._key(cost, salt)

    def _key(self, cost: int, salt: bytes) -> VaultKey:
        scrypt = Scrypt(salt=salt, length=_KEY, n=2**cost, r=8, p=1)
        return VaultKey(
            header=_BY_PASSPHRASE + _OF_PASSPHRASE.pack(cost, salt),
            key=scrypt.derive(self._text.encode()),
        )


class PublicKey:
    """A public key locks: whoever has no more than that can make vaults, and open none.

    Args:
        file: X25519, PEM, as `openssl pkey -pubout` writes it.

    Raises:
        KeyFileError: it can't be read, or holds another kind of key.
    """

    def __init__(self, file: Path) -> None:
        try:
            key = load_pem_public_key(_read(file))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise KeyFileError(f"{file} holds no public key in PEM; {_WAY_OUT}") from error
        if not isinstance(key, X25519PublicKey):
            raise KeyFileError(f"{file} holds a key that is not X25519; {_WAY_OUT}")
        self._key = key

    def lock(self) -> VaultKey:
        """Make the key of a new vault."""
        key = os.urandom(_KEY)
        return VaultKey(header=_BY_KEY + _SUITE.encrypt(key, self._key, info=_BY_KEY), key=key)


class PrivateKey:
    """A private key opens what was locked with its public one.

    Args:
        file: X25519, PEM, not encrypted, as `openssl genpkey -algorithm X25519` writes it.

    Raises:
        KeyFileError: it can't be read, or holds another kind of key.
    """

    def __init__(self, file: Path) -> None:
        try:
            key = load_pem_private_key(_read(file), password=None)
        except TypeError as error:
            raise KeyFileError(
                f"{file} is encrypted itself; open it with `openssl pkey -in {file} -out ...`"
            ) from error
        except (ValueError, UnsupportedAlgorithm) as error:
            raise KeyFileError(f"{file} holds no private key in PEM") from error
        if not isinstance(key, X25519PrivateKey):
            raise KeyFileError(f"{file} holds a key that is not X25519")
        self._key = key

    def open(self, file: Readable) -> VaultKey:
        """Find the key of a vault. See `Opener`."""
        if _magic(file) != _BY_KEY:
            raise VaultError("it was made with a passphrase; give that, and no key")
        sealed = exactly(file, _SEALED)
        try:
            key = _SUITE.decrypt(sealed, self._key, info=_BY_KEY)
        except InvalidTag as error:
            raise VaultError("it was made for another key, or was changed") from error
        return VaultKey(header=_BY_KEY + sealed, key=key)


class Remembered:
    """Opens the one vault whose key is known, to read back what was just written."""

    def __init__(self, key: VaultKey) -> None:
        self._key = key

    def open(self, file: Readable) -> VaultKey:
        """Find the key of the vault. See `Opener`."""
        if file.read(len(self._key.header)) != self._key.header:
            raise VaultError("it does not begin as it was written")
        return self._key


_WAY_OUT: Final = "make one with `openssl genpkey -algorithm X25519` and `openssl pkey -pubout`"


def exactly(file: Readable, size: int) -> bytes:
    """Read so many bytes.

    Raises:
        VaultError: there are less.
    """
    content = file.read(size)
    if len(content) < size:
        raise VaultError("it was cut short; name another file")
    return content


def is_vault(path: Path) -> bool:
    """Whether a file begins as what gardien encrypts does. Blocks for the disk.

    Raises:
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        try:
            _magic(file)
        except VaultError:
            return False
    return True


def _magic(file: Readable) -> bytes:
    magic = file.read(len(_BY_KEY))
    if magic not in {_BY_PASSPHRASE, _BY_KEY}:
        raise VaultError("it is not a backup of gardien; name another file")
    return magic


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise KeyFileError(f"{file} can't be read ({error.strerror})") from error
