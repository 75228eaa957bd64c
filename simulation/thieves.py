"""The thieves: they copy cards of level L1 whole, or their UID alone, and come in with the copies.

When the copy is used for the first time, before or after its owner's next visit, is left to chance;
and a thief who knows how the tokens roll pulls the copy away on purpose, to get ahead of its owner.
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
        chance = self.world.chance("cards/thieves")
        owners = [card for card in self.rules.cards.values() if card.body is not None]
        for owner in chance.sample(owners, min(len(owners), chance.choice([2, 3, 5]))):
            self.world.after(chance.uniform(0.0, hours * 1800.0), partial(self._copy, owner))

    def examine(self, doors: list[DoorNode]) -> float:
        """Let owner and copy come in turn, when all is well: then a copy is found.

        Returns:
            How long it takes, in seconds.
        """
        wait_s = 0.0
        for owner, copy in self.copies:
            for card in (owner, copy, owner, copy):
                who = f"exam: {card.body.name if card.body else ''} {card.holder}"
                self.world.after(wait_s, partial(doors[0].tap, Reader.IN, card, who))
                wait_s += EXAM_STEP_S
        return wait_s

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
            self.world.after(at_s, lambda: self._come(copy, is_cunning=is_cunning))
            at_s += chance.expovariate(1 / _BETWEEN_S)

    def _come(self, copy: Card, *, is_cunning: bool) -> None:
        if self.people.is_over or copy.body is None:
            return
        chance = self.world.chance("cards/thieves")
        door = chance.choice(list(self.people.doors.values()))
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
