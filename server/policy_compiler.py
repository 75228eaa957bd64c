"""Compile a policy from values: a site's settings, the registry's rows, and the calendar."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from access.calendar import instant
from access.ids import BadgeDigest, DoorId, MemberId, SiteId
from access.instants import Span
from access.model import (
    AntiPassback,
    Audience,
    Authorization,
    Badge,
    BadgeLevel,
    Door,
    Member,
    Plan,
    Policy,
    Reader,
)
from server.calendar_ics import Occurrence
from server.registry import BadgeRecord, Grant, Person
from server.settings import DoorSettings, SiteSettings

RELIED_ON: Final = timedelta(hours=72)
"""How long a door on its own may rely on a policy."""

BEFORE: Final = timedelta(days=2)
"""How far back a policy knows hours and authorizations: records of doors come late."""

AHEAD: Final = timedelta(days=16)
"""How far ahead it does: longer than any door may go on with it."""

_WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """When a site is open, around the time of a policy; spans in order that don't overlap."""

    opening: tuple[Span, ...] = ()
    plans: Mapping[Plan, tuple[Span, ...]]


def horizon(issued: datetime) -> Span:
    """Give the time that a policy issued then covers."""
    return Span(start=issued - BEFORE, end=issued + AHEAD)


def compile_policy(
    site: SiteSettings,
    *,
    version: int,
    issued: datetime,
    people: Iterable[Person],
    badges: Iterable[BadgeRecord],
    grants: Iterable[Grant],
    occurrences: Iterable[Occurrence],
    hours: Hours,
) -> Policy:
    """Compile the policy of a site. Pure.

    Args:
        site: its settings.
        version: more than that of the policy before.
        issued: now.
        people: everybody; who does not belong to the site is left out, with their badges.
        badges: all badges.
        grants: the site's authorizations that stand.
        occurrences: the site's events, unrolled within `horizon(issued)` or more.
        hours: opening and plan hours, likewise.
    """
    known = {person.id: person for person in people if site.id in person.sites}
    # The plus makes a plain timedelta of a setting's, which is all that a snapshot can carry.
    return Policy(
        version=version,
        site=SiteId(site.id),
        issued=issued,
        relies_until=issued + RELIED_ON,
        capacity=site.capacity,
        doors={DoorId(door.id): _door(door) for door in site.doors},
        members=_members(known),
        badges=_badges(badges, known),
        opening=hours.opening,
        plan_hours={plan: spans for plan, spans in hours.plans.items() if spans},
        authorizations=_authorizations(site, horizon(issued), known, grants, occurrences),
        anti_passback=AntiPassback(site.anti_passback),
        level_after_hours=BadgeLevel[site.level_after_hours],
        closing_delay=+site.closing_delay,
        sweep_after=+site.sweep_after,
        longest_watch=+site.longest_watch,
        watch_rate=str(site.rate),
    )


def unrolled(grant: Grant, zone: ZoneInfo, within: Span) -> Iterator[Authorization]:
    """Give the authorizations of a grant that touch `within`, lead and grace included.

    A weekly grant is at the same local time each week, whatever the clock change in between; its
    week is left out where the spring gap swallows it whole.
    """
    first = Authorization(
        id=grant.id,
        guardian=grant.guardian,
        span=grant.span,
        lead=grant.lead,
        grace=grant.grace,
        title=grant.title,
        audience=grant.audience,
    )
    if not grant.is_weekly:
        if _touches(first, within):
            yield first
        return
    for span, day in _weekly(grant, zone, within):
        one = replace(first, id=f"{grant.id}/{day}", span=span)
        if _touches(one, within):
            yield one


def _weekly(grant: Grant, zone: ZoneInfo, within: Span) -> Iterator[tuple[Span, str]]:
    start = grant.span.start.astimezone(zone).replace(tzinfo=None)
    end = grant.span.end.astimezone(zone).replace(tzinfo=None)
    # A week early and a week late, for the clock may change in between; the caller sorts out.
    week = max(0, (within.start - grant.span.end) // _WEEK - 1)
    while grant.span.start + (week - 1) * _WEEK < within.end:
        shift = week * _WEEK
        starts = instant(start + shift, zone, is_end=False) if week else grant.span.start
        ends = instant(end + shift, zone, is_end=True) if week else grant.span.end
        if ends > starts:
            yield (
                Span(start=starts.astimezone(UTC), end=ends.astimezone(UTC)),
                (start + shift).date().isoformat(),
            )
        week += 1


def _touches(authorization: Authorization, within: Span) -> bool:
    opens = authorization.span.start - authorization.lead
    return opens < within.end and authorization.over_by > within.start


def _authorizations(
    site: SiteSettings,
    within: Span,
    known: Mapping[MemberId, Person],
    grants: Iterable[Grant],
    occurrences: Iterable[Occurrence],
) -> dict[MemberId, tuple[Authorization, ...]]:
    zone = ZoneInfo(site.zone)
    found = [one for grant in grants for one in unrolled(grant, zone, within)]
    keys = _keys(known)
    found += [one for event in occurrences for one in _of_event(event, site, keys)]
    by_guardian: defaultdict[MemberId, list[Authorization]] = defaultdict(list)
    for one in found:
        person = known.get(one.guardian)
        if person is not None and person.is_guardian and _touches(one, within):
            by_guardian[one.guardian].append(one)
    return {guardian: _in_order(ones) for guardian, ones in sorted(by_guardian.items())}


def _in_order(ones: Sequence[Authorization]) -> tuple[Authorization, ...]:
    return tuple(sorted(ones, key=lambda one: (one.span.start, one.id)))


def _of_event(
    event: Occurrence, site: SiteSettings, keys: Mapping[str, MemberId]
) -> Iterator[Authorization]:
    registered = frozenset(keys[key] for key in event.attendees if key in keys)
    for guardian in sorted({keys[key] for key in event.guardians if key in keys}):
        yield Authorization(
            id=f"{event.id}/{guardian}",
            guardian=guardian,
            span=event.span,
            lead=+site.lead,
            grace=+site.grace,
            title=event.title or None,
            audience=event.audience,
            registered=registered if event.audience is Audience.REGISTERED else frozenset(),
        )


def _keys(known: Mapping[MemberId, Person]) -> dict[str, MemberId]:
    """Give members by what a calendar calls them: their e-mail, or their id."""
    by_email = {person.email: person.id for person in known.values() if person.email is not None}
    return by_email | {str(id_): id_ for id_ in known}


def _members(known: Mapping[MemberId, Person]) -> dict[MemberId, Member]:
    return {id_: person.for_rules() for id_, person in known.items()}


def _badges(
    badges: Iterable[BadgeRecord], known: Mapping[MemberId, Person]
) -> dict[BadgeDigest, Badge]:
    return {badge.digest: badge.for_rules() for badge in badges if badge.member in known}


def _door(door: DoorSettings) -> Door:
    return Door(
        id=DoorId(door.id),
        name=door.name,
        plans=frozenset(Plan(plan) for plan in door.plans),
        readers=tuple(Reader(reader) for reader in door.readers),
        has_contact=door.contact,
        unlock_s=door.unlock.total_seconds(),
    )
