"""The watch over a reader tells each presentation, each failure and each recovery once."""

import threading
from collections.abc import Callable, Iterator

import pytest

from edge.ports import Card, Reader, ReaderError
from edge.presentation import CardRead, ReaderEvent, ReaderFailed, ReaderRecovered
from edge.reading import ReaderWatch
from edge.simulated.bench import Bench
from edge.simulated.bus import detach, install
from edge.simulated.card import VirtualCard
from edge.simulated.chip import Chip, Fault
from edge.simulated.clock import RealClock

WaitUntil = Callable[[Callable[[], bool]], None]
UID = "04112233445566"
CARD_READ = CardRead(reader="in", uid=bytes.fromhex(UID))
FAILED = ReaderFailed(
    reader="in",
    error="reader on SPI 0.0: no chip answers (version 0x00): check power and wiring",
)
RECOVERED = ReaderRecovered(reader="in")


class Watched:
    """A watch over the reader of a workbench, stepped by hand in the bench's time."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.events: list[ReaderEvent] = []
        self.watch = ReaderWatch(
            name="in",
            reader=bench.reader,
            on_event=self.events.append,
            monotonic=bench.clock.monotonic,
        )

    def steps(self, count: int) -> list[float]:
        """Do some steps, each after the pause that the one before asked for."""
        pauses = []
        for _ in range(count):
            pauses.append(self.watch.step())
            self.bench.clock.sleep(pauses[-1])
        return pauses


@pytest.fixture
def watched(bench: Bench) -> Watched:
    return Watched(bench)


def test_a_card_left_on_the_reader_is_told_once(watched: Watched) -> None:
    watched.bench.lay(UID)
    watched.steps(100)
    assert watched.events == [CARD_READ]


def test_a_card_that_comes_back_is_told_again(watched: Watched) -> None:
    card = watched.bench.lay(UID)
    watched.steps(2)
    watched.bench.chip.take()
    watched.steps(20)
    watched.bench.chip.put(card)
    watched.steps(2)
    assert watched.events == [CARD_READ, CARD_READ]


def test_a_failure_and_a_recovery_are_told_once_each(watched: Watched) -> None:
    watched.steps(1)
    watched.bench.chip.fault = Fault.SILENT_LOW
    watched.steps(4)
    states = [watched.watch.is_failed]
    watched.bench.chip.fault = Fault.NONE
    watched.steps(2)
    assert [*states, watched.watch.is_failed] == [True, False]
    assert watched.events == [FAILED, RECOVERED]


def test_the_first_attempt_to_recover_is_at_once_and_the_next_ever_farther_apart(
    watched: Watched,
) -> None:
    watched.bench.chip.fault = Fault.SILENT_LOW
    assert watched.steps(9) == [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_a_reader_that_comes_and_goes_is_told_ever_less_often(watched: Watched) -> None:
    for _ in range(200):
        watched.bench.chip.power_on()
        watched.steps(1)
    told_s = watched.bench.clock.monotonic() / len(watched.events)
    assert told_s > 1.0


def test_a_reader_that_has_long_been_good_is_recovered_at_once_again(watched: Watched) -> None:
    watched.bench.chip.fault = Fault.SILENT_LOW
    watched.steps(6)
    watched.bench.chip.fault = Fault.NONE
    watched.steps(600)
    watched.bench.chip.fault = Fault.SILENT_LOW
    assert watched.steps(2) == [0.0, 0.25]


def test_a_fault_in_the_door_does_not_blind_the_reader(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    def stumble(event: ReaderEvent) -> None:
        raise RuntimeError(f"stumbled over {event}")

    watch = ReaderWatch(
        name="in", reader=bench.reader, on_event=stumble, monotonic=bench.clock.monotonic
    )
    bench.lay(UID)
    assert watch.step() == 0.06
    assert watch.step() == 0.06
    assert "CardRead was not taken" in caplog.text


@pytest.fixture
def real_chip() -> Iterator[Chip]:
    chip = Chip(clock=RealClock())
    install({(6, 0): chip})
    yield chip
    detach(6, 0)


def real_reader() -> Reader:
    from edge.hardware.reader_mfrc522 import Mfrc522Reader  # noqa: PLC0415 - after `install`

    return Mfrc522Reader(bus=6, device=0)


def test_in_a_thread_of_its_own_it_reads_fails_and_recovers(
    real_chip: Chip, wait_until: WaitUntil
) -> None:
    events: list[ReaderEvent] = []
    with ReaderWatch(name="in", reader=real_reader(), on_event=events.append, poll_s=0.01) as watch:
        real_chip.put(VirtualCard(bytes.fromhex(UID)))
        wait_until(lambda: CARD_READ in events)
        real_chip.fault = Fault.SILENT_HIGH
        wait_until(lambda: watch.is_failed)
        real_chip.fault = Fault.NONE
        wait_until(lambda: RECOVERED in events)
    watch.close()
    assert [type(event) for event in events] == [CardRead, ReaderFailed, ReaderRecovered]
    assert not [thread for thread in threading.enumerate() if thread.name == "reader-in"]


class _NoReader:
    """A reader that is never there."""

    closed = 0

    def poll(self) -> Card | None:
        raise ReaderError("absent")

    def recover(self) -> None:
        raise ReaderError("absent")

    def close(self) -> None:
        self.closed += 1


def test_closing_ends_a_watch_that_waits_for_a_dead_reader(wait_until: WaitUntil) -> None:
    reader = _NoReader()
    events: list[ReaderEvent] = []
    watch = ReaderWatch(name="in", reader=reader, on_event=events.append).start()
    wait_until(lambda: events == [ReaderFailed(reader="in", error="absent")])
    watch.close()
    watch.close()
    assert reader.closed == 2
