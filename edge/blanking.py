"""Makes the next card at the way in a blank one again; runs in place of the door unit."""

import contextlib
import time
from collections.abc import Callable
from typing import Final

from edge.badges.formatting import Unformatted, blank_card
from edge.badges.keys import SiteKeys
from edge.badges.session import MemoryReader
from edge.card_keys import site_keys
from edge.hardware.pins import open_pins
from edge.parts import open_reader
from edge.ports import Card, Reader
from edge.settings import DoorUnitSettings, HardwareSettings
from runtime.settings import RuleError

WAIT_S: Final = 30.0
_POLL_S: Final = 0.06


class NoCardError(TimeoutError):
    """No card was presented in time, or none for long enough."""


class ForeignCardError(ValueError):
    """The card that was presented opens with no key that is known here."""


def blank_next(
    settings: DoorUnitSettings,
    *,
    on_ready: Callable[[], None],
    wait_s: float = WAIT_S,
    on_moved: Callable[[], None] = lambda: None,
) -> None:
    """Wait for a card at the reader `in`, and put factory keys and zeros into our sectors of it.

    Blocks. The lock's pin is left alone. The unit's own program must not be running meanwhile: two
    cannot speak with one reader.

    Args:
        settings: of the unit.
        on_ready: called when a card may be presented.
        wait_s: how long to wait, in seconds.
        on_moved: called when a card was taken away too soon; it may be presented again.

    Raises:
        RuleError: the door has no card master key, or its reader reads UIDs only.
        KeyFileError: the card master key can't be read.
        NoCardError: no card came in time.
        ForeignCardError: a card came that opens with none of our keys, nor with a factory's.
        ReaderError: the reader does not work.
        LibraryMissingError: a library that the reader needs is absent.
        PinsError: its reset pin can't be used.
        WorldInUseError: the simulated door is running.
    """
    keys = site_keys(settings)
    if keys is None:
        raise RuleError("this door has no card master key: write the table [cards]", field="cards")
    with contextlib.ExitStack() as stack:
        reader = _open(settings.hardware, stack)
        if not isinstance(reader, MemoryReader):
            raise RuleError('the reader "in" reads UIDs only', field="hardware.reader")
        on_ready()
        _wait(reader, reader, keys, time.monotonic() + wait_s, on_moved)


def _open(hardware: HardwareSettings, stack: contextlib.ExitStack) -> Reader:
    pins = stack.enter_context(contextlib.closing(open_pins(hardware.backend)))
    if hardware.simulated is not None:
        # Imported here: a real door never loads the simulation.
        from edge.parts_simulated import start_world  # noqa: PLC0415

        stack.enter_context(start_world(hardware, pins))
    wanted = next(reader for reader in hardware.readers if reader.id == "in")
    return stack.enter_context(contextlib.closing(open_reader(wanted, pins)))


def _wait(
    reader: Reader,
    memory: MemoryReader,
    keys: SiteKeys,
    until_s: float,
    on_moved: Callable[[], None],
) -> None:
    while time.monotonic() < until_s:
        seen = reader.poll()
        if isinstance(seen, Card):
            failed = _blank(memory, keys)
            if failed is None:
                return
            if failed is Unformatted.FOREIGN:
                raise ForeignCardError(
                    "this card opens with no key of this site, nor with a factory's; nothing was "
                    "changed on it"
                )
            on_moved()
        time.sleep(_POLL_S)
    raise NoCardError("no card was held to the reader for long enough; try again")


def _blank(memory: MemoryReader, keys: SiteKeys) -> Unformatted | None:
    with memory.session() as session:
        if session is None:
            return Unformatted.LEFT
        return blank_card(session, keys.of(session.uid))
