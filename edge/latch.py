"""When the lock is to be released, and when it locks again.

The lock locks again a moment after the door was opened, as other controllers do, so that nobody
follows through the closing door; at once when the door closes after an opening; and when the time
is up. A grant while the door stands open starts the time anew, for those who come together.
"""

from dataclasses import dataclass
from typing import Final

RELOCK_AFTER_OPENING_S: Final = 1.0
"""How long the lock stays released after the opening: a strike must not catch the leaf."""

SHORTEST_UNLOCK_S: Final = 0.5
LONGEST_UNLOCK_S: Final = 60.0


@dataclass(slots=True, kw_only=True)
class Latch:
    """The state that the lock is to have.

    Attributes:
        until: monotonic time at which it locks again; None while locked or held.
        is_held: whether it is held unlocked, as in passage mode.
        is_used: whether the door was opened since it was released.
    """

    until: float | None = None
    is_held: bool = False
    is_used: bool = False

    @property
    def is_unlocked(self) -> bool:
        """Whether the lock is released, for a time or held."""
        return self.is_held or self.until is not None

    def release(self, mono: float, seconds: float) -> bool:
        """Release the lock for some seconds, 0.5 to 60, or for longer than it was already.

        Returns:
            Whether it was locked before, so that it must move.
        """
        if self.is_held:
            return False
        was_locked = self.until is None
        end = mono + min(max(seconds, SHORTEST_UNLOCK_S), LONGEST_UNLOCK_S)
        self.until = end if self.until is None else max(self.until, end)
        self.is_used = False
        return was_locked

    def hold(self) -> bool:
        """Hold the lock released; returns whether it was locked before."""
        was_locked = not self.is_unlocked
        self.is_held, self.until, self.is_used = True, None, False
        return was_locked

    def lock(self) -> bool:
        """Lock; returns whether it was released before."""
        was_unlocked = self.is_unlocked
        self.is_held, self.until, self.is_used = False, None, False
        return was_unlocked

    def opened(self, mono: float) -> None:
        """The door was opened."""
        self.is_used = True
        if self.until is not None:
            self.until = min(self.until, mono + RELOCK_AFTER_OPENING_S)

    def closed(self, mono: float) -> None:
        """The door was closed."""
        if self.until is not None and self.is_used:
            self.until = min(self.until, mono)

    def is_over(self, mono: float) -> bool:
        """Whether the time for which it was released is up."""
        return self.until is not None and mono >= self.until
