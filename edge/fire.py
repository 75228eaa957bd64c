"""What a fire alarm means at a door: the panel cuts the lock's power, and the unit only sees it.

While it lasts the door is free by wiring, whatever software does with its relay. So the unit moves
nothing: it alarms, says so, and takes no opening for a forced one. Whoever opens the door without a
badge then is taken to leave.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from edge.contact import Leaf
from edge.effects import Effect, PublishState, note
from edge.events import Moment
from edge.passes import FORCED

CAUSE: Final = "fire"

_BY_NOBODY: Final = frozenset({FORCED, "passage"})


@dataclass(slots=True, kw_only=True)
class FirePanel:
    """Whether the fire panel has freed the door.

    Attributes:
        is_on: whether it has.
    """

    is_on: bool = False

    def changed(
        self, leaf: Leaf, now: Moment, *, is_on: bool, is_released: bool
    ) -> Iterator[Effect]:
        """The panel has cut the lock's power, or gives it back.

        Args:
            leaf: of the door; the time that it is open does not count meanwhile.
            now: when.
            is_on: whether the power is cut.
            is_released: whether the lock is released by software too, so that it stays free.
        """
        if is_on == self.is_on:
            return
        self.is_on = is_on
        if is_on:
            yield note("lock.unlocked", now, cause=CAUSE)
        elif not is_released:
            yield note("lock.locked", now, cause=CAUSE)
        yield from leaf.excuse(now, counts=not is_on)
        yield PublishState()

    def cause_of(self, cause: str) -> str:
        """Say what an opening follows from, given what it would follow from without a fire."""
        return CAUSE if self.is_on and cause in _BY_NOBODY else cause
