"""A USB reader in memory: real input events through a pipe, which `evdev` itself reads.

Without a kernel that has uinput there is no input device to be made; a pipe with the bytes of the
kernel's `struct input_event` is the next best: `evdev` decodes them as those of a device.
"""

import errno
import os
import struct
import time
from collections.abc import Iterable
from typing import Final, Self

import evdev
from evdev import ecodes
from evdev.eventio import EventIO

from edge.hardware.reader_evdev import KeyDevice, Which

_EVENT: Final = struct.Struct("@llHHi")  # struct input_event of a 64-bit kernel
_KEYPAD_AND_ROW: Final = {
    **{str(digit): getattr(ecodes, f"KEY_{digit}") for digit in range(10)},
    **{letter: getattr(ecodes, f"KEY_{letter.upper()}") for letter in "abcdefghijklmnopqrstuvwxyz"},
    "\n": ecodes.KEY_ENTER,
}


class SimulatedKeyboard:
    """One USB reader, plugged in or not."""

    def __init__(self) -> None:
        """Begin plugged in, and taken by nobody."""
        self.is_plugged_in = True
        self.holder: _Handle | None = None

    def find(self, which: Which) -> KeyDevice:
        """Open it; what `EvdevReader` takes as `find`.

        Raises:
            OSError: it is not plugged in.
        """
        if not self.is_plugged_in:
            raise OSError(errno.ENODEV, f"No such device: {which}")
        return _Handle(self)

    def plug_in(self) -> None:
        """Put it into its socket."""
        self.is_plugged_in = True

    def pull_out(self) -> None:
        """Pull it out; whoever has it opened learns it at the next look."""
        self.is_plugged_in = False

    def type(self, text: str, *, at_s: float | None = None, gap_s: float = 0.004) -> None:
        """Press and release the keys of `text` as on a US keyboard; a line feed is Enter.

        Args:
            text: digits, small letters and line feeds.
            at_s: when the first key goes down, in seconds of the day's clock; now by default.
            gap_s: from one key to the next, in seconds.
        """
        at_s = time.time() if at_s is None else at_s
        for number, sign in enumerate(text):
            self.press(_KEYPAD_AND_ROW[sign], at_s=at_s + number * gap_s)

    def press(self, code: int, *, at_s: float | None = None) -> None:
        """Press one key and let it go."""
        at_s = time.time() if at_s is None else at_s
        for value in (1, 0):
            self.happen(ecodes.EV_KEY, code, value, at_s=at_s)
            self.happen(ecodes.EV_SYN, ecodes.SYN_REPORT, 0, at_s=at_s)

    def happen(self, kind: int, code: int, value: int, *, at_s: float) -> None:
        """Let one event happen; it is lost when nobody has the device."""
        if self.holder is not None and self.is_plugged_in:
            self.holder.write(_EVENT.pack(int(at_s), int(at_s % 1 * 1e6), kind, code, value))


class _Handle(EventIO):
    """The keyboard as one program has opened it."""

    def __init__(self, keyboard: SimulatedKeyboard) -> None:
        self._keyboard = keyboard
        self.fd, self._end = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._end, False)

    def write(self, event: bytes) -> None:
        os.write(self._end, event)

    def read(self) -> Iterable[evdev.InputEvent]:  # type: ignore[override]  # any iterable will do
        if not self._keyboard.is_plugged_in:
            raise OSError(errno.ENODEV, "No such device")
        return list(super().read())

    def grab(self) -> None:
        if self._keyboard.holder is not None:
            raise OSError(errno.EBUSY, "Device or resource busy")
        self._keyboard.holder = self

    def close(self) -> None:
        if self._keyboard.holder is self:
            self._keyboard.holder = None
        if self.fd >= 0:
            os.close(self.fd)
            os.close(self._end)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
