"""The keys of each card, derived from the site's card master key and the card's UID.

HKDF with SHA-256 (RFC 5869), without salt: the master key is 32 random bytes already. The info
names the purpose, the UID and the sector, so that a key that leaks opens one sector of one card.
"""

from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from edge.badges.layout import DEFAULT_SECTORS, LAST_SECTOR

MASTER_BYTES: Final = 32

_KEY_BYTES: Final = 6
_MAC_KEY_BYTES: Final = 32
_LABEL: Final = b"gardien/1/card/"

WELL_KNOWN_KEYS: Final = tuple(
    bytes.fromhex(key)
    for key in (
        "ffffffffffff",  # transport condition: MF1S50yyX_V1, 8.6.3
        "a0a1a2a3a4a5",  # the application directory: NXP AN10787
        "d3f7d3f7d3f7",  # NFC Forum data: NXP AN1305
        "000000000000",
        "b0b1b2b3b4b5",
        "4d3a99c351dd",
        "1a982c7e459a",
        "aabbccddeeff",
        "714c5c886e97",
        "587ee5f9350f",
        "a0478cc39091",
        "533cb6c723f6",
        "8fd0a4f256e9",
        "a396efa4e24f",  # the backdoor of the FM11RF08S, and its kin
        "a31667a8cec1",
        "518b3354e760",
    )
)
"""Keys that every program for copying cards tries first."""


class CardKeyError(ValueError):
    """What should be a card master key, or the sectors of a site, can't be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SectorKeys:
    """One sector of one card.

    Attributes:
        number: of the sector, 1 to 15.
        key_a: 6 bytes; reads.
        key_b: 6 bytes; reads and writes.
    """

    number: int
    key_a: bytes = field(repr=False)
    key_b: bytes = field(repr=False)

    @property
    def block(self) -> int:
        """The block that holds the token."""
        return 4 * self.number

    @property
    def trailer(self) -> int:
        """The block that holds the keys."""
        return 4 * self.number + 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CardKeys:
    """All keys of one card.

    Attributes:
        uid: 4, 7 or 10 bytes.
        sectors: the two that are ours.
        mac_key: 32 bytes; makes and checks the tokens.
    """

    uid: bytes
    sectors: tuple[SectorKeys, SectorKeys]
    mac_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteKeys:
    """What the keys of all cards of a site come from.

    Attributes:
        master: the site's card master key, 32 bytes.
        sectors: the two sectors of a card that are ours, 1 to 15.

    Raises:
        CardKeyError: the key has another length or is one byte over and over, or the sectors are
            not two of 1 to 15.
    """

    master: bytes = field(repr=False)
    sectors: tuple[int, int] = DEFAULT_SECTORS

    def __post_init__(self) -> None:
        """Refuse a master key that nobody drew, and sectors that can't be ours."""
        check_master(self.master)
        check_sectors(self.sectors)

    def of(self, uid: bytes) -> CardKeys:
        """Derive the keys of one card.

        Args:
            uid: 4, 7 or 10 bytes.
        """
        first, second = self.sectors
        return CardKeys(
            uid=uid,
            sectors=(self._sector(uid, first), self._sector(uid, second)),
            mac_key=derive(self.master, _info(b"mac", uid, 0, 0), _MAC_KEY_BYTES),
        )

    def _sector(self, uid: bytes, number: int) -> SectorKeys:
        return SectorKeys(
            number=number,
            key_a=self._key(b"key-a", uid, number),
            key_b=self._key(b"key-b", uid, number),
        )

    def _key(self, purpose: bytes, uid: bytes, sector: int) -> bytes:
        for index in range(256):
            key = derive(self.master, _info(purpose, uid, sector, index), _KEY_BYTES)
            if key not in WELL_KNOWN_KEYS:
                return key
        raise CardKeyError("the card master key gives well-known keys only; make another")


def derive(secret: bytes, info: bytes, length: int, salt: bytes | None = None) -> bytes:
    """Derive a key: HKDF-SHA256 (RFC 5869).

    Args:
        secret: what it comes from.
        info: what it is for.
        length: in bytes, 1 to 8,160.
        salt: none, unless it is given.
    """
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)


def check_master(master: bytes) -> None:
    """Make sure that a card master key can be one.

    Raises:
        CardKeyError: it has another length, or is one byte over and over.
    """
    if len(master) != MASTER_BYTES:
        raise CardKeyError(f"a card master key has {MASTER_BYTES} bytes, not {len(master)}")
    if len(set(master)) == 1:
        raise CardKeyError("a card master key of one byte over and over is no secret; make one")


def check_sectors(sectors: tuple[int, ...]) -> None:
    """Make sure that these can be our sectors.

    Raises:
        CardKeyError: they are not two of 1 to 15. Sector 0 holds the UID and the directory.
    """
    is_two = len(sectors) == len(set(sectors)) == len(DEFAULT_SECTORS)
    if not is_two or not all(1 <= sector <= LAST_SECTOR for sector in sectors):
        raise CardKeyError(f"give two sectors of 1 to {LAST_SECTOR}, such as 1 and 2")


def _info(purpose: bytes, uid: bytes, sector: int, index: int) -> bytes:
    return _LABEL + purpose + b"\0" + bytes([len(uid)]) + uid + bytes([sector, index])
