"""What follows from what happened: what to keep, and what to tell whom."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from access.ids import DoorId, MemberId, RequestId, WatchId
from access.messages import AccessDecision, OccupancyReport


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
class Credit:
    """Enter minutes into the time bank."""

    member: MemberId
    watch: WatchId
    minutes: int
    at: datetime


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


Effect = Keep | SetAside | Credit | Answer | Acknowledge | Announce
