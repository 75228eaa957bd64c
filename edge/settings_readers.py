"""What `door.toml` says of the badge readers: chips on the SPI bus, and readers that type."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from access.badge import UID_LENGTHS
from edge.header import Pin
from runtime.settings import RuleError, Settings

UsbIds = Annotated[
    str,
    Meta(
        pattern=r"\A[0-9a-f]{4}:[0-9a-f]{4}\Z",
        description='vendor and product as lsusb shows them, such as "08ff:0009"',
    ),
]


class KeyboardSettings(Settings, frozen=True, kw_only=True):
    """A USB reader that types a badge's number as a keyboard would, and Enter.

    How it writes the number is set in the reader and differs from one to the other, so nothing
    about it has a default: the same badge would get another number.

    Attributes:
        path: the device, as in /dev/input/by-id or by-path; or
        usb: its vendor and product; or
        name: the name that it gives itself. One of the three.
        writes: "hex" or "decimal".
        byte_order: "as-read" if the first byte of the UID is written first, else "reversed".
        uid_bytes: how long the UIDs are that it writes in decimal: 4, 7 or 10 bytes. In hex the
            digits say it.
        layout: the keyboard that the reader believes to be: "us", or "fr" with A and Q exchanged.
            It matters in hex only, and a wrong one is seen: no badge with an A in it is read.
    """

    path: Path | None = None
    usb: UsbIds | None = None
    name: str | None = None
    writes: Literal["hex", "decimal"]
    byte_order: Literal["as-read", "reversed"]
    uid_bytes: int | None = None
    layout: Literal["us", "fr"] = "us"

    def __post_init__(self) -> None:
        """Refuse a device that is not named, and a number whose length is not known."""
        if [self.path, self.usb, self.name].count(None) != 2:  # noqa: PLR2004 - one of three
            raise RuleError("say which device it is by one of path, usb and name")
        if (self.writes == "decimal") != (self.uid_bytes is not None):
            raise RuleError(
                'goes with writes = "decimal", and only with it: leading zeros are not written, so '
                "it must say how long the UIDs are",
                field="uid_bytes",
            )
        if self.uid_bytes not in (None, *UID_LENGTHS):
            raise RuleError("a badge's UID has 4, 7 or 10 bytes; write that", field="uid_bytes")


class ReaderSettings(Settings, frozen=True, kw_only=True):
    """One badge reader.

    Attributes:
        id: "in" outside the door, "out" inside it.
        driver: "mfrc522", the chip, on an SPI bus; "evdev", a USB reader that types.
        bus: SPI bus, 0 or 1; of a chip only, as the next two.
        device: chip select on that bus, 0 to 2 (bus 0 has 0 and 1).
        reset_pin: BCM number of the chip's RST, where it is wired.
        keyboard: of a reader that types only.
    """

    id: Literal["in", "out"]
    driver: Literal["mfrc522", "evdev"]
    bus: Annotated[int, Meta(ge=0, le=1)] | None = None
    device: Annotated[int, Meta(ge=0, le=2)] | None = None
    reset_pin: Pin | None = None
    keyboard: KeyboardSettings | None = None

    def __post_init__(self) -> None:
        """Refuse a place that does not fit the driver, or that the bus does not have."""
        if self.driver == "evdev":
            self._check_typing()
        else:
            self._check_chip()

    @property
    def spi(self) -> tuple[int, int] | None:
        """Bus and chip select of a chip; None for a reader that types."""
        return None if self.bus is None or self.device is None else (self.bus, self.device)

    def _check_chip(self) -> None:
        for field, value, what in (
            ("bus", self.bus, "a whole number from 0 to 1"),
            ("device", self.device, "a whole number from 0 to 2"),
        ):
            if value is None:
                raise RuleError(f"is missing; write {what}", field=field)
        if self.bus == 0 and self.device not in (0, 1):
            raise RuleError("SPI bus 0 has the devices 0 and 1; write one of them", field="device")
        if self.keyboard is not None:
            raise RuleError('goes with driver = "evdev"; remove one of them', field="keyboard")

    def _check_typing(self) -> None:
        for field, value in (
            ("bus", self.bus),
            ("device", self.device),
            ("reset_pin", self.reset_pin),
        ):
            if value is not None:
                raise RuleError('goes with driver = "mfrc522"; remove it', field=field)
        if self.keyboard is None:
            raise RuleError(
                "is missing; write the table [hardware.reader.keyboard]", field="keyboard"
            )
