"""One visit of a card: it proves itself, and gets its next token.

The newest token block stays untouched: the next one is written over the older, in the other
sector. So a card that is pulled away at any byte keeps one that is whole, and works at its next
read.
"""

from collections.abc import Callable
from enum import Enum
from typing import Final

from edge.badges.keys import CardKeys, SectorKeys
from edge.badges.opening import CardLeftError, UnsureError, find_again, opens, read_surely
from edge.badges.session import CardSession
from edge.badges.token import HIGHEST_COUNTER, NONCE_BYTES, TokenBlock, make_token, read_token

MOST_TRIES: Final = 3

Random = Callable[[int], bytes]
"""Gives so many random bytes, as `secrets.token_bytes`."""


class Unproven(Enum):
    """Why a card has not proved itself."""

    FORGED = "forged"
    """It is there, and does not have our keys, or no token of ours."""
    LEFT = "left"
    """It was taken away too soon."""
    UNSURE = "unsure"
    """It is there, and can't be read or written well enough."""


def prove(
    session: CardSession, keys: CardKeys, *, random: Random, at_least: int = 1
) -> TokenBlock | Unproven:
    """Check a card, and write and verify its next token; blocks for up to 400 ms, mostly 60.

    Args:
        session: the card, selected.
        keys: of its UID.
        random: for the nonce.
        at_least: the next counter is this one or a higher one.

    Returns:
        The token block that is now the newest, read back under a fresh authentication; or why
        there is none.

    Raises:
        ReaderError: the reader fails.
    """
    try:
        for _ in range(MOST_TRIES):
            try:
                return _prove_once(session, keys, random, at_least)
            except UnsureError:
                find_again(session)
    except CardLeftError:
        return Unproven.LEFT
    return Unproven.UNSURE


def _prove_once(
    session: CardSession, keys: CardKeys, random: Random, at_least: int
) -> TokenBlock | Unproven:
    found = []
    for sector in keys.sectors:
        if not opens(session, sector.block, sector.key_b, with_key_b=True):
            return Unproven.FORGED
        found.append(read_token(keys, sector.number, read_surely(session, sector.block)))
    newest = max(filter(None, found), key=lambda each: each.counter, default=None)
    if newest is None or newest.counter == HIGHEST_COUNTER:
        return Unproven.FORGED
    target = keys.sectors[0 if newest is found[1] else 1]
    counter = max(newest.counter + 1, at_least)
    token = make_token(keys, target.number, counter, random(NONCE_BYTES))
    return _write(session, target, token, is_open=target is keys.sectors[1])


def _write(
    session: CardSession, target: SectorKeys, token: TokenBlock, *, is_open: bool
) -> TokenBlock:
    if not is_open:
        _open_again(session, target)
    # Whether it was acknowledged does not matter: what counts is what can be read back.
    if not session.write(target.block, token.raw):
        find_again(session)
    _open_again(session, target)
    if read_surely(session, target.block) != token.raw:
        raise UnsureError(f"block {target.block} is not what was written")
    return token


def _open_again(session: CardSession, sector: SectorKeys) -> None:
    """Open a sector that has opened before.

    Raises:
        UnsureError: it does not now.
    """
    if not opens(session, sector.block, sector.key_b, with_key_b=True):
        raise UnsureError(f"sector {sector.number} no longer opens")
