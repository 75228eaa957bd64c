"""What a door wants done. Records are made durable before the lock is released."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from access.ids import BadgeDigest, RequestId
from access.model import Reader
from access.tokens import CardToken
from edge.events import Moment
from edge.ports import Signal

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRequest:
    """Ask the server."""

    id: RequestId
    at: datetime
    reader: Reader
    badge: BadgeDigest
    token: CardToken | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Write into the journal, durably.

    Attributes:
        kind: a type of `contract.md`, *journal*, without the leading `gardien.`.
        at: when it happened.
        data: what else there is to say.
    """

    kind: str
    at: datetime
    data: Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Keep a value across restarts, durably; None forgets it."""

    key: str
    value: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlock:
    """Release the lock, once all records of the same list are durable.

    Attributes:
        is_exit: somebody wants out: a journal that can't be written must not keep them in.
    """

    is_exit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Relock:
    """Lock, at once: before any record is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """Show a signal, with a few words where there is a display."""

    signal: Signal
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishState:
    """The door's condition has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """Stop the unit, so that its supervisor starts it again."""


Effect = SendRequest | Record | Keep | Unlock | Relock | Show | PublishState | Restart


def note(kind: str, now: Moment, **data: Value) -> Record:
    """Make a record of what happens now."""
    return Record(kind=kind, at=now.at, data=data)
