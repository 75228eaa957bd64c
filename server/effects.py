"""What follows from what happened: what to keep, and what to tell whom."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from access.ids import BadgeDigest, DoorId, MemberId, RequestId, WatchId
from access.messages import AccessDecision, OccupancyReport
from access.tokens import SeenToken
from server.events import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Add a record to the ledger.

    Attributes:
        source: the chain it belongs to: a door's id, or the server's.
        record: the record, whole.
        time: when it happened.
        member: whom it is about, if anybody.
        request: the request that it decides, if it is a decision.
    """

    source: str
    record: dict[str, Any]
    time: datetime
    member: MemberId | None = None
    request: RequestId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """Keep a record that does not fit its chain, apart from the ledger."""

    door: DoorId
    record: dict[str, Any]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepToken:
    """Remember a token that a badge has shown, and forget all up to the counter `floor`."""

    badge: BadgeDigest
    seen: SeenToken
    floor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspendBadge:
    """Suspend a badge in the registry: a copy of it exists."""

    badge: BadgeDigest


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """Enter minutes into the time bank."""

    member: MemberId
    watch: WatchId
    minutes: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingOrder:
    """What a door is still to be told.

    Attributes:
        id: of the command, a UUID version 7.
        by: who ordered it: a member, `server.desk.OPERATOR`, or the server itself.
        expires: until when it may be done, by the server's time.
    """

    id: str
    door: DoorId
    do: Order
    by: str
    at: datetime
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOrder:
    """Tell a door to do something, again and again until it has; only after the commit.

    Attributes:
        replaces: what else that this door was still to be told is told no more.
    """

    order: WaitingOrder
    replaces: tuple[Order, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DropOrder:
    """Tell a door no more of one order: it was done, or its time is over."""

    door: DoorId
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Answer a door's request; only after the commit."""

    door: DoorId
    decision: AccessDecision
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledge:
    """Tell a door up to which record its journal is committed; only after the commit."""

    door: DoorId
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Announce:
    """Publish new numbers; only after the commit."""

    report: OccupancyReport


Effect = (
    Keep
    | SetAside
    | Credit
    | KeepToken
    | SuspendBadge
    | SendOrder
    | DropOrder
    | Answer
    | Acknowledge
    | Announce
)
