"""A workbench: one emulated chip on the bus, and the real reader over it, in one virtual time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edge.hardware.reader_mfrc522 import Mfrc522Reader
from edge.simulated.bus import detach, install
from edge.simulated.card import VirtualCard
from edge.simulated.chip import Chip
from edge.simulated.clock import VirtualClock


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What lies on the workbench.

    Attributes:
        chip: the emulated chip.
        clock: the time that chip and reader share.
        reader: the real reader.
    """

    chip: Chip
    clock: VirtualClock
    reader: Mfrc522Reader

    def lay(self, uid: str) -> VirtualCard:
        """Lay a card with this UID in hex on the reader, and return it.

        Raises:
            ValueError: no card can have this UID.
        """
        card = VirtualCard(bytes.fromhex(uid))
        self.chip.put(card)
        return card


@contextmanager
def workbench(*, bus: int = 0, device: int = 0) -> Iterator[Bench]:
    """Set up a workbench at (bus, device) of this process, and clear it away afterwards.

    Raises:
        RealHardwareError: the real bus library is loaded in this process.
        LibraryMissingError: `mfrc522` is not installed.
    """
    clock = VirtualClock()
    chip = Chip(clock=clock)
    install({(bus, device): chip})
    try:
        with Mfrc522Reader(
            bus=bus, device=device, monotonic=clock.monotonic, sleep=clock.sleep
        ) as reader:
            yield Bench(chip=chip, clock=clock, reader=reader)
    finally:
        detach(bus, device)
