"""The simulated world round one door unit, built from its settings."""

import contextlib
from collections.abc import Iterator

from edge.hardware.errors import PinsError
from edge.hardware.pins import PinFactory
from edge.settings import HardwareSettings, InputSettings, LightSettings
from edge.simulated.bus import detach, install
from edge.simulated.chip import Chip
from edge.simulated.clock import RealClock
from edge.simulated.pins import SimulatedPins
from edge.simulated.surroundings import Wire, Wiring
from edge.simulated.world import World
from runtime.settings import RuleError


@contextlib.contextmanager
def start_world(hardware: HardwareSettings, pins: PinFactory) -> Iterator[World]:
    """Put emulated chips on the bus, and let people come to the door over the settings' socket.

    Raises:
        RuleError: the settings have no `[hardware.simulated]`.
        PinsError: the pins are not the simulated ones.
        WorldInUseError: another simulated door runs on the same socket.
    """
    if hardware.simulated is None:
        raise RuleError("a simulated door needs [hardware.simulated]", field="hardware")
    if not isinstance(pins, SimulatedPins):
        raise PinsError("a simulated door needs simulated pins")
    clock = RealClock()
    chips: dict[str, Chip] = {reader.id: Chip(clock=clock) for reader in hardware.readers}
    places = {reader.spi: chips[reader.id] for reader in hardware.readers if reader.spi is not None}
    install(places)
    try:
        with World(
            hardware.simulated.socket,
            chips=chips,
            wiring=wiring(hardware),
            pins=pins,
            cards=hardware.simulated.cards,
        ) as world:
            yield world
    finally:
        for bus, device in places:
            detach(bus, device)


def wiring(hardware: HardwareSettings) -> Wiring:
    """Say where things are wired, as the simulated world wants to know it."""
    light = hardware.light
    return Wiring(
        lock=Wire(pin=hardware.lock.pin, active_high=hardware.lock.active_high),
        contact=_wire(hardware.contact),
        exit_button=_wire(hardware.exit_button),
        tamper=_wire(hardware.tamper),
        fire=_wire(hardware.fire),
        red=_lamp(light, light.red) if light is not None else None,
        green=_lamp(light, light.green) if light is not None else None,
        blue=_lamp(light, light.blue) if light is not None else None,
        buzzer=hardware.buzzer.pin if hardware.buzzer is not None else None,
    )


def _lamp(light: LightSettings, pin: int | None) -> Wire | None:
    return None if pin is None else Wire(pin=pin, active_high=light.active_high)


def _wire(wire: InputSettings | None) -> Wire | None:
    return None if wire is None else Wire(pin=wire.pin, active_high=wire.active == "high")
