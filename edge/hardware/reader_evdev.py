"""The `Reader` port over a USB reader that types badge numbers as a keyboard does.

The device is grabbed: what it types reaches nobody else, the console least of all. Needs `evdev`,
and a user in the group `input`. There is no notice when it is plugged in again: `recover` looks.
"""

import errno
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, Self

import evdev
from evdev import ecodes

from edge.hardware.keystrokes import Keystrokes, UnreadableNumberError, Writing
from edge.ports import Card, ReaderError, Unreadable

_DOWN: Final = 1  # 0 is up, 2 repeats a key that is held
_STALE_S: Final = 2.0


class KeyDevice(Protocol):
    """What is used of `evdev.InputDevice`."""

    def read(self) -> Iterable[evdev.InputEvent]:
        """Read what has happened; raises `BlockingIOError` if nothing has, `OSError` if gone."""

    def grab(self) -> None:
        """Take it for this process alone."""

    def close(self) -> None:
        """Let go of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Which device it is: one of the three is given.

    Attributes:
        path: the device file, or a link to it; as under /dev/input/by-id.
        usb: vendor and product in hex, as "08ff:0009".
        name: the name that it gives itself.
    """

    path: Path | None = None
    usb: str | None = None
    name: str | None = None

    def __str__(self) -> str:
        return str(self.path or self.usb or self.name)

    def fits(self, device: "evdev.InputDevice[str]") -> bool:
        """Say whether this is the device; one with several parts is known by its Enter key."""
        ids = f"{device.info.vendor:04x}:{device.info.product:04x}"
        has_enter = ecodes.KEY_ENTER in device.capabilities().get(ecodes.EV_KEY, [])
        return has_enter and (ids == self.usb or device.name == self.name)


class EvdevReader:
    """One USB reader that types. For one thread at a time.

    Building it opens nothing: a reader that is not plugged in is met at the first `poll`, as one
    that is pulled out later.
    """

    def __init__(
        self,
        *,
        which: Which,
        writing: Writing,
        find: Callable[[Which], KeyDevice] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare a reader.

        Args:
            which: which device.
            writing: how it writes numbers.
            find: opens the device; raises `OSError` if it is not there. `find_device` by default.
            monotonic: seconds, as `time.monotonic`.
        """
        self._which, self._writing = which, writing
        self._find = find or find_device
        self._monotonic = monotonic
        self._device: KeyDevice | None = None
        self._keys = Keystrokes(writing)
        self._typed: deque[Card | Unreadable] = deque()
        self._looked_s = 0.0

    def poll(self) -> Card | Unreadable | None:
        """Take what has been typed since the last look; does not wait for more.

        What waited here for longer than 2 s is dropped: whoever presented it may be gone.

        Raises:
            ReaderError: the device is not there, or can't be had.
        """
        device = self._device or self._open()
        with self._translated():
            events = list(_pending(device))
        now_s = self._monotonic()
        is_stale, self._looked_s = now_s > self._looked_s + _STALE_S, now_s
        for event in events:
            self._take(event)
        if is_stale:
            self._typed.clear()
        return self._typed.popleft() if self._typed else None

    def recover(self) -> None:
        """Look for the device and take it; blocks for some milliseconds.

        Raises:
            ReaderError: it is not there, or can't be had.
        """
        self.close()
        self._open()

    def close(self) -> None:
        """Let go of the device. Closing twice is harmless."""
        device, self._device = self._device, None
        self._typed.clear()
        self._keys = Keystrokes(self._writing)
        if device is not None:
            device.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> KeyDevice:
        with self._translated():
            device = self._find(self._which)
            try:
                device.grab()
            except OSError:
                device.close()
                raise
        self._device, self._looked_s = device, self._monotonic()
        return device

    def _take(self, event: evdev.InputEvent) -> None:
        if event.type == ecodes.EV_SYN and event.code == ecodes.SYN_DROPPED:
            self._keys.spoil()
        if event.type != ecodes.EV_KEY or event.value != _DOWN:
            return
        try:
            uid = self._keys.press(event.code, event.timestamp())
        except UnreadableNumberError:
            self._typed.append(Unreadable(why="number"))
        else:
            if uid is not None:
                self._typed.append(Card(uid=uid))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ReaderError(f"reader {self._which}: {_in_words(error)}") from error


def find_device(which: Which) -> KeyDevice:
    """Open the one device that is meant.

    Raises:
        OSError: it is not there, may not be opened, or there are several such.
    """
    if which.path is not None:
        return evdev.InputDevice(str(which.path))
    found = []
    for path in evdev.list_devices():
        device = evdev.InputDevice(path)
        if which.fits(device):
            found.append(device)
        else:
            device.close()
    if len(found) == 1:
        return found[0]
    for device in found:
        device.close()
    if found:
        raise OSError(errno.ENOTUNIQ, "several such devices; name it by its path")
    raise OSError(errno.ENODEV, "No such device")


def _pending(device: KeyDevice) -> Iterator[evdev.InputEvent]:
    while True:
        try:
            events = list(device.read())
        except BlockingIOError:
            return
        if not events:
            return
        yield from events


def _in_words(error: OSError) -> str:
    if error.errno in (errno.ENODEV, errno.ENOENT):
        return "it is not plugged in"
    if error.errno == errno.EBUSY:
        return "another program has taken it"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "may not be opened; is this user in the group input?"
    return error.strerror or str(error)
