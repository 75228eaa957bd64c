"""Enrol mode: for a minute, the next card at the way in is made a badge of the site."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from edge.effects import Show
from edge.events import CommandReceived, Moment
from edge.face import Face
from edge.ports import Signal
from edge.wording import notice

ENROL_S: Final = 60.0
"""How long it lasts, in seconds."""

_EPOCH: Final = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """What the next card is to be made.

    Attributes:
        command: the id of the order.
        counter: its first counter; see `first_counter`.
        until: monotonic time at which it is over.
    """

    command: str
    counter: int
    until: float


@dataclass(slots=True, kw_only=True)
class Enrolling:
    """Whether a door is in enrol mode.

    Attributes:
        now: what it is for; None while it is off. Replaced whole, so that any thread may read it.
        language: of who ordered it.
    """

    now: Enrolment | None = None
    language: str = "fr"

    def begin(
        self, order: CommandReceived, face: Face, language: str, now: Moment
    ) -> Iterator[Show]:
        """Begin, or begin anew for another order."""
        self.now = Enrolment(
            command=order.id, counter=first_counter(now.at), until=now.mono + ENROL_S
        )
        self.language = language
        yield face.answer(Signal.ENROL, notice("enrol", language), now.mono)

    def end(self) -> None:
        """It is over; ending it twice is harmless."""
        self.now = None

    def pass_time(self, now: Moment, *, is_clock_trusted: bool) -> None:
        """End it when its time is over, or the time can no longer be told."""
        if self.now is not None and (now.mono >= self.now.until or not is_clock_trusted):
            self.end()

    def is_for(self, command: str | None) -> bool:
        """Whether it is on, by this order."""
        return self.now is not None and self.now.command == command

    @property
    def due(self) -> float | None:
        """When it ends by itself, in monotonic seconds."""
        return self.now.until if self.now is not None else None


def first_counter(at: datetime) -> int:
    """Give the first counter of a card that is enrolled at `at`: the minutes since 2020.

    A card that was ours before, and was made blank, so begins above all that is remembered of it:
    no badge is read once a minute for years. The four bytes last for eight thousand years.
    """
    return max((at - _EPOCH) // timedelta(minutes=1), 1)
