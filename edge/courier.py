"""Which records of the journal to send next, and when to send them again. Pure."""

from dataclasses import dataclass
from typing import Final

BATCH: Final = 100
"""The most records in one message."""

FIRST_WAIT_S: Final = 2.0
LONGEST_WAIT_S: Final = 30.0

_AHEAD: Final = 4 * BATCH
_REPEAT_S: Final = 0.2


@dataclass(slots=True, kw_only=True)
class Courier:
    """Where the sending of one journal stands.

    New records go out at once, up to four batches ahead of what is acknowledged. What is not
    acknowledged in time is sent again, after 2 s, then twice as long each time, up to 30 s.

    Attributes:
        acknowledged: the server has all records up to this number.
        sent: all records up to this number have been sent on this connection.
        is_up: whether the broker is in reach.
        is_probing: whether to send a single record until the first acknowledgement, to learn
            what the server holds of a chain that was lost here.
        again_at: monotonic time at which what is not acknowledged is sent again.
        wait_s: how long to wait for the next acknowledgement, in seconds.
        repeated_at: monotonic time at which the server last had to ask again.
    """

    acknowledged: int
    sent: int = 0
    is_up: bool = False
    is_probing: bool = False
    again_at: float | None = None
    wait_s: float = FIRST_WAIT_S
    repeated_at: float = float("-inf")

    @property
    def due(self) -> float | None:
        """When something is to be sent again, in monotonic seconds."""
        return self.again_at

    def link(self, *, is_up: bool) -> None:
        """The broker came into reach, or went out of it: begin anew after what is acknowledged."""
        self.is_up = is_up
        self.sent, self.again_at, self.wait_s = self.acknowledged, None, FIRST_WAIT_S

    def next_after(self, head: int, mono: float) -> tuple[int, int] | None:
        """Say what to send now.

        Args:
            head: the number of the last record.
            mono: monotonic seconds.

        Returns:
            The number after which to send, and how many; None if there is nothing to send now.
        """
        if self.again_at is not None and mono >= self.again_at:
            self.sent, self.again_at = self.acknowledged, None
            self.wait_s = min(2 * self.wait_s, LONGEST_WAIT_S)
        self.sent = max(self.sent, self.acknowledged)
        room = 1 if self.is_probing else _AHEAD
        count = min(BATCH, head - self.sent, self.acknowledged + room - self.sent)
        return (self.sent, count) if self.is_up and count > 0 else None

    def has_sent(self, up_to: int, mono: float) -> None:
        """Records up to this number have just been sent."""
        self.sent = up_to
        if self.again_at is None:
            self.again_at = mono + self.wait_s

    def acknowledge(self, seq: int, mono: float) -> bool:
        """The server has all records up to number `seq`.

        A number that is no news while more was sent means that the server has a gap, and asks
        again from there.

        Returns:
            Whether it is news, so that records may be deleted.
        """
        if seq <= self.acknowledged:
            if self.sent > self.acknowledged and mono >= self.repeated_at + _REPEAT_S:
                self.sent, self.repeated_at = self.acknowledged, mono
            return False
        self.acknowledged, self.sent = seq, max(self.sent, seq)
        self.wait_s, self.is_probing = FIRST_WAIT_S, False
        self.again_at = mono + self.wait_s if self.sent > seq else None
        return True

    def start_after(self, seq: int) -> None:
        """The chain goes on after number `seq` from now on."""
        self.acknowledged = self.sent = seq
        self.is_probing, self.again_at = False, None
