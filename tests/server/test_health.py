"""A reader of a door that falls out of order is told of once."""

from datetime import UTC, datetime, timedelta

from access.ids import DoorId, SiteId
from access.messages import DoorState
from access.model import Door, Plan, Policy
from server.effects import Keep
from server.events import DoorSaid
from server.gate import Gate
from server.state import SiteState

MAIN = DoorId("main")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
RULES = Policy(
    version=1,
    site=SiteId("malakoff"),
    issued=NOON,
    relies_until=NOON + timedelta(hours=72),
    capacity=60,
    doors={MAIN: Door(id=MAIN, name="Main", plans=frozenset(Plan))},
    members={},
    badges={},
    opening=(),
    authorizations={},
)


def told(*conditions: dict[str, str] | None) -> list[list[str]]:
    """What alerts follow from each word of the door on its readers; None is its last will."""
    gate = Gate(RULES, SiteState())
    found = []
    for readers in conditions:
        state = DoorState(online=readers is not None, readers=readers)
        effects = gate.handle(DoorSaid(door=MAIN, state=state), NOON)
        kept = [each.record for each in effects if isinstance(each, Keep)]
        alerts = [one["data"]["reader"] for one in kept if one["type"].endswith("reader_failed")]
        found.append(alerts)
    return found


def test_a_reader_that_fails_is_told_of_once_until_it_was_well_again() -> None:
    ok, failed = {"in": "ok"}, {"in": "failed"}
    assert told(ok, failed, failed, ok, failed) == [[], ["in"], [], [], ["in"]]


def test_a_reader_that_has_failed_from_the_start_is_told_of_too() -> None:
    assert told({"in": "ok", "out": "failed"}) == [["out"]]


def test_a_last_will_says_nothing_of_readers() -> None:
    assert told({"in": "failed"}, None, {"in": "failed"}) == [["in"], [], []]
