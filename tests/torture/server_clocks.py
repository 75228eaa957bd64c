"""A server whose clock jumps under load (F22): back, ahead, to 1970, over a change of summer time.

Doors' records are taken in by their numbers, whatever the time; nobody is admitted by a watch that
is over by then.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from server import ledger
from server.verify import verify_site
from tests.torture.clock_jumps import RIGHT, FakedClock, no_faketime
from tests.torture.place import SITE, wait_for
from tests.torture.report import Outcome, Run, Torment
from tests.torture.server_disks import wait_for_more
from tests.torture.server_kills import DOORS, ERRORS, doors_of, rounds_of
from tests.torture.server_load import LoadDoor, crowd
from tests.torture.server_place import HOME_S, ServerPlace, no_mosquitto

_SUMMER: Final = datetime(2027, 3, 28, 0, 59, 58, tzinfo=UTC)
"""Two seconds before Paris's clocks go ahead."""

_WINTER: Final = datetime(2027, 10, 31, 0, 59, 58, tzinfo=UTC)
"""Two seconds before they go back."""

_WAYS: Final = ("a day ahead", "1970", "back an hour", "summer time", "winter time")
"""What is done in turn."""

_ALL: Final = 1_000_000
_SOME_S: Final = 1800.0
_PATIENCE_S: Final = 5.0
"""Each look at the clock reads a file: a server that has just started may answer late."""

_WATCH_OVER: Final = frozenset({"a day ahead", "summer time", "winter time"})
"""After these no watch is open, and it is night, or evening."""


def jump(run: Run) -> Outcome:
    """Let the clock of a server jump and come back, again and again."""
    outcome = Outcome()
    clock = FakedClock(run.folder / "server-clock")
    with ServerPlace(run.folder / "p", DOORS) as place:
        place.programs["server"] = "tests.torture.clocked_server"
        place.start_broker()
        place.start_server(["env", *(f"{name}={one}" for name, one in clock.environment.items())])
        try:
            with crowd(place, doors_of(run), patience_s=_PATIENCE_S) as doors:
                it = _Clocked(place=place, doors=doors, clock=clock, outcome=outcome)
                for number in rounds_of(run, outcome):
                    what = _WAYS[(number - 1) % len(_WAYS)]
                    _jump(it, what, f"round {number}, {what}")
                    outcome.count(what)
                _bring_home(place, doors, outcome)
        except ERRORS as error:
            outcome.failures.append(repr(error))
    return outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clocked:
    """A place whose server's clock can be set."""

    place: ServerPlace
    doors: list[LoadDoor]
    clock: FakedClock
    outcome: Outcome


def _jump(it: _Clocked, what: str, where: str) -> None:
    place, doors, clock, outcome = it.place, it.doors, it.clock, it.outcome
    last = _last_id(place)
    clock.set(_setting(place, what))
    wait_for(lambda: _is_there(place, last), f"{where}: the server lives by it", 20)
    begun = _last_id(place)
    wait_for_more(doors, f"{where}: records are taken in", 20)
    time.sleep(0.7)
    if what in _WATCH_OVER:
        late = [one for one in _granted_since(place, begun) if one["member"] is not None]
        outcome.check(where, f"admitted though no watch is open: {late}", is_so=not late)
    clock.set(RIGHT)
    outcome.check(where, "the server died", is_so=place.is_alive("server"))
    wait_for_more(doors, f"{where}: records are taken in afterwards", 20)


def _setting(place: ServerPlace, what: str) -> str:
    """Say what becomes of the clock, as libfaketime has it: a number of seconds that it is off."""
    now = place.inside.clock.now()
    goal = {"1970": datetime(1970, 1, 2, tzinfo=UTC), "summer time": _SUMMER,
            "winter time": _WINTER}.get(what)  # fmt: skip
    if goal is not None:
        return f"{(goal - now).total_seconds():+.0f}"
    return {"a day ahead": "+86400", "back an hour": "-3600"}[what]


def _last_id(place: ServerPlace) -> int:
    with place.inside.database.reading() as connection:
        return ledger.last_id(connection)


def _is_there(place: ServerPlace, last: int) -> bool:
    """Whether the server has taken something in at another time than ours."""
    with place.inside.database.reading() as connection:
        entries = ledger.read(connection, SITE, after_id=last, limit=_ALL)
    now = place.inside.clock.now()
    off_s = [(one.received - now).total_seconds() for one in entries]
    return any(abs(one) > _SOME_S for one in off_s)


def _granted_since(place: ServerPlace, last: int) -> list[dict[str, object]]:
    """Give what the server granted since an entry, by its own time."""
    with place.inside.database.reading() as connection:
        entries = ledger.read(
            connection, SITE, after_id=last, limit=_ALL, kinds=["gardien.access.decided"]
        )
    answers = [one.record["data"]["answer"] for one in entries]
    return [one for one in answers if one["granted"]]


def _bring_home(place: ServerPlace, doors: list[LoadDoor], outcome: Outcome) -> None:
    """All that doors recorded is in the ledger, once, in order; the state is what follows."""
    for door in doors:
        door.rest()
    for door in doors:
        wait_for(lambda d=door: d.is_home, f"{door.id} hands in all: {door}", HOME_S)  # type: ignore[misc]
    outcome.check("at the end", "it does not end well", is_so=place.stop("server") == 0)
    place.check_verify(outcome)
    with place.inside.database.reading() as connection:
        reports = verify_site(connection, SITE)
        aside = ledger.list_set_aside(connection, SITE)
    broken = [report for report in reports if not report.is_whole]
    outcome.check("at the end", f"chains are broken: {broken}", is_so=not broken)
    outcome.check("at the end", f"records were set aside: {aside}", is_so=not aside)
    for door in doors:
        held, made = place.head(door.id).seq, len(door.journal)
        outcome.check("at the end", f"{door.id}: {held} of {made} records", is_so=held == made)
        outcome.count("records in the ledger", held)
        outcome.check("at the end", f"{door.id}: {door.log.strange}", is_so=not door.log.strange)


SERVER_CLOCKS: Final = Torment(
    name="server-clock",
    faults=("F22",),
    says="a server whose clock jumps a day ahead, back, to 1970 or over a change of summer time "
    "takes in every record once and in order, admits nobody by a watch that is over, and goes on",
    full=60,
    few=1,
    run=jump,
    missing=lambda: no_mosquitto() or no_faketime(),
)


def every() -> Iterator[Torment]:
    """Give the torment of this module."""
    yield SERVER_CLOCKS
