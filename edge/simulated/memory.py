"""The memory of a MIFARE Classic 1K card (NXP MF1S50yyX_V1 rev. 3.2, section 8.6)."""

from typing import Final

BLOCK_BYTES: Final = 16
BLOCKS: Final = 64
BLOCKS_PER_SECTOR: Final = 4
TRANSPORT_KEY: Final = b"\xff" * 6
_TRANSPORT_ACCESS: Final = bytes.fromhex("ff078069")
_KEY_BYTES: Final = 6


class Memory:
    """Sixteen sectors of four blocks of sixteen bytes; the last block of each holds its keys."""

    def __init__(self, uid: bytes) -> None:
        """Begin in transport condition: all keys FF, all data zero, the UID in block 0."""
        self._bytes = bytearray(BLOCKS * BLOCK_BYTES)
        for sector in range(BLOCKS // BLOCKS_PER_SECTOR):
            self.set_keys(sector, key_a=TRANSPORT_KEY, key_b=TRANSPORT_KEY)
        self.set_block(0, uid.ljust(BLOCK_BYTES, b"\0"))

    def copy(self) -> "Memory":
        """Return a memory of its own with the same content."""
        twin = Memory(b"")
        twin._bytes[:] = self._bytes
        return twin

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
