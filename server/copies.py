"""How the gate finds a copy of a badge: by the tokens that doors ask about, and that they record.

The clone rule is that of `access.tokens`. A copy that is found suspends the badge, for its owner as
for whoever has the copy: nobody can tell the two apart.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from access.ids import BadgeDigest, DoorId, RequestId
from access.messages import Record
from access.model import Badge, BadgeStatus, Policy
from access.policy import Reason, Token
from access.tokens import CardToken, SeenTokens, TokenError, parse_token
from server import lateness
from server.effects import KeepToken, SuspendBadge
from server.events import Asked, Event, Reported
from server.turn import Turn

ALERT: Final = Reason.BADGE_CLONED.value
"""What an alert about a copy is called."""

STALE_MS: Final = 2_000
"""A request that is older, in milliseconds, was decided by its door, and maybe overtaken since."""

_ACCESS: Final = frozenset({"gardien.access.granted", "gardien.access.denied"})

Tokens = Mapping[BadgeDigest, SeenTokens]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What became of a request's token, and whether its badge is suspended by that."""

    token: Token
    is_suspended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """A token that a door has recorded.

    Attributes:
        is_refused: whether the door found by itself that it is a copy's.
    """

    badge: Badge
    token: CardToken
    request: RequestId | None
    at: datetime
    is_refused: bool


def badges_with_tokens(events: Iterable[Event], policy: Policy) -> set[BadgeDigest]:
    """Name the known badges whose tokens have to be looked at: for most visits none."""
    named: set[str] = set()
    for event in events:
        if isinstance(event, Asked) and event.request.token is not None:
            named.add(event.request.badge)
        elif isinstance(event, Reported):
            named.update(_named(raw) for raw in event.records)
    return {BadgeDigest(badge) for badge in named if badge in policy.badges}


def judge(turn: Turn, tokens: Tokens, event: Asked) -> Judged:
    """Say what becomes of the token of a request; remember it, or suspend the badge.

    A request that comes late may have been overtaken by a visit elsewhere: where nothing but its
    age speaks against its token, it is refused, and the badge left as it is.
    """
    request = event.request
    badge = turn.policy.badges.get(BadgeDigest(request.badge))
    seen = tokens.get(BadgeDigest(request.badge))
    if request.token is None or badge is None or seen is None:
        return Judged(token=Token.NONE)
    token = CardToken(request.token)
    judged = seen.judge(token, RequestId(request.id))
    if judged is Token.COPIED:
        is_sure = seen.contradicts(token) or lateness.age_ms(turn, event) <= STALE_MS
        return Judged(token=judged, is_suspended=is_sure and _suspend(turn, badge))
    if not seen.has(token):
        _remember(turn, badge, seen, token, RequestId(request.id), turn.now)
    return Judged(token=judged)


def hear(turn: Turn, tokens: Tokens, door: DoorId, record: Record) -> None:
    """Take in the token of a visit that a door decided alone.

    Records come late and out of order among doors: an older counter alone is no copy. A counter
    that was used twice is one, and so is what the door itself found, as far as it was so by then.
    """
    shown = _shown(turn, record)
    if shown is None:
        return
    seen = tokens.get(shown.badge.digest)
    if seen is None:
        return
    if seen.contradicts(shown.token) or (
        shown.is_refused and seen.was_older(shown.token, shown.at)
    ):
        if _suspend(turn, shown.badge):
            alert(turn, door, shown.badge, shown.at, is_suspended=True)
    elif not seen.has(shown.token):
        _remember(turn, shown.badge, seen, shown.token, shown.request, shown.at)


def alert(turn: Turn, door: DoorId, badge: Badge, at: datetime, *, is_suspended: bool) -> None:
    """Record that a copy was found, unless nothing but a late request speaks for one.

    Args:
        turn: of the gate.
        door: where the copy, or the badge after it, was shown.
        badge: that was copied, as it is in the turn's rules.
        at: when.
        is_suspended: whether the badge is suspended by this.
    """
    if is_suspended or badge.status is BadgeStatus.SUSPENDED:
        data = {"door": door, "badge": badge.digest, "suspended": is_suspended}
        turn.alert(ALERT, at, data, member=badge.member)


def _remember(  # noqa: PLR0917 (what a visit tells)
    turn: Turn,
    badge: Badge,
    seen: SeenTokens,
    token: CardToken,
    request: RequestId | None,
    at: datetime,
) -> None:
    one = seen.remember(token, request, at)
    turn.effects.append(KeepToken(badge=badge.digest, seen=one, floor=seen.floor))


def _suspend(turn: Turn, badge: Badge) -> bool:
    """Suspend a badge that is in use, here at once and in the registry; say whether it was."""
    if badge.status is not BadgeStatus.ACTIVE:
        return False
    suspended = {badge.digest: replace(badge, status=BadgeStatus.SUSPENDED)}
    turn.policy = replace(turn.policy, badges={**turn.policy.badges, **suspended})
    turn.effects.append(SuspendBadge(badge=badge.digest))
    return True


def _named(raw: Mapping[str, Any]) -> str:
    """Name the badge of a record whose token is still to be looked at; nobody's for others."""
    data = raw.get("data")
    if not isinstance(data, dict) or data.get("token") is None or not _is_alone(data):
        return ""
    return str(data.get("badge"))


def _is_alone(data: Mapping[str, Any]) -> bool:
    """Whether the door decided alone; a card that was just enrolled has no past to judge by."""
    return data.get("offline") is True and data.get("enrolled") is not True


def _shown(turn: Turn, record: Record) -> _Shown | None:
    """Read the token of a record, if it has one that the server has not judged itself."""
    data = record.data
    badge = turn.policy.badges.get(BadgeDigest(str(data.get("badge"))))
    if record.type not in _ACCESS or badge is None or not _is_alone(data):
        return None
    try:
        token = parse_token(data.get("token"))
    except TokenError:
        return None
    request = data.get("request")
    return _Shown(
        badge=badge,
        token=token,
        request=RequestId(request) if isinstance(request, str) else None,
        at=record.time,
        is_refused=data.get("reason") == ALERT,
    )
