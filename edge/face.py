"""What the door shows now: what lasts, or for a moment the answer to who stands before it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from edge.effects import Show
from edge.ports import Signal

ANSWER_S: Final = 2.0
"""How long an answer is shown, in seconds."""


@dataclass(slots=True, kw_only=True)
class Face:
    """The signal of one door.

    Attributes:
        shown: what is shown.
        lasting: what is shown when no answer is.
        until: monotonic time at which an answer gives way to what lasts; None if none is shown.
        words: what is said with what is shown.
    """

    shown: Signal = Signal.IDLE
    lasting: Signal = Signal.IDLE
    until: float | None = None
    words: str = ""

    def answer(self, signal: Signal, words: str, mono: float, seconds: float = ANSWER_S) -> Show:
        """Show an answer for some seconds, even while there is an alarm."""
        self.shown, self.until, self.words = signal, mono + seconds, words
        return Show(signal=signal, message=words)

    def end_granted(self, mono: float) -> None:
        """The lock has locked: green is over."""
        if self.until is not None and self.shown is Signal.GRANTED:
            self.until = mono

    def settle(self, lasting: Signal, mono: float, words: str = "") -> Iterator[Show]:
        """Show what lasts, unless an answer is being shown; an alarm that begins waits for none.

        Args:
            lasting: what lasts.
            mono: monotonic seconds.
            words: what to say with it, if anything.
        """
        begins = lasting is not self.lasting and lasting is Signal.ALARM
        self.lasting = lasting
        if self.until is not None and mono < self.until and not begins:
            return
        self.until = None
        # The same signal is not begun again for want of words: it would be heard twice.
        if self.shown is not lasting or (words and words != self.words):
            self.shown, self.words = lasting, words
            yield Show(signal=lasting, message=words)
