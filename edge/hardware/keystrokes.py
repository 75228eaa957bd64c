"""Turns the keys that a USB reader presses into UIDs. Pure: time is an argument.

Codes: Linux, `input-event-codes.h`. A code names the place of a key, not what is printed on it,
so it is the same whatever the console believes; only a reader that is set to another country's
keyboard presses other places.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from access.badge import UID_LENGTHS

_ENTER: Final = frozenset({28, 96, 15})  # Enter, that of the keypad, Tab
_DIGITS: Final = {
    **{code: str((code - 1) % 10) for code in range(2, 12)},  # 1 to 9, 0
    **dict(zip((82, 79, 80, 81, 75, 76, 77, 71, 72, 73), "0123456789", strict=True)),  # keypad
}
_B_TO_F: Final = {48: "b", 46: "c", 32: "d", 18: "e", 33: "f"}
_A: Final = MappingProxyType({"us": 30, "fr": 16})
_SHIFTS: Final = frozenset({42, 54, 58})  # either shift, caps lock: readers press them for A to F

LONGEST_PAUSE_S: Final = 0.5
"""How long a reader may pause between two keys of one number, in seconds."""

_MOST_KEYS: Final = 40


class UnreadableNumberError(ValueError):
    """What a reader wrote is not the number of a badge. Never says the number itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How a reader writes a UID.

    Attributes:
        base: 16 or 10.
        is_reversed: whether the last byte of the UID is written first.
        uid_bytes: how long UIDs are; needed in decimal only.
        layout: the keyboard that it believes to be.
    """

    base: Literal[16, 10]
    is_reversed: bool
    uid_bytes: int | None = None
    layout: Literal["us", "fr"] = "us"

    def __post_init__(self) -> None:
        """Refuse decimal numbers of unknown length.

        Raises:
            ValueError: likewise.
        """
        if self.base == 10 and self.uid_bytes not in UID_LENGTHS:  # noqa: PLR2004 - decimal
            raise ValueError(f"in decimal uid_bytes is 4, 7 or 10, not {self.uid_bytes}")

    def keys(self) -> Mapping[int, str]:
        """Give the digit of each key."""
        if self.base == 10:  # noqa: PLR2004 - decimal
            return _DIGITS
        return {**_DIGITS, **_B_TO_F, _A[self.layout]: "a"}

    def uid(self, digits: str) -> bytes:
        """Give the UID behind a number.

        Args:
            digits: as typed, in lower case.

        Raises:
            UnreadableNumberError: no badge has such a number.
        """
        length = self.uid_bytes if self.base == 10 else len(digits) // 2  # noqa: PLR2004 - decimal
        if length not in UID_LENGTHS or (self.base == 16 and len(digits) % 2):  # noqa: PLR2004
            raise UnreadableNumberError(
                f"a number of {len(digits)} digits: a UID has 4, 7 or 10 bytes"
            )
        try:
            uid = int(digits, self.base).to_bytes(length, "big")
        except (ValueError, OverflowError) as error:
            raise UnreadableNumberError(
                f"a number of {len(digits)} digits: does not fit {length} bytes in base {self.base}"
            ) from error
        return uid[::-1] if self.is_reversed else uid


class Keystrokes:
    """Collects keys into numbers.

    A number in which something may be missing is refused at its Enter, and never guessed: what is
    left of it could be the number of another badge.
    """

    def __init__(self, writing: Writing) -> None:
        self._writing, self._keys = writing, writing.keys()
        self._digits = ""
        self._is_spoilt = False
        self._last_s = 0.0

    def press(self, code: int, at_s: float) -> bytes | None:
        """Take a key that goes down.

        Args:
            code: of the key.
            at_s: when, in seconds of any clock; of the event, not of the reading.

        Returns:
            The UID, if the key ends a number.

        Raises:
            UnreadableNumberError: the key ends a number, but no badge has it.
        """
        if self._digits and not 0 <= at_s - self._last_s <= LONGEST_PAUSE_S:
            self.spoil()
        self._last_s = at_s
        if code in _ENTER:
            return self._finish()
        self._take(code)
        return None

    def forget(self) -> None:
        """Drop what has been typed of a number."""
        self._digits, self._is_spoilt = "", False

    def spoil(self) -> None:
        """Some keys were lost: the number that is being typed is none, up to its Enter."""
        self._is_spoilt = True

    def _take(self, code: int) -> None:
        if code in self._keys and len(self._digits) < _MOST_KEYS:
            self._digits += self._keys[code]
        elif code not in _SHIFTS:
            self.spoil()

    def _finish(self) -> bytes | None:
        digits, is_spoilt = self._digits, self._is_spoilt
        self.forget()
        if is_spoilt:
            raise UnreadableNumberError(
                f"{len(digits)} digits with other keys or gaps among them: is the reader set to "
                "another layout?"
            )
        return self._writing.uid(digits) if digits else None
