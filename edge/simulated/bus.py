"""Stand-ins for `spidev` and `RPi.GPIO`: the real `mfrc522` package drives emulated chips."""

import errno
import importlib.machinery
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import ClassVar

from edge.simulated.chip import Chip

_CHIPS: dict[tuple[int, int], Chip] = {}


class RealHardwareError(RuntimeError):
    """The real bus library is loaded in this process: it is not replaced."""


class BusTakenError(RuntimeError):
    """Two emulated chips are wanted in one place."""


class EmulatedSpiDev:
    """As `spidev.SpiDev`, as far as `mfrc522` 0.0.7 uses it."""

    def __init__(self) -> None:
        self.max_speed_hz = 0
        self._chip: Chip | None = None

    def open(self, bus: int, device: int) -> None:
        """Take the chip at `bus` and chip-select `device`.

        Raises:
            FileNotFoundError: no chip is attached there, as without /dev/spidevB.D.
        """
        if (bus, device) not in _CHIPS:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        self._chip = _CHIPS[bus, device]

    def xfer2(self, data: Sequence[int]) -> list[int]:
        """Make one transfer with the chip selected throughout.

        Raises:
            OSError: it was not opened, or is closed.
        """
        if self._chip is None:
            raise OSError(errno.EBADF, "Bad file descriptor")
        return list(self._chip.transfer(bytes(data)))

    def close(self) -> None:
        """Let go of the chip. Closing twice is harmless."""
        self._chip = None


class EmulatedGpio:
    """As the module `RPi.GPIO`, as far as `mfrc522` 0.0.7 uses it; it notes what was asked."""

    BOARD: ClassVar[int] = 10
    BCM: ClassVar[int] = 11
    OUT: ClassVar[int] = 0
    IN: ClassVar[int] = 1

    def __init__(self) -> None:
        self._mode: int | None = None
        self.calls: list[tuple[str, int | None]] = []

    def getmode(self) -> int | None:
        """Return how pins are numbered, or None while nobody has said."""
        return self._mode

    def setmode(self, mode: int) -> None:
        """Choose how pins are numbered.

        Raises:
            ValueError: somebody chose otherwise before, as in RPi.GPIO.
        """
        if self._mode not in (None, mode):
            raise ValueError("A different mode has already been set!")
        self._mode = mode
        self.calls.append(("setmode", mode))

    def setup(self, pin: int, direction: int) -> None:
        """Note that `pin` was set up."""
        del direction
        self.calls.append(("setup", pin))

    def output(self, pin: int, value: int) -> None:
        """Note that `pin` was driven."""
        del value
        self.calls.append(("output", pin))

    def cleanup(self, pin: int | None = None) -> None:
        """Note that `pin`, or every pin, was let go."""
        self._mode = None
        self.calls.append(("cleanup", pin))


GPIO = EmulatedGpio()
"""The one stand-in for `RPi.GPIO` of this process."""


def _module(name: str, **attributes: object) -> ModuleType:
    module = ModuleType(name, "A stand-in of gardien's simulated door.")
    module.__spec__ = importlib.machinery.ModuleSpec(name, loader=None)
    for key, value in attributes.items():
        setattr(module, key, value)
    return module


def _gpio_module() -> ModuleType:
    names = [name for name in dir(GPIO) if not name.startswith("_") and name != "calls"]
    return _module("RPi.GPIO", **{name: getattr(GPIO, name) for name in names})


# Made once: `mfrc522` keeps the module objects that it found at its own import.
_GPIO_MODULE = _gpio_module()
_MODULES: dict[str, ModuleType] = {
    "spidev": _module("spidev", SpiDev=EmulatedSpiDev),
    "RPi": _module("RPi", GPIO=_GPIO_MODULE, __path__=[]),
    "RPi.GPIO": _GPIO_MODULE,
}


def install(chips: Mapping[tuple[int, int], Chip]) -> None:
    """Attach emulated chips to the bus of this process. Calling it again adds chips.

    The stand-ins are put into `sys.modules`; nothing on disk changes, and a library that is
    installed but not yet imported is left out of this process.

    Args:
        chips: the chip at each (bus, device); device is the chip-select line, 0 or 1 on a Pi.

    Raises:
        RealHardwareError: a real `spidev` or `RPi.GPIO` is already loaded in this process.
        BusTakenError: another chip is attached at one of these places; none was attached.
    """
    for place, chip in chips.items():
        if _CHIPS.get(place, chip) is not chip:
            raise BusTakenError(
                f"SPI {place[0]}.{place[1]} of this process has an emulated chip already: give "
                "each simulated door a bus of its own, or a process of its own"
            )
    for name, module in _MODULES.items():
        loaded = sys.modules.get(name)
        if loaded is not None and loaded is not module:
            raise RealHardwareError(
                f"the real {name} is loaded: a door on simulated hardware must be started "
                "in a process of its own, with hardware = simulated in its settings"
            )
    sys.modules.update(_MODULES)
    _CHIPS.update(chips)


def detach(bus: int, device: int) -> None:
    """Take the chip at (bus, device) off the bus; harmless if there is none."""
    _CHIPS.pop((bus, device), None)
