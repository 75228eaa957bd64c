"""What the access bits of a sector allow (NXP MF1S50yyX_V1 rev. 3.2, 8.7, tables 6 to 8)."""

from dataclasses import dataclass
from typing import Final

_TRAILER: Final = 3
_A: Final = "A"
_B: Final = "B"
_AB: Final = "AB"
_NEVER: Final = ""

# By the bits C1 C2 C3: which keys may read a data block, and which may write it.
_DATA: Final = {
    0b000: (_AB, _AB),
    0b010: (_AB, _NEVER),
    0b100: (_AB, _B),
    0b110: (_AB, _B),
    0b001: (_AB, _NEVER),
    0b011: (_B, _B),
    0b101: (_B, _NEVER),
    0b111: (_NEVER, _NEVER),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailerRights:
    """Which keys may do what with the last block of a sector.

    Attributes:
        write_keys: may write both keys; key A is never read.
        read_access: may read the access bits.
        write_access: may write them.
        read_key_b: may read key B, which is then no key.
    """

    write_keys: str
    read_access: str
    write_access: str
    read_key_b: str


_TRAILERS: Final = {
    bits: TrailerRights(write_keys=keys, read_access=look, write_access=change, read_key_b=key_b)
    for bits, keys, look, change, key_b in (
        (0b000, _A, _A, _NEVER, _A),
        (0b010, _NEVER, _A, _NEVER, _A),
        (0b100, _B, _AB, _NEVER, _NEVER),
        (0b110, _NEVER, _AB, _NEVER, _NEVER),
        (0b001, _A, _A, _A, _A),
        (0b011, _B, _AB, _B, _NEVER),
        (0b101, _NEVER, _AB, _B, _NEVER),
        (0b111, _NEVER, _AB, _NEVER, _NEVER),
    )
}


class AccessBits:
    """The access bits of one sector.

    Args:
        trailer: the 16 bytes of its last block.
    """

    def __init__(self, trailer: bytes) -> None:
        first, second, third = trailer[6:9]
        self._c1, self._c2, self._c3 = second >> 4, third & 0x0F, third >> 4
        inverted = (first & 0x0F, first >> 4, second & 0x0F)
        self.is_whole = inverted == (self._c1 ^ 0x0F, self._c2 ^ 0x0F, self._c3 ^ 0x0F)
        """Whether the bits fit their inverted copies; if not, the sector is closed for good."""

    @property
    def trailer(self) -> TrailerRights:
        """The rights to the last block."""
        return _TRAILERS[self._of(_TRAILER)]

    def is_usable(self, key: str) -> bool:
        """Whether a key, "A" or "B", opens memory: a key B that can be read does not."""
        return self.is_whole and not (key == _B and self.trailer.read_key_b)

    def may_read(self, place: int, key: str) -> bool:
        """Whether the data block at `place`, 0 to 2, may be read with a key."""
        return self.is_usable(key) and key in _DATA[self._of(place)][0]

    def may_write(self, place: int, key: str) -> bool:
        """Whether the data block at `place`, 0 to 2, may be written with a key."""
        return self.is_usable(key) and key in _DATA[self._of(place)][1]

    def _of(self, place: int) -> int:
        c1, c2, c3 = (bits >> place & 1 for bits in (self._c1, self._c2, self._c3))
        return c1 << 2 | c2 << 1 | c3
