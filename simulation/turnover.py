"""Who joins, leaves, is erased or loses a badge in a year, in a real registry (11).

Each night the registry is told what the evening has changed, some people come and go, and the
evening goes on by what the registry has then: whom it has forgotten, nobody knows any more.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection

from access.ids import BadgeDigest, MemberId
from access.model import BadgeLevel, BadgeStatus, Member, Plan, Status, Validity
from server import accounts, badge_tokens, registry
from server.erasure import erase
from simulation import rows
from simulation.archive import Archive
from simulation.cards import enrolled
from simulation.discretion import Person, person_of
from simulation.rulebook import SITE, card_of

if TYPE_CHECKING:
    from simulation.evening import Evening

_LEAVES: Final = 0.2
_HAS_A_DATE: Final = 0.5
_IS_ERASED: Final = 0.12
_LOSES: Final = 0.25
_JOINS: Final = 0.4
_MAKES_A_TOKEN: Final = 0.3
_ENDS_A_TOKEN: Final = 0.2
_HALF: Final = 0.5
_FEWEST: Final = 15
_LISTED: Final = 6
_TOMORROW_S: Final = 12 * 3600.0
_DAY: Final = timedelta(days=1)
_STAYS: Final = "staff"
_A_HASH: Final = accounts.PasswordHash("x")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """Somebody whom the registry knew once.

    Attributes:
        since: when it was seen that it knows them no more.
    """

    member: MemberId
    person: Person
    badges: tuple[BadgeDigest, ...]
    since: datetime


@dataclass(slots=True, kw_only=True)
class Turnover:
    """Lets people come and go.

    Attributes:
        gone: whom the registry has forgotten, or was made to forget.
        erased: who was erased since the last night.
        left: when a membership ended that was once running.
        badges: all that there ever were, by who had them.
        found: in which night it was last decided that an old badge is found the next day.
        secrets: that were given to programs and browsers, and are kept nowhere.
    """

    archive: Archive
    gone: dict[MemberId, Gone] = field(default_factory=dict)
    erased: list[Person] = field(default_factory=list)
    left: dict[MemberId, datetime] = field(default_factory=dict)
    badges: dict[MemberId, list[BadgeDigest]] = field(default_factory=dict)
    found: dict[BadgeDigest, datetime] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    _newcomers: list[MemberId] = field(default_factory=list)
    _numbered: int = 0

    def live(self, evening: "Evening") -> None:
        """Tell the registry what the day has changed, and let people come and go. Blocks."""
        now, rules = evening.world.now, evening.rules
        with self.archive.database.writing() as connection:
            if not self.badges:
                self._populate(connection, evening)
            rows.keep_statuses(connection, rules)
            rows.keep_tokens(connection, evening.books)
            self._come_and_go(connection, evening)
            self.secrets += rows.use_pages(connection, evening.world.chance("turnover"), now)
        if self.erased:
            self.archive.forgetter.wipe()

    def settle(self, evening: "Evening") -> None:
        """Go on by what the registry has now. Blocks for the database."""
        rules = evening.rules
        with self.archive.database.reading() as connection:
            people = registry.list_members(connection, SITE)
            badges = registry.list_badges(connection)
            evening.books.tokens = rows.tokens_of(connection, [one.id for one in people])
        for member in [one for one in rules.members if one not in {p.id for p in people}]:
            self._is_gone(evening, member)
        rules.become(
            {person.id: person.for_rules() for person in people},
            {badge.digest: badge.for_rules() for badge in badges},
        )
        for member in self._newcomers:
            _plan_tomorrow(evening, member)
        chance = evening.world.chance("turnover")
        if rules.lost and chance.random() < _HALF:
            card = chance.choice(rules.lost)
            self.found[card.digest] = evening.world.now
            evening.world.count("old_badge_found")
            wait_s = chance.uniform(0.0, _DAY.total_seconds())
            evening.world.after(wait_s, partial(evening.people.try_found, card))

    def ever(self) -> frozenset[str]:
        """Give the ids of all who ever were members, and the digests of all their badges."""
        return frozenset(
            [*self.badges, *(one for theirs in self.badges.values() for one in theirs)]
        )

    def _populate(self, connection: Connection, evening: "Evening") -> None:
        rules = evening.rules
        self._numbered = len(rules.persons)
        for member in rules.members:
            card = rules.cards[member]
            rows.enter(connection, rules, member, evening.world.now)
            self.badges[member] = [card.digest]
            badge = rules.badges[card.digest]
            registry.assign_badge(
                connection,
                badge.digest,
                member,
                at=evening.world.now,
                level=badge.level,
                validity=badge.validity,
            )
            if badge.digest in rules.enrolled:
                token = rules.enrolled[badge.digest]
                badge_tokens.restart(connection, badge.digest, token, None, evening.world.start)

    def _come_and_go(self, connection: Connection, evening: "Evening") -> None:
        chance, rules = evening.world.chance("turnover"), evening.rules
        stay = [m for m in rules.members if not m.startswith(_STAYS)]
        running = [m for m in stay if m not in self.left]
        if chance.random() < _LEAVES and len(running) > _FEWEST:
            self._leave(connection, evening, chance.choice(running))
        if chance.random() < _LOSES:
            self._lose(connection, evening, chance.choice(running))
        if chance.random() < _IS_ERASED and len(stay) > _FEWEST:
            self._erase(connection, evening, chance.choice(stay))
        if chance.random() < _JOINS:
            self._join(connection, evening)

    def _leave(self, connection: Connection, evening: "Evening", member: MemberId) -> None:
        """A membership is ended by hand, or at a date."""
        world = evening.world
        world.count("left")
        self.left[member] = world.now
        self._hand_on(connection, evening, member)
        if world.chance("turnover").random() < _HAS_A_DATE:
            until = world.now + _DAY * world.chance("turnover").uniform(0.1, 5.0)
            self.left[member] = until
            known = registry.find_member(connection, member)
            ends = Validity(since=known.validity.since, until=until)
            registry.change_member(connection, replace(known, validity=ends))
        else:
            registry.change_status(connection, member, Status.ENDED)

    def _erase(self, connection: Connection, evening: "Evening", member: MemberId) -> None:
        evening.world.count("erased")
        self._hand_on(connection, evening, member)
        erase(connection, member)
        self.erased.append(evening.rules.persons[member])

    def _lose(self, connection: Connection, evening: "Evening", member: MemberId) -> None:
        """A badge is lost, and marked so or deleted; its owner is given another one."""
        rules, chance = evening.rules, evening.world.chance("turnover")
        evening.world.count("lost_a_badge")
        rules.lost.append(rules.cards[member])
        registry.mark_badge(connection, rules.cards[member].digest, BadgeStatus.LOST)
        self._give_card(connection, evening, member, is_l1=chance.random() < _HALF)

    def _join(self, connection: Connection, evening: "Evening") -> MemberId:
        rules, chance = evening.rules, evening.world.chance("turnover")
        evening.world.count("joined")
        member, plan = (
            MemberId(f"joined-{self._numbered}"),
            chance.choice([Plan.NOMAD, Plan.RESIDENT]),
        )
        rules.members[member] = Member(id=member, plan=plan)
        rules.persons[member] = person_of(self._numbered)
        self._numbered += 1
        rows.enter(connection, rules, member, evening.world.now)
        self.badges[member] = []
        self._give_card(connection, evening, member, is_l1=True)
        self._newcomers.append(member)
        return member

    def _give_card(
        self, connection: Connection, evening: "Evening", member: MemberId, *, is_l1: bool
    ) -> None:
        rules, now, chance = evening.rules, evening.world.now, evening.world.chance("turnover")
        card = card_of(member, chance, self.ever())
        if is_l1:
            body, token = enrolled(card.uid, chance)
            card = replace(card, body=body)
            registry.enrol_badge(connection, card.digest, member, token=token, request=None, at=now)
        else:
            registry.assign_badge(connection, card.digest, member, at=now, level=BadgeLevel.L0)
        rules.cards[member] = card
        self.badges[member].append(card.digest)
        evening.witness.discretion.guard(one.uid for one in (*rules.cards.values(), *rules.lost))

    def _hand_on(self, connection: Connection, evening: "Evening", guardian: MemberId) -> None:
        """Another one answers for the evenings of a guardian who leaves."""
        rules, now = evening.rules, evening.world.now
        theirs = [a for a in rules.authorizations.get(guardian, ()) if a.span.start > now]
        rules.withdraw(guardian)
        if not theirs:
            return
        heir = self._join(connection, evening)
        person = replace(registry.find_member(connection, heir), is_guardian=True)
        registry.change_member(connection, person)
        rules.authorizations[heir] = tuple(
            replace(one, id=f"{one.title}/{heir}", guardian=heir) for one in theirs
        )
        for one in rules.authorizations[heir]:
            evening.people.plan_guardian(heir, one)

    def _is_gone(self, evening: "Evening", member: MemberId) -> None:
        rules = evening.rules
        evening.world.count("gone")
        self.gone[member] = Gone(
            member=member,
            person=rules.persons.pop(member),
            badges=tuple(self.badges[member]),
            since=evening.world.now,
        )
        rules.strike(member)
        rules.lost.append(rules.cards.pop(member))
        if member in self._newcomers:
            self._newcomers.remove(member)


def _plan_tomorrow(evening: "Evening", member: MemberId) -> None:
    chance = evening.world.chance("turnover")
    for _ in range(chance.choice([0, 1, 1, 2, 3])):
        at_s = _TOMORROW_S + chance.triangular(0.0, 10 * 3600.0, 4 * 3600.0)
        evening.world.after(at_s, partial(evening.people.visit, member))
