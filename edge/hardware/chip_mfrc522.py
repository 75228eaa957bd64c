"""The MFRC522 chip through the `mfrc522` 0.0.7 package, with that package's faults mended.

Importing this module imports `mfrc522`, and with it `spidev` and `RPi.GPIO`; only
`edge.hardware.reader_mfrc522` does so, when a reader is built. Register values: NXP MFRC522 data
sheet, rev. 3.9.

What the package does, and what is done here instead:

- its wait loop never sees the chip's timer: 2,013 transfers for "no card", and a core at full
  load. Here: the timer is set for each frame, and the thread sleeps between looks;
- one transfer for each byte of the FIFO. Here: a burst (8.1.2);
- each reader adds a handler to the log, and takes over `RPi.GPIO` down to a `cleanup()` of every
  pin of the process, the lock's included. Here: neither.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import spidev
from mfrc522 import MFRC522

from edge.hardware.frames import AUTH_A, AUTH_B, Answer, write_block
from edge.ports import ReaderError

_READ_BIT: Final = 0x80
_TIMER_AUTO: Final = 0x80  # TModeReg: start at the end of a transmission (9.3.3.10)
_TIMER_PRESCALER: Final = 0xA9  # (2 * 169 + 1) / 13.56 MHz
_TICK_US: Final = 25
_AUTHENT_WAIT_US: Final = 5_000
_POWER_DOWN: Final = 0x10
_ANTENNA_ON: Final = 0x03
_CRYPTO1_ON: Final = 0x08
_START_SEND: Final = 0x80
_LAST_BITS: Final = 0x07
_FLUSH: Final = 0x80
_ALL_IRQS: Final = 0x7F
_RX_OR_IDLE: Final = 0x30
_IDLE: Final = 0x10
_TIMER_IRQ: Final = 0x01
_ERROR_IRQ: Final = 0x02
_COLLISION: Final = 0x08  # ErrorReg (9.3.1.7)
_ERRORS: Final = 0x1B  # overflow, collision, parity, protocol; the CRC is checked on the bytes
_LOOK_S: Final = 0.001
_PATIENCE_S: Final = 0.015  # beyond the chip's own timer
_WAKE_UP_S: Final = 0.05


class _Bus:
    """`spidev.SpiDev` whose failures are `ReaderError`s that name the place."""

    def __init__(self, place: str, bus: int, device: int, speed_hz: int) -> None:
        self._place = place
        self._spi = spidev.SpiDev()
        with self._translated():
            self._spi.open(bus, device)
            self._spi.max_speed_hz = speed_hz

    def xfer2(self, data: list[int]) -> list[int]:
        with self._translated():
            back: list[int] = self._spi.xfer2(data)
        return back

    def close(self) -> None:
        self._spi.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ReaderError(
                f"{self._place}: the bus fails: {error}. Is dtparam=spi=on in config.txt?"
            ) from error


class Mfrc522Chip(MFRC522):  # type: ignore[misc]  # the package ships no types
    """One chip on the SPI bus. For one thread at a time."""

    def __init__(
        self,
        *,
        place: str,
        bus: int,
        device: int,
        speed_hz: int,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        """Open the bus; the chip itself is not spoken to before `set_up`.

        The constructor of the package is not called: it would add a log handler and take pins.

        Raises:
            ReaderError: there is no such bus.
        """
        self._place = place
        self._monotonic, self._sleep = monotonic, sleep
        self._reload: int | None = None
        self.logger = logging.getLogger("mfrc522Logger")
        self.spi = _Bus(place, bus, device, speed_hz)

    def close(self) -> None:
        """Let go of the bus. Closing twice is harmless."""
        self.spi.close()

    def Close_MFRC522(self) -> None:  # noqa: N802 - the package's name
        """As `close`: frees no pin, where the package frees those of everybody."""
        self.close()

    # --- setting up ------------------------------------------------------------------------

    def set_up(self, known_versions: frozenset[int]) -> None:
        """Reset the chip, configure it and switch the antenna on; blocks for up to 60 ms.

        Raises:
            ReaderError: it does not wake, or is no MFRC522.
        """
        self.MFRC522_Init()
        self._reload = None
        self.Write_MFRC522(self.TModeReg, _TIMER_AUTO)
        self.Write_MFRC522(self.TPrescalerReg, _TIMER_PRESCALER)
        self.check(known_versions)

    def MFRC522_Reset(self) -> None:  # noqa: N802 - the package's name
        """Reset, and wait until the oscillator runs (8.8.2), which the package does not.

        Raises:
            ReaderError: it does not wake within 50 ms.
        """
        self.Write_MFRC522(self.CommandReg, self.PCD_RESETPHASE)
        end_s = self._monotonic() + _WAKE_UP_S
        while self.Read_MFRC522(self.CommandReg) & _POWER_DOWN:
            if self._monotonic() > end_s:
                raise self._failure(f"the chip did not wake within {_WAKE_UP_S * 1000:.0f} ms")
            self._sleep(_LOOK_S)

    def check(self, known_versions: frozenset[int]) -> None:
        """Read version and antenna in one transfer (8.1.2.1): is it there, and still set up?

        A chip that lost power for a moment answers, but with its antenna off: it would be deaf
        for ever.

        Raises:
            ReaderError: no.
        """
        version, antenna = self._read_many(self.VersionReg, self.TxControlReg)
        if version in (0x00, 0xFF):
            raise self._failure(f"no chip answers (version {version:#04x}): check power and wiring")
        if version not in known_versions:
            raise self._failure(f"version {version:#04x} is not that of an MFRC522")
        if antenna & _ANTENNA_ON != _ANTENNA_ON:
            raise self._failure("the chip lost its set-up, as after a dip of its power")

    def _failure(self, what: str) -> ReaderError:
        return ReaderError(f"{self._place}: {what}")

    # --- talking to a card -----------------------------------------------------------------

    def exchange(self, frame: bytes, *, bits: int = 0, wait_us: int) -> Answer | None:
        """Send one frame and return the answer, or None; see `frames.Transceiver`.

        Raises:
            ReaderError: neither an answer nor the chip's timer came in time.
        """
        self._set_timer(wait_us)
        self._load(frame)
        self.Write_MFRC522(self.CommandReg, self.PCD_TRANSCEIVE)
        self.Write_MFRC522(self.BitFramingReg, _START_SEND | bits)
        raised = self._wait_for(_RX_OR_IDLE, wait_us)
        return self._unload() if raised & (_RX_OR_IDLE | _ERROR_IRQ) else None

    def authenticate(self, command: int, block: int, key: bytes, uid: bytes) -> bool:
        """Authenticate a sector and begin to encipher (10.3.1.9).

        Args:
            command: 0x60 for key A, 0x61 for key B.
            block: any block of the sector, 0 to 63.
            key: 6 bytes.
            uid: the whole UID; its last four bytes enter the cipher.

        Returns:
            Whether chip and card now share a cipher.

        Raises:
            ReaderError: the chip does not finish.
        """
        if command not in (AUTH_A, AUTH_B):
            raise ValueError(f"{command:#04x} is neither key A (0x60) nor key B (0x61)")
        self._set_timer(_AUTHENT_WAIT_US)
        self._load(bytes([command, block]) + key + uid[-4:])
        self.Write_MFRC522(self.CommandReg, self.PCD_AUTHENT)
        raised = self._wait_for(_IDLE, _AUTHENT_WAIT_US)
        is_on = self.Read_MFRC522(self.Status2Reg) & _CRYPTO1_ON
        return bool(raised & _IDLE and is_on)

    def _set_timer(self, wait_us: int) -> None:
        reload = max(wait_us // _TICK_US - 1, 1)
        if reload != self._reload:
            self.Write_MFRC522(self.TReloadRegH, reload >> 8)
            self.Write_MFRC522(self.TReloadRegL, reload & 0xFF)
            self._reload = reload

    def _load(self, frame: bytes) -> None:
        self.Write_MFRC522(self.CommandReg, self.PCD_IDLE)
        self.Write_MFRC522(self.CommIrqReg, _ALL_IRQS)
        self.Write_MFRC522(self.FIFOLevelReg, _FLUSH)
        self.spi.xfer2([self.FIFODataReg << 1, *frame])

    def _wait_for(self, wanted: int, wait_us: int) -> int:
        end_s = self._monotonic() + wait_us / 1e6 + _PATIENCE_S
        while True:
            self._sleep(_LOOK_S)
            # The time is taken before the look: a thread held up for long still looks once.
            is_late = self._monotonic() > end_s
            raised: int = self.Read_MFRC522(self.CommIrqReg)
            if raised & (wanted | _TIMER_IRQ | _ERROR_IRQ):
                return raised
            if is_late:
                raise self._failure("the chip finished neither by an answer nor by its timer")

    def _unload(self) -> Answer | None:
        error, level, control = self._read_many(self.ErrorReg, self.FIFOLevelReg, self.ControlReg)
        if error & _COLLISION:
            return Answer(data=b"", bits=0, is_collision=True)
        count = level & 0x7F
        if error & _ERRORS or not count:
            return None
        data = bytes(self._read_many(*[self.FIFODataReg] * count))
        last_bits = control & _LAST_BITS
        return Answer(data=data, bits=8 * count - (8 - last_bits if last_bits else 0))

    def _read_many(self, *registers: int) -> list[int]:
        """Read registers in one transfer: the answer to each address comes beside the next."""
        return self.spi.xfer2([*(_READ_BIT | register << 1 for register in registers), 0])[1:]

    # --- the package's own way in, mended ---------------------------------------------------

    def MFRC522_ToCard(  # noqa: N802 - the package's name
        self, command: int, send_data: Sequence[int]
    ) -> tuple[int, list[int], int]:
        """As in the package, for those of its methods that are inherited: same result, no spin.

        Raises:
            ReaderError: the chip does not finish.
        """
        frame = bytes(send_data)
        if command == self.PCD_AUTHENT:
            is_on = self.authenticate(frame[0], frame[1], frame[2:8], frame[8:12])
            return (self.MI_OK if is_on else self.MI_ERR), [], 0
        bits = self.Read_MFRC522(self.BitFramingReg) & _LAST_BITS
        answer = self.exchange(frame, bits=bits, wait_us=_AUTHENT_WAIT_US)
        if answer is None or answer.is_collision:
            return self.MI_NOTAGERR, [], 0
        return self.MI_OK, list(answer.data[: self.MAX_LEN]), answer.bits

    def MFRC522_Write(self, block: int, data: Sequence[int]) -> int:  # noqa: N802 - its name
        """Write 16 bytes and say truly whether it was done: MI_OK or MI_ERR.

        Raises:
            ReaderError: the chip does not finish.
        """
        is_written = write_block(self, block, bytes(data))
        return int(self.MI_OK if is_written else self.MI_ERR)
