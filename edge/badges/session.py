"""What a visit needs of a reader that can open the memory of a card: two ports."""

from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable


class CardSession(Protocol):
    """One selected card of MIFARE Classic, for the blocks of its memory."""

    @property
    def uid(self) -> bytes:
        """The whole UID: 4, 7 or 10 bytes."""

    def authenticate(self, block: int, key: bytes, *, with_key_b: bool = False) -> bool:
        """Open the sector of `block` (0 to 63) with a key of 6 bytes; blocks for up to 20 ms.

        After False the card has dropped out: call `select_again` before anything else.

        Raises:
            ReaderError: the reader fails.
        """

    def read(self, block: int) -> bytes | None:
        """Return the 16 bytes of a block in the open sector, or None; blocks for up to 20 ms.

        Raises:
            ReaderError: the reader fails.
        """

    def write(self, block: int, data: bytes) -> bool:
        """Write 16 bytes to a block in the open sector; blocks for up to 50 ms.

        Returns:
            True if the card acknowledged. After False the block's content is unknown.

        Raises:
            ReaderError: the reader fails.
        """

    def select_again(self) -> bool:
        """Find the same card again after a refusal; False if it is gone.

        Raises:
            ReaderError: the reader fails.
        """


@runtime_checkable
class MemoryReader(Protocol):
    """A reader that can open the memory of a card."""

    def session(self) -> AbstractContextManager[CardSession | None]:
        """Select the card in the field; None if there is none. The card sleeps afterwards.

        Raises:
            ReaderError: the reader fails.
        """
