"""The hardware of one door unit, built from its settings: the adapters, and the simulated world."""

import contextlib
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edge.badges.meeting import Cards, Meeting
from edge.badges.session import MemoryReader
from edge.hardware.errors import LibraryMissingError
from edge.hardware.input_gpiozero import GpiozeroInput
from edge.hardware.keystrokes import Writing
from edge.hardware.lock_gpiozero import GpiozeroLock
from edge.hardware.pins import SIMULATED, PinFactory, open_pins
from edge.hardware.signals_gpiozero import GpiozeroSignals
from edge.ports import Display, Input, Lock, Reader, Signals
from edge.presentation import CardRead, CardUnreadable, ReaderEvent
from edge.reading import ReaderWatch
from edge.settings import DoorUnitSettings, HardwareSettings, InputSettings, TimingSettings
from edge.settings_readers import ReaderSettings
from runtime.settings import RuleError


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The hardware of one door.

    Attributes:
        lock: locked.
        signals: dark and silent.
        contact: says that the door is open; None if there is none.
        exit_button: sees the request to exit; None if there is none.
        tamper: says that the unit's case is open; None if there is none.
        fire: says that the fire panel has cut the lock's power; None if there is none.
        display: dark; None if there is none.
        readers: by name; not started yet.
    """

    lock: Lock
    signals: Signals
    contact: Input | None
    exit_button: Input | None
    tamper: Input | None
    fire: Input | None
    display: Display | None
    readers: Mapping[str, ReaderWatch]


def open_parts(
    settings: DoorUnitSettings,
    *,
    stack: contextlib.ExitStack,
    on_reader: Callable[[ReaderEvent], None],
    on_fuse: Callable[[], None],
    cards: Callable[[], Cards | None] = lambda: None,
) -> Parts:
    """Open the hardware that the settings name, and start the simulated world if they say so.

    Args:
        settings: of the unit.
        stack: closes what is opened here, the lock last.
        on_reader: called from the readers' threads, once they are started.
        on_fuse: called from another thread when the lock has locked itself.
        cards: gives what is needed for cards that can prove themselves, if the door has it; asked
            once the lock is locked.

    Raises:
        LibraryMissingError: a library that the hardware needs is absent.
        PinsError: a pin can't be used.
        WorldInUseError: another simulated door runs on the same socket.
    """
    hardware, timing = settings.hardware, settings.timing
    pins = stack.enter_context(contextlib.closing(open_pins(hardware.backend)))
    lock = GpiozeroLock(
        pin=hardware.lock.pin,
        active_high=hardware.lock.active_high,
        pin_factory=pins,
        on_fuse=on_fuse,
    )
    stack.callback(lock.close)
    if hardware.simulated is not None:
        start_simulation(hardware, pins, stack)
    signals = _open_signals(hardware, pins)
    stack.callback(signals.close)
    return Parts(
        lock=lock,
        signals=signals,
        contact=open_input(hardware.contact, timing, pins, stack),
        exit_button=open_input(hardware.exit_button, timing, pins, stack),
        tamper=open_input(hardware.tamper, timing, pins, stack),
        fire=open_input(hardware.fire, timing, pins, stack),
        display=_open_display(hardware, stack),
        readers=_prepare_readers(hardware, timing, pins, on_reader, cards()),
    )


def lock_and_leave(settings: DoorUnitSettings) -> None:
    """Drive the lock's pin to its locked level, and let go of it.

    The kernel keeps a pin that is let go of at its last level, so this outlasts the process.

    Raises:
        LibraryMissingError: a library that the pins need is absent.
        PinsError: the pin can't be used.
    """
    lock = settings.hardware.lock
    with (
        contextlib.closing(open_pins(settings.hardware.backend)) as pins,
        GpiozeroLock(pin=lock.pin, active_high=lock.active_high, pin_factory=pins) as relay,
    ):
        relay.lock()


def open_input(
    wire: InputSettings | None,
    timing: TimingSettings,
    pins: PinFactory,
    stack: contextlib.ExitStack,
) -> Input | None:
    """Open one wire, if the door has it; `stack` closes it.

    Raises:
        PinsError: its pin can't be used.
    """
    if wire is None:
        return None
    return stack.enter_context(
        GpiozeroInput(
            pin=wire.pin,
            active_high=wire.active == "high",
            pin_factory=pins,
            debounce_s=timing.debounce.total_seconds(),
        )
    )


def _open_signals(hardware: HardwareSettings, pins: PinFactory) -> Signals:
    light, buzzer = hardware.light, hardware.buzzer
    return GpiozeroSignals(
        red=light.red if light is not None else None,
        green=light.green if light is not None else None,
        blue=light.blue if light is not None else None,
        buzzer=buzzer.pin if buzzer is not None else None,
        active_high=light.active_high if light is not None else True,
        pin_factory=pins,
    )


def _open_display(hardware: HardwareSettings, stack: contextlib.ExitStack) -> Display | None:
    wire = hardware.display
    if wire is None:
        return None
    try:
        # Imported here: most doors have none, and its libraries weigh.
        from edge.hardware.display_luma import (  # noqa: PLC0415
            LumaDisplay,
            dummy_device,
            i2c_device,
        )
    except ImportError as error:
        raise LibraryMissingError(
            f"a display can't be used here: {error}. On a Raspberry Pi: pip install 'gardien[pi]'"
        ) from error
    if hardware.backend == SIMULATED:
        make = dummy_device
    else:
        make = functools.partial(
            i2c_device,
            driver=wire.driver,
            port=wire.port,
            address=wire.address,
            is_upside_down=wire.is_upside_down,
        )
    return stack.enter_context(LumaDisplay(make_device=make))


def _prepare_readers(
    hardware: HardwareSettings,
    timing: TimingSettings,
    pins: PinFactory,
    on_reader: Callable[[ReaderEvent], None],
    cards: Cards | None,
) -> dict[str, ReaderWatch]:
    readers = {reader.id: open_reader(reader, pins) for reader in hardware.readers}
    return {
        name: ReaderWatch(
            name=name,
            reader=reader,
            on_event=on_reader,
            rearm_s=timing.rearm.total_seconds(),
            meet=_meeting(name, reader, cards),
        )
        for name, reader in readers.items()
    }


def _meeting(
    name: str, reader: Reader, cards: Cards | None
) -> Callable[[bytes], CardRead | CardUnreadable] | None:
    """Give what opens the cards; None where the reader or the door can't."""
    if cards is None or not isinstance(reader, MemoryReader):
        return None
    return Meeting(reader=name, memory=reader, cards=cards).meet


def open_reader(reader: ReaderSettings, pins: PinFactory) -> Reader:
    """Build one reader; it is met at its first look.

    Raises:
        LibraryMissingError: a library that it needs is absent.
        PinsError: its reset pin can't be used.
    """
    if reader.spi is None:
        return _typing_reader(reader)
    from edge.hardware.reader_mfrc522 import Mfrc522Reader  # noqa: PLC0415 - where there is one

    bus, device = reader.spi
    return Mfrc522Reader(bus=bus, device=device, reset_pin=reader.reset_pin, pin_factory=pins)


def _typing_reader(reader: ReaderSettings) -> Reader:
    keyboard = reader.keyboard
    if keyboard is None:
        raise RuleError(f"reader {reader.id} has neither a bus nor a keyboard", field="reader")
    try:
        from edge.hardware.reader_evdev import EvdevReader, Which  # noqa: PLC0415 - likewise
    except ImportError as error:
        raise LibraryMissingError(
            f"a USB reader that types can't be used here: {error}. "
            "On a Raspberry Pi: pip install 'gardien[pi]'"
        ) from error
    return EvdevReader(
        which=Which(path=keyboard.path, usb=keyboard.usb, name=keyboard.name),
        writing=Writing(
            base=16 if keyboard.writes == "hex" else 10,
            is_reversed=keyboard.byte_order == "reversed",
            uid_bytes=keyboard.uid_bytes,
            layout=keyboard.layout,
        ),
    )


def start_simulation(
    hardware: HardwareSettings, pins: PinFactory, stack: contextlib.ExitStack
) -> None:
    """Start the simulated world round a door; `stack` ends it.

    Raises:
        WorldInUseError: another simulated door runs on the same socket.
    """
    # Imported here: a real door never loads the simulation.
    from edge.parts_simulated import start_world  # noqa: PLC0415

    stack.enter_context(start_world(hardware, pins))
