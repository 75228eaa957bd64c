"""What is so at one site right now: who is inside, the watch, and what each door last said.

It is kept as one row, written in the same transaction as the ledger entries from which it follows.
The row's version tells each process whether what it remembers is still so.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

import msgspec

from access.ids import DoorId, MemberId, RequestId
from access.journal import Head
from access.messages import DoorState, OccupancyReport
from access.policy import State
from access.presence import Presence
from access.watch import Watch
from server.events import Order

_encoder: Final = msgspec.json.Encoder()

_WHOLE_SITE: Final = '"is_locked_down":true'


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Somebody was admitted, and has not opened the door yet.

    Attributes:
        until: when it is over; None as long as the lock is released for it.
    """

    request: RequestId
    member: MemberId
    until: datetime | None = None


Outcome = Literal["done", "refused", "expired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTrack:
    """An order to a door, and what has come of it.

    Attributes:
        id: of the command.
        at: when it was given.
        outcome: what the door's journal says of it; None while it says nothing. `expired` where
            its time was over before the door said anything.
    """

    id: str
    do: Order
    at: datetime
    outcome: Outcome | None = None


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
        is_silent: whether it has been told that it is silent.
        is_fire: whether a fire alarm goes on of which it has been told.
        fires_ahead: how many fires its condition told of whose record is still to come.
        last_at: when its last record happened, as far as can be.
        settled: the last requests of guardians that it has settled by itself, newest last.
        order: the last order that it was given.
        passage: the last order to hold it, or to hold it no more.
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
    is_silent: bool = False
    is_fire: bool = False
    fires_ahead: int = 0
    last_at: datetime | None = None
    settled: tuple[RequestId, ...] = ()
    order: OrderTrack | None = None
    passage: OrderTrack | None = None

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
        locked_down: the doors that are locked down.
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
    locked_down: frozenset[DoorId] = frozenset()
    swept_for: datetime | None = None
    reported: OccupancyReport | None = None
    guests_at: datetime | None = None
    vetted: int | None = None

    def door(self, door: DoorId) -> DoorTrack:
        """Give what is known of a door, beginning with nothing."""
        return self.doors.setdefault(door, DoorTrack())

    def situation(self) -> State:
        """Give what is so for a request."""
        return State(
            watch=self.watch,
            inside=frozenset(self.presence.inside),
            present=self.presence.present,
            locked_down=self.locked_down,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Former:
    """What version 0.1 wrote where a lockdown was of a whole site only."""

    is_locked_down: bool = False


def to_json(state: SiteState) -> str:
    """Write a state for its row."""
    return _encoder.encode(state).decode()


def from_json(body: str) -> SiteState:
    """Read a state from its row.

    Raises:
        msgspec.ValidationError: it was written by a version that is too different.
    """
    state = msgspec.json.decode(body, type=SiteState)
    if _WHOLE_SITE in body and msgspec.json.decode(body, type=_Former).is_locked_down:
        state.locked_down |= frozenset(state.doors)
    return state
