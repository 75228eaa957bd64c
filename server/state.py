"""What is so at one site right now: who is inside, the watch, and what each door last said.

It is kept as one row, written in the same transaction as the ledger entries from which it follows.
The row's version tells each process whether what it remembers is still so.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec

from access.ids import DoorId, MemberId, RequestId
from access.journal import Head
from access.messages import DoorState, OccupancyReport
from access.policy import State
from access.presence import Presence
from access.watch import Watch

_encoder: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Somebody was admitted, and has not opened the door yet.

    Attributes:
        until: when it is over; None as long as the lock is released for it.
    """

    request: RequestId
    member: MemberId
    until: datetime | None = None


@dataclass(slots=True, kw_only=True)
class DoorTrack:
    """What the server knows of one door.

    Attributes:
        head: the end of the door's chain, as far as it is committed here.
        is_open: whether its contact was open at its last record.
        grants: who was admitted since, and has not opened it.
        is_left_by_badge: whether its next opening belongs to a badge read at `out`.
        is_left_by_button: whether its next opening belongs to the exit button.
        is_held: whether it stands open by a guardian's leave (passage mode).
        opened_at: when it was opened, while it is open.
        state: its last state message.
        heard_at: when it was last heard of.
        last_at: when its last record happened, as far as can be.
    """

    head: Head = field(default_factory=Head)
    is_open: bool = False
    grants: list[Grant] = field(default_factory=list)
    is_left_by_badge: bool = False
    is_left_by_button: bool = False
    is_held: bool = False
    opened_at: datetime | None = None
    state: DoorState | None = None
    heard_at: datetime | None = None
    last_at: datetime | None = None

    @property
    def is_online(self) -> bool:
        """Whether its last word was that it is there."""
        return self.state is not None and self.state.online


@dataclass(slots=True, kw_only=True)
class SiteState:
    """What is so at one site.

    Attributes:
        presence: who is inside.
        watch: the watch that runs, if any.
        watch_heard_at: when the server heard that it was opened, by its own clock.
        peak: the most people present at once in this watch.
        peak_guests: the most guests at once in this watch.
        doors: what is known of each door that has been heard of.
        own: the end of the server's own chain.
        is_locked_down: whether the whole site is locked down.
        swept_for: the end of opening hours for which the site has been swept.
        reported: the last count that was recorded.
        guests_at: when the number of guests was last changed by hand.
        vetted: the version of the policy under which the watch was last looked at.
    """

    presence: Presence = field(default_factory=Presence)
    watch: Watch | None = None
    watch_heard_at: datetime | None = None
    peak: int = 0
    peak_guests: int = 0
    doors: dict[DoorId, DoorTrack] = field(default_factory=dict)
    own: Head = field(default_factory=Head)
    is_locked_down: bool = False
    swept_for: datetime | None = None
    reported: OccupancyReport | None = None
    guests_at: datetime | None = None
    vetted: int | None = None

    def door(self, door: DoorId) -> DoorTrack:
        """Give what is known of a door, beginning with nothing."""
        return self.doors.setdefault(door, DoorTrack())

    def situation(self, door: DoorId) -> State:
        """Give what is so for a request at a door."""
        return State(
            watch=self.watch,
            inside=frozenset(self.presence.inside),
            present=self.presence.present,
            locked_down=frozenset({door}) if self.is_locked_down else frozenset(),
        )


def to_json(state: SiteState) -> str:
    """Write a state for its row."""
    return _encoder.encode(state).decode()


def from_json(body: str) -> SiteState:
    """Read a state from its row.

    Raises:
        msgspec.ValidationError: it was written by a version that is too different.
    """
    return msgspec.json.decode(body, type=SiteState)
