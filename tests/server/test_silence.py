"""A door that says nothing for too long is told of once, and once more when it is back."""

from datetime import UTC, datetime, timedelta

import pytest

from access.ids import DoorId, SiteId
from access.messages import DoorState, Record
from access.model import Door, Plan, Policy
from server import passages
from server.effects import Keep
from server.events import DoorSaid, Event, Ticked
from server.gate import Gate
from server.silence import Patience
from server.state import SiteState, from_json, to_json
from server.turn import Turn

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
    """A gate that lives only as long as one turn, as the gatehouse's do."""

    def __init__(self) -> None:
        self.state = SiteState()
        self.patience: Patience | None = Patience(since=NOON)
        self.told: list[tuple[str, object]] = []

    def at(self, seconds: float, event: Event | None = None) -> list[tuple[str, object]]:
        """Let something happen, or only time pass; gives what is told of doors."""
        now = NOON + timedelta(seconds=seconds)
        gate = Gate(RULES, self.state, patience=self.patience)
        if event is None and not gate.has_due(now):
            return []
        effects = gate.handle(event or Ticked(), now)
        assert not gate.has_due(now)
        kept = [each.record for each in effects if isinstance(each, Keep)]
        return [
            (record["type"].removeprefix("gardien."), record["data"]["door"])
            for record in kept
            if "door" in record["data"]
        ]

    def says(self, seconds: float, door: DoorId = MAIN, *, online: bool = True) -> list[object]:
        return list(self.at(seconds, DoorSaid(door=door, state=DoorState(online=online))))


@pytest.fixture
def hall() -> Hall:
    return Hall()


def test_a_door_that_is_heard_of_every_half_minute_is_not_told_of(hall: Hall) -> None:
    assert hall.says(0) == [("door.online", MAIN)]
    for seconds in range(30, 600, 30):
        assert hall.says(seconds) == []
        assert hall.at(seconds + 29) == []


def test_after_ninety_seconds_it_is_told_once(hall: Hall) -> None:
    hall.says(10)
    assert hall.at(99) == []
    assert hall.at(100) == [("alert.door_silent", MAIN)]
    assert hall.at(101) == []
    assert hall.at(5000) == []


def test_when_it_is_heard_of_again_that_is_told_and_it_may_be_silent_anew(hall: Hall) -> None:
    hall.says(0)
    hall.at(90)
    assert hall.says(200) == [("door.back", MAIN)]
    assert hall.says(230) == []
    assert hall.at(320) == [("alert.door_silent", MAIN)]


def test_a_door_that_is_gone_by_its_last_will_is_told_when_the_time_has_passed(hall: Hall) -> None:
    hall.says(0)
    assert hall.says(10, online=False) == [("door.offline", MAIN)]
    assert hall.at(100) == [("alert.door_silent", MAIN)]
    assert hall.says(110, online=False) == []
    assert hall.says(120) == [("door.online", MAIN), ("door.back", MAIN)]


def test_each_door_is_told_of_for_itself(hall: Hall) -> None:
    hall.says(0)
    hall.says(60, BACK)
    assert hall.at(90) == [("alert.door_silent", MAIN)]
    assert hall.says(95) == [("door.back", MAIN)]
    assert hall.at(150) == [("alert.door_silent", BACK)]


def test_a_door_that_was_never_there_is_not_missed(hall: Hall) -> None:
    assert hall.at(100_000) in ([], [("occupancy.changed", None)])


def test_a_server_that_was_away_itself_gives_each_door_its_time_first(hall: Hall) -> None:
    hall.says(0)
    hall.patience = Patience(since=NOON + timedelta(hours=1))
    assert hall.at(3600 + 89) == []
    assert hall.at(3600 + 90) == [("alert.door_silent", MAIN)]


def test_it_is_told_once_also_when_the_server_starts_anew_meanwhile(hall: Hall) -> None:
    hall.says(0)
    hall.at(90)
    hall.state = from_json(to_json(hall.state))
    hall.patience = Patience(since=NOON + timedelta(seconds=100))
    assert hall.at(300) == []
    assert hall.says(301) == [("door.back", MAIN)]


def test_without_patience_nothing_is_told_of_silence(hall: Hall) -> None:
    hall.patience = None
    hall.says(0)
    assert hall.at(100_000) == []


def test_openings_in_a_fire_are_exits_of_nobody_knows_whom(hall: Hall) -> None:
    presence = hall.state.presence
    presence.change_guests(3)
    record = Record(
        specversion="1.0",
        id="malakoff/main/1",
        source="/malakoff/main",
        type="gardien.door.opened",
        time=NOON,
        seq=1,
        prev="0" * 64,
        hash="0" * 64,
        data={"request": None, "cause": "fire"},
    )
    passages.apply(Turn(policy=RULES, state=hall.state, now=NOON), MAIN, record)
    assert (presence.present, presence.high, presence.margin) == (2, 3, 1)
