"""What happens at one door: badges, answers, wires, orders, and time going by."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from access.ids import BadgeDigest, MemberId, RequestId, WatchId
from access.model import Policy, Reader
from access.tokens import CardToken
from edge.presentation import Trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When something happens.

    Attributes:
        at: the time of day, UTC; it may be wrong, and may jump.
        mono: monotonic seconds; all waiting is measured by it.
    """

    at: datetime
    mono: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The unit has started, and the lock is locked.

    Attributes:
        version: of the program.
        is_open: whether the door stands open.
        is_case_open: whether the unit's case stands open.
        is_exit_pressed: whether the exit button is down.
        lost_outbox: the name of an outbox that was set aside because it could not be read.
        is_fire: whether the fire panel has cut the lock's power.
    """

    version: str
    is_open: bool = False
    is_case_open: bool = False
    is_exit_pressed: bool = False
    lost_outbox: str | None = None
    is_fire: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """The unit is about to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Time has gone by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faulted:
    """Something went wrong within the unit, and the lock has been locked for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadgeRead:
    """A badge was read; its UID has become a digest already.

    Attributes:
        token: see `edge.presentation.CardRead`.
        enrolled: likewise.
    """

    reader: Reader
    badge: BadgeDigest
    token: CardToken | None = None
    enrolled: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BadgeUnreadable:
    """A card was presented that can't be taken, or whose UID is none that a badge can have.

    Attributes:
        why: see `edge.presentation.Trouble`.
        badge: its digest, where it is known.
    """

    reader: Reader
    why: Trouble = "number"
    badge: BadgeDigest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionReceived:
    """The server has answered a request; fields as in `contract.md`, *decision*."""

    request: RequestId
    granted: bool
    reason: str
    unlock_s: float
    member: MemberId | None
    message: str
    watch: WatchId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyReceived:
    """A policy has come whose signature has been checked.

    Attributes:
        is_fresh: whether it was sent just now, rather than kept by the broker.
    """

    policy: Policy
    is_fresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandReceived:
    """A command has come whose signature has been checked; fields as in `contract.md`."""

    id: str
    at: datetime
    expires: datetime
    do: Literal["unlock", "hold", "release", "lockdown", "lift", "enrol", "restart"]
    by: MemberId


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSeen:
    """The server, or its last will, says whether it is there.

    Attributes:
        at: the server's time, if it said so.
        is_fresh: whether it was sent just now, rather than kept by the broker.
    """

    is_online: bool
    at: datetime | None = None
    is_fresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkChanged:
    """The broker came into reach, or went out of it."""

    is_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactChanged:
    """The door was opened or closed."""

    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitButton:
    """The request to exit was pressed or let go of."""

    is_pressed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TamperChanged:
    """The unit's case was opened or closed."""

    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FireChanged:
    """The fire panel has cut the lock's power, or gives it back."""

    is_on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderHealth:
    """A reader has failed, or works again."""

    reader: Reader
    is_ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxFilling:
    """The outbox has become nearly full, or is so no more."""

    is_nearly_full: bool


Event = (
    Started
    | Stopping
    | Tick
    | Faulted
    | BadgeRead
    | BadgeUnreadable
    | DecisionReceived
    | PolicyReceived
    | CommandReceived
    | ServerSeen
    | LinkChanged
    | ContactChanged
    | ExitButton
    | TamperChanged
    | FireChanged
    | ReaderHealth
    | OutboxFilling
)
