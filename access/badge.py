"""What is stored and sent in place of a badge's UID.

A UID has so few bits that a plain hash of it is found by trying them all; hence a keyed one
(RFC 2104) under a key that stays with the site.
"""

import hashlib
import hmac
import re
from typing import Final

from access.ids import BadgeDigest

UID_LENGTHS: Final = (4, 7, 10)
"""Lengths of a UID in bytes: single, double and triple size, ISO/IEC 14443-3, 6.5.4."""

KEY_LENGTH: Final = 32
_DIGEST_LENGTH: Final = 16
_SEPARATORS: Final = re.compile(r"[\s:.-]")


class UidError(ValueError):
    """Not the UID of a badge."""


def digest(uid: bytes, key: bytes) -> BadgeDigest:
    """Give a badge's digest: HMAC-SHA256 of its UID, the first 16 bytes, as 32 hex digits.

    Args:
        uid: 4, 7 or 10 bytes, leading zeros kept.
        key: the site's badge key, 32 bytes.

    Raises:
        UidError: the UID has another length.
        ValueError: the key has another length.
    """
    if len(uid) not in UID_LENGTHS:
        raise UidError(f"a badge's UID has 4, 7 or 10 bytes, not {len(uid)}")
    if len(key) != KEY_LENGTH:
        raise ValueError(f"a badge key has {KEY_LENGTH} bytes, not {len(key)}")
    return BadgeDigest(hmac.digest(key, uid, hashlib.sha256)[:_DIGEST_LENGTH].hex())


def parse_uid(text: str) -> bytes:
    """Read a UID as people and readers write it: hex, with or without `:`, `-`, `.` or spaces.

    Raises:
        UidError: it is not hex, or not 4, 7 or 10 bytes.
    """
    try:
        uid = bytes.fromhex(_SEPARATORS.sub("", text))
    except ValueError:
        raise UidError(f"a badge's UID is written in hex, such as 04a1b2c3: {text!r}") from None
    if len(uid) not in UID_LENGTHS:
        raise UidError(f"a badge's UID has 4, 7 or 10 bytes, not {len(uid)}: {text!r}")
    return uid
