"""Two readers on one bus, and several cards at one reader."""

import itertools
from collections.abc import Iterator

import pytest

from edge.hardware.reader_mfrc522 import Mfrc522Reader
from edge.ports import Card, ReaderError, Unreadable
from edge.presentation import CardRead, CardUnreadable, ReaderEvent, ReaderFailed, ReaderRecovered
from edge.reading import ReaderWatch
from edge.simulated.bench import Bench
from edge.simulated.bus import detach, install
from edge.simulated.card import VirtualCard
from edge.simulated.chip import Chip, Fault
from edge.simulated.clock import VirtualClock

ONE, OTHER = "04112233445566", "0a0b0c0d"
SEVERAL = Unreadable(why="several")


class Pair:
    """A chip on CE0 and one on CE1, each with a reader and its watch, in one virtual time."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.chips = {"in": Chip(clock=self.clock), "out": Chip(clock=self.clock)}
        install({(0, 0): self.chips["in"], (0, 1): self.chips["out"]})
        self.events: list[ReaderEvent] = []
        self.readers = {
            name: Mfrc522Reader(
                bus=0, device=device, monotonic=self.clock.monotonic, sleep=self.clock.sleep
            )
            for device, name in enumerate(self.chips)
        }
        self.watches = [
            ReaderWatch(
                name=name,
                reader=reader,
                on_event=self.events.append,
                monotonic=self.clock.monotonic,
            )
            for name, reader in self.readers.items()
        ]

    def steps(self, count: int) -> None:
        for _ in range(count):
            self.clock.sleep(max(watch.step() for watch in self.watches))

    def close(self) -> None:
        for reader in self.readers.values():
            reader.close()
        detach(0, 0)
        detach(0, 1)


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.close()


def card(uid: str) -> VirtualCard:
    return VirtualCard(bytes.fromhex(uid))


def read(reader: str, uid: str) -> CardRead:
    return CardRead(reader=reader, uid=bytes.fromhex(uid))


def test_each_reader_sees_its_own_card_only(pair: Pair) -> None:
    pair.chips["in"].put(card(ONE))
    pair.chips["out"].put(card(OTHER))
    pair.steps(20)
    assert pair.events == [read("in", ONE), read("out", OTHER)]


def test_one_card_carried_from_one_reader_to_the_other_is_told_by_each(pair: Pair) -> None:
    badge = card(ONE)
    pair.chips["in"].put(badge)
    pair.steps(2)
    pair.chips["in"].take()
    pair.chips["out"].put(badge)
    pair.steps(2)
    assert pair.events == [read("in", ONE), read("out", ONE)]


def test_a_reader_that_fails_leaves_the_other_one_working(pair: Pair) -> None:
    pair.steps(1)
    pair.chips["in"].fault = Fault.SILENT_LOW
    pair.chips["out"].put(card(OTHER))
    pair.steps(5)
    assert {type(event) for event in pair.events} == {ReaderFailed, CardRead}
    pair.chips["in"].fault = Fault.NONE
    pair.steps(50)
    assert ReaderRecovered(reader="in") in pair.events


def test_a_second_chip_that_is_not_wired_is_named(pair: Pair) -> None:
    detach(0, 1)
    with pytest.raises(ReaderError, match=r"SPI 0\.1"):
        pair.readers["out"].recover()
    pair.readers["in"].recover()


@pytest.mark.parametrize("uids", list(itertools.permutations([ONE, OTHER, "0411223344556a"], 2)))
def test_of_two_cards_at_once_none_is_read_and_that_is_told_once(
    pair: Pair, uids: tuple[str, str]
) -> None:
    for uid in uids:
        pair.chips["in"].put_beside(card(uid))
    pair.steps(100)
    assert pair.events == [CardUnreadable(reader="in", why="several")]


@pytest.mark.parametrize("last", range(1, 256, 17))
def test_two_uids_are_never_mixed_however_alike(bench: Bench, last: int) -> None:
    bench.chip.put(card("04112233445500"))
    bench.chip.put_beside(card(f"041122334455{last:02x}"))
    assert [bench.reader.poll() for _ in range(4)] == [None, None, SEVERAL, SEVERAL]


def test_when_one_of_two_cards_is_taken_away_the_other_is_read(pair: Pair) -> None:
    pair.chips["in"].put(card(ONE))
    pair.chips["in"].put_beside(card(OTHER))
    pair.steps(5)
    pair.chips["in"].put(card(OTHER))
    pair.steps(5)
    assert pair.events == [CardUnreadable(reader="in", why="several"), read("in", OTHER)]


def test_a_collision_for_a_moment_is_not_told(bench: Bench) -> None:
    bench.chip.put(card(ONE))
    bench.chip.put_beside(card(OTHER))
    assert [bench.reader.poll(), bench.reader.poll()] == [None, None]
    bench.chip.put(card(ONE))
    assert bench.reader.poll() == Card(uid=bytes.fromhex(ONE))
    bench.chip.put_beside(card(OTHER))
    assert bench.reader.poll() is None


def test_of_two_copies_of_one_card_that_answer_alike_the_uid_is_read_whole(bench: Bench) -> None:
    one = card(ONE)
    bench.chip.put(one)
    bench.chip.put_beside(one.copy())
    assert bench.reader.poll() == Card(uid=one.uid)
