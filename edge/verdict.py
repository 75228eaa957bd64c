"""The answer to one request, from the server or from the door itself."""

from dataclasses import dataclass

from access.ids import BadgeDigest, MemberId, RequestId, WatchId
from access.model import Authorization, Reader
from access.policy import Token
from access.tokens import CardToken
from edge.effects import Record, Value, note
from edge.events import DecisionReceived, Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that waits for its answer.

    Attributes:
        deadline: monotonic time at which the door decides by itself.
        token: what the card has shown, if anything.
        proof: what became of it, by what this door has seen itself before.
        enrolled: the id of the order by which the card was enrolled just now, if it was.
    """

    id: RequestId
    reader: Reader
    badge: BadgeDigest
    deadline: float
    token: CardToken | None = None
    proof: Token = Token.NONE
    enrolled: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer to one request.

    Attributes:
        unlock_s: for how long the lock is released, in seconds.
        watch: the watch under which it was granted, if any.
        token: what the card has shown, if anything.
        enrolled: see `Asked`.
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
    token: CardToken | None = None
    enrolled: str | None = None
    is_offline: bool = False
    is_passback: bool = False
    opens_under: Authorization | None = None


def from_server(asked: Asked, answer: DecisionReceived) -> Verdict:
    """Join the server's answer to the request that it is for."""
    return Verdict(
        request=asked.id,
        reader=asked.reader,
        badge=asked.badge,
        token=asked.token,
        enrolled=asked.enrolled,
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
        **_of_card(verdict),
    )


def _of_card(verdict: Verdict) -> dict[str, Value]:
    """Give what is to be said of the card itself, where there is anything."""
    said: dict[str, Value] = {}
    if verdict.token is not None:
        said["token"] = verdict.token
    if verdict.enrolled is not None:
        said |= {"enrolled": True, "command": verdict.enrolled}
    return said
