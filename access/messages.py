"""The messages of `contract.md`, decoded strictly at the border.

Unknown fields are ignored; missing or ill-typed ones make the message invalid.
"""

from datetime import datetime
from functools import cache
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from access.ids import SLUG_PATTERN
from access.instants import utc

MAX_RECORDS: Final = 100
"""The most records in one `journal` message."""

MAX_NUMBER: Final = 2**53 - 1
"""The largest number that every reader of JSON has whole (RFC 8259, 6): a door that was told of a
larger one by mistake could not count on from it."""

Slug = Annotated[str, msgspec.Meta(pattern=SLUG_PATTERN)]
Uuid = Annotated[
    str,
    msgspec.Meta(pattern=r"\A[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z"),
]
Hex32 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
Hex64 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_NUMBER)]
Seq = Annotated[int, msgspec.Meta(ge=1, le=MAX_NUMBER)]
ReaderName = Literal["in", "out"]


class InvalidMessageError(ValueError):
    """A message does not have the form that the contract gives it."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all messages."""

    def __post_init__(self) -> None:
        """Refuse an instant that UTC has no year for: it could be read, and never written."""
        for name in _instants_of(type(self)):
            moment = getattr(self, name)
            if moment is not None:
                utc(moment)


@cache
def _instants_of(kind: type[Message]) -> tuple[str, ...]:
    """Name the fields of a kind of message that hold instants: few have any."""
    fields = msgspec.structs.fields(kind)
    return tuple(field.name for field in fields if field.type in {Instant, Instant | None})


class AccessRequest(Message, frozen=True, kw_only=True):
    """`<door>/request`: a badge was read."""

    id: Uuid
    at: Instant
    reader: ReaderName
    badge: Hex32
    token: Hex32 | None = None


class AccessDecision(Message, frozen=True, kw_only=True):
    """`<door>/decision`: the answer to one request."""

    request: Uuid
    granted: bool
    reason: str
    unlock_s: float
    member: str | None
    message: str
    watch: str | None


class Record(Message, frozen=True, kw_only=True):
    """One record of a journal, as far as its form goes; its hash is checked by `access.journal`."""

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    time: Instant
    seq: Seq
    prev: Hex64
    hash: Hex64
    data: dict[str, Any]


class JournalBatch(Message, frozen=True, kw_only=True):
    """`<door>/journal`: records in order, kept as they came for their hashes.

    Attributes:
        oldest: the lowest number that the door still holds; what comes before it can't be had from
            there any more. None from a unit that does not say it.
    """

    records: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1, max_length=MAX_RECORDS)]
    oldest: Seq | None = None


class Acknowledgement(Message, frozen=True, kw_only=True):
    """`<door>/ack`: all records up to `seq` are committed."""

    seq: Count


class Command(Message, frozen=True, kw_only=True):
    """`<door>/command`: something to do, signed, with an expiry. Each id is done at most once."""

    id: Uuid
    at: Instant
    expires: Instant
    do: Literal["unlock", "hold", "release", "lockdown", "lift", "enrol", "restart"]
    by: Slug
    sig: str


JournalCondition = Literal["ok", "full", "failing"]
"""How a door's journal is: `full` where only staff and guardians come in, since there is hardly any
room left for records; `failing` where records can't be written, so that nobody is let in."""


class DoorState(Message, frozen=True, kw_only=True):
    """`<door>/state`: the door's condition. Its last will says only that it is not online."""

    online: bool
    at: Instant | None = None
    lock: Literal["locked", "unlocked", "held"] | None = None
    contact: Literal["closed", "open", "none"] | None = None
    queue: Count | None = None
    policy: Count | None = None
    clock_ms: int | None = None
    unit: str | None = None
    readers: dict[str, str] | None = None
    temperature_c: float | None = None
    fire: bool | None = None
    journal: JournalCondition | None = None


class ServerState(Message, frozen=True, kw_only=True, omit_defaults=True):
    """`server`: whether the server is there."""

    online: bool
    at: Instant | None = None


class PolicySnapshot(Message, frozen=True, kw_only=True):
    """`policy`: the rules, signed by the server."""

    version: Count
    site: Slug
    issued: Instant
    relies_until: Instant
    body: str
    sig: str


class OccupancyReport(Message, frozen=True, kw_only=True):
    """`occupancy`: numbers only."""

    at: Instant
    present: Count
    margin: Count
    members: Count
    guests: Count
    capacity: Count
    open: Literal["hours", "watch", "closing", "closed"]


_M = TypeVar("_M", bound=Message)

_encoder: Final = msgspec.json.Encoder()


def encode(message: Message) -> bytes:
    """Write a message as JSON in UTF-8."""
    return _encoder.encode(message)


def decode(payload: bytes, kind: type[_M]) -> _M:
    """Read a message.

    Raises:
        InvalidMessageError: it is not JSON in UTF-8, or not of that form.
    """
    try:
        return msgspec.json.decode(payload, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidMessageError(f"not a valid {kind.__name__}: {error}") from error


def to_record(raw: dict[str, Any]) -> Record:
    """Give a record its types.

    Raises:
        InvalidMessageError: it is not of a record's form.
    """
    try:
        return msgspec.convert(raw, Record)
    except msgspec.ValidationError as error:
        raise InvalidMessageError(f"not a valid record: {error}") from error
