"""Whether the unit's clock may be trusted.

It is in doubt when it shows a time before the door's own last record or before the issue of its
policy, when it jumps against the monotonic clock, and after a start without anything that kept the
time meanwhile. The server's word, sent just now, settles it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from edge.events import Moment

TOLERANCE: Final = timedelta(minutes=1)


@dataclass(slots=True, kw_only=True)
class Timekeeping:
    """What is known of the clock.

    Attributes:
        may_leap: whether it may leap ahead, as a demonstration's does.
        is_unset: whether nothing kept the time while the unit was off and nobody told it since.
        floor: a time that has passed for certain: of the last record, or of the policy.
        last: the moment of the last event.
        has_jumped: whether it has jumped, and nobody has confirmed it since.
        is_trusted: whether it may be trusted.
        ahead_ms: how far it is ahead of the server's, as far as is known.
    """

    may_leap: bool = False
    is_unset: bool = False
    floor: datetime | None = None
    last: Moment | None = None
    has_jumped: bool = False
    is_trusted: bool = True
    ahead_ms: int | None = None

    def observe(self, now: Moment) -> str | None:
        """Look at the clock at each event.

        Returns:
            Why it is in doubt, when that is news.
        """
        self.has_jumped = self.has_jumped or self._jumps(now)
        self.last = now
        why = self._doubt(now)
        was_trusted, self.is_trusted = self.is_trusted, why is None
        return why if was_trusted else None

    def raise_floor(self, at: datetime) -> None:
        """Learn of a time that has passed."""
        self.floor = at if self.floor is None else max(self.floor, at)

    def hear(self, server_at: datetime, now: Moment) -> None:
        """Hear the server's time, sent just now: it confirms the clock, or contradicts it."""
        off = now.at - server_at
        self.ahead_ms = round(off / timedelta(milliseconds=1))
        self.has_jumped = abs(off) > TOLERANCE and not self.may_leap
        if not self.has_jumped:
            self.is_unset = False
            # Also where it is earlier: a record written while the clock was ahead must not count.
            self.floor = server_at

    def latest(self, at: datetime) -> datetime:
        """Give `at`, or the floor if that is later: a clock set back lengthens no term."""
        return at if self.floor is None else max(at, self.floor)

    def _jumps(self, now: Moment) -> bool:
        if self.last is None or self.may_leap:
            return False
        passed = timedelta(seconds=now.mono - self.last.mono)
        return abs((now.at - self.last.at) - passed) > TOLERANCE

    def _is_behind(self, at: datetime) -> bool:
        return self.floor is not None and at < self.floor - TOLERANCE

    def _doubt(self, now: Moment) -> str | None:
        if self._is_behind(now.at):
            return "behind"
        if self.is_unset:
            return "unset"
        return "jumped" if self.has_jumped else None
