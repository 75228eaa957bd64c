"""The time at the server, as far as its words tell: which of them was sent just now.

MQTT may bring a word late, or once more: what was in flight when a connection broke is sent again
(MQTT 5, 4.4). From a word that was heard follows what time it is there at least, since monotonic
time has gone on; a word that lags behind that was not sent just now, or the server's clock was put
back. Then the next words go on from there in step, and are believed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

TOLERANCE: Final = timedelta(minutes=1)
"""How much later than others a word may come, and still count as sent just now."""

STEP_WITHIN: Final = timedelta(seconds=2)
APART_S: Final = 10.0
"""How long two words that go on in step have to be apart: what was held up comes all at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    """What the server said, and the monotonic time at which it was read, in seconds."""

    at: datetime
    mono: float

    def by(self, mono: float) -> datetime:
        """Give the time that it is at the server at least, at a later monotonic time."""
        return self.at + timedelta(seconds=mono - self.mono)


@dataclass(slots=True, kw_only=True)
class ServerTime:
    """What is known of the time at the server."""

    _last: _Word | None = None
    _lagging: _Word | None = None

    def read(self, at: datetime, mono: float) -> None:
        """Read a word that was kept, so that it is old: it tells what time it is at least."""
        if self._last is None or at > self._last.by(mono):
            self._last = _Word(at=at, mono=mono)

    def hear(self, at: datetime, mono: float) -> bool:
        """Hear a word that may have been sent just now.

        Args:
            at: the time that it tells.
            mono: the monotonic time, in seconds.

        Returns:
            Whether it was.
        """
        word = _Word(at=at, mono=mono)
        if self._last is not None and at < self._last.by(mono) - TOLERANCE:
            earlier, self._lagging = self._lagging, word
            if earlier is None or not _in_step(earlier, word):
                return False
        self._last, self._lagging = word, None
        return True


def _in_step(earlier: _Word, word: _Word) -> bool:
    is_apart = word.mono - earlier.mono >= APART_S
    return is_apart and abs(word.at - earlier.by(word.mono)) <= STEP_WITHIN
