"""Emulated pins: gpiozero's own mock factory, with wires that keep their level."""

from typing import Final

from gpiozero.pins.mock import MockFactory, MockPWMPin

_KEPT_STATES: Final = 256
_PI_3: Final = "a02082"  # the board that gpiozero's mock factory is by default


class SimulatedPin(MockPWMPin):  # type: ignore[misc]  # gpiozero ships no types
    """A mock pin that something outside may hold high or low.

    gpiozero's mock pin takes the level of its pull resistor whenever it becomes an input; a wire
    is stronger than the resistor. It also keeps every level it ever had; here the last ones.
    """

    _wired: bool | None = None

    def wire(self, *, high: bool | None) -> None:
        """Hold the pin high or low from outside, or let go of it (None).

        Callbacks of the device on this pin run in the calling thread.
        """
        self._wired = high
        if high is not None and self.function == "input":
            (self.drive_high if high else self.drive_low)()

    def _set_pull(self, value: str) -> None:
        super()._set_pull(value)
        self.wire(high=self._wired)

    def _change_state(self, value: float) -> bool:
        if len(self.states) > 2 * _KEPT_STATES:
            del self.states[:-_KEPT_STATES]
        return bool(super()._change_state(value))


class SimulatedPins(MockFactory):  # type: ignore[misc]  # gpiozero ships no types
    """The pins of one emulated Raspberry Pi."""

    def __init__(self) -> None:
        super().__init__(revision=_PI_3, pin_class=SimulatedPin)

    def simulated_pin(self, number: int) -> SimulatedPin:
        """Return the emulated pin with this BCM number, 0 to 27."""
        pin = self.pin(number)
        if not isinstance(pin, SimulatedPin):
            raise TypeError(f"pin {number} is not an emulated one")
        return pin
