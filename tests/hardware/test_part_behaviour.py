"""How each part of a door behaves: the same for the emulated ones and, on a Pi, for real ones.

`docs/hardware.md` says how to run it on a Pi.
"""

import statistics
import time
from collections.abc import Callable, Mapping

import pytest

from edge.parts import Parts
from edge.ports import Card, Input, Reader, Signal
from edge.presentation import CardRead, ReaderEvent

from .conftest import Place

WaitUntil = Callable[[Callable[[], bool]], bool]
INPUTS = ["contact", "exit_button", "tamper", "fire"]
LOOKS = 20


def found(parts: Parts, name: str) -> Input:
    part: Input | None = getattr(parts, name)
    if part is None:
        pytest.skip(f"this door has no {name}")
    return part


def seconds_of(do: Callable[[], object]) -> float:
    began = time.monotonic()
    do()
    return time.monotonic() - began


def happens_meanwhile(condition: Callable[[], bool]) -> bool:
    """Watch for a second and a half whether something happens that must not."""
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


# Readers


def test_a_reader_answers_and_a_look_is_short(readers: Mapping[str, Reader]) -> None:
    for reader in readers.values():
        reader.poll()
        assert statistics.median(seconds_of(reader.poll) for _ in range(LOOKS)) < 0.05


def test_a_reader_can_be_set_up_anew_at_any_time(readers: Mapping[str, Reader]) -> None:
    for reader in readers.values():
        for _ in range(3):
            assert seconds_of(reader.recover) < 0.5
            reader.poll()


def test_a_reader_may_be_closed_twice(readers: Mapping[str, Reader]) -> None:
    for reader in readers.values():
        reader.poll()
        reader.close()
        reader.close()


def test_a_card_that_lies_there_is_seen_at_each_look_with_its_whole_uid(
    place: Place, readers: Mapping[str, Reader], wait_until: WaitUntil
) -> None:
    reader = readers["in"]
    with place.card() as uid:
        card = Card(uid=uid)
        assert wait_until(lambda: reader.poll() == card)
        seen = [reader.poll() for _ in range(LOOKS)]
        # Through the air one look in ten may fail; none may see another card.
        assert set(seen) <= {card, None}
        assert seen.count(card) >= LOOKS * 0.9


def test_no_reader_sees_a_card_where_none_is(readers: Mapping[str, Reader]) -> None:
    empty = [reader for name, reader in readers.items() if name != "in"]
    for reader in empty:
        assert [reader.poll() for _ in range(LOOKS)] == [None] * LOOKS


def test_a_card_that_is_left_there_is_told_once(
    place: Place, parts: Parts, events: list[ReaderEvent], wait_until: WaitUntil
) -> None:
    with parts.readers["in"], place.card() as uid:
        told = CardRead(reader="in", uid=uid)
        assert wait_until(lambda: told in events)
        assert not happens_meanwhile(lambda: len(events) > 1)
    assert events == [told]


# The lock


def test_the_lock_is_locked_at_the_start(parts: Parts) -> None:
    assert not parts.lock.is_unlocked


def test_the_lock_unlocks_and_locks_as_it_is_told_however_often(parts: Parts) -> None:
    for _ in range(2):
        parts.lock.unlock()
        parts.lock.unlock()
        assert parts.lock.is_unlocked
        parts.lock.lock()
        parts.lock.lock()
        assert not parts.lock.is_unlocked


def test_closing_locks_and_closing_twice_is_harmless(parts: Parts) -> None:
    parts.lock.unlock()
    parts.lock.close()
    assert not parts.lock.is_unlocked
    parts.lock.close()


# Inputs


@pytest.mark.parametrize("name", INPUTS)
def test_at_rest_an_input_is_off_and_steady(parts: Parts, name: str) -> None:
    changes: list[bool] = []
    wire = found(parts, name)
    wire.on_change(changes.append)
    assert not wire.is_active, f"{name} is on: is the door closed, and its `active` right?"
    assert not happens_meanwhile(lambda: bool(changes)), f"{name} changes by itself: a loose wire?"


@pytest.mark.parametrize("name", INPUTS)
def test_an_input_may_be_closed_twice(parts: Parts, name: str) -> None:
    wire = found(parts, name)
    wire.close()
    wire.close()


# Light, buzzer, display


@pytest.mark.parametrize("signal", list(Signal))
def test_a_signal_is_shown_without_waiting_for_it(
    place: Place, parts: Parts, signal: Signal
) -> None:
    assert seconds_of(lambda: parts.signals.show(signal)) < 0.05
    if place.is_real:
        happens_meanwhile(lambda: False)  # long enough to be seen and heard


def test_light_and_buzzer_may_be_closed_twice(parts: Parts) -> None:
    parts.signals.show(Signal.ALARM)
    parts.signals.close()
    parts.signals.close()


def test_words_are_shown_without_waiting_for_the_bus(place: Place, parts: Parts) -> None:
    if parts.display is None:
        pytest.skip(f"{place.settings.client_name} has no display")
    display = parts.display
    assert seconds_of(lambda: display.show("Bonjour !")) < 0.05
    display.close()
    display.close()
