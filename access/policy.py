"""Who gets in: one pure function, the same on the server and on a door that is on its own.

The rows are those of the table in `rules.md`, *Who gets in*; the first that matches decides.
"""

from collections.abc import Callable, Container
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final, NamedTuple

from access.ids import BadgeDigest, DoorId, MemberId
from access.model import (
    AntiPassback,
    Authorization,
    Badge,
    BadgeLevel,
    BadgeStatus,
    Door,
    Member,
    Policy,
    Reader,
    Status,
)
from access.watch import Phase, Watch


class Reason(Enum):
    """Why somebody was admitted, or was not. Each decision has exactly one."""

    EXIT = "exit"
    UNKNOWN_BADGE = "unknown_badge"
    BADGE_REVOKED = "badge_revoked"
    BADGE_EXPIRED = "badge_expired"
    BADGE_CLONED = "badge_cloned"
    MEMBER_SUSPENDED = "member_suspended"
    MEMBERSHIP_ENDED = "membership_ended"
    LOCKDOWN = "lockdown"
    DOOR_NOT_ALLOWED = "door_not_allowed"
    PASSBACK = "passback"
    BADGE_LEVEL = "badge_level"
    POLICY_EXPIRED = "policy_expired"
    STAFF = "staff"
    SITE_FULL = "site_full"
    OPENING_HOURS = "opening_hours"
    PLAN_HOURS = "plan_hours"
    WATCH = "watch"
    NOT_IN_AUDIENCE = "not_in_audience"
    WATCH_CLOSING = "watch_closing"
    WATCH_OPENED = "watch_opened"
    GUARDIAN_NOT_AUTHORIZED = "guardian_not_authorized"
    NO_GUARDIAN = "no_guardian"


ALERTING: Final = frozenset({Reason.BADGE_REVOKED, Reason.BADGE_EXPIRED, Reason.BADGE_CLONED})
"""Refusals that somebody should hear of at once."""


class Token(Enum):
    """What became of the badge's rolling token; `access.tokens` says which."""

    NONE = "none"
    FITS = "fits"
    COPIED = "copied"


class Reliance(Enum):
    """How far the snapshot may be relied on; anything but `FULL` only on a door on its own."""

    FULL = "full"
    LIMITED = "limited"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A badge was read."""

    at: datetime
    door: DoorId
    reader: Reader
    badge: BadgeDigest
    token: Token = Token.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is so at the moment of a request.

    Attributes:
        watch: the watch that runs, if any.
        inside: members inside.
        present: people likely inside; None where it can't be known.
        locked_down: doors that are locked down; all of them when the site is.
        reliance: how far the snapshot may be relied on.
        is_alone: whether a door decides on its own.
        clock_is_trusted: whether the time may be compared with opening hours.
    """

    watch: Watch | None = None
    inside: Container[MemberId] = frozenset()
    present: int | None = None
    locked_down: AbstractSet[DoorId] = frozenset()
    reliance: Reliance = Reliance.FULL
    is_alone: bool = False
    clock_is_trusted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer to a request.

    Attributes:
        granted: whether they may pass.
        reason: the one reason.
        row: the row of the table that decided.
        member: whose badge it is, if it is known.
        is_passback: whether they were inside already (soft anti-passback).
        opens_under: the authorization under which a watch opens by this.
    """

    granted: bool
    reason: Reason
    row: str
    member: MemberId | None = None
    is_passback: bool = False
    opens_under: Authorization | None = None

    @property
    def raises_alert(self) -> bool:
        """Whether somebody should hear of it at once."""
        return self.reason in ALERTING


class UnknownDoorError(LookupError):
    """The request names a door that the site does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A request with all that the rows look at, looked up once.

    A badge whose member is gone is nobody's, so `badge` and `member` are None together: rows after
    the second may rely on both.
    """

    policy: Policy
    state: State
    request: Request
    door: Door
    badge: Badge | None
    member: Member | None

    @property
    def at(self) -> datetime:
        """The time of the request."""
        return self.request.at

    def known_badge(self) -> Badge:
        """The badge, where the second row has made sure of it."""
        if self.badge is None:
            raise UnknownBadgeError(self.request.badge)
        return self.badge

    def known_member(self) -> Member:
        """The badge's member, where the second row has made sure of them."""
        if self.member is None:
            raise UnknownBadgeError(self.request.badge)
        return self.member

    def level(self) -> BadgeLevel:
        """The level that counts: the badge's own if it has proved itself, else that of a UID."""
        return self.known_badge().level if self.request.token is Token.FITS else BadgeLevel.L0

    def is_open(self) -> bool:
        """Whether it is within opening hours; a clock in doubt is after hours."""
        return self.state.clock_is_trusted and self.policy.is_open(self.at)

    def has_plan_hours(self) -> bool:
        """Whether it is within the extra hours of the member's plan."""
        plan = self.known_member().plan
        return self.state.clock_is_trusted and self.policy.has_plan_hours(plan, self.at)

    def is_inside(self) -> bool:
        """Whether the member is inside already."""
        return self.known_member().id in self.state.inside

    def is_full(self) -> bool:
        """Whether as many are inside as may be; a door on its own can't know it."""
        present = None if self.state.is_alone else self.state.present
        return present is not None and present >= self.policy.capacity

    def authorization(self) -> Authorization | None:
        """The authorization by which the member may open a watch now, if they are a guardian."""
        member = self.known_member()
        return self.policy.authorization(member.id, self.at) if member.is_guardian else None

    def phase(self) -> Phase:
        """Where the watch stands; closed when there is none.

        A door on its own keeps a watch only until its authorization ends.
        """
        watch = self.state.watch
        if watch is None or (self.state.is_alone and self.at >= watch.authorized_until):
            return Phase.CLOSED
        return watch.phase_at(self.at)


class UnknownBadgeError(LookupError):
    """A row was asked of a badge that nobody has."""


class Verdict(NamedTuple):
    """What a row that matches says."""

    granted: bool
    reason: Reason


_REVOKED: Final = frozenset({BadgeStatus.LOST, BadgeStatus.REVOKED})

_Test = Callable[[Case], Verdict | None]


class Row(NamedTuple):
    """One row of the table."""

    number: str
    test: _Test


def _grant(reason: Reason) -> Verdict:
    return Verdict(granted=True, reason=reason)


def _deny(reason: Reason) -> Verdict:
    return Verdict(granted=False, reason=reason)


def _exit(case: Case) -> Verdict | None:
    return _grant(Reason.EXIT) if case.request.reader is Reader.OUT else None


def _unknown(case: Case) -> Verdict | None:
    return _deny(Reason.UNKNOWN_BADGE) if case.member is None else None


def _badge(case: Case) -> Verdict | None:
    badge = case.known_badge()
    if badge.status in _REVOKED:
        return _deny(Reason.BADGE_REVOKED)
    return None if badge.validity.holds(case.at) else _deny(Reason.BADGE_EXPIRED)


def _cloned(case: Case) -> Verdict | None:
    is_suspended = case.known_badge().status is BadgeStatus.SUSPENDED
    is_copied = is_suspended or case.request.token is Token.COPIED
    return _deny(Reason.BADGE_CLONED) if is_copied else None


def _membership(case: Case) -> Verdict | None:
    member = case.known_member()
    if member.status is Status.SUSPENDED:
        return _deny(Reason.MEMBER_SUSPENDED)
    if member.status is Status.ENDED or not member.validity.holds(case.at):
        return _deny(Reason.MEMBERSHIP_ENDED)
    return None


def _lockdown(case: Case) -> Verdict | None:
    if case.door.id in case.state.locked_down and not case.known_member().is_staff:
        return _deny(Reason.LOCKDOWN)
    return None


def _door(case: Case) -> Verdict | None:
    if case.known_member().plan not in case.door.plans:
        return _deny(Reason.DOOR_NOT_ALLOWED)
    return None


def _passback(case: Case) -> Verdict | None:
    if case.policy.anti_passback is AntiPassback.HARD and case.is_inside():
        return _deny(Reason.PASSBACK)
    return None


def _level(case: Case) -> Verdict | None:
    if not case.is_open() and case.level() < case.policy.level_after_hours:
        return _deny(Reason.BADGE_LEVEL)
    return None


def _reliance(case: Case) -> Verdict | None:
    if case.state.reliance is Reliance.FULL:
        return None
    trusted = case.known_member().is_staff or case.authorization() is not None
    if case.state.reliance is Reliance.LIMITED and trusted:
        return None
    return _deny(Reason.POLICY_EXPIRED)


def _staff(case: Case) -> Verdict | None:
    return _grant(Reason.STAFF) if case.known_member().is_staff else None


def _full(case: Case) -> Verdict | None:
    if not case.is_full() or case.known_member().is_guardian:
        return None
    return _deny(Reason.SITE_FULL)


def _hours(case: Case) -> Verdict | None:
    if case.is_open():
        return _grant(Reason.OPENING_HOURS)
    return _grant(Reason.PLAN_HOURS) if case.has_plan_hours() else None


def _watch(case: Case) -> Verdict | None:
    watch = case.state.watch
    if watch is None or case.phase() is not Phase.OPEN:
        return None
    return _grant(Reason.WATCH) if watch.admits(case.known_member()) else None


def _audience(case: Case) -> Verdict | None:
    return _deny(Reason.NOT_IN_AUDIENCE) if case.phase() is Phase.OPEN else None


def _closing(case: Case) -> Verdict | None:
    if case.phase() is not Phase.CLOSING:
        return None
    guardian = case.known_member().is_guardian
    return _grant(Reason.WATCH) if guardian else _deny(Reason.WATCH_CLOSING)


def _opens(case: Case) -> Verdict | None:
    return _grant(Reason.WATCH_OPENED) if case.authorization() is not None else None


def _not_authorized(case: Case) -> Verdict | None:
    guardian = case.known_member().is_guardian
    return _deny(Reason.GUARDIAN_NOT_AUTHORIZED) if guardian else None


def _nobody(_case: Case) -> Verdict | None:
    return _deny(Reason.NO_GUARDIAN)


ROWS: Final = (
    Row("1", _exit),
    Row("2", _unknown),
    Row("3", _badge),
    Row("4", _cloned),
    Row("5", _membership),
    Row("6", _lockdown),
    Row("7", _door),
    Row("8", _passback),
    Row("8b", _level),
    Row("8c", _reliance),
    Row("9", _staff),
    Row("10", _full),
    Row("11", _hours),
    Row("12", _watch),
    Row("12b", _audience),
    Row("12c", _closing),
    Row("13", _opens),
    Row("13b", _not_authorized),
    Row("14", _nobody),
)
"""The table, in the order in which it is read; 8c is *A door on its own*."""


def case_of(policy: Policy, state: State, request: Request) -> Case:
    """Look up all that the rows need.

    Raises:
        UnknownDoorError: the site has no such door.
    """
    door = policy.doors.get(request.door)
    if door is None:
        raise UnknownDoorError(f"site {policy.site} has no door {request.door!r}")
    badge = policy.badges.get(request.badge)
    member = policy.members.get(badge.member) if badge is not None else None
    if member is None:
        badge = None
    return Case(policy=policy, state=state, request=request, door=door, badge=badge, member=member)


def decide(policy: Policy, state: State, request: Request) -> Decision:
    """Decide whether somebody may pass.

    Pure, and O(1) in members, badges, doors and events.

    Args:
        policy: the snapshot of the rules.
        state: what is so now.
        request: the badge that was read, where and when.

    Returns:
        The answer with its one reason.

    Raises:
        UnknownDoorError: the site has no such door.
    """
    case = case_of(policy, state, request)
    # The last row decides every case, so there always is a first one.
    return next(
        _decision(case, row.number, verdict)
        for row in ROWS
        if (verdict := row.test(case)) is not None
    )


def _decision(case: Case, row: str, verdict: Verdict) -> Decision:
    entering = verdict.granted and case.request.reader is Reader.IN
    opening = verdict.reason is Reason.WATCH_OPENED
    return Decision(
        granted=verdict.granted,
        reason=verdict.reason,
        row=row,
        member=case.member.id if case.member is not None else None,
        is_passback=entering and case.is_inside(),
        opens_under=case.authorization() if opening else None,
    )
