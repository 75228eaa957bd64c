"""What a door unit needs of its hardware, as ports: readers, lock, inputs, signals.

Adapters for a Raspberry Pi are in `edge.hardware`; the emulated chip and pins that the same
adapters drive in tests and in the demo are in `edge.simulated`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A card in the field of a reader.

    Attributes:
        uid: the whole UID of ISO/IEC 14443-3: 4, 7 or 10 bytes, leading zeros kept.
    """

    uid: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A card that can't be read, though the reader is well.

    Attributes:
        why: "several" cards at once, of which none is taken; or a "number" that no badge has.
    """

    why: Literal["several", "number"]


class ReaderError(OSError):
    """The reader chip does not answer, or answers wrongly."""


class Reader(Protocol):
    """One badge reader."""

    def poll(self) -> Card | Unreadable | None:
        """Look once for a card; blocks for at most 50 ms.

        Returns:
            The card in the field, or None; or why the card that is there can't be read.

        Raises:
            ReaderError: the chip is absent or answers wrongly.
        """

    def recover(self) -> None:
        """Reset and set up the chip again; blocks for at most 200 ms.

        Raises:
            ReaderError: the chip still does not answer as it should.
        """

    def close(self) -> None:
        """Let go of the bus. Closing twice is harmless."""


class Lock(Protocol):
    """The lock of one door. It starts locked."""

    @property
    def is_unlocked(self) -> bool:
        """Whether the lock is being held unlocked now."""

    def unlock(self) -> None:
        """Release the lock until `lock` is called; repeating it is harmless.

        An adapter may have a fuse that locks after a limit of its own: whoever holds the lock
        for longer repeats `unlock` within that limit.
        """

    def lock(self) -> None:
        """Put the lock in its locked state."""

    def close(self) -> None:
        """Lock and let go of the pin. Closing twice is harmless."""


class Input(Protocol):
    """A wire that is on or off: door contact, exit button, tamper."""

    @property
    def is_active(self) -> bool:
        """Whether the input is on now, after debouncing."""

    def on_change(self, callback: Callable[[bool], None]) -> None:
        """Call `callback(is_active)` at each change, from a thread of the adapter's own.

        The callback must not block. Several may be given; each is called.
        """

    def close(self) -> None:
        """Let go of the pin. Closing twice is harmless."""


class Signal(Enum):
    """What the door shows and sounds; each is distinct to the eye and to the ear."""

    IDLE = "idle"
    WAIT = "wait"
    GRANTED = "granted"
    REFUSED = "refused"
    WARNING = "warning"
    ENROL = "enrol"
    ALARM = "alarm"


class Signals(Protocol):
    """The light and the buzzer of one door."""

    def show(self, signal: Signal) -> None:
        """Start the pattern of `signal`, in place of what was shown before; does not block."""

    def close(self) -> None:
        """Light and sound off. Closing twice is harmless."""


class Display(Protocol):
    """A few words for whoever stands before the door."""

    def show(self, words: str) -> None:
        """Show these words in place of those before, or nothing for ""; does not block."""

    def close(self) -> None:
        """Go dark. Closing twice is harmless."""
