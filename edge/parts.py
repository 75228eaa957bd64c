"""The hardware of one door unit, built from its settings: the adapters, and the simulated world."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from edge.hardware.debounce import LONGEST_DEBOUNCE_S
from edge.hardware.input_gpiozero import GpiozeroInput
from edge.hardware.lock_gpiozero import GpiozeroLock
from edge.hardware.pins import PinFactory, open_pins
from edge.hardware.reader_mfrc522 import Mfrc522Reader
from edge.hardware.signals_gpiozero import GpiozeroSignals
from edge.ports import Input, Lock, Signals
from edge.presentation import ReaderEvent
from edge.reading import ReaderWatch
from edge.settings import DoorUnitSettings, HardwareSettings, InputSettings, TimingSettings

_SHORTEST_DEBOUNCE_S: Final = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The hardware of one door.

    Attributes:
        lock: locked.
        signals: dark and silent.
        contact: says that the door is open; None if there is none.
        exit_button: sees the request to exit; None if there is none.
        tamper: says that the unit's case is open; None if there is none.
        readers: by name; not started yet.
    """

    lock: Lock
    signals: Signals
    contact: Input | None
    exit_button: Input | None
    tamper: Input | None
    readers: Mapping[str, ReaderWatch]


def open_parts(
    settings: DoorUnitSettings,
    *,
    stack: contextlib.ExitStack,
    on_reader: Callable[[ReaderEvent], None],
    on_fuse: Callable[[], None],
) -> Parts:
    """Open the hardware that the settings name, and start the simulated world if they say so.

    Args:
        settings: of the unit.
        stack: closes what is opened here, the lock last.
        on_reader: called from the readers' threads, once they are started.
        on_fuse: called from another thread when the lock has locked itself.

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
        _start_world(hardware, pins, stack)
    signals = _open_signals(hardware, pins)
    stack.callback(signals.close)
    return Parts(
        lock=lock,
        signals=signals,
        contact=_open_input(hardware.contact, timing, pins, stack),
        exit_button=_open_input(hardware.exit_button, timing, pins, stack),
        tamper=_open_input(hardware.tamper, timing, pins, stack),
        readers=_prepare_readers(hardware, timing, pins, on_reader),
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


def _open_input(
    wire: InputSettings | None,
    timing: TimingSettings,
    pins: PinFactory,
    stack: contextlib.ExitStack,
) -> Input | None:
    if wire is None:
        return None
    debounce_s = timing.debounce.total_seconds()
    return stack.enter_context(
        GpiozeroInput(
            pin=wire.pin,
            active_high=wire.active == "high",
            pin_factory=pins,
            # The settings allow none and up to 400 ms: the adapter's bounds keep short pulses.
            debounce_s=min(max(debounce_s, _SHORTEST_DEBOUNCE_S), LONGEST_DEBOUNCE_S),
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


def _prepare_readers(
    hardware: HardwareSettings,
    timing: TimingSettings,
    pins: PinFactory,
    on_reader: Callable[[ReaderEvent], None],
) -> dict[str, ReaderWatch]:
    return {
        reader.id: ReaderWatch(
            name=reader.id,
            reader=Mfrc522Reader(
                bus=reader.bus,
                device=reader.device,
                reset_pin=reader.reset_pin,
                pin_factory=pins,
            ),
            on_event=on_reader,
            rearm_s=timing.rearm.total_seconds(),
        )
        for reader in hardware.readers
    }


def _start_world(hardware: HardwareSettings, pins: PinFactory, stack: contextlib.ExitStack) -> None:
    # Imported here: a real door never loads the simulation.
    from edge.parts_simulated import start_world  # noqa: PLC0415

    stack.enter_context(start_world(hardware, pins))
