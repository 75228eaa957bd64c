"""The reset line of a reader chip, on a pin of the Raspberry Pi."""

import time
from typing import Final

from gpiozero import DigitalOutputDevice

from edge.hardware.pins import PinFactory, translated

_LOW_S: Final = 0.001  # at least 100 ns (MFRC522 data sheet rev. 3.9, 8.8.1)
_START_S: Final = 0.005  # oscillator start-up, likewise 8.8.2


class ResetLine:
    """The NRSTPD input of an MFRC522: high runs, low is powered down."""

    def __init__(self, *, pin: int, pin_factory: PinFactory) -> None:
        """Take the pin and let the chip run.

        Args:
            pin: BCM number, 0 to 27.
            pin_factory: from `edge.hardware.pins.open_pins`.

        Raises:
            PinsError: the pin cannot be used.
        """
        with translated(f"reset line, pin {pin}"):
            self._device = DigitalOutputDevice(pin, initial_value=True, pin_factory=pin_factory)

    def pulse(self) -> None:
        """Reset the chip; blocks for 6 ms."""
        self._device.off()
        time.sleep(_LOW_S)
        self._device.on()
        time.sleep(_START_S)

    def close(self) -> None:
        """Let go of the pin. Closing twice is harmless."""
        self._device.close()
