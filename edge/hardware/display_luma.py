"""The `Display` port over a small OLED on the I2C bus, through `luma.oled`.

A picture takes 25 to 100 ms on the bus: a thread of its own draws, always the last words only. A
display that fails is tried again with the next words, and never holds up the door.
"""

import logging
import re
import textwrap
import threading
import time
from collections.abc import Callable
from typing import Final, Literal, Protocol, Self

from luma.core.device import dummy
from luma.core.error import Error as LumaError
from luma.core.interface.serial import i2c
from luma.oled.device import sh1106, ssd1306
from PIL import Image, ImageDraw, ImageFont

_log = logging.getLogger(__name__)

WIDTH: Final = 128
HEIGHT: Final = 64
_LETTER: Final = (6, 11)  # of the font that Pillow carries, in dots
_LOG_EVERY_S: Final = 60.0
# The font has Latin-1, with all of French but these.
_SPELT: Final = str.maketrans(
    {"œ": "oe", "Œ": "OE", "\u2019": "'", "…": "...", "\u2013": "-", "\u202f": " "}
)
_BEFORE_SIGN: Final = re.compile(" (?=[:;!?])")  # in French no line begins with one of these


class Device(Protocol):
    """What is used of a device of luma."""

    def display(self, image: Image.Image) -> None:
        """Show a picture of the device's size."""

    def cleanup(self) -> None:
        """Go dark, and let go of the bus."""


def i2c_device(
    *, driver: Literal["ssd1306", "sh1106"], port: int, address: int, is_upside_down: bool
) -> Device:
    """Open a display and switch it on; blocks for some milliseconds.

    Args:
        driver: its chip.
        port: number of the I2C bus.
        address: on that bus.
        is_upside_down: whether to turn the picture by half a turn.

    Raises:
        LumaError: no bus, or no display on it.
        OSError: likewise.
    """
    make = ssd1306 if driver == "ssd1306" else sh1106
    device: Device = make(i2c(port=port, address=address), rotate=2 if is_upside_down else 0)
    return device


def dummy_device() -> Device:
    """Make the display that luma itself emulates; its `image` is what is shown."""
    device: Device = dummy(width=WIDTH, height=HEIGHT, mode="1")
    return device


def picture(words: str) -> Image.Image:
    """Draw words as large as they fit: at double size, else at single, cut where they do not fit.

    Args:
        words: in French or English; what the font lacks becomes a question mark.
    """
    text = _BEFORE_SIGN.sub("\xa0", words.translate(_SPELT))
    text = text.encode("latin-1", "replace").decode("latin-1")
    for scale in (2, 1):
        columns, rows = WIDTH // scale // _LETTER[0], HEIGHT // scale // _LETTER[1]
        lines = textwrap.wrap(text, columns, break_long_words=scale == 1)
        if len(lines) <= rows and all(len(line) <= columns for line in lines):
            break
    return _draw(lines[:rows], scale)


def _draw(lines: list[str], scale: int) -> Image.Image:
    small = Image.new("1", (WIDTH // scale, HEIGHT // scale))
    pen, font = ImageDraw.Draw(small), ImageFont.load_default_imagefont()
    top = (small.height - len(lines) * _LETTER[1]) // 2
    for number, line in enumerate(lines):
        left = (small.width - len(line) * _LETTER[0]) // 2
        pen.text((left, top + number * _LETTER[1]), line, font=font, fill=1)
    return small.resize((WIDTH, HEIGHT), Image.Resampling.NEAREST)


class LumaDisplay:
    """One small display. Nothing is opened before the first words."""

    def __init__(self, *, make_device: Callable[[], Device]) -> None:
        """Start the thread that draws.

        Args:
            make_device: opens the display; called again after each failure.
        """
        self._make_device = make_device
        self._device: Device | None = None
        self._wake = threading.Condition()
        self._words: str | None = None
        self._is_closed = False
        self._logged_s = float("-inf")
        self._thread = threading.Thread(target=self._run, name="display", daemon=True)
        self._thread.start()

    def show(self, words: str) -> None:
        """Show these words in place of those before, or nothing for ""; does not block."""
        with self._wake:
            self._words = words
            self._wake.notify_all()

    def close(self) -> None:
        """Go dark; blocks for a picture at most. Closing twice is harmless."""
        with self._wake:
            self._is_closed = True
            self._wake.notify_all()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        while (words := self._next()) is not None:
            try:
                self._draw(words)
            except (OSError, LumaError) as error:
                self._fail(error)
        self._let_go()

    def _next(self) -> str | None:
        """Wait for words; None when the display is closed."""
        with self._wake:
            while self._words is None and not self._is_closed:
                self._wake.wait()
            words, self._words = self._words, None
        return None if self._is_closed else words

    def _draw(self, words: str) -> None:
        if self._device is None:
            self._device = self._make_device()
        self._device.display(picture(words))

    def _fail(self, error: Exception) -> None:
        self._let_go()
        if time.monotonic() >= self._logged_s + _LOG_EVERY_S:
            self._logged_s = time.monotonic()
            _log.error("the display can't be used now: %s", error)

    def _let_go(self) -> None:
        device, self._device = self._device, None
        if device is None:
            return
        try:
            device.cleanup()
        except (OSError, LumaError) as error:
            _log.debug("the display did not take its goodbye: %s", error)
