"""One encrypted file: a stream under a passphrase that shows any change, cut or exchange.

The key comes from the passphrase by scrypt (RFC 7914). The content goes through AES-256-GCM (NIST
SP 800-38D) in pieces of 1 MiB, each under a nonce that holds its number and whether it is the last
one, as in the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár, 2015).
"""

import os
import struct
from types import TracebackType
from typing import BinaryIO, Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

LEAST_PASSPHRASE: Final = 12
"""The shortest passphrase, in characters."""

PIECE: Final = 1024 * 1024
"""How much is encrypted at once, in bytes."""

_MAGIC: Final = b"GARDIEN\x01"
_COST: Final = 16  # 2 to this many rounds: 64 MiB and some 200 ms on a small machine
_MOST_COST: Final = 20
_SALT: Final = 16
_PREFIX: Final = 7
_TAG: Final = 16
_HEADER: Final = struct.Struct(f">{len(_MAGIC)}sB{_SALT}s{_PREFIX}s")


class VaultError(ValueError):
    """The file is not one of ours, was changed, or the passphrase is another."""


class PassphraseError(ValueError):
    """The passphrase is too short."""


class VaultWriter:
    """Encrypts what is written into a file; what is not closed can't be read.

    Args:
        file: where to; closed by the caller.
        passphrase: 12 characters or more.

    Raises:
        PassphraseError: it is shorter.
    """

    def __init__(self, file: BinaryIO, passphrase: str) -> None:
        if len(passphrase) < LEAST_PASSPHRASE:
            raise PassphraseError(
                f"a passphrase has {LEAST_PASSPHRASE} characters or more, not {len(passphrase)}; "
                "four words do well"
            )
        salt, prefix = os.urandom(_SALT), os.urandom(_PREFIX)
        self._header = _HEADER.pack(_MAGIC, _COST, salt, prefix)
        self._pieces = _Pieces(passphrase, _COST, salt, prefix)
        self._file = file
        self._waiting = bytearray()
        self._is_closed = False
        file.write(self._header)

    def write(self, content: bytes) -> int:
        """Encrypt and write; blocks for the disk."""
        self._waiting += content
        while len(self._waiting) > PIECE:
            self._put(bytes(self._waiting[:PIECE]), is_last=False)
            del self._waiting[:PIECE]
        return len(content)

    def close(self) -> None:
        """Write the last piece. Closing twice is harmless."""
        if not self._is_closed:
            self._is_closed = True
            self._put(bytes(self._waiting), is_last=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()

    def _put(self, piece: bytes, *, is_last: bool) -> None:
        cipher, nonce = self._pieces.next(is_last=is_last)
        self._file.write(cipher.encrypt(nonce, piece, self._header))


class VaultReader:
    """Decrypts a file that a `VaultWriter` wrote. Nothing is given out that was not checked.

    Args:
        file: at its beginning; closed by the caller.
        passphrase: with which it was written.

    Raises:
        VaultError: it is no such file.
    """

    def __init__(self, file: BinaryIO, passphrase: str) -> None:
        self._header = file.read(_HEADER.size)
        if len(self._header) < _HEADER.size or not self._header.startswith(_MAGIC):
            raise VaultError("it is not a backup of gardien; name another file")
        _, cost, salt, prefix = _HEADER.unpack(self._header)
        if not 1 <= cost <= _MOST_COST:
            raise VaultError("it was made by a newer version of gardien, or damaged")
        self._pieces = _Pieces(passphrase, cost, salt, prefix)
        self._file = file
        self._ahead = file.read(PIECE + _TAG)
        self._ready = bytearray()
        self._is_over = False

    def read(self, size: int = -1) -> bytes:
        """Give up to `size` bytes, all for -1; none at the end. Blocks for the disk.

        Raises:
            VaultError: the passphrase is another, or the file was changed or cut short.
        """
        while not self._is_over and (size < 0 or len(self._ready) < size):
            self._ready += self._take()
        taken = bytes(self._ready) if size < 0 else bytes(self._ready[:size])
        del self._ready[: len(taken)]
        return taken

    def _take(self) -> bytes:
        piece, self._ahead = self._ahead, self._file.read(PIECE + _TAG)
        self._is_over = not self._ahead
        cipher, nonce = self._pieces.next(is_last=self._is_over)
        try:
            return cipher.decrypt(nonce, piece, self._header)
        except InvalidTag as error:
            raise VaultError("the passphrase is another one, or the file was changed") from error


class _Pieces:
    """The cipher, and the nonce of each piece in order."""

    def __init__(self, passphrase: str, cost: int, salt: bytes, prefix: bytes) -> None:
        key = Scrypt(salt=salt, length=32, n=2**cost, r=8, p=1).derive(passphrase.encode())
        self._cipher, self._prefix, self._number = AESGCM(key), prefix, 0

    def next(self, *, is_last: bool) -> tuple[AESGCM, bytes]:
        nonce = self._prefix + struct.pack(">IB", self._number, is_last)
        self._number += 1
        return self._cipher, nonce
