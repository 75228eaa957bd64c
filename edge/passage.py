"""Passage mode: the lock is held released for everybody, and ends by itself."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from access.ids import BadgeDigest, MemberId, WatchId
from access.instants import find
from access.model import Policy
from access.policy import Token
from access.watch import Phase
from edge.events import Moment
from edge.knowledge import WatchKnowledge

GESTURE_S: Final = 5.0
"""Two reads of the guardian's badge within this time start and end it."""

LONGEST_S: Final = 4 * 3600.0
"""How long it lasts where neither a watch nor opening hours end it."""

KEPT_AS: Final = "passage"


@dataclass(slots=True, kw_only=True)
class Passage:
    """The term of passage mode.

    Attributes:
        watch: the watch with which it ends.
        until: time of day at which it ends.
        until_mono: monotonic time at which it ends at the latest.
    """

    watch: WatchId | None
    until: datetime | None
    until_mono: float

    def end_cause(self, knowledge: WatchKnowledge, now: Moment) -> str | None:
        """Say why it is over, if it is."""
        if now.mono >= self.until_mono or (self.until is not None and now.at >= self.until):
            return "time"
        if self.watch is None:
            return None
        watch = knowledge.at(now.at)
        is_open = watch is not None and watch.phase_at(now.at) is Phase.OPEN
        return None if is_open and watch is not None and watch.id == self.watch else "watch"


def begin(knowledge: WatchKnowledge, policy: Policy | None, now: Moment) -> Passage:
    """Start passage mode: it ends with the watch, else with opening hours, else after 4 hours."""
    watch = knowledge.at(now.at)
    span = find(policy.opening, now.at) if policy is not None else None
    end = span.end if span is not None else None
    if watch is not None:
        end = watch.authorized_until
    # Counted from now as well: a clock that is set back meanwhile must not lengthen it.
    longest_s = LONGEST_S if end is None else (end - now.at).total_seconds()
    return Passage(
        watch=watch.id if watch is not None else None,
        until=end if watch is None else None,
        until_mono=now.mono + longest_s,
    )


@dataclass(slots=True, kw_only=True)
class Gesture:
    """Two reads of one badge, the first of which was granted, within five seconds.

    A badge that proved itself the first time must do so again: a copy completes nothing.
    """

    badge: BadgeDigest | None = None
    member: MemberId | None = None
    until: float = 0.0
    is_proven: bool = False

    def granted(
        self, badge: BadgeDigest, member: MemberId | None, mono: float, *, is_proven: bool = False
    ) -> None:
        """A badge was granted entry: its next read may be the second one."""
        self.badge, self.member, self.until = badge, member, mono + GESTURE_S
        self.is_proven = is_proven

    def completed_by(self, badge: BadgeDigest, proof: Token, mono: float) -> bool:
        """Whether this read is the second one."""
        fits = proof is Token.FITS if self.is_proven else proof is not Token.COPIED
        return badge == self.badge and mono < self.until and fits

    def clear(self) -> None:
        """Begin anew."""
        self.badge = self.member = None
