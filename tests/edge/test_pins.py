"""The pin library is the one that was named, or none."""

import subprocess
import sys

import pytest

from edge.hardware.errors import LibraryMissingError, PinsError
from edge.hardware.pins import UnknownPinsError, open_pins
from edge.simulated.pins import SimulatedPins


def test_simulated_pins_are_gpiozeros_own_mock_pins() -> None:
    pins = open_pins("simulated")
    assert isinstance(pins, SimulatedPins)
    pins.close()


@pytest.mark.parametrize("name", ["", "mock", "rpigpio", "Simulated"])
def test_another_name_is_refused_with_the_names_that_there_are(name: str) -> None:
    with pytest.raises(UnknownPinsError, match="'raspberry-pi' or 'simulated'"):
        open_pins(name)


def test_the_pins_of_a_raspberry_pi_fail_loudly_where_there_are_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "lgpio", None)
    monkeypatch.delitem(sys.modules, "gpiozero.pins.lgpio", raising=False)
    with pytest.raises(LibraryMissingError, match=r"pip install 'gardien\[pi\]'"):
        open_pins("raspberry-pi")


class _BareError(Exception):
    """As lgpio's own error: derived from nothing in particular."""


class _NoGpioChip:
    """As gpiozero's factory on a machine without pins."""

    def __init__(self) -> None:
        raise _BareError("can not open gpiochip")


def test_a_machine_without_pins_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    module = type(sys)("gpiozero.pins.lgpio")
    module.__dict__["LGPIOFactory"] = _NoGpioChip
    monkeypatch.setitem(sys.modules, "gpiozero.pins.lgpio", module)
    with pytest.raises(PinsError, match=r"can not open gpiochip.*Raspberry Pi"):
        open_pins("raspberry-pi")


def test_importing_the_adapters_loads_no_hardware_library_and_no_simulation() -> None:
    program = (
        "import sys, edge.hardware.pins, edge.hardware.reader_mfrc522, edge.hardware.lock_gpiozero"
        ", edge.hardware.input_gpiozero, edge.hardware.signals_gpiozero;"
        "print(sorted({'lgpio', 'mfrc522', 'spidev', 'RPi', 'edge.simulated'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_wire_that_is_held_outside_is_stronger_than_the_pull_up(pins: SimulatedPins) -> None:
    pin = pins.simulated_pin(5)
    pin.wire(high=False)
    pin.pull = "up"
    assert not pin.state
    pin.wire(high=None)
    pin.pull = "up"
    assert pin.state


def test_a_pin_forgets_its_oldest_states(pins: SimulatedPins) -> None:
    pin = pins.simulated_pin(5)
    pin.function = "output"
    for at in range(5_000):
        pin.state = float(at % 2)
    assert len(pin.states) < 1_000
