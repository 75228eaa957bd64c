"""Inputs: short pulses are ignored, long ones never missed, at either polarity."""

import time
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.hardware.debounce import Debouncer
from edge.hardware.errors import PinsError
from edge.hardware.input_gpiozero import GpiozeroInput
from edge.ports import Input
from edge.simulated.pins import SimulatedPins

WaitUntil = Callable[[Callable[[], bool]], None]
PIN = 27
DEBOUNCE_S = 0.05


def told(edges: Sequence[tuple[float, bool]], *, end_s: float, looks: bool = True) -> list[bool]:
    """What a debouncer tells of these edges, if it is looked at whenever it asks to be."""
    debouncer = Debouncer(is_active=False, debounce_s=DEBOUNCE_S)
    changes: list[bool | None] = []
    raw = False
    for now_s, level in [*edges, (end_s, edges[-1][1] if edges else False)]:
        due_s = debouncer.due_at_s()
        if looks and due_s is not None and due_s < now_s:
            changes.append(debouncer.note(raw, due_s))
        changes.append(debouncer.note(level, now_s))
        raw = level
    return [change for change in changes if change is not None]


def test_a_pulse_shorter_than_the_debounce_is_ignored() -> None:
    assert told([(1.0, True), (1.049, False)], end_s=2.0) == []


@pytest.mark.parametrize("looks", [True, False])
def test_a_pulse_of_400_ms_is_told_even_if_nobody_could_look_meanwhile(*, looks: bool) -> None:
    assert told([(1.0, True), (1.4, False)], end_s=2.0, looks=looks) == [True, False]


def test_contacts_that_bounce_are_told_once() -> None:
    bounces = [(1.0 + n * 0.004, n % 2 == 0) for n in range(21)]
    assert told(bounces, end_s=2.0) == [True]


@given(st.lists(st.floats(min_value=0.001, max_value=0.6), max_size=30))
def test_what_is_told_alternates_and_holds_each_level_that_lasted(gaps_s: list[float]) -> None:
    now_s = 0.0
    edges: list[tuple[float, bool]] = []
    lasting: list[bool] = []
    for at, gap_s in enumerate(gaps_s):
        now_s += gap_s
        edges.append((now_s, at % 2 == 0))
        lasts_s = gaps_s[at + 1] if at + 1 < len(gaps_s) else 1.0
        if lasts_s >= DEBOUNCE_S + 1e-6 and (lasting or at % 2 == 0):
            lasting.append(at % 2 == 0)
    changes = told(edges, end_s=now_s + 1.0, looks=False)
    assert changes == [at % 2 == 0 for at in range(len(changes))]
    assert len(changes) >= sum(
        level is not before for before, level in zip([False, *lasting], lasting, strict=False)
    )


@pytest.mark.parametrize("debounce_s", [-0.1, 0.401, float("nan")])
def test_a_debounce_that_could_miss_a_long_pulse_is_refused(
    pins: SimulatedPins, debounce_s: float
) -> None:
    with pytest.raises(ValueError, match=r"0\.4 s"):
        GpiozeroInput(pin=PIN, active_high=True, pin_factory=pins, debounce_s=debounce_s)
    with GpiozeroInput(pin=PIN, active_high=True, pin_factory=pins):
        """The pin was let go of."""


@pytest.mark.parametrize("active_high", [True, False])
def test_changes_are_told_at_either_polarity(
    pins: SimulatedPins, wait_until: WaitUntil, *, active_high: bool
) -> None:
    pin = pins.simulated_pin(PIN)
    pin.wire(high=not active_high)
    changes: list[bool] = []
    with GpiozeroInput(
        pin=PIN, active_high=active_high, pin_factory=pins, debounce_s=0.01
    ) as adapter:
        wire: Input = adapter
        wire.on_change(changes.append)
        assert [wire.is_active] == [False]
        pin.wire(high=active_high)
        wait_until(lambda: changes == [True] and wire.is_active)
        pin.wire(high=not active_high)
        wait_until(lambda: changes == [True, False])


def test_a_wire_that_is_cut_reads_high(pins: SimulatedPins) -> None:
    with GpiozeroInput(pin=PIN, active_high=True, pin_factory=pins) as contact:
        assert contact.is_active


def test_a_spike_on_the_wire_is_not_told(pins: SimulatedPins, wait_until: WaitUntil) -> None:
    pin = pins.simulated_pin(PIN)
    pin.wire(high=False)
    changes: list[tuple[float, bool]] = []
    with GpiozeroInput(pin=PIN, active_high=True, pin_factory=pins, debounce_s=0.2) as contact:
        contact.on_change(lambda level: changes.append((time.monotonic(), level)))
        pin.wire(high=True)
        pin.wire(high=False)
        begun_s = time.monotonic()
        pin.wire(high=True)
        wait_until(lambda: bool(changes))
    assert [level for _, level in changes] == [True]
    assert changes[0][0] - begun_s >= 0.2


def test_each_callback_is_called_though_one_stumbles(
    pins: SimulatedPins, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    def stumble(level: bool) -> None:  # noqa: FBT001 - as the port calls it
        raise RuntimeError(f"stumbled over {level}")

    changes: list[bool] = []
    with GpiozeroInput(pin=PIN, active_high=True, pin_factory=pins, debounce_s=0.01) as contact:
        contact.on_change(stumble)
        contact.on_change(changes.append)
        pins.simulated_pin(PIN).wire(high=False)
        wait_until(lambda: changes == [False])
    assert "a change of an input was not taken" in caplog.text


def test_closing_twice_is_harmless_and_frees_the_pin(pins: SimulatedPins) -> None:
    contact = GpiozeroInput(pin=PIN, active_high=True, pin_factory=pins)
    with pytest.raises(PinsError, match="input, pin 27"):
        GpiozeroInput(pin=PIN, active_high=True, pin_factory=pins)
    contact.close()
    contact.close()
    GpiozeroInput(pin=PIN, active_high=True, pin_factory=pins).close()


def test_polarity_has_no_default(pins: SimulatedPins) -> None:
    with pytest.raises(TypeError, match="active_high"):
        GpiozeroInput(pin=PIN, pin_factory=pins)  # type: ignore[call-arg]  # what is tested
