"""The order in which things are done at the door: what is durable first, what waits for nothing."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from access.ids import DoorId, SiteId
from edge.effects import Effect, Keep, PublishState, Record, Relock, Show, Unlock
from edge.hands import Hands
from edge.hardware.lock_gpiozero import GpiozeroLock
from edge.hardware.signals_gpiozero import GpiozeroSignals
from edge.outbox import Outbox, OutboxError, OutboxFullError
from edge.ports import Signal
from edge.simulated.pins import SimulatedPins

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
RELEASE: list[Effect] = [Record(kind="lock.unlocked", at=NOON, data={}), Unlock()]
WAY_OUT: list[Effect] = [Record(kind="lock.unlocked", at=NOON, data={}), Unlock(is_exit=True)]


@pytest.fixture
def hands(tmp_path: Path, pins: SimulatedPins) -> Iterator[Hands]:
    """Hands of real parts, over a journal that has room for two records."""
    site, door = SiteId("malakoff"), DoorId("main")
    with (
        Outbox(tmp_path / "outbox.db", site=site, door=door, capacity=2) as outbox,
        GpiozeroLock(pin=17, active_high=True, pin_factory=pins, max_unlocked_s=30.0) as lock,
        GpiozeroSignals(
            red=22, green=None, blue=None, buzzer=None, active_high=True, pin_factory=pins
        ) as signals,
    ):
        yield Hands(outbox=outbox, lock=lock, signals=signals)


def do(hands: Hands, effects: list[Effect], mono: float = 0.0) -> list[Effect]:
    return list(hands.carry_out(effects, mono))


def is_released(hands: Hands) -> bool:
    return hands.lock.is_unlocked


def test_records_are_on_disk_before_the_lock_is_released(hands: Hands) -> None:
    do(hands, [*RELEASE, Keep(key="lockdown", value="on"), Show(signal=Signal.GRANTED)])
    assert is_released(hands)
    assert len(hands.outbox) == 1
    assert hands.outbox.kept("lockdown") == "on"


def test_what_is_for_others_is_handed_on(hands: Hands) -> None:
    assert do(hands, [PublishState(), Relock()]) == [PublishState()]


def test_without_room_for_the_record_the_lock_stays_locked(hands: Hands) -> None:
    do(hands, [*RELEASE, Relock()])
    do(hands, [*RELEASE, Relock()])
    with pytest.raises(OutboxFullError):
        do(hands, RELEASE)
    assert not is_released(hands)
    assert hands.unsaved == []


def test_the_way_out_is_opened_even_so_and_its_record_is_written_later(hands: Hands) -> None:
    do(hands, [*RELEASE, Relock()])
    do(hands, [*RELEASE, Relock()])
    do(hands, WAY_OUT)
    assert is_released(hands)
    assert len(hands.unsaved) == 1
    hands.tend(10.0, is_unlocked=True)
    assert len(hands.unsaved) == 1
    hands.outbox.acknowledge(2)
    hands.tend(10.5, is_unlocked=True)
    assert len(hands.unsaved) == 1
    hands.tend(11.0, is_unlocked=True)
    assert hands.unsaved == []
    assert hands.outbox.head.seq == 3


def test_the_lock_locks_before_a_record_that_cant_be_written(hands: Hands) -> None:
    do(hands, RELEASE)
    do(hands, [Record(kind="door.opened", at=NOON, data={})])
    do(hands, [Relock(), Record(kind="lock.locked", at=NOON, data={})])
    assert not is_released(hands)
    assert [entry.kind for entry in hands.unsaved] == ["lock.locked"]


@pytest.mark.parametrize("more", [[], RELEASE])
def test_what_was_to_be_remembered_is_kept_as_soon_as_there_is_room(
    hands: Hands, more: list[Effect]
) -> None:
    do(hands, [*RELEASE, Relock()])
    do(hands, [*RELEASE, Relock()])
    doubt: list[Effect] = [Record(kind="clock.untrusted", at=NOON, data={})]
    with suppress(OutboxFullError):
        do(hands, [*doubt, Keep(key="clock_doubt", value="behind"), *more])
    hands.outbox.acknowledge(2)
    hands.tend(1000.0, is_unlocked=False)
    assert hands.outbox.kept("clock_doubt") == "behind"


def test_a_release_that_failed_is_never_made_up_for(hands: Hands) -> None:
    do(hands, [*RELEASE, Relock()])
    do(hands, [*RELEASE, Relock()])
    with pytest.raises(OutboxError):
        do(hands, RELEASE)
    hands.lock_now()
    hands.tend(1000.0, is_unlocked=True)
    assert not is_released(hands)


def test_a_lock_that_locked_itself_is_released_again_as_long_as_it_is_wanted(hands: Hands) -> None:
    do(hands, RELEASE)
    hands.lock.lock()
    hands.tend(9.9, is_unlocked=True)
    assert not is_released(hands)
    hands.tend(10.0, is_unlocked=True)
    assert is_released(hands)
    hands.lock_now()
    hands.tend(20.0, is_unlocked=False)
    assert not is_released(hands)
