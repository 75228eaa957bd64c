"""The token block of a card: counter, nonce and MAC, in the first block of each of our sectors.

counter (4 bytes, big endian) | nonce (4 bytes) | MAC (8 bytes). The MAC is the first 8 bytes of
HMAC-SHA256 (RFC 2104) over UID | sector | counter | nonce, under the card's own MAC key: no block
can be made up, moved to another card, or moved to the other sector.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from access.tokens import CardToken
from edge.badges.keys import CardKeys

TOKEN_BYTES: Final = 16
NONCE_BYTES: Final = 4
HIGHEST_COUNTER: Final = 2**32 - 1

_COUNTER_BYTES: Final = 4
_MAC_BYTES: Final = 8
_SIGNED_BYTES: Final = _COUNTER_BYTES + NONCE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBlock:
    """A token block whose MAC fits, and which sector it is of.

    Attributes:
        sector: its number.
        counter: 1 to 4,294,967,295.
        raw: the 16 bytes.
    """

    sector: int
    counter: int
    raw: bytes

    @property
    def token(self) -> CardToken:
        """As it travels: 32 hex digits."""
        return CardToken(self.raw.hex())


def make_token(keys: CardKeys, sector: int, counter: int, nonce: bytes) -> TokenBlock:
    """Make a token block.

    Args:
        keys: of the card.
        sector: which it is written to.
        counter: 1 to 4,294,967,295.
        nonce: 4 random bytes.

    Raises:
        ValueError: the counter or the nonce is none.
    """
    if not 1 <= counter <= HIGHEST_COUNTER:
        raise ValueError(f"a card's counter is 1 to {HIGHEST_COUNTER}, not {counter}")
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"a nonce has {NONCE_BYTES} bytes, not {len(nonce)}")
    signed = counter.to_bytes(_COUNTER_BYTES, "big") + nonce
    return TokenBlock(sector=sector, counter=counter, raw=signed + _mac(keys, sector, signed))


def read_token(keys: CardKeys, sector: int, raw: bytes) -> TokenBlock | None:
    """Read a block; None unless it is a token of this card in this sector."""
    signed, mac = raw[:_SIGNED_BYTES], raw[_SIGNED_BYTES:]
    counter = int.from_bytes(signed[:_COUNTER_BYTES], "big")
    if counter == 0 or not hmac.compare_digest(mac, _mac(keys, sector, signed)):
        return None
    return TokenBlock(sector=sector, counter=counter, raw=raw)


def _mac(keys: CardKeys, sector: int, signed: bytes) -> bytes:
    message = keys.uid + bytes([sector]) + signed
    return hmac.digest(keys.mac_key, message, hashlib.sha256)[:_MAC_BYTES]
