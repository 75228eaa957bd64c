"""USB readers that type: real input events through evdev, unplugged and plugged in again."""

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("evdev", reason="evdev is not installed (gardien[pi])")

from evdev import ecodes

from edge.hardware.keystrokes import Writing
from edge.hardware.reader_evdev import EvdevReader, Which, find_device
from edge.ports import Card, Reader, ReaderError, Unreadable
from edge.presentation import CardRead, CardUnreadable, ReaderEvent, ReaderFailed, ReaderRecovered
from edge.reading import ReaderWatch
from edge.simulated.keyboard import SimulatedKeyboard

WHICH = Which(usb="08ff:0009")
UID = "04112233445566"
CARD = Card(uid=bytes.fromhex(UID))


class Clock:
    """Seconds that pass when they are told to."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keyboard() -> SimulatedKeyboard:
    return SimulatedKeyboard()


@pytest.fixture
def reader(keyboard: SimulatedKeyboard, clock: Clock) -> Iterator[EvdevReader]:
    with EvdevReader(
        which=WHICH,
        writing=Writing(base=16, is_reversed=False),
        find=keyboard.find,
        monotonic=clock,
    ) as reader:
        yield reader


def test_it_is_a_reader(reader: EvdevReader) -> None:
    port: Reader = reader
    assert port.poll() is None


def test_a_number_with_enter_is_a_card_once(
    keyboard: SimulatedKeyboard, reader: EvdevReader
) -> None:
    reader.poll()
    keyboard.type(f"{UID}\n")
    assert [reader.poll() for _ in range(3)] == [CARD, None, None]


def test_a_number_that_is_still_being_typed_waits_for_its_end(
    keyboard: SimulatedKeyboard, reader: EvdevReader
) -> None:
    reader.poll()
    now_s = time.time()
    keyboard.type(UID[:6], at_s=now_s)
    assert reader.poll() is None
    keyboard.type(f"{UID[6:]}\n", at_s=now_s + 0.05)
    assert reader.poll() == CARD


def test_two_badges_typed_between_two_looks_are_both_read(
    keyboard: SimulatedKeyboard, reader: EvdevReader
) -> None:
    reader.poll()
    keyboard.type(f"{UID}\ndeadbeef\n")
    assert [reader.poll(), reader.poll()] == [CARD, Card(uid=b"\xde\xad\xbe\xef")]


def test_keys_that_are_held_down_count_once(
    keyboard: SimulatedKeyboard, reader: EvdevReader
) -> None:
    reader.poll()
    now_s = time.time()
    for sign in "00000001":
        keyboard.type(sign, at_s=now_s)
        keyboard.happen(ecodes.EV_KEY, ecodes.KEY_0, 2, at_s=now_s)
    keyboard.type("\n", at_s=now_s)
    assert reader.poll() == Card(uid=b"\x00\x00\x00\x01")


def test_after_events_that_the_kernel_dropped_a_number_is_none(
    keyboard: SimulatedKeyboard, reader: EvdevReader
) -> None:
    reader.poll()
    now_s = time.time()
    keyboard.happen(ecodes.EV_SYN, ecodes.SYN_DROPPED, 0, at_s=now_s)
    keyboard.type("deadbeef\n", at_s=now_s)
    keyboard.type(f"{UID}\n", at_s=now_s)
    assert [reader.poll(), reader.poll()] == [Unreadable(why="number"), CARD]


def test_what_waited_while_nobody_looked_opens_no_door(
    keyboard: SimulatedKeyboard, reader: EvdevReader, clock: Clock
) -> None:
    reader.poll()
    keyboard.type(f"{UID}\n")
    clock.now_s += 2.1
    assert [reader.poll(), reader.poll()] == [None, None]
    keyboard.type(f"{UID}\n")
    assert reader.poll() == CARD


def test_what_it_types_reaches_no_other_program(
    keyboard: SimulatedKeyboard, reader: EvdevReader
) -> None:
    reader.poll()
    other = EvdevReader(
        which=WHICH, writing=Writing(base=16, is_reversed=False), find=keyboard.find
    )
    with pytest.raises(ReaderError, match="another program"):
        other.poll()
    reader.close()
    reader.close()
    assert other.poll() is None
    other.close()


def test_unplugged_is_an_error_and_plugged_in_again_it_reads_on(
    keyboard: SimulatedKeyboard, reader: EvdevReader
) -> None:
    reader.poll()
    keyboard.type("04112233")
    keyboard.pull_out()
    with pytest.raises(ReaderError, match="08ff:0009: it is not plugged in"):
        reader.poll()
    with pytest.raises(ReaderError, match="not plugged in"):
        reader.recover()
    keyboard.plug_in()
    reader.recover()
    keyboard.type(f"{UID}\n")
    assert reader.poll() == CARD


def test_one_that_is_not_there_at_the_start_is_found_later(clock: Clock) -> None:
    keyboard = SimulatedKeyboard()
    keyboard.pull_out()
    events: list[ReaderEvent] = []
    watch = ReaderWatch(
        name="in",
        reader=EvdevReader(
            which=WHICH,
            writing=Writing(base=16, is_reversed=False),
            find=keyboard.find,
            monotonic=clock,
        ),
        on_event=events.append,
        monotonic=clock,
    )
    for _ in range(5):
        clock.now_s += watch.step()
    assert watch.is_failed
    keyboard.plug_in()
    for _ in range(2):
        clock.now_s += watch.step()
    keyboard.type(f"{UID}\n{UID}\n{UID[:-1]}\n")
    for _ in range(5):
        clock.now_s += watch.step()
    watch.close()
    assert events == [
        ReaderFailed(reader="in", error="reader 08ff:0009: it is not plugged in"),
        ReaderRecovered(reader="in"),
        CardRead(reader="in", uid=CARD.uid),
        CardUnreadable(reader="in", why="number"),
    ]


def test_a_device_file_that_is_not_there_is_not_plugged_in(tmp_path: Path) -> None:
    reader = EvdevReader(
        which=Which(path=tmp_path / "event0"), writing=Writing(base=16, is_reversed=False)
    )
    with pytest.raises(ReaderError, match="not plugged in"):
        reader.poll()


def test_a_file_that_is_no_input_device_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "event0"
    os.mkfifo(path)
    with pytest.raises(ReaderError, match="Inappropriate ioctl"):
        EvdevReader(which=Which(path=path), writing=Writing(base=16, is_reversed=False)).recover()


@pytest.mark.skipif(os.path.lexists("/dev/uinput"), reason="there may be input devices here")
def test_a_device_that_nobody_has_is_not_found_by_its_numbers() -> None:
    with pytest.raises(OSError, match="No such device") as caught:
        find_device(Which(usb="dead:beef"))
    assert caught.value.errno == errno.ENODEV
