"""The answer to one request, from the server or from the door itself."""

from dataclasses import dataclass

from access.ids import BadgeDigest, MemberId, RequestId, WatchId
from access.model import Authorization, Reader
from edge.effects import Record, note
from edge.events import DecisionReceived, Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that waits for its answer.

    Attributes:
        deadline: monotonic time at which the door decides by itself.
    """

    id: RequestId
    reader: Reader
    badge: BadgeDigest
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer to one request.

    Attributes:
        unlock_s: for how long the lock is released, in seconds.
        watch: the watch under which it was granted, if any.
        is_offline: whether the door decided alone.
        is_passback: whether the member was inside already, as far as is known.
        opens_under: the authorization under which a watch opens by it, decided alone.
    """

    request: RequestId
    reader: Reader
    badge: BadgeDigest
    granted: bool
    reason: str
    member: MemberId | None
    message: str
    unlock_s: float
    watch: WatchId | None = None
    is_offline: bool = False
    is_passback: bool = False
    opens_under: Authorization | None = None


def from_server(asked: Asked, answer: DecisionReceived) -> Verdict:
    """Join the server's answer to the request that it is for."""
    return Verdict(
        request=asked.id,
        reader=asked.reader,
        badge=asked.badge,
        granted=answer.granted,
        reason=answer.reason,
        member=answer.member,
        message=answer.message,
        unlock_s=answer.unlock_s,
        watch=answer.watch,
    )


def to_record(verdict: Verdict, now: Moment) -> Record:
    """Write down what was decided."""
    return note(
        "access.granted" if verdict.granted else "access.denied",
        now,
        request=verdict.request,
        reader=verdict.reader.value,
        badge=verdict.badge,
        member=verdict.member,
        reason=verdict.reason,
        granted=verdict.granted,
        offline=verdict.is_offline,
        passback=verdict.is_passback,
        watch=verdict.watch,
    )
