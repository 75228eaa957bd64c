"""What each wire of a door says now, for whoever installs it. Moves nothing: the lock is locked."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from edge.hardware.lock_gpiozero import GpiozeroLock
from edge.hardware.pins import PinFactory, open_pins
from edge.hardware.thermometer import temperature_c
from edge.parts import open_input, open_reader, start_simulation
from edge.ports import Card, ReaderError, Unreadable
from edge.settings import DoorUnitSettings, HardwareSettings, InputSettings
from edge.settings_readers import ReaderSettings

_LOOKS: Final = 5

_MEANINGS: Final = {
    "contact": ("the door is open", "the door is closed"),
    "exit_button": ("pressed", "not pressed"),
    "tamper": ("the case is open", "the case is closed"),
    "fire": ("ALARM: the panel has cut the lock's power", "no alarm"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What one part says.

    Attributes:
        part: the part, as in `door.toml`, and where it is wired.
        words: what it says, in words.
        is_well: whether it works, as far as can be seen.
    """

    part: str
    words: str
    is_well: bool = True


def look_at_wires(settings: DoorUnitSettings) -> Iterator[Said]:
    """Open the parts of a door one after the other and say what each says; blocks for a second.

    Args:
        settings: of a unit that does not run now, else its pins are taken.

    Raises:
        LibraryMissingError: a library that the hardware needs is absent.
        PinsError: a pin can't be used.
        WorldInUseError: it is a simulated door, and runs.
    """
    hardware = settings.hardware
    with contextlib.ExitStack() as stack:
        pins = stack.enter_context(contextlib.closing(open_pins(hardware.backend)))
        yield _lock(hardware, pins, stack)
        if hardware.simulated is not None:
            start_simulation(hardware, pins, stack)
        for name, wire in _inputs(hardware).items():
            if wire is not None:
                yield _input(name, wire, settings, pins, stack)
        for reader in hardware.readers:
            yield _reader(reader, pins)
    yield _warmth()


def _lock(hardware: HardwareSettings, pins: PinFactory, stack: contextlib.ExitStack) -> Said:
    wire = hardware.lock
    stack.enter_context(GpiozeroLock(pin=wire.pin, active_high=wire.active_high, pin_factory=pins))
    level = "low" if wire.active_high else "high"
    return Said(part=f"lock (GPIO{wire.pin})", words=f"locked: the pin is {level}")


def _inputs(hardware: HardwareSettings) -> dict[str, InputSettings | None]:
    return {
        "contact": hardware.contact,
        "exit_button": hardware.exit_button,
        "tamper": hardware.tamper,
        "fire": hardware.fire,
    }


def _input(
    name: str,
    wire: InputSettings,
    settings: DoorUnitSettings,
    pins: PinFactory,
    stack: contextlib.ExitStack,
) -> Said:
    opened = open_input(wire, settings.timing, pins, stack)
    is_on = opened is not None and opened.is_active
    level = wire.active if is_on else {"high": "low", "low": "high"}[wire.active]
    words = _MEANINGS[name][0 if is_on else 1]
    return Said(part=f"{name} (GPIO{wire.pin})", words=f"{words} (the pin is {level})")


def _reader(settings: ReaderSettings, pins: PinFactory) -> Said:
    part = f'reader "{settings.id}"'
    with contextlib.closing(open_reader(settings, pins)) as reader:
        try:
            seen = [reader.poll() for _ in range(_LOOKS)]
        except ReaderError as error:
            return Said(part=part, words=str(error), is_well=False)
    return Said(part=part, words=f"answers; {_seen(seen)}")


def _seen(looks: list[Card | Unreadable | None]) -> str:
    """Say what was seen; never the UID."""
    for look in looks:
        if isinstance(look, Card):
            return f"a card with a UID of {len(look.uid)} bytes"
        if isinstance(look, Unreadable):
            return (
                "several cards at once" if look.why == "several" else "a number that no badge has"
            )
    return "no card"


def _warmth() -> Said:
    degrees = temperature_c()
    words = "not known on this machine" if degrees is None else f"{degrees:.1f} degrees Celsius"
    return Said(part="processor", words=words)
