"""The 40-pin header of a Raspberry Pi: what a pin may be, and which ones a bus takes for itself."""

from types import MappingProxyType
from typing import Annotated, Final, Literal

from msgspec import Meta

# BCM numbers of the 40-pin header. 0 and 1 are left out: a HAT's EEPROM answers there at boot.
Pin = Annotated[int, Meta(ge=2, le=27)]
Active = Literal["low", "high"]

SPI_PINS: Final = MappingProxyType(
    {
        0: {7: "CE1", 8: "CE0", 9: "MISO", 10: "MOSI", 11: "SCLK"},
        1: {16: "CE2", 17: "CE1", 18: "CE0", 19: "MISO", 20: "MOSI", 21: "SCLK"},
    }
)
"""The pins that the kernel's SPI driver takes once a bus is switched on, by bus."""

I2C_PINS: Final = MappingProxyType({1: {2: "SDA", 3: "SCL"}})
"""Likewise the I2C bus of the header. Other buses are on pins that `config.txt` chooses."""
