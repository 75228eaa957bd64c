"""The frames that find, select and halt a card, and read and write its blocks.

Sources: ISO/IEC 14443-3:2018 (6.2 to 6.5) and NXP MF1S50yyX_V1 rev. 3.2 (sections 9 to 12).
Knows no chip and no library: a `Transceiver` carries the frames.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from edge.ports import Unreadable

_SEVERAL: Final = Unreadable(why="several")

WUPA: Final = bytes([0x52])
HLTA: Final = bytes([0x50, 0x00])
READ: Final = 0x30
WRITE: Final = 0xA0
AUTH_A: Final = 0x60
AUTH_B: Final = 0x61
BLOCK_BYTES: Final = 16
KEY_BYTES: Final = 6

_LEVELS: Final = (0x93, 0x95, 0x97)
_ANTICOLLISION: Final = 0x20
_SELECT: Final = 0x70
_CASCADE_TAG: Final = 0x88
_CASCADE_BIT: Final = 0x04
_ACK: Final = 0x0A
_SHORT_FRAME_BITS: Final = 7
_ACK_BITS: Final = 4
_ATQA_BITS: Final = 16
_PART_BITS: Final = 40
_SAK_BITS: Final = 24

# How long the chip waits for the first bits of an answer, in microseconds.
FRAME_WAIT_US: Final = 800  # a card answers at 86 to 91 microseconds (6.2.1.1)
READ_WAIT_US: Final = 5_000  # MF1S50yyX_V1, 9.1
WRITE_WAIT_US: Final = 10_000  # likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back from the card.

    Attributes:
        data: the bytes, check bytes included.
        bits: how many bits of them are valid.
        is_collision: whether several cards answered at once, and not alike; then there is no data.
    """

    data: bytes
    bits: int
    is_collision: bool = False


class Transceiver(Protocol):
    """A chip that sends one frame and listens for one answer."""

    def exchange(self, frame: bytes, *, bits: int = 0, wait_us: int) -> Answer | None:
        """Send `frame` and return the answer, or None for silence or noise.

        Args:
            frame: the bytes, check bytes included.
            bits: valid bits of the last byte; 0 means all eight.
            wait_us: how long to wait for an answer to begin, in microseconds.

        Raises:
            ReaderError: the chip does not finish.
        """


def crc_a(data: bytes) -> bytes:
    """Return the check bytes of ISO/IEC 14443-3 type A (6.2.4), low byte first."""
    crc = 0x6363
    for byte in data:
        mixed = (byte ^ crc) & 0xFF
        mixed = (mixed ^ mixed << 4) & 0xFF
        crc = (crc >> 8 ^ mixed << 8 ^ mixed << 3 ^ mixed >> 4) & 0xFFFF
    return crc.to_bytes(2, "little")


def select(air: Transceiver) -> bytes | None:
    """Wake a card, halted or not, and select it through all its cascade levels.

    Returns:
        The whole UID of 4, 7 or 10 bytes, or None: no card, two at once, or a frame that arrived
        damaged (look again).

    Raises:
        ReaderError: the chip does not finish.
    """
    seen = look(air)
    return seen if isinstance(seen, bytes) else None


def look(air: Transceiver) -> bytes | Unreadable | None:
    """As `select`, but tell of several cards at once.

    Of several cards none is chosen, though the standard (6.5.3) would allow it: whose badge was
    meant is not for the reader to say. What bits they had in common is thrown away.

    Raises:
        ReaderError: the chip does not finish.
    """
    answer = air.exchange(WUPA, bits=_SHORT_FRAME_BITS, wait_us=FRAME_WAIT_US)
    if answer is None:
        return None
    if answer.is_collision:
        return _SEVERAL
    return _cascade(air) if answer.bits == _ATQA_BITS else None


def _cascade(air: Transceiver) -> bytes | Unreadable | None:
    uid = b""
    for level in _LEVELS:
        part = _anticollide(air, level)
        if isinstance(part, Unreadable):
            return part
        sak = None if part is None else _choose(air, level, part)
        if part is None or sak is None:
            return None
        if not sak & _CASCADE_BIT:
            return uid + part[:4]
        if part[0] != _CASCADE_TAG:
            return None
        uid += part[1:4]
    return None


def _anticollide(air: Transceiver, level: int) -> bytes | Unreadable | None:
    """Ask for one part of the UID; None unless its check byte (BCC) fits."""
    answer = air.exchange(bytes([level, _ANTICOLLISION]), wait_us=FRAME_WAIT_US)
    if answer is not None and answer.is_collision:
        return _SEVERAL
    if answer is None or answer.bits != _PART_BITS:
        return None
    a, b, c, d, check = answer.data
    return answer.data if a ^ b ^ c ^ d == check else None


def _choose(air: Transceiver, level: int, part: bytes) -> int | None:
    """Select the card of this part; returns its SAK, or None unless the CRC fits."""
    frame = bytes([level, _SELECT]) + part
    answer = air.exchange(frame + crc_a(frame), wait_us=FRAME_WAIT_US)
    if answer is None or answer.bits != _SAK_BITS or crc_a(answer.data[:1]) != answer.data[1:]:
        return None
    return answer.data[0]


def halt(air: Transceiver) -> None:
    """Send the card to sleep until the next WUPA. A card answers this by silence.

    Raises:
        ReaderError: the chip does not finish.
    """
    air.exchange(HLTA + crc_a(HLTA), wait_us=FRAME_WAIT_US)


def read_block(air: Transceiver, block: int) -> bytes | None:
    """Read the 16 bytes of a block in the authenticated sector.

    Returns:
        The data, or None: refused, pulled away, or damaged on the way.

    Raises:
        ReaderError: the chip does not finish.
    """
    frame = bytes([READ, block])
    answer = air.exchange(frame + crc_a(frame), wait_us=READ_WAIT_US)
    if answer is None or len(answer.data) != BLOCK_BYTES + 2:
        return None
    data = answer.data[:BLOCK_BYTES]
    return data if crc_a(data) == answer.data[BLOCK_BYTES:] else None


def write_block(air: Transceiver, block: int, data: bytes) -> bool:
    """Write 16 bytes to a block in the authenticated sector.

    Returns:
        True if the card acknowledged both halves. After False the block may hold the old bytes,
        the new ones or a mixture: the card may have left while it wrote.

    Raises:
        ValueError: `data` is not 16 bytes.
        ReaderError: the chip does not finish.
    """
    if len(data) != BLOCK_BYTES:
        raise ValueError(f"a block takes {BLOCK_BYTES} bytes, not {len(data)}")
    return all(_is_acknowledged(air, frame) for frame in (bytes([WRITE, block]), data))


def _is_acknowledged(air: Transceiver, frame: bytes) -> bool:
    answer = air.exchange(frame + crc_a(frame), wait_us=WRITE_WAIT_US)
    if answer is None or answer.bits != _ACK_BITS:
        return False
    return answer.data[0] & 0x0F == _ACK
