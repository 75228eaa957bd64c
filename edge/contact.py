"""The door leaf: opened, closed, forced, held open for too long."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from edge.effects import Effect, note
from edge.events import Moment
from edge.ports import Signal

WARN_AT: Final = 2 / 3
"""The part of the allowed time after which people at the door are warned."""


@dataclass(slots=True, kw_only=True)
class Leaf:
    """Where the leaf of the door is, and for how long.

    Attributes:
        held_after_s: how long the door may stand open before it is held, in seconds.
        opened_mono: when it was opened, in monotonic seconds; None while it is closed.
        counted_from: since when the time open counts: later than the opening when somebody was
            admitted meanwhile; None while it does not count.
        is_forced: whether it was opened with no right to.
        is_warned: whether people have been warned that it stands open.
        is_held: whether it has been open for too long.
    """

    held_after_s: float
    opened_mono: float | None = None
    counted_from: float | None = None
    is_forced: bool = False
    is_warned: bool = False
    is_held: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the door stands open."""
        return self.opened_mono is not None

    @property
    def signal(self) -> Signal:
        """What the door shows for it as long as it lasts."""
        if self.is_forced or self.is_held:
            return Signal.ALARM
        return Signal.WARNING if self.is_warned else Signal.IDLE

    @property
    def due(self) -> float | None:
        """The monotonic time of the warning, or of the alarm."""
        if self.counted_from is None or self.is_held:
            return None
        part = 1 if self.is_warned else WARN_AT
        return self.counted_from + self.held_after_s * part

    def opened(self, now: Moment, *, is_forced: bool, counts: bool) -> None:
        """The door was opened.

        Args:
            now: when.
            is_forced: whether with no right to.
            counts: whether the time open counts; not while the door is held on purpose.
        """
        self.opened_mono = now.mono
        self.counted_from = now.mono if counts else None
        self.is_forced = is_forced

    def excuse(self, now: Moment, *, counts: bool = True) -> Iterator[Effect]:
        """Somebody is let through the open door, or it is held on purpose: count anew, or not."""
        if not self.is_open:
            return
        if self.is_held:
            yield note("door.released", now)
        self.is_warned = self.is_held = False
        self.counted_from = now.mono if counts else None

    def closed(self, now: Moment) -> Iterator[Effect]:
        """The door was closed."""
        if self.opened_mono is None:
            return
        yield note("door.closed", now, open_s=round(now.mono - self.opened_mono, 3))
        if self.is_held:
            yield note("door.released", now)
        self.opened_mono = self.counted_from = None
        self.is_forced = self.is_warned = self.is_held = False

    def pass_time(self, now: Moment) -> Iterator[Effect]:
        """Warn, and then alarm, when the door has stood open for too long."""
        if not self.is_warned and self._is_due(now):
            self.is_warned = True
        if self.is_warned and self._is_due(now) and self.opened_mono is not None:
            self.is_held = True
            yield note("door.held", now, open_s=round(now.mono - self.opened_mono, 3))

    def _is_due(self, now: Moment) -> bool:
        return self.due is not None and now.mono >= self.due
