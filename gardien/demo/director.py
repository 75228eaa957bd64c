"""Plays the steps of a day: moves the clock, sends people to doors, speaks for the guardians."""

import logging
import random
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from access.ids import DoorId, MemberId
from edge.simulated.client import DoorRefusedError, DoorSilentError, ask, tap
from edge.simulated.messages import ExitButton
from gardien.demo.cast import Player
from gardien.demo.site import SITE
from gardien.demo.story import (
    MAIN,
    Close,
    Guests,
    PassOn,
    PressExit,
    Recount,
    Step,
    Tap,
    Wait,
)
from runtime.clock import DemoClock
from server.desk import DeskError
from server.events import (
    CloseAsked,
    DeskEvent,
    GuestsChanged,
    Recounted,
    WatchOffered,
    WatchTaken,
)
from server.gatehouse import Gatehouse

_log = logging.getLogger(__name__)

_PAUSE_S: Final = 0.4
_TRICKLE_S: Final = (3.0, 8.0)


class Director:
    """Plays a story on the doors of a site.

    Args:
        clock: moved ahead from step to step.
        gatehouse: for what people do at the desk.
        sockets: the world of each door.
        stop: set to break off.
    """

    def __init__(
        self,
        *,
        clock: DemoClock,
        gatehouse: Gatehouse,
        sockets: Mapping[DoorId, Path],
        stop: threading.Event,
    ) -> None:
        self._clock, self._gatehouse = clock, gatehouse
        self._sockets, self._stop = sockets, stop

    def play(self, steps: Sequence[Step]) -> None:
        """Play steps in order; blocks until the last is done, or `stop` is set."""
        for step in steps:
            if self._stop.is_set():
                return
            self._clock.leap_to(step.at)
            self._do(step)

    def go_on(self, players: Sequence[Player], until: datetime) -> None:
        """Let members come and go at the pace of life, until `until` or `stop`; blocks."""
        dice = random.Random()  # noqa: S311 (a play, not a secret)
        while not self._stop.wait(dice.uniform(*_TRICKLE_S)) and self._clock.now() < until:
            player = dice.choice(players)
            inside = self._gatehouse.look(SITE).presence.inside
            way: Literal["in", "out"] = "out" if player.id in inside else "in"
            self._do(Tap(at=self._clock.now(), door=MAIN, uid=player.uid, reader=way))

    def _do(self, step: Step) -> None:
        try:
            match step:
                case Tap():
                    tap(
                        self._sockets[step.door],
                        uid=step.uid,
                        reader=step.reader,
                        open_ms=100,
                    )
                case PressExit():
                    ask(self._sockets[step.door], ExitButton())
                case Wait():
                    self._stop.wait(2 * _PAUSE_S)
                case _:
                    self._speak(step)
        except (DeskError, DoorRefusedError, DoorSilentError) as error:
            _log.warning("a step of the play came to nothing: %s", error)

    def _speak(self, step: Guests | Recount | PassOn | Close) -> None:
        """Do what people do at the desk, once the doors have told what went before."""
        self._stop.wait(_PAUSE_S)
        match step:
            case Guests():
                self._desk(GuestsChanged(by=step.by, change=step.change))
            case Recount():
                inside = tuple(self._gatehouse.look(SITE).presence.inside)
                self._desk(Recounted(by=step.by, members=inside, guests=0))
            case PassOn():
                self._desk(WatchOffered(by=step.by, to=step.to))
                self._stop.wait(_PAUSE_S)
                self._desk(WatchTaken(by=step.to))
            case Close():
                self._desk(CloseAsked(by=step.by))

    def _desk(self, event: DeskEvent) -> None:
        self._gatehouse.handle(SITE, [event], self._clock.now())


def names_of(players: Sequence[Player]) -> dict[MemberId, str]:
    """Give the names of the cast by their ids."""
    return {player.id: player.name for player in players}


def office_hours(day: datetime) -> tuple[datetime, datetime]:
    """Give the part of a day in which life goes on after the play: from ten to five."""
    start = day.replace(hour=10, minute=0, second=0, microsecond=0)
    return start, start + timedelta(hours=7)
