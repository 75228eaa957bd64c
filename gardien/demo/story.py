"""The day that is played: who comes when, as a list of steps in local time."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from access.ids import DoorId, MemberId
from gardien.demo.cast import GUARDIANS, STAFF, Player

MAIN: Final = DoorId("main")
FABLAB: Final = DoorId("fablab")
ZONE: Final = ZoneInfo("Europe/Paris")

TUESDAY: Final = 1
DESK_CLOSES: Final = time(18, 30)
TALK: Final = (time(19, 30), time(22, 0))
STRANGER: Final = bytes.fromhex("04deadbeef1234")

_MORNING: Final = 26
_LUNCH: Final = 12
_AUDIENCE: Final = 20
_MAKERS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """Somebody presents a badge and, if the door unlocks, walks through."""

    at: datetime
    door: DoorId
    uid: bytes
    reader: Literal["in", "out"] = "in"


@dataclass(frozen=True, slots=True, kw_only=True)
class PressExit:
    """Somebody leaves by the exit button, without a badge."""

    at: datetime
    door: DoorId


@dataclass(frozen=True, slots=True, kw_only=True)
class Guests:
    """A guardian counts guests in or out."""

    at: datetime
    by: MemberId
    change: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recount:
    """Staff look round: those whose badge says so are inside, and nobody else."""

    at: datetime
    by: MemberId


@dataclass(frozen=True, slots=True, kw_only=True)
class PassOn:
    """The guardian offers the watch, and the other one takes it."""

    at: datetime
    by: MemberId
    to: MemberId


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """The guardian begins to close."""

    at: datetime
    by: MemberId


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing happens but what the clock brings about."""

    at: datetime


Step = Tap | PressExit | Guests | Recount | PassOn | Close | Wait


def day(players: Sequence[Player], on: date) -> list[Step]:
    """Give the steps of one day, in order.

    Args:
        players: the cast, staff first, then guardians.
        on: a working day; a Tuesday has the talk in its evening.
    """
    writer = _Writer(players=players, on=on)
    return sorted(writer.steps(), key=lambda step: step.at)


@dataclass(slots=True, kw_only=True)
class _Writer:
    players: Sequence[Player]
    on: date
    dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.on.toordinal())  # noqa: S311 (a play, not a secret)

    def steps(self) -> Iterator[Step]:
        staff, guardians = self.players[:STAFF], self.players[STAFF : STAFF + GUARDIANS]
        members = list(self.players[STAFF + GUARDIANS :])
        self.dice.shuffle(members)
        yield from self._working_day(staff, members)
        if self.on.weekday() == TUESDAY:
            yield from self._evening(guardians, members[_MORNING:])
        else:
            yield self._tap(members[0], time(19, 10))
            yield Wait(at=self._at(time(19, 30)))

    def _working_day(self, staff: Sequence[Player], members: Sequence[Player]) -> Iterator[Step]:
        """The morning rush, lunch, the afternoon in the fab lab, and the desk closing."""
        present = members[:_MORNING]
        yield from self._arrive(staff[:2], time(8, 40), 12)
        yield Tap(at=self._at(time(9, 12)), door=MAIN, uid=STRANGER)
        yield from self._arrive(present, time(9, 0), 90)
        at_lunch = present[:_LUNCH]
        yield from self._leave(at_lunch, time(12, 10), 35)
        yield PressExit(at=self._at(time(12, 40)), door=MAIN)
        yield from self._arrive(at_lunch, time(13, 20), 30)
        yield Recount(at=self._at(time(14, 0)), by=staff[0].id)
        for maker, minutes in zip(present[-_MAKERS:], self._minutes(60), strict=False):
            yield self._tap(maker, self._later(time(14, 30), minutes), door=FABLAB)
        yield from self._leave(present, time(16, 45), 100)
        yield from self._leave(staff[:2], time(18, 32), 4)

    def _evening(self, guardians: Sequence[Player], members: Sequence[Player]) -> Iterator[Step]:
        """The talk: refused before a guardian is there, opened, handed over, closed."""
        first, second, third = guardians[:3]
        audience = members[:_AUDIENCE]
        yield self._tap(audience[0], time(19, 10))
        yield self._tap(third, time(19, 12))
        yield self._tap(first, time(19, 15))
        yield from self._arrive(audience, time(19, 17), 35)
        yield Guests(at=self._at(time(19, 40)), by=first.id, change=5)
        yield self._tap(second, time(19, 44))
        yield Guests(at=self._at(time(19, 50)), by=first.id, change=3)
        yield PassOn(at=self._at(time(20, 45)), by=first.id, to=second.id)
        yield self._tap(first, time(20, 58), reader="out")
        yield from self._leave(audience[:8], time(21, 40), 18)
        yield Guests(at=self._at(time(22, 2)), by=second.id, change=-8)
        yield from self._leave(audience[8:-2], time(22, 0), 10)
        yield Close(at=self._at(time(22, 14)), by=second.id)
        yield self._tap(members[_AUDIENCE], time(22, 15))
        yield from self._leave(audience[-2:], time(22, 16), 3)
        yield self._tap(second, time(22, 21), reader="out")
        yield Wait(at=self._at(time(22, 25)))

    def _arrive(self, who: Sequence[Player], start: time, within_min: int) -> Iterator[Step]:
        for player, minutes in zip(who, self._minutes(within_min, len(who)), strict=True):
            yield self._tap(player, self._later(start, minutes))

    def _leave(self, who: Sequence[Player], start: time, within_min: int) -> Iterator[Step]:
        for player, minutes in zip(who, self._minutes(within_min, len(who)), strict=True):
            yield self._tap(player, self._later(start, minutes), reader="out")

    def _minutes(self, within_min: int, how_many: int = _MAKERS) -> list[float]:
        return sorted(self.dice.uniform(0, within_min) for _ in range(how_many))

    def _tap(
        self,
        player: Player,
        at: time,
        *,
        reader: Literal["in", "out"] = "in",
        door: DoorId = MAIN,
    ) -> Tap:
        return Tap(at=self._at(at), door=door, uid=player.uid, reader=reader)

    def _later(self, start: time, minutes: float) -> time:
        return (datetime.combine(self.on, start) + timedelta(minutes=minutes)).time()

    def _at(self, at: time) -> datetime:
        return datetime.combine(self.on, at, tzinfo=ZONE)
