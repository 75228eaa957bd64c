"""The thieves: they copy cards of level L1 whole, or their UID alone, and come in with the copies.

When a copy is used for the first time, before or after its owner's next visit, is left to chance.
Some thieves follow the owner to the same door, a moment later; and some know how the tokens roll,
and pull the copy away on purpose, to get ahead of the owner.
"""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from access.model import Reader
from simulation.cards import LONGEST_VISIT
from simulation.doors import DoorNode
from simulation.people import People
from simulation.rulebook import Card, Rulebook
from simulation.world import World

_PART_WHOLE: Final = 0.8
_PART_CUNNING: Final = 0.4
_PART_FOLLOWS: Final = 0.4
_LOOKS_AFTER_S: Final = 0.9
_STAYS_S: Final = 600.0
_BETWEEN_S: Final = 3 * 3600.0
EXAM_STEP_S: Final = 20.0


@dataclass(slots=True, kw_only=True)
class Thieves:
    """Everybody who comes with a copied badge.

    Attributes:
        copies: the cards that were copied, each with its copy.
    """

    world: World
    rules: Rulebook
    people: People
    copies: list[tuple[Card, Card]] = field(default_factory=list)

    def plan(self, hours: float) -> None:
        """Decide whose card is copied when, and when the copy is used."""
        self.people.on_visit = self._follow
        chance = self.world.chance("cards/thieves")
        owners = [card for card in self.rules.cards.values() if card.body is not None]
        for owner in chance.sample(owners, min(len(owners), chance.choice([2, 3, 5]))):
            self.world.after(chance.uniform(0.0, hours * 1800.0), partial(self._copy, owner))

    def examine(self, door: DoorNode) -> float:
        """Let owner and copy come to a door in turn: then a copy is found.

        Returns:
            How long it takes, in seconds.
        """
        wait_s = 0.0
        for owner, copy in self.copies:
            for card in (owner, copy, owner, copy):
                self._later(wait_s, door, card)
                wait_s += EXAM_STEP_S
        return wait_s

    def examine_torn(self, door: DoorNode) -> float:
        """Pull a card away at each moment of its visit; it works at the next all the same.

        Returns:
            How long it takes, in seconds.
        """
        copied = [owner.digest for owner, _ in self.copies]
        cards = [c for c in self.rules.cards.values() if c.body and c.digest not in copied]
        wait_s = 0.0
        for moment in range(LONGEST_VISIT) if cards else ():
            self._later(wait_s, door, cards[0], leaves_after=moment)
            self._later(wait_s + EXAM_STEP_S / 2, door, cards[0])
            wait_s += EXAM_STEP_S
        return wait_s

    def _later(
        self, wait_s: float, door: DoorNode, card: Card, leaves_after: int | None = None
    ) -> None:
        def present() -> None:
            if card.body is not None:
                card.body.leaves_after = leaves_after
                door.tap(Reader.IN, card, f"exam: {card.body.name} {card.holder}")

        self.world.after(wait_s, present)

    def _copy(self, owner: Card) -> None:
        chance = self.world.chance("cards/thieves")
        if owner.body is None:
            return
        is_whole = chance.random() < _PART_WHOLE
        self.world.count("copied_whole" if is_whole else "copied_uid")
        name = f"copy {len(self.copies) + 1} of"
        copy = replace(owner, body=owner.body.copied(name, is_whole=is_whole))
        self.world.tell("thief", "copies", owner.holder)
        self.people.server.witness.copies.made(owner.digest)
        self.copies.append((owner, copy))
        is_cunning = chance.random() < _PART_CUNNING
        at_s = chance.choice([60.0, 1800.0, 6 * 3600.0]) * chance.uniform(0.5, 1.5)
        for _ in range(chance.choice([1, 2, 4])):
            door = chance.choice(list(self.people.doors.values()))
            self.world.after(at_s, partial(self._come, copy, door, is_cunning=is_cunning))
            at_s += chance.expovariate(1 / _BETWEEN_S)

    def _follow(self, card: Card, door: DoorNode) -> None:
        """Come to a door some time after the owner was there."""
        for owner, copy in self.copies:
            chance = self.world.chance("cards/thieves")
            if owner is card and chance.random() < _PART_FOLLOWS:
                wait_s = chance.choice([15.0, 60.0, 600.0])
                self.world.after(wait_s, partial(self._come, copy, door, is_cunning=False))

    def _come(self, copy: Card, door: DoorNode, *, is_cunning: bool) -> None:
        if self.people.is_away or copy.body is None:
            return
        chance = self.world.chance("cards/thieves")
        who = f"{copy.body.name} {copy.holder}"
        if is_cunning:
            for _ in range(chance.choice([2, 6])):
                copy.body.leaves_after = chance.randrange(LONGEST_VISIT // 2, LONGEST_VISIT)
                door.tap(Reader.IN, copy, who)
        door.tap(Reader.IN, copy, who)
        self.world.after(_LOOKS_AFTER_S, lambda: self._look(door))

    def _look(self, door: DoorNode) -> None:
        if door.is_free and not self.people.is_over:
            self.people.through(door)
            self.world.after(_STAYS_S, lambda: self.people.press(door))
