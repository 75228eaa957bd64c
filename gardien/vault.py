"""One encrypted file: a stream that shows any change, cut or exchange.

Where its key comes from is in `gardien.vault_keys`. The content goes through AES-256-GCM (NIST
SP 800-38D) in pieces of 1 MiB, each under a nonce that holds its number and whether it is the last
one, as in the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár, 2015).
"""

import os
import struct
from types import TracebackType
from typing import BinaryIO, Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gardien.vault_keys import Opener, Readable, VaultError, VaultKey, exactly

PIECE: Final = 1024 * 1024
"""How much is encrypted at once, in bytes."""

_PREFIX: Final = 7
_TAG: Final = 16


class VaultWriter:
    """Encrypts what is written into a file; what is not closed can't be read.

    Args:
        file: where to; closed by the caller.
        key: of this vault alone, as a `Locker` makes it.
    """

    def __init__(self, file: BinaryIO, key: VaultKey) -> None:
        prefix = os.urandom(_PREFIX)
        self._header = key.header + prefix
        self._pieces = _Pieces(key.key, prefix)
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
        opener: finds its key.

    Raises:
        VaultError: it is no such file, or the opener does not open it.
    """

    def __init__(self, file: Readable, opener: Opener) -> None:
        key = opener.open(file)
        prefix = exactly(file, _PREFIX)
        self._header = key.header + prefix
        self._pieces = _Pieces(key.key, prefix)
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

    def __init__(self, key: bytes, prefix: bytes) -> None:
        self._cipher, self._prefix, self._number = AESGCM(key), prefix, 0

    def next(self, *, is_last: bool) -> tuple[AESGCM, bytes]:
        nonce = self._prefix + struct.pack(">IB", self._number, is_last)
        self._number += 1
        return self._cipher, nonce
