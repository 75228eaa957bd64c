"""Makes a card one of ours (enrolment), and a card of ours a blank one again.

Each step leaves a card that the same function takes up again: whoever pulls the card away presents
it once more.
"""

from collections.abc import Callable
from enum import Enum
from typing import Final

from edge.badges.keys import WELL_KNOWN_KEYS, CardKeys, SectorKeys
from edge.badges.opening import (
    CardLeftError,
    UnsureError,
    find_again,
    opens,
    read_surely,
    write_surely,
)
from edge.badges.session import CardSession
from edge.badges.token import NONCE_BYTES, TOKEN_BYTES, TokenBlock, make_token
from edge.badges.trailer import (
    OUR_ACCESS,
    TRANSPORT_ACCESS,
    TRANSPORT_KEY,
    has_access,
    towards_ours,
    towards_transport,
)
from edge.badges.visit import MOST_TRIES, Random, Unproven, prove

FACTORY_KEYS: Final = WELL_KNOWN_KEYS[:4]
"""With which a card that was never ours may come."""

_DATA_BLOCKS: Final = 3
_ZEROS: Final = bytes(TOKEN_BYTES)


class Unformatted(Enum):
    """Why a card could not be formatted."""

    FOREIGN = "foreign"
    """It is no card of this kind, or its sectors open with no key that we know."""
    LEFT = "left"
    """It was taken away too soon."""
    UNSURE = "unsure"
    """It is there, and can't be read or written well enough."""


class _ForeignError(LookupError):
    """A sector opens with no key that we know, or with rights that do not suffice."""


def format_card(
    session: CardSession, keys: CardKeys, *, random: Random, counter: int
) -> TokenBlock | Unformatted:
    """Make a card one of ours, or take one that is ours already; blocks for up to 3 s, mostly 0.3.

    A card of ours goes on from its newest token, so that what was remembered of it still holds.

    Args:
        session: the card, selected.
        keys: of its UID.
        random: for the nonces.
        counter: the first one of a card that was not ours; of one that was, the next one is this
            or a higher one.

    Returns:
        The token block that is now the newest, of a visit that found the card in order; or why
        there is none.

    Raises:
        ReaderError: the reader fails.
    """
    for _ in range(MOST_TRIES):
        proven = prove(session, keys, random=random, at_least=counter)
        if isinstance(proven, TokenBlock):
            return proven
        if proven is Unproven.LEFT:
            return Unformatted.LEFT
        failed = _tried(session, lambda: _format(session, keys, random, counter))
        if failed is not None and failed is not Unformatted.UNSURE:
            return failed
    return Unformatted.UNSURE


def blank_card(session: CardSession, keys: CardKeys) -> Unformatted | None:
    """Put factory keys and zeros into our sectors; blocks for up to 2 s, mostly 0.2.

    Args:
        session: the card, selected.
        keys: of its UID.

    Returns:
        None when it is done, and read back; else why not.

    Raises:
        ReaderError: the reader fails.
    """
    for _ in range(MOST_TRIES):
        failed = _tried(session, lambda: _blank(session, keys))
        if failed is not Unformatted.UNSURE:
            return failed
    return Unformatted.UNSURE


def _tried(session: CardSession, work: Callable[[], None]) -> Unformatted | None:
    """Do the work; after `UNSURE` the card is selected, and it may be tried again."""
    try:
        try:
            work()
        except UnsureError:
            find_again(session)
            return Unformatted.UNSURE
    except CardLeftError:
        return Unformatted.LEFT
    except _ForeignError:
        return Unformatted.FOREIGN
    return None


def _format(session: CardSession, keys: CardKeys, random: Random, counter: int) -> None:
    """Put a token into each sector, and our keys if they are not there. The keys go last."""
    for place, sector in enumerate(keys.sectors):
        token = make_token(keys, sector.number, counter + place, random(NONCE_BYTES))
        key_a = _open_with_a(session, sector)
        if _is_ours(session, sector):
            _open_with_b(session, sector)
            write_surely(session, sector.block, token.raw)
            continue
        write_surely(session, sector.block, token.raw)
        for trailer in towards_ours(sector, key_a):
            write_surely(session, sector.trailer, trailer)


def _blank(session: CardSession, keys: CardKeys) -> None:
    for sector in keys.sectors:
        _open_with_a(session, sector)
        if _is_ours(session, sector):
            _open_with_b(session, sector)
            write_surely(session, sector.trailer, towards_transport(sector)[0])
            _open_with_a(session, sector)
        for block in _data_blocks(sector):
            write_surely(session, block, _ZEROS)
        write_surely(session, sector.trailer, towards_transport(sector)[1])
    for sector in keys.sectors:
        _check_blank(session, sector)


def _open_with_a(session: CardSession, sector: SectorKeys) -> bytes:
    """Open a sector with our key A, or with a factory's; gives the one that fits.

    Raises:
        _ForeignError: none does.
        CardLeftError: the card is gone.
    """
    for key in (sector.key_a, *FACTORY_KEYS):
        if opens(session, sector.block, key, tries=1):
            return key
    raise _ForeignError(f"sector {sector.number} opens with no key that we know")


def _open_with_b(session: CardSession, sector: SectorKeys) -> None:
    if not opens(session, sector.block, sector.key_b, with_key_b=True):
        raise _ForeignError(f"sector {sector.number} has another key B")


def _is_ours(session: CardSession, sector: SectorKeys) -> bool:
    """Whether an open sector has our access bits, rather than those of the transport condition.

    Raises:
        _ForeignError: it has neither.
    """
    trailer = read_surely(session, sector.trailer)
    if has_access(trailer, OUR_ACCESS):
        return True
    if has_access(trailer, TRANSPORT_ACCESS):
        return False
    raise _ForeignError(f"sector {sector.number} has access bits of somebody else")


def _check_blank(session: CardSession, sector: SectorKeys) -> None:
    is_open = opens(session, sector.block, TRANSPORT_KEY)
    if not is_open or any(read_surely(session, block) != _ZEROS for block in _data_blocks(sector)):
        raise UnsureError(f"sector {sector.number} is not blank")


def _data_blocks(sector: SectorKeys) -> range:
    return range(sector.block, sector.block + _DATA_BLOCKS)
