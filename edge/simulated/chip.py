"""An MFRC522 in memory, at the level of its registers, FIFO, timer and commands.

Source: NXP MFRC522 data sheet, rev. 3.9: SPI 8.1.2, timer 8.5, registers 9, commands 10.
Left out: radio noise, RxCRCEn and TxCRCEn, interrupts on a wire.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from edge.simulated.card import Reply, VirtualCard
from edge.simulated.clock import ChipClock
from edge.simulated.crc import crc_a
from edge.simulated.registers import (
    ANTENNA_ON,
    BUFFER_OVERFLOW,
    COLLISION,
    COMMAND_MASK,
    CRC_IRQ,
    CRC_PRESETS,
    CRYPTO1_ON,
    ERR_IRQ,
    FIFO_BYTES,
    FLUSH_BUFFER,
    IDLE_IRQ,
    LAST_BITS,
    POWER_DOWN,
    RESET_VALUES,
    RX_IRQ,
    SET_BITS,
    START_SEND,
    TIMER_IRQ,
    TX_IRQ,
    VERSION_2,
    Command,
    Reg,
)

_READ_BIT: Final = 0x80
_CARRIER_MHZ: Final = 13.56
_BIT_US: Final = 128 / _CARRIER_MHZ  # 106 kbit/s
_FRAME_DELAY_US: Final = 1236 / _CARRIER_MHZ  # ISO/IEC 14443-3, 6.2.1.1
_WAKE_UP_US: Final = 1_000.0  # oscillator start-up and 1024 clocks, 8.8.2
_AUTHENTICATION_US: Final = 2_000.0  # MF1S50yyX_V1, figure 4
_WRITE_ACK_US: Final = 4_000.0  # programming, likewise
_AUTHENT_BYTES: Final = 12
_LOGGED_FRAMES: Final = 256
_DATA_FRAME_BYTES: Final = 18


class Fault(Enum):
    """What may be wrong with a chip."""

    NONE = "none"
    SILENT_LOW = "silent-low"
    """The data line reads all zeros: no power, or no chip."""
    SILENT_HIGH = "silent-high"
    """The data line reads all ones: a wire is off."""
    WRONG_VERSION = "wrong-version"
    """It answers, but it is no MFRC522."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AirFrame:
    """One exchange as it went over the air, for tests to look at."""

    sent: bytes
    bits: int
    reply: Reply | None


class Chip:
    """One emulated MFRC522. Safe for several threads: each call takes its lock."""

    def __init__(self, *, clock: ChipClock) -> None:
        """Power up with no card in the field.

        Args:
            clock: the time that timer and transfers are measured in.
        """
        self._clock = clock
        self._guard = threading.RLock()
        self._card: VirtualCard | None = None
        self._beside: list[VirtualCard] = []
        self.fault = Fault.NONE
        self.transfers = 0
        self.air: deque[AirFrame] = deque(maxlen=_LOGGED_FRAMES)
        self.power_on()

    # --- the world round the chip ----------------------------------------------------------

    def power_on(self) -> None:
        """Start as after a loss of power: all registers at their reset values."""
        with self._guard:
            self._reg = bytearray(64)
            for address, value in RESET_VALUES.items():
                self._reg[address] = value
            self._fifo = bytearray()
            self._due: tuple[float, Callable[[], None]] | None = None
            self._awake_us = self._clock.now_us() + _WAKE_UP_US
            self._cut_power()

    def put(self, card: VirtualCard) -> None:
        """Bring `card` into the field, in place of all others."""
        with self._guard:
            card.enter_field()
            self._card, self._beside = card, []

    def put_beside(self, card: VirtualCard) -> None:
        """Bring `card` into the field, beside what is there: they answer at the same time."""
        with self._guard:
            card.enter_field()
            if self._card is None:
                self._card = card
            else:
                self._beside.append(card)

    def take(self) -> None:
        """Take all cards away; harmless if there is none."""
        with self._guard:
            self._card, self._beside = None, []

    @property
    def card(self) -> VirtualCard | None:
        """The card in the field, the first of several, or None."""
        return self._card

    # --- the bus ---------------------------------------------------------------------------

    def transfer(self, sent: bytes) -> bytes:
        """Make one SPI transfer: an address byte, then data (8.1.2.2) or addresses (8.1.2.1).

        Args:
            sent: one byte or more, as they leave the host.

        Returns:
            As many bytes as were sent; the first is meaningless.
        """
        with self._guard:
            self.transfers += 1
            self._clock.on_transfer()
            if self.fault is Fault.SILENT_LOW:
                return bytes(len(sent))
            if self.fault is Fault.SILENT_HIGH:
                return b"\xff" * len(sent)
            self._let_time_pass()
            return self._read_many(sent) if sent[0] & _READ_BIT else self._write_many(sent)

    def _read_many(self, sent: bytes) -> bytes:
        # Each byte sent is the address of what comes back beside the next one.
        return bytes([0, *(self._read(byte >> 1 & 0x3F) for byte in sent[:-1])])

    def _write_many(self, sent: bytes) -> bytes:
        for value in sent[1:]:
            self._write(sent[0] >> 1 & 0x3F, value)
        return bytes(len(sent))

    def _let_time_pass(self) -> None:
        if self._due is not None and self._clock.now_us() >= self._due[0]:
            happen = self._due[1]
            self._due = None
            happen()

    # --- the registers ---------------------------------------------------------------------

    def _read(self, address: int) -> int:
        if address == Reg.FIFO_DATA:
            return self._fifo.pop(0) if self._fifo else 0
        if address == Reg.FIFO_LEVEL:
            return len(self._fifo)
        if address == Reg.VERSION:
            return 0x37 if self.fault is Fault.WRONG_VERSION else VERSION_2
        if address == Reg.COMMAND and self._clock.now_us() < self._awake_us:
            return self._reg[address] | POWER_DOWN
        return self._reg[address]

    def _write(self, address: int, value: int) -> None:
        if address == Reg.FIFO_DATA:
            self._push(value)
        elif address == Reg.FIFO_LEVEL:
            if value & FLUSH_BUFFER:
                self._fifo.clear()
                self._reg[Reg.ERROR] &= ~BUFFER_OVERFLOW
        elif address in (Reg.COM_IRQ, Reg.DIV_IRQ):
            self._mark(address, value)
        elif address == Reg.COMMAND:
            self._start(value & COMMAND_MASK)
        else:
            self._reg[address] = value
            self._react(address, value)

    def _push(self, value: int) -> None:
        if len(self._fifo) < FIFO_BYTES:
            self._fifo.append(value)
        else:
            self._reg[Reg.ERROR] |= BUFFER_OVERFLOW

    def _mark(self, address: int, value: int) -> None:
        bits = value & ~SET_BITS
        if value & SET_BITS:
            self._reg[address] |= bits
        else:
            self._reg[address] &= ~bits & 0x7F

    def _react(self, address: int, value: int) -> None:
        is_sending = self._reg[Reg.COMMAND] & COMMAND_MASK == Command.TRANSCEIVE
        if address == Reg.BIT_FRAMING and value & START_SEND and is_sending:
            self._transceive(value & LAST_BITS)
        elif address == Reg.TX_CONTROL and value & ANTENNA_ON != ANTENNA_ON:
            self._cut_power()

    # --- the commands ----------------------------------------------------------------------

    def _start(self, command: int) -> None:
        self._reg[Reg.COMMAND] = command
        if command == Command.SOFT_RESET:
            self.power_on()
        elif command == Command.IDLE:
            self._due = None
        elif command == Command.CALC_CRC:
            self._calculate_crc()
        elif command == Command.MF_AUTHENT:
            self._authenticate()

    def _calculate_crc(self) -> None:
        preset = CRC_PRESETS[self._reg[Reg.MODE] & 0x03]
        low, high = crc_a(self._take_fifo(), preset=preset)
        self._reg[Reg.CRC_RESULT_L], self._reg[Reg.CRC_RESULT_H] = low, high
        self._reg[Reg.DIV_IRQ] |= CRC_IRQ

    def _take_fifo(self) -> bytes:
        data = bytes(self._fifo)
        self._fifo.clear()
        return data

    def _timer_us(self) -> float:
        """How long the timer runs (8.5): (2 prescaler + 1)(reload + 1) / 13.56 MHz."""
        prescaler = (self._reg[Reg.T_MODE] & 0x0F) << 8 | self._reg[Reg.T_PRESCALER]
        reload = self._reg[Reg.T_RELOAD_H] << 8 | self._reg[Reg.T_RELOAD_L]
        return (2 * prescaler + 1) * (reload + 1) / _CARRIER_MHZ

    def _later(self, delay_us: float, happen: Callable[[], None]) -> None:
        self._due = (self._clock.now_us() + delay_us, happen)

    def _time_out(self) -> None:
        self._reg[Reg.COM_IRQ] |= TIMER_IRQ

    def _cards(self) -> list[VirtualCard]:
        return [] if self._card is None else [self._card, *self._beside]

    def _cut_power(self) -> None:
        for card in self._cards():
            card.power_off()

    def _powered_cards(self) -> list[VirtualCard]:
        is_on = self._reg[Reg.TX_CONTROL] & ANTENNA_ON == ANTENNA_ON
        return self._cards() if is_on else []

    def _transceive(self, bits: int) -> None:
        sent = self._take_fifo()
        self._reg[Reg.COM_IRQ] |= TX_IRQ
        self._reg[Reg.ERROR] = 0
        enciphered = bool(self._reg[Reg.STATUS2] & CRYPTO1_ON)
        heard = [
            card.hear(sent, bits=bits, enciphered=enciphered)
            for card in (self._powered_cards() if sent else [])
        ]
        replies = [each for each in heard if each is not None]
        reply = replies[0] if replies else None
        self.air.append(AirFrame(sent=sent, bits=bits, reply=reply))
        air_us = (bits or 9 * len(sent)) * _BIT_US
        if reply is None:
            self._later(air_us + self._timer_us(), self._time_out)
            return
        answer_us = _FRAME_DELAY_US + len(reply.data) * 9 * _BIT_US
        if len(sent) == _DATA_FRAME_BYTES:
            answer_us += _WRITE_ACK_US
        collide = any(each != reply for each in replies)
        self._later(air_us + answer_us, self._collide if collide else lambda: self._receive(reply))

    def _receive(self, reply: Reply) -> None:
        for value in reply.data:
            self._push(value)
        self._reg[Reg.CONTROL] = self._reg[Reg.CONTROL] & ~LAST_BITS | reply.last_bits
        self._reg[Reg.COM_IRQ] |= RX_IRQ

    def _collide(self) -> None:
        """Several cards have answered, and not alike (9.3.1.7)."""
        self._reg[Reg.ERROR] |= COLLISION
        self._reg[Reg.COM_IRQ] |= ERR_IRQ

    def _authenticate(self) -> None:
        frame = self._take_fifo()
        if len(frame) != _AUTHENT_BYTES:
            self._reg[Reg.COM_IRQ] |= ERR_IRQ | IDLE_IRQ
            return
        # Of several cards only the one that was selected takes part.
        cards = self._powered_cards()
        heard = [card.authenticate(frame[0], frame[1], frame[2:8], frame[8:]) for card in cards]
        good = any(heard)
        self.air.append(AirFrame(sent=frame[:2], bits=0, reply=None))
        if good:
            self._later(_AUTHENTICATION_US, self._begin_cipher)
        else:
            self._later(_AUTHENTICATION_US / 2 + self._timer_us(), self._time_out)

    def _begin_cipher(self) -> None:
        self._reg[Reg.STATUS2] |= CRYPTO1_ON
        self._reg[Reg.COM_IRQ] |= IDLE_IRQ
        self._reg[Reg.COMMAND] = Command.IDLE
