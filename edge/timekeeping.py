"""Whether the unit's clock may be trusted.

It is in doubt when it shows a time before the door's own last record or before the issue of its
policy, when it jumps against the monotonic clock, and after a start without anything that kept the
time meanwhile. The server's word, sent just now, settles it; nothing else does, not even a restart:
what a clock that is slow stamps on records would vouch for it otherwise.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from edge.events import Moment
from edge.server_time import ServerTime

KEPT_AS: Final = "clock_doubt"
TOLERANCE: Final = timedelta(minutes=1)
UNSET: Final = "unset"
"""Why a clock is in doubt that nothing kept while the unit was off."""


@dataclass(slots=True, kw_only=True)
class Timekeeping:
    """What is known of the clock.

    Attributes:
        may_leap: whether it may leap ahead, as a demonstration's does.
        floor: a time that has passed for certain: of the last record, or of the policy.
        last: the moment of the last event.
        doubt: why it can't be trusted, until the server has confirmed it; None if it can.
        ahead_ms: how far it is ahead of the server's, as far as is known.
    """

    may_leap: bool = False
    floor: datetime | None = None
    last: Moment | None = None
    doubt: str | None = None
    ahead_ms: int | None = None
    _server: ServerTime = field(default_factory=ServerTime)

    @property
    def is_trusted(self) -> bool:
        """Whether it may be trusted."""
        return self.doubt is None

    def observe(self, now: Moment) -> None:
        """Look at the clock at each event."""
        if self.doubt is None:
            self.doubt = self._reason_to_doubt(now)
        self.last = now

    def raise_floor(self, at: datetime) -> None:
        """Learn of a time that has passed."""
        self.floor = at if self.floor is None else max(self.floor, at)

    def read(self, server_at: datetime, now: Moment) -> None:
        """Read a time that the server told once, and that was kept: it has passed."""
        self.raise_floor(server_at)
        self._server.read(server_at, now.mono)

    def hear(self, server_at: datetime, now: Moment) -> None:
        """Hear the server's time: if it was sent just now, it confirms the clock or contradicts it.

        A clock that may leap does so at the server, too: there each word counts.
        """
        if not self._server.hear(server_at, now.mono) and not self.may_leap:
            return
        off = now.at - server_at
        self.ahead_ms = round(off / timedelta(milliseconds=1))
        if abs(off) > TOLERANCE and not self.may_leap:
            self.doubt = self.doubt or "jumped"
            return
        self.doubt = None
        # Also where it is earlier: a record written while the clock was ahead must not count.
        self.floor = server_at

    def latest(self, at: datetime) -> datetime:
        """Give `at`, or the floor if that is later: a clock set back lengthens no term."""
        return at if self.floor is None else max(at, self.floor)

    def _reason_to_doubt(self, now: Moment) -> str | None:
        if self._is_behind(now.at):
            return "behind"
        return "jumped" if self._jumps(now) else None

    def _jumps(self, now: Moment) -> bool:
        if self.last is None or self.may_leap:
            return False
        passed = timedelta(seconds=now.mono - self.last.mono)
        return abs((now.at - self.last.at) - passed) > TOLERANCE

    def _is_behind(self, at: datetime) -> bool:
        return self.floor is not None and at < self.floor - TOLERANCE
