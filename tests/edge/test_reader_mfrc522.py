"""The reader, over the real package and an emulated chip: whole UIDs and true results."""

import logging
import sys
import time

import pytest

from edge.hardware.errors import LibraryMissingError
from edge.hardware.reader_mfrc522 import Mfrc522Reader
from edge.ports import Card, Reader, ReaderError, Unreadable
from edge.simulated.bench import Bench
from edge.simulated.bus import GPIO, detach, install
from edge.simulated.card import CardState, VirtualCard
from edge.simulated.chip import Chip, Fault
from edge.simulated.clock import RealClock
from edge.simulated.pins import SimulatedPins

FF = b"\xff" * 6
STOCK_IDLE_TRANSFERS = 2013


def seen(card: Card | Unreadable | None) -> str | None:
    if isinstance(card, Unreadable):
        return card.why
    return None if card is None else card.uid.hex()


def test_it_is_a_reader(bench: Bench) -> None:
    reader: Reader = bench.reader
    assert reader.poll() is None


@pytest.mark.parametrize(
    "uid",
    [
        "deadbeef",
        "00000001",
        "04112233445566",
        "00000000000001",
        "04112233445566778899",
        "00010203040506070809",
    ],
)
def test_a_uid_of_any_length_is_read_whole_with_its_leading_zeros(bench: Bench, uid: str) -> None:
    bench.lay(uid)
    assert seen(bench.reader.poll()) == uid


def test_two_cards_that_begin_alike_are_told_apart(bench: Bench) -> None:
    uids = ["04112233445566", "04112299887765"]
    found = []
    for uid in uids:
        bench.lay(uid)
        found.append(seen(bench.reader.poll()))
    assert found == uids


def test_a_card_that_lies_on_the_reader_is_seen_at_every_look(bench: Bench) -> None:
    bench.lay("04112233445566")
    assert [seen(bench.reader.poll()) for _ in range(10)] == ["04112233445566"] * 10


def test_a_card_that_left_is_not_seen_and_one_that_comes_back_is(bench: Bench) -> None:
    card = bench.lay("deadbeef")
    assert bench.reader.poll() is not None
    bench.chip.take()
    assert bench.reader.poll() is None
    bench.chip.put(card)
    assert bench.reader.poll() is not None


@pytest.mark.parametrize("frames", range(6))
def test_a_card_pulled_away_at_any_frame_is_no_card_and_no_half_uid(
    bench: Bench, frames: int
) -> None:
    card = bench.lay("04112233445566")
    card.leave_after(frames=frames)
    assert seen(bench.reader.poll()) in (None, "04112233445566")
    card.enter_field()
    assert seen(bench.reader.poll()) == "04112233445566"


@pytest.mark.parametrize("air_bytes", range(45))
def test_a_card_pulled_away_at_any_byte_is_no_card_and_no_half_uid(
    bench: Bench, air_bytes: int
) -> None:
    card = bench.lay("04112233445566")
    card.leave_after(air_bytes=air_bytes)
    assert seen(bench.reader.poll()) in (None, "04112233445566")
    card.enter_field()
    assert seen(bench.reader.poll()) == "04112233445566"


def test_an_idle_look_costs_a_hundredth_of_what_the_package_spends(bench: Bench) -> None:
    bench.reader.poll()
    before, begun_us = bench.chip.transfers, bench.clock.now_us()
    bench.reader.poll()
    assert bench.chip.transfers - before <= STOCK_IDLE_TRANSFERS / 100
    assert bench.clock.now_us() - begun_us < 3_000


@pytest.mark.parametrize("transfer_us", [10, 30, 100, 500])
def test_a_look_is_over_within_50_ms_on_a_slow_pi_too(bench: Bench, transfer_us: int) -> None:
    bench.clock.transfer_us = transfer_us
    bench.lay("04112233445566778899")
    bench.reader.poll()
    begun_us = bench.clock.now_us()
    assert bench.reader.poll() is not None
    assert bench.clock.now_us() - begun_us < 50_000


def test_blocks_are_read_and_written_with_true_results(bench: Bench) -> None:
    card = bench.lay("04112233445566")
    card.set_keys(1, key_a=b"AAAAAA", key_b=b"BBBBBB")
    with bench.reader.session() as session:
        assert session is not None
        assert session.authenticate(4, b"AAAAAA")
        assert session.write(4, b"sixteen bytes ok")
        assert session.read(4) == b"sixteen bytes ok"
        assert session.read(8) is None
        assert session.select_again()
        assert session.authenticate(4, b"BBBBBB", with_key_b=True)
    assert card.block(4) == b"sixteen bytes ok"


def test_a_wrong_key_is_refused_and_the_card_can_be_selected_again(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.lay("deadbeef")
    with bench.reader.session() as session:
        assert session is not None
        assert not session.authenticate(4, b"wrong!")
        assert session.read(4) is None
        assert session.select_again()
        assert session.authenticate(4, FF)
    assert capsys.readouterr() == ("", "")


def test_a_write_to_a_card_that_leaves_is_not_called_a_success(bench: Bench) -> None:
    card = bench.lay("deadbeef")
    with bench.reader.session() as session:
        assert session is not None
        assert session.authenticate(4, FF)
        card.leave_after(frames=1)
        assert not session.write(4, b"sixteen bytes ok")
        assert not session.select_again()
    assert card.block(4) == bytes(16)


def test_a_session_without_a_card_says_so(bench: Bench) -> None:
    with bench.reader.session() as session:
        assert session is None


def test_an_error_in_the_middle_of_a_session_leaves_the_reader_able_to_hear(
    bench: Bench,
) -> None:
    card = bench.lay("deadbeef")

    def visit() -> None:
        with bench.reader.session() as session:
            assert session is not None
            assert session.authenticate(4, FF)
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        visit()
    assert card.state is CardState.HALT
    assert bench.reader.poll() is not None


def test_a_key_or_block_of_the_wrong_length_is_refused(bench: Bench) -> None:
    bench.lay("deadbeef")
    with bench.reader.session() as session:
        assert session is not None
        with pytest.raises(ValueError, match="a key has 6 bytes, not 5"):
            session.authenticate(4, b"short")
        with pytest.raises(ValueError, match="a block takes 16 bytes, not 5"):
            session.write(4, b"short")


@pytest.mark.parametrize("fault", [Fault.SILENT_LOW, Fault.SILENT_HIGH, Fault.WRONG_VERSION])
def test_a_broken_chip_is_an_error_until_it_is_mended_and_recovered(
    bench: Bench, fault: Fault
) -> None:
    bench.lay("deadbeef")
    assert bench.reader.poll() is not None
    bench.chip.fault = fault
    begun_us = bench.clock.now_us()
    with pytest.raises(ReaderError, match=r"reader on SPI 0\.0: "):
        bench.reader.poll()
    assert bench.clock.now_us() - begun_us < 50_000
    with pytest.raises(ReaderError):
        bench.reader.recover()
    bench.chip.fault = Fault.NONE
    bench.reader.recover()
    assert bench.reader.poll() is not None


def test_a_chip_that_dies_in_the_middle_of_a_session_is_an_error(bench: Bench) -> None:
    bench.lay("deadbeef")

    def visit() -> None:
        with bench.reader.session() as session:
            assert session is not None
            bench.chip.fault = Fault.SILENT_LOW
            session.authenticate(4, FF)

    with pytest.raises(ReaderError):
        visit()
    bench.chip.fault = Fault.NONE
    bench.reader.recover()
    assert bench.reader.poll() is not None


def test_a_chip_that_lost_power_for_a_moment_is_not_deaf_for_ever(bench: Bench) -> None:
    bench.lay("deadbeef")
    assert bench.reader.poll() is not None
    bench.chip.power_on()
    with pytest.raises(ReaderError, match="lost its set-up"):
        bench.reader.poll()
    bench.reader.recover()
    assert bench.reader.poll() is not None


def test_a_reader_that_is_absent_from_the_start_is_met_at_the_first_look() -> None:
    install({})
    with Mfrc522Reader(bus=7, device=1) as reader:
        with pytest.raises(ReaderError, match=r"SPI 7\.1.*dtparam=spi=on"):
            reader.poll()
        with pytest.raises(ReaderError, match="No such file"):
            reader.recover()


def test_closing_twice_is_harmless(bench: Bench) -> None:
    bench.reader.poll()
    bench.reader.close()
    bench.reader.close()


def test_no_pin_and_no_log_handler_is_taken(bench: Bench) -> None:
    before = list(GPIO.calls), list(logging.getLogger("mfrc522Logger").handlers)
    bench.reader.poll()
    bench.reader.close()
    assert (list(GPIO.calls), list(logging.getLogger("mfrc522Logger").handlers)) == before


def test_the_methods_of_the_package_that_are_inherited_no_longer_spin(bench: Bench) -> None:
    from edge.hardware.chip_mfrc522 import Mfrc522Chip  # noqa: PLC0415 - needs the stand-ins

    chip = Mfrc522Chip(
        place="bench",
        bus=0,
        device=0,
        speed_hz=1_000_000,
        monotonic=bench.clock.monotonic,
        sleep=bench.clock.sleep,
    )
    chip.set_up(frozenset({0x92}))
    before = bench.chip.transfers
    assert chip.MFRC522_Request(chip.PICC_REQIDL)[0] == chip.MI_ERR
    assert bench.chip.transfers - before < STOCK_IDLE_TRANSFERS / 100
    bench.lay("deadbeef")
    assert chip.MFRC522_Request(chip.PICC_REQIDL)[0] == chip.MI_OK
    uid = chip.MFRC522_Anticoll()[1]
    assert bytes(uid[:4]).hex() == "deadbeef"
    assert chip.MFRC522_SelectTag(uid) == 0x08
    assert chip.MFRC522_Auth(chip.PICC_AUTHENT1A, 4, list(FF), uid) == chip.MI_OK
    assert chip.MFRC522_Write(4, b"sixteen bytes ok") == chip.MI_OK
    assert bytes(chip.MFRC522_Read(4)) == b"sixteen bytes ok"
    bench.chip.take()
    assert chip.MFRC522_Write(4, b"sixteen bytes ok") == chip.MI_ERR
    chip.Close_MFRC522()


def test_without_the_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "edge.hardware.chip_mfrc522", raising=False)
    monkeypatch.setitem(sys.modules, "mfrc522", None)
    with pytest.raises(LibraryMissingError, match=r"pip install --no-deps mfrc522==0\.0\.7"):
        Mfrc522Reader(bus=0, device=0)


def test_the_reset_pin_is_pulsed_on_recovery_and_let_go(bench: Bench, pins: SimulatedPins) -> None:
    with Mfrc522Reader(
        bus=0,
        device=0,
        reset_pin=25,
        pin_factory=pins,
        monotonic=bench.clock.monotonic,
        sleep=bench.clock.sleep,
    ) as reader:
        pin = pins.simulated_pin(25)
        pin.clear_states()
        reader.recover()
        assert [state.state for state in pin.states] == [True, False, True]
        assert reader.poll() is None
    assert pin.function == "input"


def test_a_reset_pin_without_a_pin_factory_is_refused() -> None:
    install({})
    with pytest.raises(ValueError, match="pin_factory"):
        Mfrc522Reader(bus=0, device=0, reset_pin=25)


def test_in_real_time_a_look_sleeps_and_does_not_spin() -> None:
    chip = Chip(clock=RealClock())
    install({(5, 0): chip})
    with Mfrc522Reader(bus=5, device=0) as reader:
        chip.put(VirtualCard(bytes.fromhex("04112233445566")))
        assert reader.poll() is not None
        chip.take()
        before, cpu_s, begun_s = chip.transfers, time.thread_time(), time.monotonic()
        for _ in range(50):
            assert reader.poll() is None
        used_s, took_s = time.thread_time() - cpu_s, time.monotonic() - begun_s
    detach(5, 0)
    assert chip.transfers - before < 50 * STOCK_IDLE_TRANSFERS / 100
    assert used_s < took_s / 2
