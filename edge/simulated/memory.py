"""The memory of a MIFARE Classic 1K card (NXP MF1S50yyX_V1 rev. 3.2, section 8.6)."""

from typing import Final

from edge.simulated.access_bits import AccessBits

BLOCK_BYTES: Final = 16
BLOCKS: Final = 64
BLOCKS_PER_SECTOR: Final = 4
IMAGE_BYTES: Final = BLOCKS * BLOCK_BYTES
TRANSPORT_KEY: Final = b"\xff" * 6
_TRANSPORT_ACCESS: Final = bytes.fromhex("ff078069")
_KEY_BYTES: Final = 6
_TRAILER: Final = 3


class Memory:
    """Sixteen sectors of four blocks of sixteen bytes; the last block of each holds its keys."""

    def __init__(self, uid: bytes) -> None:
        """Begin in transport condition: all keys FF, all data zero, the UID in block 0."""
        self._bytes = bytearray(IMAGE_BYTES)
        for sector in range(BLOCKS // BLOCKS_PER_SECTOR):
            self.set_keys(sector, key_a=TRANSPORT_KEY, key_b=TRANSPORT_KEY)
        self.set_block(0, uid.ljust(BLOCK_BYTES, b"\0"))

    def copy(self) -> "Memory":
        """Return a memory of its own with the same content."""
        twin = Memory(b"")
        twin.load(self.image)
        return twin

    @property
    def image(self) -> bytes:
        """The whole content: 1,024 bytes."""
        return bytes(self._bytes)

    def load(self, image: bytes) -> None:
        """Take over a whole content.

        Raises:
            ValueError: not 1,024 bytes.
        """
        if len(image) != IMAGE_BYTES:
            raise ValueError(f"a card of 1K has {IMAGE_BYTES} bytes, not {len(image)}")
        self._bytes[:] = image

    def block(self, number: int) -> bytes:
        """Return the 16 bytes of block 0 to 63, whatever the keys say."""
        return bytes(self._bytes[number * BLOCK_BYTES :][:BLOCK_BYTES])

    def set_block(self, number: int, data: bytes) -> None:
        """Put 16 bytes into block 0 to 63, whatever the keys say.

        Raises:
            ValueError: not 16 bytes, or no such block.
        """
        if len(data) != BLOCK_BYTES or not 0 <= number < BLOCKS:
            raise ValueError(f"a block is 0 to 63 and 16 bytes, not {number} and {len(data)}")
        self._bytes[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES] = data

    def read(self, number: int, key: str) -> bytes | None:
        """Return what "A" or "B" may read of block 0 to 63; None if it is nothing.

        Of the last block of a sector, the fields that may not be read are zeros.
        """
        rights = self._rights(number)
        place = number % BLOCKS_PER_SECTOR
        if place != _TRAILER:
            return self.block(number) if rights.may_read(place, key) else None
        trailer = rights.trailer
        if not rights.is_usable(key) or key not in trailer.read_access:
            return None
        raw = self.block(number)
        key_b = raw[-_KEY_BYTES:] if key in trailer.read_key_b else bytes(_KEY_BYTES)
        return bytes(_KEY_BYTES) + raw[_KEY_BYTES:-_KEY_BYTES] + key_b

    def write(self, number: int, data: bytes, key: str) -> None:
        """Write what "A" or "B" may write of block 1 to 63; other fields of a trailer stay."""
        if number % BLOCKS_PER_SECTOR == _TRAILER:
            data = self._merged(number, data, key)
        self.set_block(number, data)

    def may_write(self, number: int, key: str) -> bool:
        """Whether "A" or "B" may write anything of block 0 to 63; the maker's block nobody may."""
        rights, place = self._rights(number), number % BLOCKS_PER_SECTOR
        if place != _TRAILER:
            return number != 0 and rights.may_write(place, key)
        trailer = rights.trailer
        return rights.is_usable(key) and key in trailer.write_keys + trailer.write_access

    def is_open(self, number: int) -> bool:
        """Whether the sector of a block can be used at all: its access bits are whole."""
        return self._rights(number).is_whole

    def _merged(self, number: int, data: bytes, key: str) -> bytes:
        trailer, old = self._rights(number).trailer, self.block(number)
        keys = data if key in trailer.write_keys else old
        access = data if key in trailer.write_access else old
        return keys[:_KEY_BYTES] + access[_KEY_BYTES:-_KEY_BYTES] + keys[-_KEY_BYTES:]

    def _rights(self, number: int) -> AccessBits:
        return AccessBits(self.block(number | _TRAILER))

    def keys(self, block: int) -> tuple[bytes, bytes]:
        """Return key A and key B of the sector that `block` is in; empty if there is no such."""
        trailer = self.block(block | 3)
        return trailer[:_KEY_BYTES], trailer[-_KEY_BYTES:]

    def set_keys(self, sector: int, *, key_a: bytes, key_b: bytes) -> None:
        """Give sector 0 to 15 two keys of 6 bytes each.

        Raises:
            ValueError: not 6 bytes each, or no such sector.
        """
        self.set_block(sector * BLOCKS_PER_SECTOR + 3, key_a + _TRANSPORT_ACCESS + key_b)
