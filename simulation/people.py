"""The people: they badge, wait for the green light, hold the door for others, forget, prop, leave.

They see what a person sees: whether the door opens. They know nothing of the machines.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from access.ids import DoorId, MemberId
from access.model import Authorization, Reader
from server.events import (
    CloseAsked,
    GuestsChanged,
    RecountedTotal,
    RollCallSigned,
    WatchOffered,
    WatchTaken,
)
from simulation.cards import LONGEST_VISIT
from simulation.doors import DoorNode
from simulation.rulebook import Card, Rulebook, card_of
from simulation.servers import ServerNode
from simulation.world import World

_LOOKS_AFTER_S: Final = (0.7, 1.6, 2.9)
_HALF: Final = 0.5
_PULLED: Final = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What people do wrong this time; each seed has some of these habits.

    Attributes:
        props: they leave doors open.
        tailgates: they go in with others, without a badge.
        turns_away: they badge and do not open.
        impatient: they badge again and again.
        forgets: guardians leave without closing, members without badging.
        forces: somebody forces a door.
        hands_over: guardians pass the watch on.
        counts_guests: guardians count guests, and people, on the page.
        holds: guardians hold the door unlocked (passage mode).
        strangers: lost and unknown badges are tried.
        pulls: they pull cards of level L1 away too soon.
        copies: thieves copy cards of level L1, and come with the copies.
    """

    props: bool = False
    tailgates: bool = False
    turns_away: bool = False
    impatient: bool = False
    forgets: bool = False
    forces: bool = False
    hands_over: bool = False
    counts_guests: bool = False
    holds: bool = False
    strangers: bool = False
    pulls: bool = False
    copies: bool = False


@dataclass(slots=True, kw_only=True)
class People:
    """Everybody who comes to the site.

    Attributes:
        inside: who is truly inside.
        absent: who never comes, by name.
        from_s: until when nobody comes, in true seconds.
        is_over: whether nobody comes any more.
        on_visit: told of each card that is held to a way in, and where: others may follow.
    """

    world: World
    rules: Rulebook
    doors: dict[DoorId, DoorNode]
    server: ServerNode
    habits: Habits
    inside: set[MemberId] = field(default_factory=set)
    absent: Container[str] = frozenset()
    from_s: float = 0.0
    is_over: bool = False
    on_visit: Callable[[Card, DoorNode], None] = lambda _card, _door: None

    def plan(self, hours: float) -> None:
        """Decide who comes when, within the next `hours`."""
        chance = self.world.chance("people")
        for day in range(max(1, round(hours / 24))):
            day_s = day * 86400.0
            for member in self.rules.members:
                for _ in range(chance.choice([0, 1, 1, 2, 3])):
                    at_s = day_s + chance.triangular(0.0, min(hours, 10.0) * 3600.0, 4 * 3600.0)
                    self.world.after(at_s, partial(self.visit, member))
        for guardian, theirs in self.rules.authorizations.items():
            for one in theirs:
                self.plan_guardian(guardian, one)
        self._plan_mischief(hours)

    def visit(self, member: MemberId) -> None:
        """Come to a door, go in if it opens, leave some time later."""
        if self.is_away or member in self.inside or member in self.absent:
            return
        if member not in self.rules.cards:
            return
        door = self._some_door()
        self.go_in(door, self.rules.cards[member], tries=2)

    @property
    def is_away(self) -> bool:
        """Whether nobody comes now."""
        return self.is_over or self.world.now_s < self.from_s

    def go_in(self, door: DoorNode, card: Card, *, tries: int) -> None:
        """Badge, look whether the door opens, and go in."""
        if self.is_over:
            return
        self._present(door, card)
        if self.habits.impatient and self._sometimes(0.3):
            self.world.count("impatient")
            again_s = self.world.chance("people").choice([0.05, 0.3, 1.2])
            self.world.after(again_s, lambda: self._present(door, card))
        for number, seconds in enumerate(_LOOKS_AFTER_S):
            is_last = number == len(_LOOKS_AFTER_S) - 1
            self.world.after(seconds, partial(self._look, door, card, tries, is_last))

    def _present(self, door: DoorNode, card: Card) -> None:
        """Hold a card to the way in, perhaps for too short a time."""
        chance = self.world.chance("cards")
        if card.body is not None and self.habits.pulls and chance.random() < _PULLED:
            card.body.leaves_after = chance.randrange(LONGEST_VISIT + 2)
        door.tap(Reader.IN, card, card.holder)
        self.on_visit(card, door)

    def _look(self, door: DoorNode, card: Card, tries: int, is_last: bool) -> None:  # noqa: FBT001 (named above)
        if card.holder in self.inside:
            return
        if not door.is_free:
            if is_last and tries > 1 and self._sometimes(0.3):
                self.world.after(5.0, lambda: self.go_in(door, card, tries=tries - 1))
            return
        if self.habits.turns_away and self._sometimes(0.1):
            self.world.count("turned_away")
            return
        self._pass_in(door, card.holder)

    def _pass_in(self, door: DoorNode, member: MemberId) -> None:
        chance = self.world.chance("people")
        self.inside.add(member)
        self.through(door)
        if self.habits.tailgates and self._sometimes(0.15):
            self.world.count("tailgated")
            self.world.tell(door.id, "tailgated")
        if self.habits.counts_guests and self._sometimes(0.3):
            self.world.after(30.0, lambda: self._guests(member))
        stays_s = chance.choice([120.0, 1800.0, 3600.0, 7200.0]) * chance.uniform(0.5, 1.5)
        if member not in self.rules.authorizations:
            self.world.after(stays_s, lambda: self.leave(member))

    def leave(self, member: MemberId) -> None:
        """Go out, by badge where there is a reader and they think of it, else by the button."""
        if member not in self.inside:
            return
        self.inside.discard(member)
        door = self._some_door()
        forgets = self.habits.forgets and self._sometimes(0.3)
        card = self.rules.cards.get(member)
        if Reader.OUT in door.readers and not forgets and card is not None:
            door.tap(Reader.OUT, card, member)
            self.world.after(1.0, lambda: self._out(door))
        else:
            self.press(door)

    def evacuate(self) -> None:
        """A fire alarm: all go out by the next door, without a badge; and somebody slips in."""
        chance = self.world.chance("faults/fire")
        for member in sorted(self.inside):
            self.world.after(chance.uniform(5.0, 120.0), partial(self._flee, member))
        if chance.random() < _HALF:
            self.world.count("came_in_by_fire")
            door = chance.choice(list(self.doors.values()))
            self.world.after(chance.uniform(10.0, 60.0), partial(self._flee_through, door))

    def _flee(self, member: MemberId) -> None:
        if member in self.inside:
            self.inside.discard(member)
            self.world.count("evacuated")
            door = self.world.chance("faults/fire").choice(list(self.doors.values()))
            self._flee_through(door)

    def _flee_through(self, door: DoorNode) -> None:
        if door.is_free:
            self.through(door)
        else:
            self.press(door)

    def _out(self, door: DoorNode) -> None:
        """Where the badge does not free the door, the button does."""
        if door.is_free:
            self.through(door)
        else:
            self.world.count("badge_did_not_free")
            self.press(door)

    def press(self, door: DoorNode) -> None:
        """Go out by the exit button."""
        door.press(is_down=True)
        self.world.after(0.4, lambda: self.through(door))
        self.world.after(0.6, lambda: door.press(is_down=False))

    def through(self, door: DoorNode) -> None:
        """Open a door, pass, and let it close, if need be after a long while."""
        if door.is_leaf_open:
            return
        door.swing(is_open=True)
        open_s = self.world.chance("people").uniform(1.0, 5.0)
        if self.habits.props and self._sometimes(0.08):
            self.world.count("propped")
            open_s = self.world.chance("people").uniform(40.0, 900.0)
        self.world.after(open_s, lambda: door.swing(is_open=False))

    def plan_guardian(self, guardian: MemberId, one: Authorization) -> None:
        """Decide when a guardian comes for an evening, and when they leave."""
        chance = self.world.chance("people")
        if chance.random() < 0.1:  # noqa: PLR2004 (does not come)
            self.world.count("guardian_absent")
            return
        opens = one.span.start - timedelta(minutes=chance.uniform(-15, 45))
        leaves = one.span.end + timedelta(minutes=chance.uniform(-40, 70))
        self._at(opens, lambda: self.visit(guardian))
        self._at(opens + timedelta(minutes=20), lambda: self.visit(guardian))
        self._at(leaves, lambda: self._end_evening(guardian))
        if self.habits.hands_over:
            between = one.span.start + (one.span.end - one.span.start) / 2
            self._at(between, lambda: self._hand_over(guardian))
        if self.habits.holds:
            self._at(one.span.start + timedelta(minutes=25), lambda: self._hold(guardian))

    def _end_evening(self, guardian: MemberId) -> None:
        if guardian not in self.inside:
            return
        if self.habits.forgets and self._sometimes(_HALF):
            self.world.count("guardian_forgot")
            self.inside.discard(guardian)
            self.press(self._some_door())
            return
        if self._sometimes(_HALF) and self.server.at_desk(CloseAsked(by=guardian)):
            self.world.count("closed_at_desk")
            if self._sometimes(_HALF):
                self.world.after(300.0, lambda: self.server.at_desk(RollCallSigned(by=guardian)))
        self.leave(guardian)

    def _hand_over(self, guardian: MemberId) -> None:
        others = [m for m in self.rules.authorizations if m in self.inside and m != guardian]
        if others:
            to = self.world.chance("people").choice(others)
            if self.server.at_desk(WatchOffered(by=guardian, to=to)):
                self.world.after(40.0, lambda: self._take(to))

    def _take(self, guardian: MemberId) -> None:
        if self.server.at_desk(WatchTaken(by=guardian)):
            self.world.count("handed_over")

    def _hold(self, guardian: MemberId) -> None:
        """Two reads of the guardian's badge at one door."""
        if guardian in self.inside and guardian in self.rules.cards:
            door, card = self._some_door(), self.rules.cards[guardian]
            self.world.count("tried_to_hold")
            door.tap(Reader.IN, card, guardian)
            self.world.after(2.0, lambda: door.tap(Reader.IN, card, guardian))

    def _guests(self, member: MemberId) -> None:
        chance = self.world.chance("people")
        if chance.random() < 0.2:  # noqa: PLR2004
            self.server.at_desk(RecountedTotal(by=member, people=len(self.inside)))
        else:
            self.server.at_desk(GuestsChanged(by=member, change=chance.choice([-2, -1, 1, 2, 3])))

    def _plan_mischief(self, hours: float) -> None:
        chance = self.world.chance("people")
        if self.habits.forces:
            self.world.after(chance.uniform(0, hours * 3600), self._force)
        if self.habits.strangers:
            for _ in range(6):
                self.world.after(chance.uniform(0, hours * 3600), self._strange)

    def _force(self) -> None:
        if self.is_away:
            return
        self.world.count("forced")
        self.through(self._some_door())

    def _strange(self) -> None:
        """Somebody tries a badge that is not theirs, or no badge of the site's."""
        if self.is_away:
            return
        chance = self.world.chance("people")
        found = [*self.rules.cards.values(), *self.rules.lost]
        if chance.random() < _HALF:
            self.world.count("unknown_badge")
            card = card_of(MemberId("stranger"), chance)
        else:
            self.world.count("found_badge")
            card = chance.choice(found)
        self.try_found(card)

    def try_found(self, card: Card) -> None:
        """Somebody tries a badge that is not theirs."""
        if not self.is_away:
            self._some_door().tap(Reader.IN, card, f"stranger with {card.holder}")

    def _at(self, moment: datetime, what: Callable[[], None]) -> None:
        wait_s = (moment - self.world.now).total_seconds()
        if wait_s > 0:
            self.world.after(wait_s, what)

    def _some_door(self) -> DoorNode:
        return self.world.chance("people").choice(list(self.doors.values()))

    def _sometimes(self, part: float) -> bool:
        return self.world.chance("people").random() < part
