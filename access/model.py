"""What the rules know of members, badges, doors and guardians: no names, only what decides."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, IntEnum

from access.ids import BadgeDigest, DoorId, MemberId, SiteId
from access.instants import Span, find
from access.overlaps import Overlaps


class Plan(Enum):
    """What a member pays for, or is."""

    NOMAD = "nomad"
    RESIDENT = "resident"
    STAFF = "staff"
    PARTNER = "partner"


class Status(Enum):
    """Whether a membership runs."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    ENDED = "ended"


class BadgeStatus(Enum):
    """Whether a badge may be used; `SUSPENDED` when a copy of it was seen."""

    ACTIVE = "active"
    LOST = "lost"
    REVOKED = "revoked"
    SUSPENDED = "suspended"


class BadgeLevel(IntEnum):
    """How hard a badge is to copy; see *Badges differ* in `rules.md`."""

    L0 = 0
    L1 = 1
    L3 = 3


class Audience(Enum):
    """Whom an event, and the watch held for it, is for."""

    MEMBERS = "members"
    REGISTERED = "registered"
    PUBLIC = "public"


class AntiPassback(Enum):
    """What happens when a member who is inside badges in again."""

    SOFT = "soft"
    HARD = "hard"


class Reader(Enum):
    """Which way a reader lets people pass."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """From when, and until when, something holds; None for no bound. `until` does not belong."""

    since: datetime | None = None
    until: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Whether `at` is within the bounds."""
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member, as far as the rules need them."""

    id: MemberId
    plan: Plan
    status: Status = Status.ACTIVE
    validity: Validity = Validity()
    is_guardian: bool = False
    language: str = "fr"

    @property
    def is_staff(self) -> bool:
        """Whether the member is staff of the place."""
        return self.plan is Plan.STAFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """One RFID card of one member."""

    digest: BadgeDigest
    member: MemberId
    status: BadgeStatus = BadgeStatus.ACTIVE
    validity: Validity = Validity()
    level: BadgeLevel = BadgeLevel.L0


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One access point and who may use it."""

    id: DoorId
    name: str
    plans: frozenset[Plan]
    readers: tuple[Reader, ...] = (Reader.IN,)
    has_contact: bool = True
    unlock_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """The right of one guardian to open the site in a span of time.

    Attributes:
        id: of the grant or of the event's occurrence; unique in a policy.
        guardian: who may open.
        span: the time of the event, or of the grant, without lead and grace.
        lead: how long before `span.start` the watch may be opened.
        grace: how long after `span.end` the watch must be over.
        title: of the event, for people; None for a direct grant.
        audience: whom the watch admits.
        registered: who is on the list, for the audience `registered`.
    """

    id: str
    guardian: MemberId
    span: Span
    lead: timedelta = timedelta(minutes=30)
    grace: timedelta = timedelta(minutes=30)
    title: str | None = None
    audience: Audience = Audience.MEMBERS
    registered: frozenset[MemberId] = frozenset()

    def allows_opening(self, at: datetime) -> bool:
        """Whether a watch may be opened at `at`: from the lead's start up to the event's end."""
        return self.span.start - self.lead <= at < self.span.end

    def allows_holding(self, at: datetime) -> bool:
        """Whether a watch may be held at `at`: from the lead's start up to the grace's end."""
        return self.span.start - self.lead <= at < self.over_by

    @property
    def over_by(self) -> datetime:
        """When a watch under this authorization must be over."""
        return self.span.end + self.grace


class _Reaching:
    """Room for what a policy works out once; no field, so it neither travels nor is compared."""

    __slots__ = ("_reaching",)

    _reaching: Mapping[MemberId, Overlaps[Authorization]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(_Reaching):
    """An immutable snapshot of all that decides at one site.

    Spans are in order and don't overlap; authorizations of a guardian are in order of start.

    Attributes:
        version: grows with each change.
        relies_until: until when a door on its own may rely on it.
        opening: opening hours, around the time of the snapshot.
        plan_hours: extra hours of a plan.
        level_after_hours: the badge level that is asked for outside opening hours.
        longest_watch: how long a watch lasts unless its guardian badges in again.
    """

    version: int
    site: SiteId
    issued: datetime
    relies_until: datetime
    capacity: int
    doors: Mapping[DoorId, Door]
    members: Mapping[MemberId, Member] = field(default_factory=dict)
    badges: Mapping[BadgeDigest, Badge] = field(default_factory=dict)
    opening: tuple[Span, ...] = ()
    plan_hours: Mapping[Plan, tuple[Span, ...]] = field(default_factory=dict)
    authorizations: Mapping[MemberId, tuple[Authorization, ...]] = field(default_factory=dict)
    anti_passback: AntiPassback = AntiPassback.SOFT
    level_after_hours: BadgeLevel = BadgeLevel.L0
    closing_delay: timedelta = timedelta(minutes=15)
    sweep_after: timedelta = timedelta(minutes=30)
    longest_watch: timedelta = timedelta(hours=12)
    watch_rate: str = "1.0"

    def __post_init__(self) -> None:
        """Prepare to find authorizations without looking at them all."""
        reaching = {
            guardian: Overlaps((a.span.start - a.lead, a.over_by, a) for a in theirs)
            for guardian, theirs in self.authorizations.items()
        }
        object.__setattr__(self, "_reaching", reaching)

    def is_open(self, at: datetime) -> bool:
        """Whether `at` is within opening hours."""
        return find(self.opening, at) is not None

    def has_plan_hours(self, plan: Plan, at: datetime) -> bool:
        """Whether `at` is within the extra hours of `plan`."""
        return find(self.plan_hours.get(plan, ()), at) is not None

    def authorization(self, guardian: MemberId, at: datetime) -> Authorization | None:
        """Find the authorization under which `guardian` may open a watch at `at`.

        Where several do, the one that lasts longest serves, so that none is cut short.
        """
        fitting = [a for a in self._around(guardian, at) if a.allows_opening(at)]
        return max(fitting, key=lambda a: (a.over_by, a.id), default=None)

    def holding(self, guardian: MemberId, at: datetime) -> Authorization | None:
        """Find the authorization under which `guardian` may take a watch over at `at`."""
        fitting = [a for a in self._around(guardian, at) if a.allows_holding(at)]
        return max(fitting, key=lambda a: (a.over_by, a.id), default=None)

    def _around(self, guardian: MemberId, at: datetime) -> Iterator[Authorization]:
        theirs = self._reaching.get(guardian)
        return iter(()) if theirs is None else theirs.at(at)

    def is_guardian(self, member: MemberId) -> bool:
        """Whether `member` is a guardian whose membership is active."""
        known = self.members.get(member)
        return known is not None and known.is_guardian and known.status is Status.ACTIVE
