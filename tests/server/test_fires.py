"""A fire alarm at a door raises one alert, by whichever of condition and record comes first."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from access.ids import DoorId, SiteId
from access.journal import Head, chained
from access.messages import DoorState
from access.model import Door, Plan, Policy
from server.effects import Effect, Keep
from server.events import DoorSaid, Reported
from server.gate import Gate
from server.state import SiteState, from_json, to_json

MAIN, BACK = DoorId("main"), DoorId("back")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
RULES = Policy(
    version=1,
    site=SiteId("malakoff"),
    issued=NOON,
    relies_until=NOON + timedelta(hours=72),
    capacity=60,
    doors={door: Door(id=door, name=door, plans=frozenset(Plan)) for door in (MAIN, BACK)},
    members={},
    badges={},
    opening=(),
    authorizations={},
)


class Hall:
    """A gate that lives only as long as one turn, and the doors' chains."""

    def __init__(self) -> None:
        self.state = SiteState()
        self.heads: dict[DoorId, Head] = {}
        self.now = NOON
        self.times: list[str] = []

    def say(self, door: DoorId = MAIN, **said: Any) -> list[str]:
        """A door tells its condition."""
        return self._told(DoorSaid(door=door, state=DoorState(**{"online": True, **said})))

    def record(self, *kinds: str, cause: str = "fire", at: datetime | None = None) -> list[str]:
        """The main door sends records, all at once."""
        records = []
        for kind in kinds:
            record, self.heads[MAIN] = chained(
                self.heads.get(MAIN, Head()),
                site=RULES.site,
                source=MAIN,
                kind=kind,
                time=at or self.now,
                data={"cause": cause},
            )
            records.append(record)
        return self._told(Reported(door=MAIN, records=tuple(records)))

    def restart_server(self) -> None:
        self.state = from_json(to_json(self.state))

    def _told(self, event: DoorSaid | Reported) -> list[str]:
        self.now += timedelta(seconds=1)
        return self._of_fires(Gate(RULES, self.state).handle(event, self.now))

    def _of_fires(self, effects: list[Effect]) -> list[str]:
        kept = [one.record for one in effects if isinstance(one, Keep)]
        fires = [one for one in kept if "fire" in one["type"]]
        self.times = [one["time"] for one in fires]
        return [f"{one['type'].removeprefix('gardien.')} {one['data']['door']}" for one in fires]


BEGUN, OVER = ["alert.fire_alarm main"], ["fire.ended main"]
BEGINS, ENDS = "lock.unlocked", "lock.locked"


@pytest.fixture
def hall() -> Hall:
    return Hall()


def test_a_fire_is_told_once_by_the_doors_condition_and_its_end_once(hall: Hall) -> None:
    assert hall.say(fire=False) == []
    assert hall.say(fire=True, queue=1) == BEGUN
    assert hall.record(BEGINS) == []
    assert hall.say(fire=True, queue=0) == []
    assert hall.say(fire=False, queue=1) == OVER
    assert hall.record(ENDS) == []
    assert hall.say(fire=False, queue=0) == []
    assert hall.say(fire=True, queue=1) == BEGUN


def test_the_record_raises_it_where_it_comes_first(hall: Hall) -> None:
    assert hall.record(BEGINS) == BEGUN
    assert hall.say(fire=True, queue=0) == []
    assert hall.record(ENDS) == OVER
    assert hall.say(fire=False, queue=0) == []


def test_what_a_server_that_starts_anew_hears_again_is_not_told_again(hall: Hall) -> None:
    assert hall.say(fire=True, queue=1) == BEGUN
    hall.restart_server()
    assert hall.say(fire=True, queue=1) == []
    assert hall.record(BEGINS) == []


def test_a_last_will_neither_ends_a_fire_nor_lets_it_begin_again(hall: Hall) -> None:
    assert hall.say(fire=True) == BEGUN
    assert hall.say(online=False) == []
    assert hall.say(fire=True) == []
    assert hall.say(online=False) == []
    assert hall.say(fire=False) == OVER


def test_a_fire_that_came_and_went_while_the_door_was_cut_off_is_told_with_its_time(
    hall: Hall,
) -> None:
    hall.say(fire=False, queue=0)
    then = hall.now
    hall.now += timedelta(days=1)
    assert hall.say(fire=False, queue=2) == []
    assert hall.record(BEGINS, ENDS, at=then) == [*BEGUN, *OVER]
    assert all(time.startswith("2026-11-24T12:00:0") for time in hall.times)


def test_records_that_come_when_the_fire_is_over_tell_nothing_new(hall: Hall) -> None:
    assert hall.say(fire=True, queue=1) == BEGUN
    assert hall.say(fire=False, queue=2) == OVER
    assert hall.record(BEGINS, ENDS) == []


def test_the_late_end_of_a_fire_does_not_end_the_next(hall: Hall) -> None:
    assert hall.record(BEGINS) == BEGUN
    assert hall.say(fire=False, queue=1) == OVER
    assert hall.say(fire=True, queue=2) == BEGUN
    assert hall.record(ENDS) == []
    assert hall.record(BEGINS) == []
    assert hall.say(fire=True, queue=0) == []


def test_a_unit_that_starts_during_a_fire_is_in_the_same_fire(hall: Hall) -> None:
    assert hall.say(fire=True, queue=1) == BEGUN
    assert hall.record(BEGINS) == []
    assert hall.record("unit.started", BEGINS) == []
    assert hall.say(fire=True, queue=0) == []


def test_a_door_that_can_record_nothing_raises_it_and_hides_no_later_fire(hall: Hall) -> None:
    assert hall.say(fire=True, queue=0, journal="failing") == BEGUN
    assert hall.say(fire=False, queue=0, journal="failing") == OVER
    assert hall.record(BEGINS) == BEGUN


def test_each_door_is_told_of_for_itself(hall: Hall) -> None:
    assert hall.say(fire=True) == BEGUN
    assert hall.say(BACK, fire=True) == ["alert.fire_alarm back"]
    assert hall.say(fire=False) == OVER
    assert hall.say(BACK, fire=True) == []


def test_a_lock_that_moves_for_another_cause_is_no_fire(hall: Hall) -> None:
    assert hall.record(BEGINS, ENDS, cause="time") == []
    assert hall.say(fire=True, queue=0) == BEGUN
    assert hall.record(ENDS, cause="time") == []
    assert hall.say(fire=None) == []


def test_a_second_fire_in_the_records_alone_is_told_too(hall: Hall) -> None:
    assert hall.say(fire=True, queue=1) == BEGUN
    assert hall.record(BEGINS, ENDS, BEGINS) == [*OVER, *BEGUN]


def test_records_that_come_after_two_fires_tell_nothing_new(hall: Hall) -> None:
    assert hall.say(fire=True, queue=1) == BEGUN
    assert hall.say(fire=False, queue=2) == OVER
    assert hall.say(fire=True, queue=3) == BEGUN
    assert hall.record(BEGINS, ENDS, BEGINS) == []
    assert hall.record(ENDS) == OVER
