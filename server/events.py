"""What happens to a site: what doors send, what people do at the desk, and time going by."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from access.ids import DoorId, MemberId
from access.messages import AccessRequest, DoorState


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A door asks whether somebody may pass.

    Attributes:
        correlation: what its answer carries back.
        waited_ms: for how long it has waited here already, in milliseconds.
    """

    door: DoorId
    request: AccessRequest
    correlation: bytes | None = None
    waited_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A door sends records of its journal, in order, as they came.

    Attributes:
        oldest: the lowest number that the door still holds; None where it does not say.
    """

    door: DoorId
    records: tuple[dict[str, Any], ...]
    oldest: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorSaid:
    """A door tells its condition, or its last will does."""

    door: DoorId
    state: DoorState


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    """Time has gone by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOffered:
    """The guardian offers the watch to another, who is inside."""

    by: MemberId
    to: MemberId


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchTaken:
    """Another guardian takes the watch that was offered to them."""

    by: MemberId


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseAsked:
    """The guardian, or staff, begins to close."""

    by: MemberId


@dataclass(frozen=True, slots=True, kw_only=True)
class RollCallSigned:
    """The guardian, or staff, says that everyone is accounted for: the watch ends."""

    by: MemberId


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestsChanged:
    """Guests came (`change` above zero) or left."""

    by: MemberId
    change: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recounted:
    """Somebody says who is inside."""

    by: MemberId
    members: tuple[MemberId, ...]
    guests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecountedTotal:
    """Somebody says how many are inside."""

    by: MemberId
    people: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertAcknowledged:
    """Somebody on duty takes an alert upon them.

    Attributes:
        alert: its number in the server's chain of the site.
    """

    by: MemberId
    alert: int


Order = Literal["unlock", "hold", "release", "lockdown", "lift", "enrol", "restart"]
"""What a door can be told to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorOrdered:
    """Somebody tells doors to do something.

    Attributes:
        by: who; `server.desk.OPERATOR` on the command line.
        doors: which; empty for all of the site's.
        do: what.
    """

    by: MemberId
    doors: tuple[DoorId, ...]
    do: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLapsed:
    """The time of an order is over, and its door has not said that it did it.

    Attributes:
        id: of the command.
    """

    id: str
    door: DoorId
    do: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarFailed:
    """A calendar by address has been away or broken for long; its last good copy counts on.

    Attributes:
        calendar: its id in the registry.
        host: of its address; the rest of an address may be a secret.
        since: when it was first away or broken.
        why: in words.
    """

    calendar: int
    host: str
    since: datetime
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFailed:
    """The ledger could not be written for a while; doors decided by themselves.

    Attributes:
        since: when something could not be written for the first time.
    """

    since: datetime


DoorEvent = Asked | Reported | DoorSaid
DeskEvent = (
    WatchOffered
    | WatchTaken
    | CloseAsked
    | RollCallSigned
    | GuestsChanged
    | Recounted
    | RecountedTotal
    | AlertAcknowledged
    | DoorOrdered
)
Event = DoorEvent | DeskEvent | OrderLapsed | CalendarFailed | LedgerFailed | Ticked
