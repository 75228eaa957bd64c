"""Who is inside, as far as it can be known: an upper count, a likely one, and the doubt between.

    high    = members inside + guests
    present = max(0, high - unattributed exits since the last certain count)
    margin  = high - present

Records may come late, twice, or out of order between doors. Each change therefore carries its time,
and one that is older than what is known already changes nothing: in whatever order they come, the
same people are inside at the end. Of a coming and a going at the same instant the coming counts,
since an evacuation must miss nobody.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from access.ids import DoorId, MemberId

AHEAD: Final = timedelta(minutes=1)
"""How much later than now a noted time may be: servers' clocks differ a little."""


class CountError(ValueError):
    """A number of people that can't be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """Since when, and by which door, a member is inside."""

    since: datetime
    door: DoorId | None


@dataclass(slots=True, kw_only=True)
class Presence:
    """The count of one site.

    Attributes:
        inside: members inside.
        moved: when each member last came or went, since the last certain count.
        guests: people without a badge, counted and not named.
        gone: members known by a recount to have left, without knowing which.
        unattributed: exits by the button since the last certain count.
        certain_at: when the count was last certain; None before the first time.
    """

    inside: dict[MemberId, Stay] = field(default_factory=dict)
    moved: dict[MemberId, datetime] = field(default_factory=dict)
    guests: int = 0
    gone: int = 0
    unattributed: int = 0
    certain_at: datetime | None = None

    @property
    def members(self) -> int:
        """How many members are inside at the most."""
        return max(0, len(self.inside) - self.gone)

    @property
    def high(self) -> int:
        """How many people are inside at the most: what an evacuation counts on."""
        return self.members + self.guests

    @property
    def present(self) -> int:
        """How many people are likely inside: what capacity is measured against."""
        return max(0, self.high - self.unattributed)

    @property
    def margin(self) -> int:
        """How many of `high` may have left unseen."""
        return self.high - self.present

    def enter(self, member: MemberId, door: DoorId, at: datetime) -> bool:
        """Put a member inside; who is inside already stays so, since when they were.

        Returns:
            Whether this was news: False if it, or something later, is known of them already.
        """
        inside = member in self.inside
        if not self._is_news(member, at) and not (at == self.moved.get(member) and not inside):
            return False
        self.moved[member] = at
        if inside:
            # One of those whom a recount missed is back, or never was gone.
            self.gone = max(0, self.gone - 1)
        else:
            self.inside[member] = Stay(since=at, door=door)
        return True

    def leave(self, member: MemberId, at: datetime) -> bool:
        """Take a member out.

        Returns:
            Whether this was news: False if it, or something later, is known of them already.
        """
        if not self._is_news(member, at):
            return False
        self.moved[member] = at
        self.inside.pop(member, None)
        self.gone = min(self.gone, len(self.inside))
        return True

    def leave_unattributed(self, at: datetime) -> bool:
        """Count an exit by somebody, nobody knows who.

        Returns:
            Whether it counts: False if the count has been made certain since.
        """
        if self._is_outdated(at):
            return False
        self.unattributed += 1
        return True

    def change_guests(self, by: int) -> None:
        """Add guests, or take some away.

        Raises:
            CountError: there would be fewer than none.
        """
        if self.guests + by < 0:
            raise CountError(f"there are {self.guests} guests, so {-by} can't leave")
        self.guests += by

    def recount(self, members: Iterable[MemberId], guests: int, at: datetime) -> None:
        """Take somebody's word for who was inside at `at`; who moved later is where they went.

        A word that is older than another one changes nothing.

        Raises:
            CountError: fewer than no guests.
        """
        if guests < 0:
            raise CountError(f"guests can't be {guests}; say 0 or more")
        if self._is_outdated(at):
            return
        known = self.inside
        self._make_certain(at)
        later = {m: stay for m, stay in known.items() if m in self.moved}
        counted = {m for m in members if m not in self.moved}
        self.inside = {m: known.get(m, Stay(since=at, door=None)) for m in counted} | later
        self.guests = guests

    def recount_total(self, people: int, at: datetime) -> None:
        """Take somebody's word for how many are inside.

        More than the members known are guests; fewer means that some have left, nobody knows which.
        A word that is older than another one changes nothing.

        Raises:
            CountError: fewer than nobody.
        """
        if people < 0:
            raise CountError(f"people inside can't be {people}; say 0 or more")
        if self._is_outdated(at):
            return
        self._make_certain(at)
        self.guests = max(0, people - len(self.inside))
        self.gone = max(0, len(self.inside) - people)

    def sweep(self, at: datetime) -> None:
        """Empty the site of all who were inside at `at`."""
        self.recount((), guests=0, at=at)

    def set_back_to(self, now: datetime) -> None:
        """Let go of times that have not come yet: they were noted while the clock was ahead.

        Kept, they would make all that happens until then look older than what is known, and whoever
        comes in would be missed by an evacuation.
        """
        latest = now + AHEAD
        if self.certain_at is not None and self.certain_at > latest:
            self.certain_at = None
        if any(moved > latest for moved in self.moved.values()):
            self.moved = {m: moved for m, moved in self.moved.items() if moved <= latest}

    def _make_certain(self, at: datetime) -> None:
        self.gone = 0
        self.unattributed = 0
        self.moved = {member: moved for member, moved in self.moved.items() if moved > at}
        self.certain_at = at

    def _is_outdated(self, at: datetime) -> bool:
        return self.certain_at is not None and at < self.certain_at

    def _is_news(self, member: MemberId, at: datetime) -> bool:
        if self._is_outdated(at):
            return False
        return member not in self.moved or at > self.moved[member]
