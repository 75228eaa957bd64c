"""The registry of the simulated site: who belongs to it, its hours, its guardians, all versions.

It compiles a real `Policy` each time that something changes, as the server's policy source does.
"""

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from access.badge import digest
from access.calendar import Hours, Window, instant, opening_spans
from access.ids import BadgeDigest, DoorId, MemberId, SiteId
from access.instants import Span
from access.model import (
    Audience,
    Authorization,
    Badge,
    BadgeLevel,
    BadgeStatus,
    Door,
    Member,
    Plan,
    Policy,
    Reader,
    Status,
    Validity,
)
from access.tokens import CardToken
from simulation.cards import Body, enrolled
from simulation.discretion import UID_MARK, Person, person_of
from simulation.world import World

SITE: Final = SiteId("malakoff")
ZONE: Final = ZoneInfo("Europe/Paris")
BADGE_KEY: Final = bytes(range(32))

L1_CARDS: Final = "l1_cards"
L1_AFTER_HOURS: Final = "l1_after_hours"

_RELIED_ON: Final = timedelta(hours=72)
_MOST_AGE: Final = timedelta(hours=6)
_OPENS: Final = time(8, 30)
_CLOSES: Final = time(18, 30)
_BEFORE: Final = timedelta(days=2)
_AHEAD: Final = timedelta(days=8)
_EVERYBODY: Final = frozenset(Plan)
_NOT_NOMADS: Final = frozenset({Plan.RESIDENT, Plan.STAFF, Plan.PARTNER})

DOORS: Final = (
    Door(
        id=DoorId("street"),
        name="Street",
        plans=_EVERYBODY,
        readers=(Reader.IN, Reader.OUT),
    ),
    Door(id=DoorId("yard"), name="Yard", plans=_EVERYBODY),
    Door(id=DoorId("workshop"), name="Workshop", plans=_NOT_NOMADS, unlock_s=8.0),
    Door(id=DoorId("garden"), name="Garden", plans=_EVERYBODY, readers=(Reader.IN, Reader.OUT)),
)


_PEOPLE: Final = (
    *((f"staff-{n}", Plan.STAFF) for n in range(2)),
    *((f"guardian-{n}", Plan.NOMAD if n % 2 else Plan.RESIDENT) for n in range(5)),
    *((f"nomad-{n}", Plan.NOMAD) for n in range(14)),
    *((f"resident-{n}", Plan.RESIDENT) for n in range(5)),
    *((f"partner-{n}", Plan.PARTNER) for n in range(2)),
    *((f"former-{n}", Plan.NOMAD) for n in range(3)),
)

MEMBERS: Final = tuple(name for name, _ in _PEOPLE)
"""Who belongs to the site."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A badge as its holder has it: the UID that the reader sees, and what the site makes of it.

    Attributes:
        body: the card itself, where it is more than its UID: of level L1, or a copy of one.
    """

    uid: bytes
    digest: BadgeDigest
    holder: MemberId
    body: Body | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """One version of the policy, since when it is in force, and when each day then closed."""

    since_s: float
    policy: Policy
    closes: Mapping[date, time]

    def is_open(self, at: datetime) -> bool:
        """Read the hours off the wall clock, as a person at the door would."""
        local = at.astimezone(ZONE)
        return _OPENS <= local.time() < self.closes.get(local.date(), _CLOSES)


@dataclass(slots=True, kw_only=True)
class Rulebook:
    """What the registry holds; changed by staff in mid-evening.

    Attributes:
        cards: everybody's badge, by member.
        lost: badges that nobody has any more, or nobody whom the site knows.
        editions: every version that was ever in force, in order.
        revoked_s: when a badge was revoked, in true seconds.
        level_after_hours: the level that a badge must have outside opening hours.
        enrolled: what each badge of level L1 has shown when it was made.
        persons: who the members are: known here, and nowhere else.
        features: what only some sites have: `L1_CARDS`, `L1_AFTER_HOURS`.
    """

    world: World
    capacity: int
    days: int
    level_after_hours: BadgeLevel = BadgeLevel.L0
    enrolled: dict[BadgeDigest, CardToken] = field(default_factory=dict)
    persons: dict[MemberId, Person] = field(default_factory=dict)
    features: list[str] = field(default_factory=list)
    members: dict[MemberId, Member] = field(default_factory=dict)
    badges: dict[BadgeDigest, Badge] = field(default_factory=dict)
    cards: dict[MemberId, Card] = field(default_factory=dict)
    lost: list[Card] = field(default_factory=list)
    authorizations: dict[MemberId, tuple[Authorization, ...]] = field(default_factory=dict)
    closes: dict[date, time] = field(default_factory=dict)
    editions: list[Edition] = field(default_factory=list)
    revoked_s: dict[BadgeDigest, float] = field(default_factory=dict)
    _is_changed: bool = True

    def policy_of(self, site: SiteId) -> Policy:
        """Give the policy as it is now; compiled anew when something changed or it is old."""
        del site
        now = self.world.now
        if self._is_changed or now >= self.editions[-1].policy.issued + _MOST_AGE:
            self._is_changed = False
            edition = Edition(
                since_s=self.world.now_s, policy=self._compile(now), closes=dict(self.closes)
            )
            self.editions.append(edition)
        return self.editions[-1].policy

    def lately(self, seconds: float) -> list[Edition]:
        """Give the editions that were in force within the last `seconds`."""
        first, found = self.world.now_s - seconds, 0
        while found < len(self.editions):
            found += 1
            if self.editions[-found].since_s < first:
                break
        return self.editions[-found:] if found else []

    def let_go(self, seconds: float) -> None:
        """Forget the editions on which no door may rely any more, but for the last one."""
        old = [one for one in self.editions[:-1] if one.since_s < self.world.now_s - seconds]
        del self.editions[: len(old)]

    def revoke(self, card: Card) -> None:
        """Revoke a badge."""
        known = self.badges[card.digest]
        self.badges[card.digest] = replace(known, status=BadgeStatus.REVOKED)
        self.revoked_s[card.digest] = self.world.now_s
        self._is_changed = True

    def suspend(self, member: MemberId) -> None:
        """Suspend a membership: their badge opens nothing any more."""
        self.members[member] = replace(self.members[member], status=Status.SUSPENDED)
        self.revoked_s[self.cards[member].digest] = self.world.now_s
        self._is_changed = True

    def suspend_badge(self, badge: BadgeDigest) -> None:
        """Suspend a badge of which a copy was seen, as the server's transaction does."""
        known = self.badges[badge]
        if known.status is BadgeStatus.ACTIVE:
            self.badges[badge] = replace(known, status=BadgeStatus.SUSPENDED)
            self.revoked_s.setdefault(badge, self.world.now_s)
            self._is_changed = True

    def become(self, members: dict[MemberId, Member], badges: dict[BadgeDigest, Badge]) -> None:
        """Hold what a real registry holds; what opened a door before and does not now is over."""
        if (members, badges) == (self.members, self.badges):
            return
        before = [one for one in self.badges.values() if _opens(one, self.members)]
        self.members, self.badges = members, badges
        for badge in before:
            known = badges.get(badge.digest)
            if known is None or not _opens(known, members):
                self.revoked_s.setdefault(badge.digest, self.world.now_s)
        self._is_changed = True

    def strike(self, member: MemberId) -> None:
        """Take somebody whom the site knows no more from the lists of its events."""
        self.withdraw(member)
        self.authorizations = {
            guardian: tuple(replace(one, registered=one.registered - {member}) for one in theirs)
            for guardian, theirs in self.authorizations.items()
        }

    def close_at(self, day: date, closes: time) -> None:
        """Change the end of one day's opening hours."""
        self.closes[day] = closes
        self._is_changed = True

    def withdraw(self, guardian: MemberId) -> None:
        """Take a guardian's authorizations away."""
        self.authorizations.pop(guardian, None)
        self._is_changed = True

    def _authorized(self, now: datetime) -> dict[MemberId, tuple[Authorization, ...]]:
        """Give the authorizations of these days, as the server's policy has them."""
        first, last = now - _BEFORE, now + _AHEAD
        near = {
            guardian: tuple(a for a in theirs if first < a.span.end and a.span.start < last)
            for guardian, theirs in self.authorizations.items()
        }
        return {guardian: theirs for guardian, theirs in near.items() if theirs}

    def _compile(self, now: datetime) -> Policy:
        version = int(now.timestamp())
        if self.editions:
            version = max(version, self.editions[-1].policy.version + 1)
        first, last = (now - _BEFORE).date(), (now + _AHEAD).date()
        exceptions = {day: (_window(end),) for day, end in self.closes.items()}
        every_day = {weekday: (_window(_CLOSES),) for weekday in range(7)}
        hours = Hours(weekly=every_day, exceptions=exceptions)
        residents = Hours(weekly={d: (Window(start=time(7), end=time(22)),) for d in range(7)})
        return Policy(
            version=version,
            site=SITE,
            issued=now,
            relies_until=now + _RELIED_ON,
            capacity=self.capacity,
            doors={door.id: door for door in DOORS},
            members=dict(self.members),
            badges=dict(self.badges),
            opening=opening_spans(hours, ZONE, first, last),
            plan_hours={Plan.RESIDENT: opening_spans(residents, ZONE, first, last)},
            authorizations=self._authorized(now),
            level_after_hours=self.level_after_hours,
        )


def _opens(badge: Badge, members: Mapping[MemberId, Member]) -> bool:
    """Whether a badge may open a door at all, whatever the dates say."""
    member = members.get(badge.member)
    is_running = member is not None and member.status is Status.ACTIVE
    return is_running and badge.status is BadgeStatus.ACTIVE


def _window(end: time) -> Window:
    return Window(start=_OPENS, end=end)


def populated(
    world: World,
    *,
    days: int,
    has: Collection[str] | None = None,
    without: Collection[str] = (),
) -> Rulebook:
    """Make a site of some thirty people, with an event or two each evening.

    Args:
        world: decides by its chance.
        days: for so many evenings.
        has: of `L1_CARDS` and `L1_AFTER_HOURS`, what the site has; None: chance decides.
        without: of `L1_CARDS` and `L1_AFTER_HOURS`, what the site shall not have.
    """
    chance = world.chance("site")
    book = Rulebook(world=world, capacity=chance.choice([8, 20, 60]), days=days)
    for name, plan in _PEOPLE:
        _add(book, name, plan, chance)
    _plan_events(book, chance)
    _give_cards(book, has, without)
    return book


def _give_cards(book: Rulebook, has: Collection[str] | None, without: Collection[str]) -> None:
    """Give cards of level L1 to all or half of the members, in half of the sites."""
    chance = book.world.chance("cards")
    has_cards, asks_for_them = chance.random() < 0.5, chance.random() < 0.5  # noqa: PLR2004
    part = chance.choice([0.5, 1.0])
    if has is not None:
        has_cards, asks_for_them = L1_CARDS in has, L1_AFTER_HOURS in has
    if not has_cards or L1_CARDS in without:
        return
    book.features.append(L1_CARDS)
    if asks_for_them and L1_AFTER_HOURS not in without:
        book.features.append(L1_AFTER_HOURS)
        book.level_after_hours = BadgeLevel.L1
    for member, card in book.cards.items():
        if chance.random() < part:
            body, token = enrolled(card.uid, chance)
            book.cards[member] = replace(card, body=body)
            book.badges[card.digest] = replace(book.badges[card.digest], level=BadgeLevel.L1)
            book.enrolled[card.digest] = token


def _add(book: Rulebook, name: str, plan: Plan, chance: Random) -> None:
    member = MemberId(name)
    former = name.startswith("former")
    book.members[member] = Member(
        id=member,
        plan=plan,
        status=chance.choice([Status.SUSPENDED, Status.ENDED]) if former else Status.ACTIVE,
        is_guardian=name.startswith("guardian"),
        language=chance.choice(["fr", "en"]),
    )
    book.persons[member] = person_of(len(book.persons))
    card = card_of(member, chance, book.badges)
    expires = book.world.start + timedelta(hours=chance.uniform(1, 8))
    validity = Validity(until=expires) if chance.random() < 0.05 else Validity()  # noqa: PLR2004
    book.cards[member] = card
    book.badges[card.digest] = Badge(digest=card.digest, member=member, validity=validity)


def card_of(holder: MemberId, chance: Random, taken: Container[str] = frozenset()) -> Card:
    """Make a badge, known to nobody yet."""
    rest = chance.randbytes(chance.choice([4, 7]))[len(UID_MARK) :]
    while digest(UID_MARK + rest, BADGE_KEY) in taken:
        rest = (int.from_bytes(rest) + 1).to_bytes(len(rest) + 1)[1:]
    uid = UID_MARK + rest
    return Card(uid=uid, digest=digest(uid, BADGE_KEY), holder=holder)


def _plan_events(book: Rulebook, chance: Random) -> None:
    guardians = [m for m in book.members if book.members[m].is_guardian]
    first = book.world.start.astimezone(ZONE).date()
    granted: dict[MemberId, list[Authorization]] = {}
    for day in range(book.days):
        on = first + timedelta(days=day)
        for starts, lasts_h in _evening(chance):
            start = instant(datetime.combine(on, starts), ZONE, is_end=False)
            if starts.hour < 12:  # noqa: PLR2004 (after midnight)
                start += timedelta(days=1)
            span = Span(start=start, end=start + timedelta(hours=lasts_h))
            event = f"event-{on}-{starts.hour}"
            audience = chance.choice(list(Audience))
            listed = frozenset(m for m in sorted(book.members) if chance.random() < 0.5)  # noqa: PLR2004
            for guardian in chance.sample(guardians, chance.choice([1, 2, 3])):
                one = Authorization(
                    id=f"{event}/{guardian}",
                    guardian=guardian,
                    span=span,
                    title=event,
                    audience=audience,
                    registered=listed if audience is Audience.REGISTERED else frozenset(),
                )
                granted.setdefault(guardian, []).append(one)
    book.authorizations = {
        guardian: tuple(sorted(theirs, key=lambda a: a.span.start))
        for guardian, theirs in sorted(granted.items())
    }


def _evening(chance: Random) -> list[tuple[time, float]]:
    evening = (time(19, 0), chance.choice([1.5, 2.0, 3.0]))
    late = (time(23, 0), 2.5)
    night = (time(1, 30), 2.0)
    return [evening, *[one for one in (late, night) if chance.random() < 0.3]]  # noqa: PLR2004
