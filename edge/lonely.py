"""How a door decides alone: the same table as the server, on the last policy that was verified.

See *A door on its own* in `rules.md`.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from access.ids import BadgeDigest, DoorId, MemberId, RequestId, WatchId
from access.model import Policy, Reader
from access.policy import Decision, Reason, Reliance, Request, State, UnknownDoorError, decide
from access.watch import Watch, watch_id_of
from access.wording import DEFAULT_LANGUAGE, message
from edge.verdict import Asked, Verdict

LAST_RELIANCE: Final = timedelta(hours=120)
"""How long after its issue a policy still admits staff and authorized guardians."""

DEFAULT_UNLOCK_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What the door knows when it decides.

    Attributes:
        at: the time of day.
        not_before: a time that has passed for certain, by which terms are judged; at least `at`.
        watch: the watch that it knows of.
        is_locked_down: whether the door is locked down.
        is_clock_trusted: whether the time may be compared with opening hours.
        is_nearly_full: whether its journal is nearly full, so that ordinary entries must wait.
        is_offline: whether the server is away.
    """

    at: datetime
    not_before: datetime
    watch: Watch | None
    is_locked_down: bool
    is_clock_trusted: bool
    is_nearly_full: bool
    is_offline: bool = True


def reliance(policy: Policy, at: datetime) -> Reliance:
    """Say how far a policy may still be relied on at `at`."""
    if at < policy.relies_until:
        return Reliance.FULL
    return Reliance.LIMITED if at < policy.issued + LAST_RELIANCE else Reliance.NONE


def member_of(policy: Policy | None, badge: BadgeDigest) -> MemberId | None:
    """Say whose badge it is, as far as the policy knows."""
    known = policy.badges.get(badge) if policy is not None else None
    return known.member if known is not None else None


def unlock_s(policy: Policy | None, door: DoorId) -> float:
    """Say for how many seconds a door is unlocked."""
    known = policy.doors.get(door) if policy is not None else None
    return known.unlock_s if known is not None else DEFAULT_UNLOCK_S


def decide_alone(
    policy: Policy | None, door: DoorId, asked: Asked, known: Circumstances
) -> Verdict:
    """Decide about one badge without the server.

    Without a policy, or with one that does not know this door, nobody is admitted; the exit is
    free even then.
    """
    decision = _decision(policy, door, asked, known)
    verdict = Verdict(
        request=asked.id,
        reader=asked.reader,
        badge=asked.badge,
        token=asked.token,
        enrolled=asked.enrolled,
        granted=decision.granted,
        reason=decision.reason.value,
        member=decision.member,
        message=message(decision.reason, language_of(policy, decision.member)),
        unlock_s=unlock_s(policy, door),
        is_offline=known.is_offline,
        is_passback=decision.is_passback,
        opens_under=decision.opens_under,
    )
    return replace(verdict, watch=_watch(decision, asked.id, known.watch))


def _decision(policy: Policy | None, door: DoorId, asked: Asked, known: Circumstances) -> Decision:
    if asked.reader is Reader.OUT:
        member = member_of(policy, asked.badge)
        return Decision(granted=True, reason=Reason.EXIT, row="1", member=member)
    if policy is None:
        return Decision(granted=False, reason=Reason.POLICY_EXPIRED, row="8c")
    request = Request(
        at=known.at, door=door, reader=asked.reader, badge=asked.badge, token=asked.proof
    )
    try:
        return decide(policy, _state(policy, door, known), request)
    except UnknownDoorError:
        return Decision(granted=False, reason=Reason.DOOR_NOT_ALLOWED, row="7")


def _state(policy: Policy, door: DoorId, known: Circumstances) -> State:
    relied = reliance(policy, known.not_before)
    if known.is_nearly_full and relied is Reliance.FULL:
        relied = Reliance.LIMITED
    return State(
        watch=known.watch,
        present=None,
        locked_down=frozenset({door}) if known.is_locked_down else frozenset(),
        reliance=relied,
        is_alone=True,
        clock_is_trusted=known.is_clock_trusted,
    )


def _watch(decision: Decision, request: RequestId, running: Watch | None) -> WatchId | None:
    if decision.reason is Reason.WATCH_OPENED:
        return watch_id_of(request)
    return running.id if decision.reason is Reason.WATCH and running is not None else None


def language_of(policy: Policy | None, member: MemberId | None) -> str:
    """Say in which language to speak to a member; the default one to somebody unknown."""
    known = policy.members.get(member) if policy is not None and member is not None else None
    return known.language if known is not None else DEFAULT_LANGUAGE
