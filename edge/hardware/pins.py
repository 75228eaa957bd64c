"""Which library drives the pins: named in the settings, never guessed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol, cast

from gpiozero import GPIOZeroError

from edge.hardware.errors import LibraryMissingError, PinsError

RASPBERRY_PI: Final = "raspberry-pi"
SIMULATED: Final = "simulated"


class PinFactory(Protocol):
    """A `gpiozero` pin factory, as far as a door unit itself uses it."""

    def pin(self, name: int) -> Any:  # noqa: ANN401 - gpiozero ships no types
        """Return the pin with this BCM number."""

    def close(self) -> None:
        """Let go of all pins. Closing twice is harmless."""


class UnknownPinsError(ValueError):
    """No pin library goes by that name."""


def open_pins(name: str) -> PinFactory:
    """Open the pin library called `name`; there is no falling through to another.

    Args:
        name: "raspberry-pi" (lgpio, any Pi from the first to the fifth) or "simulated".

    Raises:
        UnknownPinsError: another name.
        LibraryMissingError: lgpio is not installed.
        PinsError: this machine has no pins, or this user may not use them.
    """
    if name == RASPBERRY_PI:
        return _open_lgpio()
    if name == SIMULATED:
        return _open_simulated()
    raise UnknownPinsError(f"pins = {name!r}: must be {RASPBERRY_PI!r} or {SIMULATED!r}")


def _open_lgpio() -> PinFactory:
    try:
        # Imported here: lgpio makes a FIFO in the working directory as soon as it is loaded.
        from gpiozero.pins.lgpio import LGPIOFactory  # noqa: PLC0415
    except ImportError as error:
        raise LibraryMissingError(
            "the pins of a Raspberry Pi need lgpio: pip install 'gardien[pi]'"
        ) from error
    except OSError as error:
        raise PinsError(f"lgpio cannot work in this directory: {error}") from error
    try:
        return cast("PinFactory", LGPIOFactory())
    except Exception as error:  # lgpio raises its own bare error class
        raise PinsError(
            f"cannot open the pins of this machine: {error}. Is it a Raspberry Pi, and is this "
            "user in the group gpio?"
        ) from error


def _open_simulated() -> PinFactory:
    # Imported here: a real door never loads the simulation.
    from edge.simulated.pins import SimulatedPins  # noqa: PLC0415

    return cast("PinFactory", SimulatedPins())


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn an error of gpiozero into a `PinsError` that names `what`."""
    try:
        yield
    except GPIOZeroError as error:
        raise PinsError(f"{what}: {error}") from error
