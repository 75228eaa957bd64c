"""What surrounds a simulated door: its lock, contact, button and light, as they meet the eye."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from edge.signals import COLOURS, Light
from edge.simulated.chip import Chip
from edge.simulated.pins import SimulatedPins

LOCKED: Final = "locked"
UNLOCKED: Final = "unlocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """One wire of the door.

    Attributes:
        pin: BCM number, 0 to 27.
        active_high: whether it is active while high. Active means: lock released, door open,
            button pressed, diode lit.
    """

    pin: int
    active_high: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """Where the parts of one door are wired; None is a part that the door has not.

    Attributes:
        lock: the relay of the lock.
        contact: the door contact.
        exit_button: the request-to-exit button.
        tamper: the contact of the unit's own case.
        fire: the contact of the fire panel.
        red: the red diode.
        green: the green diode.
        blue: the blue diode.
        buzzer: BCM number of the buzzer's pin.
    """

    lock: Wire
    contact: Wire | None = None
    exit_button: Wire | None = None
    tamper: Wire | None = None
    fire: Wire | None = None
    red: Wire | None = None
    green: Wire | None = None
    blue: Wire | None = None
    buzzer: int | None = None


class Surroundings:
    """The things that a person at the door sees and touches."""

    def __init__(self, *, chips: Mapping[str, Chip], wiring: Wiring, pins: SimulatedPins) -> None:
        """Begin with the door and the case closed, and the button free.

        Args:
            chips: the emulated chip of each reader, by the reader's name.
            wiring: which pin is what.
            pins: the emulated pins that the door unit uses too.
        """
        self.chips = dict(chips)
        self._wiring, self._pins = wiring, pins
        self._set(wiring.contact, active=False)
        self._set(wiring.exit_button, active=False)
        self._set(wiring.tamper, active=False)
        self._set(wiring.fire, active=False)

    @property
    def has_contact(self) -> bool:
        """Whether the door has a contact."""
        return self._wiring.contact is not None

    def is_unlocked(self) -> bool:
        """Whether the lock is released now. A pin that nobody drives releases nothing."""
        return self._is_driven_active(self._wiring.lock)

    def is_open(self) -> bool:
        """Whether the door is open now; False if it has no contact."""
        return self._is_active(self._wiring.contact)

    def set_open(self, *, is_open: bool) -> None:
        """Open or close the door itself; without a contact nobody notices."""
        self._set(self._wiring.contact, active=is_open)

    def press_exit(self, *, is_pressed: bool) -> None:
        """Press or let go of the exit button.

        Raises:
            ValueError: the door has none.
        """
        if self._wiring.exit_button is None:
            raise ValueError("this door has no exit button")
        self._set(self._wiring.exit_button, active=is_pressed)

    def raise_fire(self, *, is_on: bool) -> None:
        """Let the fire panel cut the lock's power, or give it back.

        Raises:
            ValueError: the door has none.
        """
        if self._wiring.fire is None:
            raise ValueError("this door has no input for a fire panel")
        self._set(self._wiring.fire, active=is_on)

    def light(self) -> Light:
        """What is lit now."""
        return Light(
            red=self._is_driven_active(self._wiring.red),
            green=self._is_driven_active(self._wiring.green),
            blue=self._is_driven_active(self._wiring.blue),
        )

    def colour(self) -> str:
        """The colour that is lit now, or "dark"."""
        return COLOURS[self.light()]

    def buzzer_hz(self) -> float | None:
        """The tone that sounds now, or None."""
        if self._wiring.buzzer is None:
            return None
        pin = self._pins.simulated_pin(self._wiring.buzzer)
        return None if not pin.state or pin.frequency is None else round(float(pin.frequency), 1)

    def _is_active(self, wire: Wire | None) -> bool:
        if wire is None:
            return False
        return bool(self._pins.simulated_pin(wire.pin).state) is wire.active_high

    def _is_driven_active(self, wire: Wire | None) -> bool:
        if wire is None or self._pins.simulated_pin(wire.pin).function != "output":
            return False
        return self._is_active(wire)

    def _set(self, wire: Wire | None, *, active: bool) -> None:
        if wire is not None:
            self._pins.simulated_pin(wire.pin).wire(high=active is wire.active_high)
