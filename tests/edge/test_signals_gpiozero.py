"""Each signal is distinct to the eye and to the ear, and is really put on the pins."""

import threading
from collections.abc import Callable

import pytest

from edge.hardware.errors import PinsError
from edge.hardware.signals_gpiozero import GpiozeroSignals
from edge.ports import Signal, Signals
from edge.signals import COLOURS, DARK, PATTERNS, Light, recognise
from edge.simulated.pins import SimulatedPins

WaitUntil = Callable[[Callable[[], bool]], None]
RED, GREEN, BLUE, BUZZER = 22, 23, 24, 18


def opened(pins: SimulatedPins, *, active_high: bool = True) -> GpiozeroSignals:
    return GpiozeroSignals(
        red=RED, green=GREEN, blue=BLUE, buzzer=BUZZER, active_high=active_high, pin_factory=pins
    )


def lit(pins: SimulatedPins, *, active_high: bool = True) -> Light:
    red, green, blue = (
        bool(pins.simulated_pin(pin).state) is active_high for pin in (RED, GREEN, BLUE)
    )
    return Light(red=red, green=green, blue=blue)


def test_every_signal_has_a_pattern() -> None:
    assert set(PATTERNS) == set(Signal)


def test_every_signal_has_a_colour_of_its_own() -> None:
    colours = {
        signal: {step.light for step in pattern.steps if step.light != DARK}
        for signal, pattern in PATTERNS.items()
    }
    assert all(len(lights) == 1 for lights in colours.values())
    assert len(set.union(*colours.values())) == len(Signal)


def test_every_signal_that_calls_for_somebody_has_a_sound_and_a_rhythm_of_its_own() -> None:
    heard = {
        signal: tuple((step.tone_hz, step.for_s) for step in pattern.steps)
        for signal, pattern in PATTERNS.items()
        if any(step.tone_hz for step in pattern.steps)
    }
    called = {Signal.GRANTED, Signal.REFUSED, Signal.WARNING, Signal.ENROL, Signal.ALARM}
    assert set(heard) == called
    assert len(set(heard.values())) == len(heard)
    rhythms = {tuple(step.for_s for step in pattern.steps) for pattern in PATTERNS.values()}
    assert len(rhythms) == len(Signal)


def test_every_pattern_ends_in_a_lasting_step_or_repeats() -> None:
    for pattern in PATTERNS.values():
        endless = [step.for_s is None for step in pattern.steps]
        assert not any(endless[:-1])
        assert endless[-1] is (pattern.repeat_from is None)
        assert all(step.tone_hz is None for step in pattern.steps if step.for_s is None)


def test_every_tone_can_be_sounded_by_the_buzzer() -> None:
    tones = [step.tone_hz for pattern in PATTERNS.values() for step in pattern.steps]
    assert all(220 <= tone <= 1760 for tone in tones if tone is not None)


def test_every_light_has_a_name() -> None:
    assert len(COLOURS) == 8


@pytest.mark.parametrize("signal", list(Signal))
@pytest.mark.parametrize("active_high", [True, False])
def test_what_is_shown_is_recognised_on_the_pins(
    pins: SimulatedPins, wait_until: WaitUntil, signal: Signal, *, active_high: bool
) -> None:
    with opened(pins, active_high=active_high) as adapter:
        signals: Signals = adapter
        assert lit(pins, active_high=active_high) == DARK
        signals.show(signal)
        wait_until(lambda: recognise(lit(pins, active_high=active_high)) is signal)


def test_the_buzzer_sounds_the_tone_of_the_signal_and_falls_silent(
    pins: SimulatedPins, wait_until: WaitUntil
) -> None:
    buzzer = pins.simulated_pin(BUZZER)
    with opened(pins) as signals:
        signals.show(Signal.GRANTED)
        wait_until(lambda: bool(buzzer.state) and round(buzzer.frequency) == 880)
        wait_until(lambda: not buzzer.state)
        assert lit(pins) == Light(green=True)


def test_a_new_signal_takes_the_place_of_the_one_before_at_once(
    pins: SimulatedPins, wait_until: WaitUntil
) -> None:
    with opened(pins) as signals:
        signals.show(Signal.IDLE)
        signals.show(Signal.ALARM)
        wait_until(lambda: recognise(lit(pins)) is Signal.ALARM)
        signals.show(Signal.GRANTED)
        wait_until(lambda: recognise(lit(pins)) is Signal.GRANTED)


def test_the_same_signal_twice_is_seen_as_two(pins: SimulatedPins, wait_until: WaitUntil) -> None:
    green = pins.simulated_pin(GREEN)
    with opened(pins) as signals:
        signals.show(Signal.GRANTED)
        wait_until(lambda: bool(green.state))
        green.clear_states()
        signals.show(Signal.GRANTED)
        wait_until(lambda: [bool(state.state) for state in green.states] == [True, False, True])


def test_closing_makes_it_dark_and_silent_and_twice_is_harmless(
    pins: SimulatedPins, wait_until: WaitUntil
) -> None:
    signals = opened(pins)
    signals.show(Signal.ALARM)
    wait_until(lambda: bool(pins.simulated_pin(BUZZER).state))
    signals.close()
    signals.close()
    assert (lit(pins), bool(pins.simulated_pin(BUZZER).state)) == (DARK, False)
    assert "signals" not in [thread.name for thread in threading.enumerate()]


def test_a_door_may_have_two_diodes_and_no_buzzer(
    pins: SimulatedPins, wait_until: WaitUntil
) -> None:
    with GpiozeroSignals(
        red=RED, green=GREEN, blue=None, buzzer=None, active_high=True, pin_factory=pins
    ) as signals:
        signals.show(Signal.REFUSED)
        wait_until(lambda: bool(pins.simulated_pin(RED).state))


def test_a_pin_that_is_taken_is_an_error_and_the_others_are_let_go(pins: SimulatedPins) -> None:
    with pytest.raises(PinsError, match="green light, pin 22"):
        GpiozeroSignals(
            red=RED, green=RED, blue=None, buzzer=None, active_high=True, pin_factory=pins
        )
    opened(pins).close()
