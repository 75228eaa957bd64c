"""The lock starts locked, ends locked, and locks itself when it is forgotten."""

import threading
import time
from collections.abc import Callable

import pytest

from edge.hardware.errors import PinsError
from edge.hardware.lock_gpiozero import GpiozeroLock
from edge.ports import Lock
from edge.simulated.pins import SimulatedPins

WaitUntil = Callable[[Callable[[], bool]], None]
PIN = 17


@pytest.mark.parametrize("active_high", [True, False])
def test_it_starts_locked_unlocks_and_locks_at_either_polarity(
    pins: SimulatedPins, *, active_high: bool
) -> None:
    pin = pins.simulated_pin(PIN)
    with GpiozeroLock(pin=PIN, active_high=active_high, pin_factory=pins) as adapter:
        lock: Lock = adapter
        assert (lock.is_unlocked, bool(pin.state)) == (False, not active_high)
        lock.unlock()
        assert (lock.is_unlocked, bool(pin.state)) == (True, active_high)
        lock.lock()
        assert (lock.is_unlocked, bool(pin.state)) == (False, not active_high)


def test_starting_never_lets_the_pin_pass_through_the_unlocked_state(pins: SimulatedPins) -> None:
    pin = pins.simulated_pin(PIN)
    pin.clear_states()
    with GpiozeroLock(pin=PIN, active_high=True, pin_factory=pins):
        assert True not in [bool(state.state) for state in pin.states]


def test_closing_locks_and_lets_go_of_the_pin_and_twice_is_harmless(pins: SimulatedPins) -> None:
    pin = pins.simulated_pin(PIN)
    lock = GpiozeroLock(pin=PIN, active_high=True, pin_factory=pins)
    lock.unlock()
    lock.close()
    lock.close()
    assert (lock.is_unlocked, pin.function, bool(pin.state)) == (False, "input", False)
    with pytest.raises(PinsError, match="lock"):
        lock.unlock()


def test_the_fuse_locks_a_lock_that_was_forgotten(
    pins: SimulatedPins, wait_until: WaitUntil
) -> None:
    blown = threading.Event()
    with GpiozeroLock(
        pin=PIN, active_high=True, pin_factory=pins, max_unlocked_s=0.05, on_fuse=blown.set
    ) as lock:
        lock.unlock()
        wait_until(blown.is_set)
        assert not lock.is_unlocked
        assert not pins.simulated_pin(PIN).state
        lock.unlock()
        assert lock.is_unlocked


def test_unlocking_again_renews_the_fuse(pins: SimulatedPins) -> None:
    blown = threading.Event()
    with GpiozeroLock(
        pin=PIN, active_high=True, pin_factory=pins, max_unlocked_s=0.5, on_fuse=blown.set
    ) as lock:
        end_s = time.monotonic() + 0.8
        while time.monotonic() < end_s:
            lock.unlock()
            assert not blown.wait(0.05)
        assert lock.is_unlocked


def test_a_lock_that_is_locked_or_held_on_purpose_has_no_fuse(pins: SimulatedPins) -> None:
    blown = threading.Event()
    with GpiozeroLock(
        pin=PIN, active_high=True, pin_factory=pins, max_unlocked_s=0.05, on_fuse=blown.set
    ) as lock:
        lock.unlock()
        lock.lock()
        lock.unlock(held=True)
        assert not blown.wait(0.2)
        assert lock.is_unlocked


def test_polarity_has_no_default(pins: SimulatedPins) -> None:
    with pytest.raises(TypeError, match="active_high"):
        GpiozeroLock(pin=PIN, pin_factory=pins)  # type: ignore[call-arg]  # what is tested


@pytest.mark.parametrize("max_unlocked_s", [0.0, -1.0, float("nan")])
def test_a_fuse_that_is_no_time_is_refused(pins: SimulatedPins, max_unlocked_s: float) -> None:
    with pytest.raises(ValueError, match="max_unlocked_s"):
        GpiozeroLock(pin=PIN, active_high=True, pin_factory=pins, max_unlocked_s=max_unlocked_s)


def test_a_pin_that_is_taken_is_an_error_that_names_it(pins: SimulatedPins) -> None:
    with (
        GpiozeroLock(pin=PIN, active_high=True, pin_factory=pins),
        pytest.raises(PinsError, match="lock, pin 17"),
    ):
        GpiozeroLock(pin=PIN, active_high=True, pin_factory=pins)
