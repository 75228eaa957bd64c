"""Addresses and bits of the MFRC522's registers (NXP MFRC522 data sheet, rev. 3.9, section 9)."""

from enum import IntEnum
from types import MappingProxyType
from typing import Final


class Reg(IntEnum):
    """The registers that the emulation gives a meaning to (Table 20)."""

    COMMAND = 0x01
    COM_IEN = 0x02
    COM_IRQ = 0x04
    DIV_IRQ = 0x05
    ERROR = 0x06
    STATUS2 = 0x08
    FIFO_DATA = 0x09
    FIFO_LEVEL = 0x0A
    CONTROL = 0x0C
    BIT_FRAMING = 0x0D
    MODE = 0x11
    TX_CONTROL = 0x14
    CRC_RESULT_H = 0x21
    CRC_RESULT_L = 0x22
    T_MODE = 0x2A
    T_PRESCALER = 0x2B
    T_RELOAD_H = 0x2C
    T_RELOAD_L = 0x2D
    VERSION = 0x37


class Command(IntEnum):
    """The chip's commands (Table 149)."""

    IDLE = 0x00
    CALC_CRC = 0x03
    TRANSCEIVE = 0x0C
    MF_AUTHENT = 0x0E
    SOFT_RESET = 0x0F


RESET_VALUES: Final = MappingProxyType(
    {
        Reg.COMMAND: 0x20,
        Reg.COM_IEN: 0x80,
        Reg.COM_IRQ: 0x14,
        Reg.CONTROL: 0x10,
        Reg.MODE: 0x3F,
        Reg.TX_CONTROL: 0x80,
        Reg.CRC_RESULT_H: 0xFF,
        Reg.CRC_RESULT_L: 0xFF,
    }
)
"""Values after power-on or SoftReset, where they are not zero."""

VERSION_2: Final = 0x92
"""VersionReg of MFRC522 version 2.0 (section 9.3.4.8)."""

FIFO_BYTES: Final = 64

COMMAND_MASK: Final = 0x0F
POWER_DOWN: Final = 0x10  # CommandReg: still waking up
SET_BITS: Final = 0x80  # ComIrqReg, DivIrqReg: 1 sets, 0 clears the marked bits
TX_IRQ: Final = 0x40
RX_IRQ: Final = 0x20
IDLE_IRQ: Final = 0x10
ERR_IRQ: Final = 0x02
TIMER_IRQ: Final = 0x01
CRC_IRQ: Final = 0x04  # DivIrqReg
BUFFER_OVERFLOW: Final = 0x10  # ErrorReg
COLLISION: Final = 0x08  # likewise
CRYPTO1_ON: Final = 0x08  # Status2Reg
FLUSH_BUFFER: Final = 0x80  # FIFOLevelReg
START_SEND: Final = 0x80  # BitFramingReg
LAST_BITS: Final = 0x07  # BitFramingReg and ControlReg
ANTENNA_ON: Final = 0x03  # TxControlReg
CRC_PRESETS: Final = (0x0000, 0x6363, 0xA671, 0xFFFF)  # ModeReg bits 1 and 0
