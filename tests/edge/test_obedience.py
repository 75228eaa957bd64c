"""What a door records of the orders it is given, and which it does not heed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from access.ids import BadgeDigest, DoorId, MemberId, RequestId, SiteId
from access.model import Badge, Member, Plan, Policy, Reader
from access.model import Door as DoorModel
from edge.condition import Kept, Rules
from edge.door import Door
from edge.effects import Effect, Keep, Record, Relock, Restart, Unlock, Value
from edge.events import BadgeRead, CommandReceived, Event, Moment, Tick
from edge.obedience import LOCKDOWN_KEPT_AS, RULED_KEPT_AS, read_ruled

SITE, DOOR = SiteId("malakoff"), DoorId("main")
NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
BADGE = BadgeDigest("b" * 32)
MINUTE = timedelta(minutes=1)


def policy() -> Policy:
    sam = Member(id=MemberId("sam"), plan=Plan.STAFF)
    return Policy(
        version=1,
        site=SITE,
        issued=NOON,
        relies_until=NOON + timedelta(hours=72),
        capacity=10,
        doors={DOOR: DoorModel(id=DOOR, name="Main", plans=frozenset(Plan))},
        members={sam.id: sam},
        badges={BADGE: Badge(digest=BADGE, member=sam.id)},
    )


@dataclass
class Post:
    """A door that is ordered about."""

    kept: Kept = field(default_factory=lambda: Kept(policy=policy()))
    mono: float = 100.0

    def __post_init__(self) -> None:
        self.door = Door(
            rules=Rules(site=SITE, door=DOOR),
            new_id=lambda: RequestId("00000000-0000-7000-8000-000000000001"),
            kept=self.kept,
        )

    def do(self, event: Event) -> list[Effect]:
        self.mono += 0.1
        return self.door.handle(event, Moment(at=NOON, mono=self.mono))

    def order(self, do: str, number: int, *, at: datetime = NOON) -> list[Effect]:
        return self.do(
            CommandReceived(
                id=id_of(number),
                at=at,
                expires=NOON + timedelta(days=7),
                do=do,  # type: ignore[arg-type]
                by=MemberId("sam"),
            )
        )

    def enter(self) -> None:
        """Let staff in, as the door does when it is alone."""
        self.do(BadgeRead(reader=Reader.IN, badge=BADGE))
        self.mono += 1
        self.do(Tick())
        assert self.door.is_unlocked


def id_of(number: int) -> str:
    return str(UUID(int=number))


def told(effects: list[Effect], number: int) -> dict[str, Mapping[str, Value]]:
    """Give what was recorded that names an order."""
    records = [e for e in effects if isinstance(e, Record)]
    return {r.kind: r.data for r in records if r.data.get("command") == id_of(number)}


@pytest.mark.parametrize("before", ["locked", "let in", "unlocked", "held", "locked down"])
@pytest.mark.parametrize("do", ["unlock", "hold", "release", "lockdown", "lift", "restart"])
def test_of_each_order_a_record_tells_that_names_it_however_the_door_stands(
    do: str, before: str
) -> None:
    post = Post()
    match before:
        case "let in":
            post.enter()
        case "unlocked":
            post.order("unlock", 1)
        case "held":
            post.order("hold", 1)
        case "locked down":
            post.order("lockdown", 1)
    found = told(post.order(do, 2), 2)
    assert found
    assert all(data["by"] == "sam" for data in found.values())


def test_a_door_that_is_unlocked_already_says_so_and_moves_nothing() -> None:
    post = Post()
    post.order("unlock", 1)
    effects = post.order("unlock", 2)
    assert told(effects, 2)["lock.unlocked"]["is_again"] is True
    assert not any(isinstance(e, Unlock | Relock) for e in effects)


def test_a_hold_during_a_lockdown_is_refused_and_the_record_says_why() -> None:
    post = Post()
    post.order("lockdown", 1)
    assert told(post.order("hold", 2), 2)["passage.ended"]["cause"] == "locked_down"
    assert not post.door.is_unlocked


def test_a_release_of_a_door_that_is_not_held_leaves_its_lock_alone() -> None:
    post = Post()
    post.enter()
    assert told(post.order("release", 1), 1)["passage.ended"]["cause"] == "not_held"
    assert post.door.is_unlocked


def test_a_lift_while_somebody_is_being_let_through_does_not_say_that_the_door_is_locked() -> None:
    post = Post()
    post.order("lockdown", 1)
    post.order("unlock", 2)
    assert set(told(post.order("lift", 3), 3)) == {"lock.unlocked"}
    assert post.door.is_unlocked


def test_a_door_that_restarts_is_locked_first_and_says_so() -> None:
    post = Post()
    post.order("hold", 1)
    effects = post.order("restart", 2)
    assert set(told(effects, 2)) == {"passage.ended"}
    assert isinstance(effects[-1], Restart) or any(isinstance(e, Restart) for e in effects)
    assert not post.door.is_unlocked


@pytest.mark.parametrize(("late", "first"), [("lift", "lockdown"), ("lockdown", "lift")])
def test_of_lockdown_and_lift_the_one_ordered_last_counts_whichever_comes_last(
    late: str, first: str
) -> None:
    post = Post()
    effects = post.order(first, 1, at=NOON)
    ruled = [e.value for e in effects if isinstance(e, Keep) and e.key == RULED_KEPT_AS]
    assert post.order(late, 2, at=NOON - MINUTE) == []
    again = Post(Kept(policy=policy(), ruled_at=read_ruled(ruled[0])))
    assert again.order(late, 2, at=NOON - MINUTE) == []
    assert any(
        isinstance(e, Keep) and e.key == LOCKDOWN_KEPT_AS
        for e in again.order(late, 3, at=NOON + MINUTE)
    )


def test_a_lockdown_by_a_server_whose_clock_was_years_ahead_can_be_lifted() -> None:
    post = Post()
    post.order("lockdown", 1, at=NOON + timedelta(days=3000))
    assert told(post.order("lift", 2, at=NOON), 2)


@pytest.mark.parametrize("kept", [None, "", "yesterday", "2026-03-03"])
def test_what_was_kept_of_the_last_lockdown_and_can_not_be_read_counts_for_nothing(
    kept: str | None,
) -> None:
    assert read_ruled(kept) is None
