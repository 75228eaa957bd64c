"""The `Reader` port over an MFRC522 on the SPI bus of a Raspberry Pi."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Final, Self

from edge.hardware.errors import LibraryMissingError
from edge.hardware.frames import (
    AUTH_A,
    AUTH_B,
    BLOCK_BYTES,
    KEY_BYTES,
    halt,
    look,
    read_block,
    select,
    write_block,
)
from edge.hardware.pins import PinFactory
from edge.ports import Card, ReaderError, Unreadable

if TYPE_CHECKING:
    from edge.hardware.chip_mfrc522 import Mfrc522Chip
    from edge.hardware.reset_gpiozero import ResetLine

KNOWN_VERSIONS: Final = frozenset({0x91, 0x92, 0x88, 0x90, 0xB2})
"""VersionReg of MFRC522 1.0 and 2.0 (data sheet 9.3.4.8), and of copies that work (FM17522)."""

_SURELY_CROWDED: Final = 3


def _load_chip_class() -> "type[Mfrc522Chip]":
    """Import the package behind the chip, or say what to install.

    Raises:
        LibraryMissingError: `mfrc522`, `spidev` or `RPi.GPIO` is absent, or refuses this machine.
    """
    try:
        from edge.hardware.chip_mfrc522 import Mfrc522Chip  # noqa: PLC0415 - loaded when needed
    except (ImportError, RuntimeError) as error:  # RPi.GPIO raises RuntimeError off a Pi
        raise LibraryMissingError(
            f"an MFRC522 reader cannot be used here: {error}. "
            "On a Raspberry Pi: pip install 'gardien[pi]', then "
            "pip install --no-deps mfrc522==0.0.7"
        ) from error
    return Mfrc522Chip


class CardSession:
    """One selected card, for the blocks of its memory. Made by `Mfrc522Reader.session`."""

    def __init__(self, chip: "Mfrc522Chip", uid: bytes) -> None:
        self._chip = chip
        self.uid = uid

    def authenticate(self, block: int, key: bytes, *, with_key_b: bool = False) -> bool:
        """Open the sector of `block` with a key; blocks for up to 20 ms.

        After False the card has dropped out: call `select_again` before anything else.

        Args:
            block: 0 to 63 on a card of 1K.
            key: 6 bytes.
            with_key_b: whether it is key B.

        Raises:
            ValueError: the key is not 6 bytes.
            ReaderError: the chip fails.
        """
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
        return self._chip.authenticate(AUTH_B if with_key_b else AUTH_A, block, key, self.uid)

    def read(self, block: int) -> bytes | None:
        """Return the 16 bytes of a block in the open sector, or None; blocks for up to 20 ms.

        Raises:
            ReaderError: the chip fails.
        """
        return read_block(self._chip, block)

    def write(self, block: int, data: bytes) -> bool:
        """Write 16 bytes to a block in the open sector; blocks for up to 50 ms.

        Returns:
            True if the card acknowledged. After False the block's content is unknown.

        Raises:
            ValueError: not 16 bytes.
            ReaderError: the chip fails.
        """
        if len(data) != BLOCK_BYTES:
            raise ValueError(f"a block takes {BLOCK_BYTES} bytes, not {len(data)}")
        return write_block(self._chip, block, data)

    def select_again(self) -> bool:
        """Find the same card again after a refusal; False if it is gone.

        Raises:
            ReaderError: the chip fails.
        """
        self._chip.MFRC522_StopCrypto1()
        return _select_surely(self._chip) == self.uid


def _select_surely(chip: "Mfrc522Chip") -> bytes | None:
    # A card that is not where it was thought to be ignores the first wake-up, and drops back.
    return select(chip) or select(chip)


class Mfrc522Reader:
    """One badge reader. For one thread at a time.

    Building it loads the libraries but does not touch the chip: a reader that is dead from the
    start is met at the first `poll`, as one that dies later.
    """

    def __init__(
        self,
        *,
        bus: int,
        device: int,
        reset_pin: int | None = None,
        pin_factory: PinFactory | None = None,
        speed_hz: int = 1_000_000,
        known_versions: frozenset[int] = KNOWN_VERSIONS,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare a reader.

        Args:
            bus: SPI bus; 0 or 1 on a Pi.
            device: chip-select line, 0 to 2.
            reset_pin: BCM number of the pin on NRSTPD, or None if that is wired to 3.3 V.
            pin_factory: drives `reset_pin`; must be given with it.
            speed_hz: of the bus, at most 10,000,000 (data sheet, 8.1.2).
            known_versions: values of VersionReg that are taken for a working chip.
            monotonic: seconds, as `time.monotonic`.
            sleep: as `time.sleep`.

        Raises:
            LibraryMissingError: a library is absent; names the remedy.
            ValueError: a reset pin without a pin factory.
            PinsError: the reset pin cannot be used.
        """
        self._chip_class = _load_chip_class()
        self._bus, self._device, self._speed_hz = bus, device, speed_hz
        self._known_versions = known_versions
        self._monotonic, self._sleep = monotonic, sleep
        self._chip: Mfrc522Chip | None = None
        self._crowded = 0
        self._reset = _reset_line(reset_pin, pin_factory)

    def poll(self) -> Card | Unreadable | None:
        """Look once for a card and put it to sleep again; see `edge.ports.Reader`.

        Several cards at once are told at the third look that finds them: a single one that just
        comes into the field may look so for a moment.

        Blocks for 1 to 3 ms without a card, 5 to 20 ms with one.

        Raises:
            ReaderError: the chip is absent or answers wrongly.
        """
        chip = self._ready_chip()
        seen = look(chip)
        self._crowded = self._crowded + 1 if isinstance(seen, Unreadable) else 0
        if seen is None:
            return None
        # Several cards that were asked for their UIDs are put back as well: they would not hear
        # the next wake-up.
        halt(chip)
        if isinstance(seen, bytes):
            return Card(uid=seen)
        return seen if self._crowded >= _SURELY_CROWDED else None

    def session(self) -> AbstractContextManager[CardSession | None]:
        """Select the card in the field, for its memory; None if there is none.

        On leaving, whatever happened, the card is put to sleep and enciphering is ended: a chip
        left enciphering would be deaf to every card after.

        Raises:
            ReaderError: the chip is absent or answers wrongly.
        """
        return self._session()

    @contextmanager
    def _session(self) -> Iterator[CardSession | None]:
        chip = self._ready_chip()
        uid = _select_surely(chip)
        if uid is None:
            yield None
            return
        with ExitStack() as ending:
            ending.callback(chip.MFRC522_StopCrypto1)
            ending.callback(halt, chip)
            yield CardSession(chip, uid)

    def recover(self) -> None:
        """Open the bus anew, reset the chip and set it up; blocks for up to 70 ms.

        Raises:
            ReaderError: the chip still does not answer as it should.
        """
        self._close_chip()
        if self._reset is not None:
            self._reset.pulse()
        self._open_chip()

    def close(self) -> None:
        """Let go of bus and reset pin. Closing twice is harmless."""
        self._close_chip()
        if self._reset is not None:
            self._reset.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ready_chip(self) -> "Mfrc522Chip":
        chip = self._chip or self._open_chip()
        chip.check(self._known_versions)
        return chip

    def _open_chip(self) -> "Mfrc522Chip":
        chip = self._chip_class(
            place=f"reader on SPI {self._bus}.{self._device}",
            bus=self._bus,
            device=self._device,
            speed_hz=self._speed_hz,
            monotonic=self._monotonic,
            sleep=self._sleep,
        )
        try:
            chip.set_up(self._known_versions)
        except ReaderError:
            chip.close()
            raise
        self._chip = chip
        return chip

    def _close_chip(self) -> None:
        if self._chip is not None:
            self._chip.close()
            self._chip = None


def _reset_line(pin: int | None, pin_factory: PinFactory | None) -> "ResetLine | None":
    if pin is None:
        return None
    if pin_factory is None:
        raise ValueError(f"reset_pin = {pin} needs a pin_factory that drives it")
    from edge.hardware.reset_gpiozero import ResetLine  # noqa: PLC0415 - only where it is wired

    return ResetLine(pin=pin, pin_factory=pin_factory)
