"""A reader or a journal of a door that falls out of order is told of once."""

from datetime import UTC, datetime, timedelta

from access.ids import DoorId, SiteId
from access.messages import DoorState, JournalCondition
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


def alerts_on(*conditions: JournalCondition | None) -> list[list[str]]:
    """What alerts follow from each word of the door on its journal; None is its last will."""
    gate = Gate(RULES, SiteState())
    found = []
    for journal in conditions:
        said = DoorState(online=journal is not None, journal=journal)
        effects = gate.handle(DoorSaid(door=MAIN, state=said), NOON)
        kept = [each.record["type"] for each in effects if isinstance(each, Keep)]
        found.append([kind.rpartition(".")[2] for kind in kept if ".alert." in kind])
    return found


def test_a_journal_that_fills_up_or_fails_is_told_of_once_until_it_was_well_again() -> None:
    assert alerts_on("ok", "full", "full", "failing", None, "failing", "ok", "full") == [
        [], ["journal_full"], [], ["journal_failing"], [], [], [], ["journal_full"],
    ]  # fmt: skip


def test_a_journal_that_failed_from_the_start_is_told_of_too() -> None:
    assert alerts_on("failing") == [["journal_failing"]]


def test_a_door_of_an_older_version_says_nothing_of_its_journal() -> None:
    gate = Gate(RULES, SiteState())
    effects = gate.handle(DoorSaid(door=MAIN, state=DoorState(online=True)), NOON)
    assert not [e for e in effects if isinstance(e, Keep) and "alert" in e.record["type"]]
