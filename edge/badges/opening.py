"""Opens the sectors of a card, and tells a card that refuses from one that has left."""

from typing import Final

from edge.badges.session import CardSession

REFUSALS: Final = 3
"""How often a card must refuse, and be found again each time, before it counts as refusing."""


class CardLeftError(LookupError):
    """The card is gone."""


class UnsureError(LookupError):
    """What should have come back did not: find the card again, and try all anew."""


def opens(
    session: CardSession,
    block: int,
    key: bytes,
    *,
    with_key_b: bool = False,
    tries: int = REFUSALS,
) -> bool:
    """Authenticate, three times if need be; blocks for up to 100 ms.

    Args:
        session: the card, selected.
        block: any of the sector, 0 to 63.
        key: 6 bytes.
        with_key_b: whether it is key B.
        tries: how often a card may refuse; one is enough where many keys are tried.

    Returns:
        False if the card refused each time, and was still there after the last.

    Raises:
        CardLeftError: it was not.
        ReaderError: the reader fails.
    """
    for _ in range(tries):
        if session.authenticate(block, key, with_key_b=with_key_b):
            return True
        find_again(session)
    return False


def find_again(session: CardSession) -> None:
    """Select the card again.

    Raises:
        CardLeftError: it is gone.
        ReaderError: the reader fails.
    """
    if not session.select_again():
        raise CardLeftError("the card was taken away")


def read_surely(session: CardSession, block: int) -> bytes:
    """Read a block of the open sector.

    Raises:
        UnsureError: it did not come whole.
        ReaderError: the reader fails.
    """
    data = session.read(block)
    if data is None:
        raise UnsureError(f"block {block} could not be read")
    return data


def write_surely(session: CardSession, block: int, data: bytes) -> None:
    """Write a block of the open sector.

    Raises:
        UnsureError: it was not acknowledged.
        ReaderError: the reader fails.
    """
    if not session.write(block, data):
        raise UnsureError(f"block {block} was not acknowledged")
