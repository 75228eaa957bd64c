"""What each row of the table looks at, told as facts. Nothing is decided here."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from access.instants import find
from access.policy import Case

Value = bool | int | str | datetime | Enum | tuple[Enum, ...] | None
"""What a fact may be; None where there is nothing."""


class FactName(Enum):
    """The facts, by the names under which machines read them."""

    READER = "reader"
    BADGE_KNOWN = "badge_known"
    BADGE_STATUS = "badge_status"
    VALID_SINCE = "valid_since"
    VALID_UNTIL = "valid_until"
    TOKEN = "token"  # noqa: S105 (no secret)
    MEMBER = "member"
    MEMBER_STATUS = "member_status"
    LOCKED_DOWN = "locked_down"
    STAFF = "staff"
    PLAN = "plan"
    DOOR_PLANS = "door_plans"
    ANTI_PASSBACK = "anti_passback"
    INSIDE = "inside"
    BADGE_LEVEL = "badge_level"
    LEVEL_PROVED = "level_proved"
    LEVEL_ASKED = "level_asked"
    RELIANCE = "reliance"
    DOOR_ALONE = "door_alone"
    PRESENT = "present"
    CAPACITY = "capacity"
    GUARDIAN = "guardian"
    CLOCK_TRUSTED = "clock_trusted"
    OPEN = "open"
    OPEN_UNTIL = "open_until"
    OPENS_NEXT = "opens_next"
    PLAN_HOURS = "plan_hours"
    WATCH = "watch"
    WATCH_HELD_BY = "watch_held_by"
    WATCH_TITLE = "watch_title"
    AUDIENCE = "audience"
    IN_AUDIENCE = "in_audience"
    CLOSES_FROM = "closes_from"
    CLOSES_BY = "closes_by"
    AUTHORIZATION = "authorization"
    MAY_OPEN_FROM = "may_open_from"
    MAY_OPEN_UNTIL = "may_open_until"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that a row looked at, and what it saw; None where there is nothing."""

    name: FactName
    value: Value


Facts = tuple[Fact, ...]


def facts_of(number: str, case: Case) -> Facts:
    """Tell what a row saw.

    Args:
        number: the row's number; rows after the second need a badge that is known.
        case: the request with all that the rows look at.

    Raises:
        KeyError: there is no such row.
        UnknownBadgeError: a row after the second was asked of a badge that nobody has.
    """
    return tuple(Fact(name=name, value=value) for name, value in _SEEN[number](case))


_Seen = Iterator[tuple[FactName, Value]]


def _exit(case: Case) -> _Seen:
    yield FactName.READER, case.request.reader


def _unknown(case: Case) -> _Seen:
    yield FactName.BADGE_KNOWN, case.badge is not None
    yield FactName.MEMBER, case.member.id if case.member is not None else None


def _badge(case: Case) -> _Seen:
    badge = case.known_badge()
    yield FactName.BADGE_STATUS, badge.status
    yield FactName.VALID_SINCE, badge.validity.since
    yield FactName.VALID_UNTIL, badge.validity.until


def _cloned(case: Case) -> _Seen:
    yield FactName.BADGE_STATUS, case.known_badge().status
    yield FactName.TOKEN, case.request.token


def _membership(case: Case) -> _Seen:
    member = case.known_member()
    yield FactName.MEMBER_STATUS, member.status
    yield FactName.VALID_SINCE, member.validity.since
    yield FactName.VALID_UNTIL, member.validity.until


def _lockdown(case: Case) -> _Seen:
    yield FactName.LOCKED_DOWN, case.door.id in case.state.locked_down
    yield from _staff(case)


def _door(case: Case) -> _Seen:
    yield FactName.PLAN, case.known_member().plan
    yield FactName.DOOR_PLANS, tuple(sorted(case.door.plans, key=lambda plan: plan.value))


def _passback(case: Case) -> _Seen:
    yield FactName.ANTI_PASSBACK, case.policy.anti_passback
    yield FactName.INSIDE, case.is_inside()


def _level(case: Case) -> _Seen:
    yield FactName.OPEN, case.is_open()
    yield FactName.BADGE_LEVEL, case.known_badge().level.name
    yield FactName.TOKEN, case.request.token
    yield FactName.LEVEL_PROVED, case.level().name
    yield FactName.LEVEL_ASKED, case.policy.level_after_hours.name


def _reliance(case: Case) -> _Seen:
    yield FactName.RELIANCE, case.state.reliance
    yield from _staff(case)
    yield FactName.AUTHORIZATION, case.authorization() is not None


def _staff(case: Case) -> _Seen:
    yield FactName.STAFF, case.known_member().is_staff


def _full(case: Case) -> _Seen:
    yield FactName.PRESENT, case.state.present
    yield FactName.CAPACITY, case.policy.capacity
    yield FactName.DOOR_ALONE, case.state.is_alone
    yield from _guardian(case)


def _guardian(case: Case) -> _Seen:
    yield FactName.GUARDIAN, case.known_member().is_guardian


def _hours(case: Case) -> _Seen:
    yield FactName.CLOCK_TRUSTED, case.state.clock_is_trusted
    yield FactName.OPEN, case.is_open()
    now = find(case.policy.opening, case.at)
    if now is not None:
        yield FactName.OPEN_UNTIL, now.end
    else:
        index = bisect_right(case.policy.opening, case.at, key=lambda span: span.start)
        later = case.policy.opening[index:]
        yield FactName.OPENS_NEXT, later[0].start if later else None
    yield FactName.PLAN_HOURS, case.has_plan_hours()


def _watch(case: Case) -> _Seen:
    watch = case.state.watch
    yield from _phase(case)
    if watch is not None:
        yield FactName.WATCH_HELD_BY, watch.guardian
        yield FactName.WATCH_TITLE, watch.title
        yield FactName.AUDIENCE, watch.audience
        yield FactName.IN_AUDIENCE, watch.admits(case.known_member())


def _phase(case: Case) -> _Seen:
    yield FactName.WATCH, case.phase() if case.state.watch is not None else None


def _closing(case: Case) -> _Seen:
    watch = case.state.watch
    yield from _phase(case)
    if watch is not None:
        yield FactName.CLOSES_FROM, watch.closes_from()
        yield FactName.CLOSES_BY, watch.closes_by()
    yield from _guardian(case)


def _opens(case: Case) -> _Seen:
    found = case.authorization()
    yield from _guardian(case)
    yield FactName.AUTHORIZATION, found is not None
    if found is not None:
        yield FactName.WATCH_TITLE, found.title
        yield FactName.MAY_OPEN_FROM, found.span.start - found.lead
        yield FactName.MAY_OPEN_UNTIL, found.span.end


def _not_authorized(case: Case) -> _Seen:
    theirs = case.policy.authorizations.get(case.known_member().id, ())
    later = [a.span.start - a.lead for a in theirs if a.span.start - a.lead > case.at]
    yield from _guardian(case)
    yield FactName.MAY_OPEN_FROM, min(later, default=None)


def _nobody(case: Case) -> _Seen:
    yield from _guardian(case)


_SEEN: Final[Mapping[str, Callable[[Case], _Seen]]] = {
    "1": _exit,
    "2": _unknown,
    "3": _badge,
    "4": _cloned,
    "5": _membership,
    "6": _lockdown,
    "7": _door,
    "8": _passback,
    "8b": _level,
    "8c": _reliance,
    "9": _staff,
    "10": _full,
    "11": _hours,
    "12": _watch,
    "12b": _watch,
    "12c": _closing,
    "13": _opens,
    "13b": _not_authorized,
    "14": _nobody,
}
