"""A MIFARE Classic 1K card, as a reader's antenna meets it.

Sources: ISO/IEC 14443-3:2018 (states, REQA, WUPA, anticollision, HLTA) and NXP MF1S50yyX_V1
rev. 3.2 (memory, authentication, READ, WRITE, ACK and NAK). CRYPTO1 itself is left out: it
happens inside chip and card. Where one side enciphers and the other does not, they hear noise,
and noise is modelled as silence. Access bits are enforced, and a sector whose bits contradict each
other is closed for good (8.7.1).
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from edge.simulated.crc import crc_a, has_good_crc
from edge.simulated.memory import BLOCK_BYTES, BLOCKS, BLOCKS_PER_SECTOR, Memory
from edge.simulated.stay import Stay

REQA: Final = 0x26
WUPA: Final = 0x52
HLTA: Final = bytes([0x50, 0x00])
SELECT_LEVELS: Final = (0x93, 0x95, 0x97)
ANTICOLLISION: Final = 0x20
SELECT: Final = 0x70
CASCADE_TAG: Final = 0x88
READ: Final = 0x30
WRITE: Final = 0xA0
AUTH_A: Final = 0x60
AUTH_B: Final = 0x61

ACK: Final = 0x0A
NAK_CRC: Final = 0x01
NAK_NOT_ALLOWED: Final = 0x04

_UID_BYTES: Final = (4, 7, 10)
_PART_BYTES: Final = 4
_COMMAND_BYTES: Final = 4
_SHORT_FRAME_BITS: Final = 7
_CASCADE_BIT: Final = 0x04
_SAK_CLASSIC_1K: Final = 0x08
_ATQA: Final = {4: 0x0004, 7: 0x0044, 10: 0x0084}


class CardState(Enum):
    """The states of ISO/IEC 14443-3, 6.3 (READY* and ACTIVE* are told apart by `was_halted`)."""

    IDLE = "idle"
    READY = "ready"
    ACTIVE = "active"
    HALT = "halt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a card sends back.

    Attributes:
        data: the bytes.
        last_bits: valid bits of the last byte; 0 means all eight.
    """

    data: bytes
    last_bits: int = 0


def _nibble(code: int) -> Reply:
    return Reply(data=bytes([code]), last_bits=4)


def cascade(uid: bytes) -> list[bytes]:
    """Cut a UID into the four-byte parts of its cascade levels (ISO/IEC 14443-3, 6.5.4).

    Raises:
        ValueError: not 4, 7 or 10 bytes, or a part that would read as a cascade tag.
    """
    if len(uid) not in _UID_BYTES:
        raise ValueError(f"a UID has 4, 7 or 10 bytes, not {len(uid)}")
    parts = []
    rest = uid
    while len(rest) > _PART_BYTES:
        parts.append(bytes([CASCADE_TAG]) + rest[:3])
        rest = rest[3:]
    if rest[0] == CASCADE_TAG:
        raise ValueError("88 is the cascade tag: it cannot begin the last part of a UID")
    return [*parts, rest]


class VirtualCard:
    """One card: its UID, its memory, and where it is in its state machine.

    Not safe for several threads by itself; the chip that it lies on serialises.
    """

    def __init__(self, uid: bytes, *, image: bytes | None = None) -> None:
        """Make a card.

        Args:
            uid: 4, 7 or 10 bytes.
            image: what its memory holds, 1,024 bytes; without it the card is in transport
                condition: all keys FF, all data zero.

        Raises:
            ValueError: the UID is not one that a card can have, or the image has another length.
        """
        self.uid = bytes(uid)
        self._parts = cascade(self.uid)
        self._memory = Memory(self.uid)
        if image is not None:
            self._memory.load(image)
        self._stay = Stay()
        self._refusals = 0
        self.torn_at = BLOCK_BYTES // 2
        """How many bytes of a block get written when the card leaves while it programs it."""
        self.was_torn = False
        """Whether it ever left while it programmed a block."""
        self._programming: tuple[int, bytes] | None = None
        self.enter_field()

    # --- the person who holds it -----------------------------------------------------------

    def enter_field(self) -> None:
        """Come into a field: power up in IDLE, knowing nothing of what was before."""
        self._stay.begin()
        self.power_off()

    def power_off(self) -> None:
        """Lose power, as when the antenna is switched off."""
        self.state = CardState.IDLE
        self.was_halted = False
        self._level = 0
        self.sector: int | None = None
        self._key = ""
        self._write_to: int | None = None

    def leave_after(self, *, frames: int | None = None, air_bytes: int | None = None) -> None:
        """Arrange to be pulled away later; `enter_field` brings the card back.

        Args:
            frames: answer so many more frames of the reader, then be gone.
            air_bytes: be gone after so many more bytes in either direction. A frame cut short
                is not understood; a reply cut short arrives in part; a card that is gone before
                it acknowledges a write leaves a block half programmed.
        """
        self._stay.end_after(frames=frames, air_bytes=air_bytes)

    def copy(self) -> "VirtualCard":
        """Return a copy with the same UID and memory, powered off: a clone."""
        return VirtualCard(self.uid, image=self.image)

    @property
    def image(self) -> bytes:
        """What its memory holds, keys included: 1,024 bytes."""
        return self._memory.image

    @property
    def is_gone(self) -> bool:
        """Whether it was pulled away."""
        return self._stay.is_over

    def refuse_writes(self, count: int) -> None:
        """Answer the next `count` wishes to write with NAK, and change nothing."""
        self._refusals = count

    def block(self, number: int) -> bytes:
        """Return the 16 bytes of block 0 to 63, whatever the keys say."""
        return self._memory.block(number)

    def set_block(self, number: int, data: bytes) -> None:
        """Put 16 bytes into block 0 to 63, whatever the keys say.

        Raises:
            ValueError: not 16 bytes, or no such block.
        """
        self._memory.set_block(number, data)

    def set_keys(self, sector: int, *, key_a: bytes, key_b: bytes) -> None:
        """Give sector 0 to 15 two keys of 6 bytes each.

        Raises:
            ValueError: not 6 bytes each, or no such sector.
        """
        self._memory.set_keys(sector, key_a=key_a, key_b=key_b)

    # --- the air ---------------------------------------------------------------------------

    def hear(self, frame: bytes, *, bits: int, enciphered: bool) -> Reply | None:
        """Take one frame of the reader and return the answer, or None for silence.

        Args:
            frame: the bytes that the reader sent.
            bits: valid bits of the last byte; 0 means all eight.
            enciphered: whether the reader's CRYPTO1 is on.
        """
        if not self._listen(len(frame)):
            return None
        self._programming = None
        understood = enciphered == (self.sector is not None)
        reply = self._respond(frame, bits) if understood else self._ignore()
        return self._speak(reply)

    def authenticate(self, command: int, block: int, key: bytes, uid_part: bytes) -> bool:
        """Run the three-pass authentication; False is silence, and the card drops out.

        Args:
            command: 0x60 for key A, 0x61 for key B.
            block: any block of the sector.
            key: 6 bytes.
            uid_part: the last four bytes of the UID, which enter the cipher.
        """
        if not self._listen(len(key)):
            return False
        own = dict(zip((AUTH_A, AUTH_B), self._memory.keys(block), strict=True)).get(command)
        fits = own == key and uid_part == self._parts[-1] and self._memory.is_open(block)
        if self.state is not CardState.ACTIVE or not fits:
            self._drop()
            return False
        self.sector = block // BLOCKS_PER_SECTOR
        self._key = "A" if command == AUTH_A else "B"
        self._speak(None)
        return True

    def _listen(self, count: int) -> bool:
        if not self._stay.hear(count):
            self.power_off()
            return False
        return True

    def _speak(self, reply: Reply | None) -> Reply | None:
        whole = b"" if reply is None else reply.data
        cut = whole[: self._stay.speak(len(whole))]
        if cut == whole:
            return reply
        if not cut:
            self._tear()
        self.power_off()
        return Reply(data=cut) if cut else None

    def _tear(self) -> None:
        """Leave the block in part as it was that was being written when power went."""
        if self._programming is not None:
            self.was_torn = True
            number, old = self._programming
            self.set_block(number, self.block(number)[: self.torn_at] + old[self.torn_at :])

    def _drop(self) -> None:
        """Fall back to IDLE or HALT, as an unexpected frame demands; answer nothing."""
        was_halted = self.was_halted
        self.power_off()
        if was_halted:
            self.state, self.was_halted = CardState.HALT, True

    def _ignore(self) -> Reply | None:
        """Drop out without an answer."""
        self._drop()
        return None

    def _respond(self, frame: bytes, bits: int) -> Reply | None:
        if bits == _SHORT_FRAME_BITS:
            return self._wake(frame[0])
        if self.state is CardState.READY:
            return self._be_selected(frame)
        if self.state is CardState.ACTIVE:
            return self._obey(frame)
        return None

    def _wake(self, command: int) -> Reply | None:
        is_halted = self.state is CardState.HALT
        if (command == WUPA and is_halted) or (
            command in (REQA, WUPA) and self.state is CardState.IDLE
        ):
            self.state, self.was_halted, self._level = CardState.READY, is_halted, 0
            return Reply(data=_ATQA[len(self.uid)].to_bytes(2, "little"))
        if not is_halted:
            self._drop()
        return None

    def _be_selected(self, frame: bytes) -> Reply | None:
        part = self._parts[self._level]
        whole = part + bytes([part[0] ^ part[1] ^ part[2] ^ part[3]])
        if frame[0] != SELECT_LEVELS[self._level] or len(frame) < 2:  # noqa: PLR2004 - SEL and NVB
            return self._ignore()
        if frame[1:] == bytes([ANTICOLLISION]):
            return Reply(data=whole)
        if frame[1] == SELECT and frame[2:7] == whole and has_good_crc(frame):
            return self._next_level()
        return self._ignore()

    def _next_level(self) -> Reply:
        self._level += 1
        is_complete = self._level == len(self._parts)
        if is_complete:
            self.state = CardState.ACTIVE
        sak = bytes([_SAK_CLASSIC_1K if is_complete else _CASCADE_BIT])
        return Reply(data=sak + crc_a(sak))

    def _obey(self, frame: bytes) -> Reply | None:
        if self._write_to is not None:
            return self._take_data(frame)
        if not has_good_crc(frame):
            return self._refuse(NAK_CRC) if self.sector is not None else self._ignore()
        if frame[:-2] == HLTA:
            self.power_off()
            self.state, self.was_halted = CardState.HALT, True
            return None
        if frame[0] in (READ, WRITE) and len(frame) == _COMMAND_BYTES:
            return self._open_block(frame[0], frame[1])
        return self._ignore()

    def _open_block(self, command: int, block: int) -> Reply:
        if block >= BLOCKS or self.sector != block // BLOCKS_PER_SECTOR:
            return self._refuse(NAK_NOT_ALLOWED)
        return self._begin_write(block) if command == WRITE else self._give(block)

    def _begin_write(self, block: int) -> Reply:
        if self._refusals:
            self._refusals -= 1
            return self._refuse(NAK_NOT_ALLOWED)
        if not self._memory.may_write(block, self._key):
            return self._refuse(NAK_NOT_ALLOWED)
        self._write_to = block
        return _nibble(ACK)

    def _give(self, block: int) -> Reply:
        data = self._memory.read(block, self._key)
        if data is None:
            return self._refuse(NAK_NOT_ALLOWED)
        return Reply(data=data + crc_a(data))

    def _take_data(self, frame: bytes) -> Reply:
        block, self._write_to = self._write_to, None
        if block is None or len(frame) != BLOCK_BYTES + 2 or not has_good_crc(frame):
            return self._refuse(NAK_CRC)
        self._programming = (block, self.block(block))
        self._memory.write(block, frame[:BLOCK_BYTES], self._key)
        return _nibble(ACK)

    def _refuse(self, code: int) -> Reply:
        self._drop()
        return _nibble(code)
