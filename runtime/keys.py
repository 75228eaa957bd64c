"""Keys on disk: the server's signing key (Ed25519, RFC 8032), a site's badge and card keys."""

import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from access.badge import KEY_LENGTH
from access.snapshot import Sign, Verify

_OWNER_ONLY: Final = 0o600


class KeyFileError(ValueError):
    """A key file is missing, or does not hold the key that it should."""


def write_secret(path: Path, content: bytes) -> None:
    """Write a new file that only its owner may read.

    Raises:
        FileExistsError: there is one already; a key is never overwritten.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def make_signing_key(private: Path, public: Path) -> None:
    """Make the server's key pair, as PEM files.

    Raises:
        FileExistsError: there is one already.
    """
    key = Ed25519PrivateKey.generate()
    write_secret(private, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )


def make_badge_key(path: Path) -> None:
    """Make a site's badge key: 32 random bytes, written as hex.

    Raises:
        FileExistsError: there is one already.
    """
    write_secret(path, secrets.token_hex(KEY_LENGTH).encode("ascii") + b"\n")


def read_badge_key(path: Path) -> bytes:
    """Read a site's badge key.

    Raises:
        KeyFileError: it is missing, or not 32 bytes in hex.
    """
    return _read_hex(path)


def make_card_key(path: Path) -> None:
    """Make a site's card master key: 32 random bytes, written as hex.

    Raises:
        FileExistsError: there is one already.
    """
    write_secret(path, secrets.token_hex(KEY_LENGTH).encode("ascii") + b"\n")


def read_card_key(path: Path) -> bytes:
    """Read a site's card master key.

    Raises:
        KeyFileError: it is missing, not 32 bytes in hex, or one byte over and over.
    """
    key = _read_hex(path)
    if len(set(key)) == 1:
        raise KeyFileError(f"{path} holds one byte over and over, which is no secret; make another")
    return key


def _read_hex(path: Path) -> bytes:
    text = _read(path)
    try:
        key = bytes.fromhex(text.decode("ascii").strip())
    except ValueError:
        raise KeyFileError(f"{path} must hold {KEY_LENGTH} bytes written in hex") from None
    if len(key) != KEY_LENGTH:
        raise KeyFileError(f"{path} must hold {KEY_LENGTH} bytes in hex, and holds {len(key)}")
    return key


def signer(private: Path) -> Sign:
    """Give the function that signs with the server's private key.

    Raises:
        KeyFileError: the file is missing, or not an Ed25519 private key in PEM.
    """
    pem = _read(private)
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise KeyFileError(f"{private} is not a private key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{private} is not an Ed25519 key")
    return key.sign


def verifier(public: Path) -> Verify:
    """Give the function that checks the server's signatures.

    Raises:
        KeyFileError: the file is missing, or not an Ed25519 public key in PEM.
    """
    pem = _read(public)
    try:
        key = load_pem_public_key(pem)
    except ValueError as error:
        raise KeyFileError(f"{public} is not a public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError(f"{public} is not an Ed25519 key")

    def verify(signature: bytes, signed: bytes) -> bool:
        try:
            key.verify(signature, signed)
        except InvalidSignature:
            return False
        return True

    return verify


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"can't read the key {path}: {error.strerror}") from error
