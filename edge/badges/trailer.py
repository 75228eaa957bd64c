"""The last block of a sector: its keys, and what they may do (NXP MF1S50yyX_V1 rev. 3.2, 8.7).

Ours: data blocks are read with either key and written with key B (condition 100); keys are never
read, and never written until key B has put the access bits back (condition 101).

From the transport condition to ours and back, only bits C1 change, and each step changes only one
half of the block. The bits C2 and C3 stand in both halves, once inverted: a card pulled away while
it programs them may be left with halves that contradict each other, and then closes the sector for
good.
"""

from typing import Final

from edge.badges.keys import WELL_KNOWN_KEYS, SectorKeys

TRANSPORT_KEY: Final = WELL_KNOWN_KEYS[0]
TRANSPORT_ACCESS: Final = bytes.fromhex("ff078069")
OUR_ACCESS: Final = bytes.fromhex("f0f78069")

_KEY_BYTES: Final = 6
_ACCESS_BYTES: Final = 3


def towards_ours(sector: SectorKeys, old_key_a: bytes) -> tuple[bytes, bytes]:
    """Give the trailers to write, in order, on a sector in transport condition.

    Args:
        sector: with the keys that it shall have.
        old_key_a: the key A that it has; writes both.
    """
    return (
        old_key_a + TRANSPORT_ACCESS + sector.key_b,
        sector.key_a + OUR_ACCESS + sector.key_b,
    )


def towards_transport(sector: SectorKeys) -> tuple[bytes, bytes]:
    """Give the trailers to write, in order, on a sector of ours: by key B, then by key A."""
    return (
        sector.key_a + TRANSPORT_ACCESS + sector.key_b,
        TRANSPORT_KEY + TRANSPORT_ACCESS + TRANSPORT_KEY,
    )


def has_access(trailer: bytes, access: bytes) -> bool:
    """Whether a trailer, as it reads, has these access bits; its last byte is free for all."""
    found = trailer[_KEY_BYTES : _KEY_BYTES + _ACCESS_BYTES]
    return found == access[:_ACCESS_BYTES]
