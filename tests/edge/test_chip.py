"""The emulated chip behaves as its data sheet says, and as the real package expects."""

import logging
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from edge.simulated.bus import (
    GPIO,
    BusTakenError,
    EmulatedSpiDev,
    RealHardwareError,
    detach,
    install,
)
from edge.simulated.card import VirtualCard
from edge.simulated.chip import Chip, Fault
from edge.simulated.clock import VirtualClock
from edge.simulated.registers import Command, Reg


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def chip(clock: VirtualClock) -> Iterator[Chip]:
    chip = Chip(clock=clock)
    install({(0, 0): chip})
    yield chip
    detach(0, 0)


@pytest.fixture
def stock(chip: Chip) -> Iterator[ModuleType]:
    """The package as it is, without our changes; its log handlers are taken off again."""
    assert chip.transfers == 0
    import mfrc522  # noqa: PLC0415 - needs the stand-ins of the bus

    yield mfrc522
    log = logging.getLogger("mfrc522Logger")
    for handler in tuple(log.handlers):
        log.removeHandler(handler)


def read(chip: Chip, address: int) -> int:
    return chip.transfer(bytes([0x80 | address << 1, 0]))[1]


def write(chip: Chip, address: int, *values: int) -> None:
    chip.transfer(bytes([address << 1, *values]))


def test_registers_start_at_the_values_of_the_data_sheet(chip: Chip, clock: VirtualClock) -> None:
    clock.sleep(0.01)
    assert read(chip, Reg.COMMAND) == 0x20
    assert read(chip, Reg.COM_IRQ) == 0x14
    assert read(chip, Reg.TX_CONTROL) == 0x80
    assert read(chip, Reg.VERSION) == 0x92


def test_several_registers_are_read_in_one_transfer(chip: Chip) -> None:
    addresses = bytes([0x80 | Reg.VERSION << 1, 0x80 | Reg.TX_CONTROL << 1, 0])
    assert chip.transfer(addresses)[1:] == bytes([0x92, 0x80])
    assert chip.transfers == 1


def test_the_fifo_takes_a_burst_and_gives_it_back_in_order(chip: Chip) -> None:
    write(chip, Reg.FIFO_DATA, 1, 2, 3)
    assert read(chip, Reg.FIFO_LEVEL) == 3
    address = 0x80 | Reg.FIFO_DATA << 1
    assert chip.transfer(bytes([address, address, address, 0]))[1:] == bytes([1, 2, 3])


def test_a_fifo_that_overflows_says_so_until_it_is_flushed(chip: Chip) -> None:
    write(chip, Reg.FIFO_DATA, *range(65))
    assert read(chip, Reg.FIFO_LEVEL) == 64
    assert read(chip, Reg.ERROR) & 0x10
    write(chip, Reg.FIFO_LEVEL, 0x80)
    assert read(chip, Reg.FIFO_LEVEL) == 0
    assert not read(chip, Reg.ERROR)


def test_bit_7_of_an_interrupt_register_says_whether_bits_are_set_or_cleared(chip: Chip) -> None:
    write(chip, Reg.COM_IRQ, 0x7F)
    assert read(chip, Reg.COM_IRQ) == 0
    write(chip, Reg.COM_IRQ, 0x80 | 0x22)
    assert read(chip, Reg.COM_IRQ) == 0x22
    write(chip, Reg.COM_IRQ, 0x02)
    assert read(chip, Reg.COM_IRQ) == 0x20


def test_the_crc_unit_fits_the_vector_of_the_standard(chip: Chip) -> None:
    write(chip, Reg.MODE, 0x3D)  # preset 6363
    write(chip, Reg.FIFO_DATA, 0x12, 0x34)
    write(chip, Reg.COMMAND, Command.CALC_CRC)
    assert read(chip, Reg.DIV_IRQ) & 0x04
    assert (read(chip, Reg.CRC_RESULT_L), read(chip, Reg.CRC_RESULT_H)) == (0x26, 0xCF)


def test_the_timer_runs_for_the_time_that_its_registers_say(
    chip: Chip, clock: VirtualClock
) -> None:
    for address, value in [(Reg.T_MODE, 0x8D), (Reg.T_PRESCALER, 0x3E), (Reg.T_RELOAD_L, 30)]:
        write(chip, address, value)  # as the package sets it: 15.5 ms
    write(chip, Reg.TX_CONTROL, 0x83)
    write(chip, Reg.FIFO_DATA, 0x26)
    write(chip, Reg.COM_IRQ, 0x7F)
    write(chip, Reg.COMMAND, Command.TRANSCEIVE)
    write(chip, Reg.BIT_FRAMING, 0x87)
    clock.sleep(0.0154)
    assert not read(chip, Reg.COM_IRQ) & 0x01
    clock.sleep(0.0002)
    assert read(chip, Reg.COM_IRQ) & 0x01


def test_a_soft_reset_wakes_up_after_a_while_with_the_antenna_off(
    chip: Chip, clock: VirtualClock
) -> None:
    write(chip, Reg.TX_CONTROL, 0x83)
    write(chip, Reg.COMMAND, Command.SOFT_RESET)
    assert read(chip, Reg.COMMAND) & 0x10
    clock.sleep(0.002)
    assert not read(chip, Reg.COMMAND) & 0x10
    assert read(chip, Reg.TX_CONTROL) == 0x80


@pytest.mark.parametrize(
    ("fault", "version"),
    [(Fault.SILENT_LOW, 0), (Fault.SILENT_HIGH, 0xFF), (Fault.WRONG_VERSION, 0x37)],
)
def test_a_broken_chip_reads_as_what_is_wrong_with_it(
    chip: Chip, fault: Fault, version: int
) -> None:
    chip.fault = fault
    assert read(chip, Reg.VERSION) == version


def test_the_stand_ins_may_be_installed_again_with_more_chips(clock: VirtualClock) -> None:
    first, second = Chip(clock=clock), Chip(clock=clock)
    install({(3, 0): first})
    install({(3, 0): first, (3, 1): second})
    with pytest.raises(BusTakenError, match=r"SPI 3\.0"):
        install({(3, 0): second})
    device = EmulatedSpiDev()
    device.open(3, 1)
    device.xfer2([0, 0])
    assert (first.transfers, second.transfers) == (0, 1)
    device.close()
    device.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        device.xfer2([0, 0])
    detach(3, 0)
    detach(3, 1)
    with pytest.raises(FileNotFoundError):
        device.open(3, 1)


@pytest.mark.parametrize("name", ["spidev", "RPi", "RPi.GPIO"])
def test_a_real_bus_library_is_never_replaced(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = ModuleType(name)
    monkeypatch.setitem(sys.modules, name, real)
    with pytest.raises(RealHardwareError, match=name):
        install({})
    assert sys.modules[name] is real


# Why the package is subclassed: its faults, shown with nothing of ours in between.


def test_stock_package_spends_2013_transfers_to_find_no_card(stock: ModuleType, chip: Chip) -> None:
    reader = stock.SimpleMFRC522()
    before = chip.transfers
    assert reader.read_id_no_block() is None
    assert chip.transfers - before == 2013


def test_stock_package_takes_two_cards_of_seven_bytes_for_one(
    stock: ModuleType, chip: Chip
) -> None:
    reader = stock.SimpleMFRC522()
    ids = set()
    for uid in ("04112233445566", "04112299887765"):
        chip.put(VirtualCard(bytes.fromhex(uid)))
        ids.add(reader.read_id_no_block())
    assert len(ids) == 1


def test_stock_package_loses_every_second_read_of_a_card_that_lies_there(
    stock: ModuleType, chip: Chip
) -> None:
    reader = stock.SimpleMFRC522()
    chip.put(VirtualCard(bytes.fromhex("deadbeef")))
    reads = [reader.read_no_block()[0] for _ in range(4)]
    assert [uid is not None for uid in reads] == [True, False, True, False]


def test_stock_package_lets_go_of_every_pin_of_the_process(stock: ModuleType) -> None:
    stock.MFRC522().Close_MFRC522()
    assert GPIO.calls[-1] == ("cleanup", None)
