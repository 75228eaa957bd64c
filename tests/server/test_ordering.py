"""Orders to doors at the gate: who may give them, when, and what becomes of them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from access.ids import DoorId, MemberId, RequestId, SiteId
from access.instants import Span
from access.journal import Head, chained
from access.model import Audience, Authorization, Door, Member, Plan, Policy
from access.watch import open_watch, watch_id_of
from server.desk import OPERATOR, DeskError, NotAllowedError
from server.effects import DropOrder, Effect, Keep, SendOrder, WaitingOrder
from server.events import CloseAsked, DoorOrdered, Order, OrderLapsed, Reported, Ticked
from server.gate import Gate
from server.ordering import LASTS, LOCKED_DOWN, NO_PUBLIC_WATCH
from server.state import SiteState, from_json, to_json

SITE = SiteId("malakoff")
MAIN, LAB = DoorId("main"), DoorId("lab")
ANNA, BRUNO, CARL, SOPHIE = (MemberId(m) for m in ("anna", "bruno", "carl", "sophie"))
EVENING = datetime(2026, 11, 24, 19, tzinfo=UTC)
TALK = Span(start=EVENING, end=EVENING + timedelta(hours=2))
ALL: tuple[Order, ...] = ("unlock", "hold", "release", "lockdown", "lift", "enrol", "restart")
SECOND = timedelta(seconds=1)


def policy() -> Policy:
    members = (
        Member(id=ANNA, plan=Plan.NOMAD, is_guardian=True),
        Member(id=BRUNO, plan=Plan.NOMAD, is_guardian=True),
        Member(id=CARL, plan=Plan.NOMAD),
        Member(id=SOPHIE, plan=Plan.STAFF),
    )
    return Policy(
        version=1,
        site=SITE,
        issued=EVENING,
        relies_until=EVENING + timedelta(hours=72),
        capacity=60,
        doors={d: Door(id=d, name=d, plans=frozenset(Plan)) for d in (MAIN, LAB)},
        members={m.id: m for m in members},
        badges={},
    )


@dataclass
class Desk:
    """Drives a gate as a desk and its doors would."""

    audience: Audience | None = Audience.PUBLIC
    now: datetime = EVENING
    heads: dict[DoorId, Head] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate = Gate(policy(), SiteState())
        if self.audience is not None:
            talk = Authorization(id="talk", guardian=ANNA, span=TALK, audience=self.audience)
            id_ = watch_id_of(RequestId(str(UUID(int=7))))
            self.gate.state.watch = open_watch(
                id_, talk, MAIN, self.now, timedelta(minutes=15), longest=timedelta(hours=12)
            )
            self.gate.state.vetted = 1
        self.tell(Ticked())

    @property
    def state(self) -> SiteState:
        return self.gate.state

    def tell(self, event: Any) -> list[Effect]:
        effects = self.gate.handle(event, self.now)
        self.effects += effects
        return effects

    def order(self, do: Order, *doors: DoorId, by: MemberId = ANNA) -> list[WaitingOrder]:
        effects = self.tell(DoorOrdered(by=by, doors=doors, do=do))
        return [effect.order for effect in effects if isinstance(effect, SendOrder)]

    def record(self, door: DoorId, kind: str, **data: Any) -> list[Effect]:
        record, self.heads[door] = chained(
            self.heads.get(door, Head()),
            site=SITE,
            source=door,
            kind=kind,
            time=self.now,
            data=data,
        )
        return self.tell(Reported(door=door, records=(record,)))

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [
            effect.record["data"]
            for effect in self.effects
            if isinstance(effect, Keep) and effect.record["type"] == f"gardien.{kind}"
        ]

    def released(self) -> list[WaitingOrder]:
        """Give the releases that the server has ordered by itself."""
        orders = [e.order for e in self.effects if isinstance(e, SendOrder)]
        return [one for one in orders if one.do == "release" and one.by == "server"]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize("do", ALL)
def test_staff_and_the_operator_may_order_everything(desk: Desk, do: Order) -> None:
    for by in (SOPHIE, OPERATOR):
        [order] = desk.order(do, LAB, by=by)
        assert (order.door, order.do, order.by) == (LAB, do, by)


@pytest.mark.parametrize("do", ALL)
def test_the_guardian_on_watch_may_order_all_but_enrolling_and_restarting(
    desk: Desk, do: Order
) -> None:
    if do in {"enrol", "restart"}:
        with pytest.raises(NotAllowedError):
            desk.order(do, LAB, by=ANNA)
    else:
        assert desk.order(do, LAB, by=ANNA)


@pytest.mark.parametrize("by", [BRUNO, CARL, MemberId("nobody")])
@pytest.mark.parametrize("do", ALL)
def test_nobody_else_may_order_anything(desk: Desk, do: Order, by: MemberId) -> None:
    before = to_json(desk.state)
    with pytest.raises(NotAllowedError):
        desk.order(do, MAIN, by=by)
    assert to_json(desk.state) == before


def test_an_order_without_doors_is_for_all_of_the_site(desk: Desk) -> None:
    orders = desk.order("lockdown")
    assert {one.door for one in orders} == {MAIN, LAB}
    assert len({one.id for one in orders}) == len(orders)


def test_an_order_for_a_door_that_is_not_there_is_refused_whole(desk: Desk) -> None:
    with pytest.raises(DeskError, match="attic"):
        desk.order("unlock", MAIN, DoorId("attic"))
    assert desk.told("command.issued") == []


def test_the_ledger_says_who_ordered_what_of_which_door_until_when_and_in_which_watch(
    desk: Desk,
) -> None:
    [order] = desk.order("unlock", LAB)
    assert desk.state.watch is not None
    assert desk.told("command.issued") == [
        {
            "command": order.id,
            "door": LAB,
            "do": "unlock",
            "by": ANNA,
            "why": None,
            "watch": desk.state.watch.id,
            "expires": "2026-11-24T19:00:10Z",
        }
    ]


def test_the_id_of_a_command_is_a_uuid_of_version_7_with_its_time(desk: Desk) -> None:
    [order] = desk.order("unlock", LAB)
    id_ = UUID(order.id)
    assert (id_.version, str(id_)) == (7, order.id)
    assert id_.int >> 80 == int(EVENING.timestamp() * 1000)


@pytest.mark.parametrize("do", ALL)
def test_an_order_is_good_for_its_time_and_no_longer(desk: Desk, do: Order) -> None:
    [order] = desk.order(do, MAIN, by=SOPHIE)
    assert order.expires - order.at == LASTS[do]
    assert LASTS["unlock"] == timedelta(seconds=10)


# Passage mode


@pytest.mark.parametrize("audience", [None, Audience.MEMBERS, Audience.REGISTERED])
def test_no_door_is_held_without_a_watch_that_is_open_to_the_public(
    audience: Audience | None,
) -> None:
    with pytest.raises(DeskError, match=NO_PUBLIC_WATCH):
        Desk(audience=audience).order("hold", MAIN, by=SOPHIE)


def test_no_door_is_held_while_the_watch_closes_nor_when_its_event_is_over(desk: Desk) -> None:
    desk.now = TALK.end
    with pytest.raises(DeskError, match=NO_PUBLIC_WATCH):
        desk.order("hold", MAIN, by=SOPHIE)
    closing = Desk()
    closing.tell(CloseAsked(by=ANNA))
    with pytest.raises(DeskError, match=NO_PUBLIC_WATCH):
        closing.order("hold", MAIN, by=SOPHIE)


def test_no_door_is_held_during_a_lockdown(desk: Desk) -> None:
    desk.order("lockdown", LAB)
    with pytest.raises(DeskError, match=LOCKED_DOWN):
        desk.order("hold", LAB)
    assert desk.order("hold", MAIN)
    desk.order("lift", LAB)
    assert desk.order("hold", LAB)


def held(desk: Desk) -> Desk:
    """Hold a door by order; it says that it is."""
    [order] = desk.order("hold", MAIN)
    desk.record(MAIN, "passage.started", command=order.id, by=ANNA)
    return desk


@pytest.mark.parametrize("how", ["closed by hand", "event over", "lapsed"])
def test_a_door_is_held_no_longer_than_the_watch_and_its_event(desk: Desk, how: str) -> None:
    held(desk)
    match how:
        case "closed by hand":
            desk.tell(CloseAsked(by=ANNA))
        case "event over":
            desk.now = TALK.end
        case _:
            desk.state.watch = None
    assert how == "closed by hand" or desk.gate.has_due(desk.now)
    desk.tell(Ticked())
    [release] = desk.released()
    assert release.door == MAIN
    assert desk.told("command.issued")[-1]["why"] == "passage_over"
    assert desk.told("command.issued")[-1]["by"] is None


def test_the_server_orders_a_release_once_and_rests_when_the_door_has_done_it(desk: Desk) -> None:
    held(desk)
    desk.tell(CloseAsked(by=ANNA))
    for _ in range(5):
        desk.now += SECOND
        desk.tell(Ticked())
    [release] = desk.released()
    desk.record(MAIN, "passage.ended", command=release.id, by="server", cause="command")
    assert not desk.gate.has_due(desk.now)
    desk.tell(Ticked())
    assert len(desk.released()) == 1


def test_a_door_that_was_away_for_longer_than_a_release_lasts_is_told_again(desk: Desk) -> None:
    held(desk)
    desk.state.watch = None
    desk.tell(Ticked())
    [release] = desk.released()
    desk.now = release.expires
    desk.tell(OrderLapsed(id=release.id, door=MAIN, do="release"))
    assert len(desk.released()) == 2


def test_a_hold_that_no_door_has_done_yet_is_taken_back_with_the_watch(desk: Desk) -> None:
    desk.order("hold", MAIN)
    desk.tell(CloseAsked(by=ANNA))
    effects = [e for e in desk.effects if isinstance(e, SendOrder) and e.order.do == "release"]
    [release] = effects
    assert "hold" in release.replaces


def test_a_door_held_by_the_guardians_own_gesture_is_released_as_well(desk: Desk) -> None:
    desk.record(LAB, "passage.started", by=ANNA)
    desk.tell(CloseAsked(by=ANNA))
    assert [one.door for one in desk.released()] == [LAB]


def test_while_a_public_watch_is_open_nothing_is_released(desk: Desk) -> None:
    held(desk)
    desk.now += timedelta(hours=1)
    assert not desk.gate.has_due(desk.now)
    desk.tell(Ticked())
    assert desk.released() == []


# Lockdown


def test_a_lockdown_counts_at_the_server_from_the_order_until_the_lift(desk: Desk) -> None:
    desk.order("lockdown", MAIN)
    assert desk.state.locked_down == {MAIN}
    assert desk.state.situation().locked_down == {MAIN}
    desk.order("lockdown")
    assert desk.state.locked_down == {MAIN, LAB}
    desk.order("lift", LAB)
    assert desk.state.locked_down == {MAIN}


def test_a_lift_is_later_than_its_lockdown_even_if_the_clock_was_put_back(desk: Desk) -> None:
    [lockdown] = desk.order("lockdown", MAIN)
    desk.now -= timedelta(minutes=5)
    [lift] = desk.order("lift", MAIN)
    assert lift.at > lockdown.at
    assert lift.expires == desk.now + LASTS["lift"]


def test_a_lockdown_takes_back_what_would_open_the_door(desk: Desk) -> None:
    desk.order("unlock", MAIN)
    desk.tell(DoorOrdered(by=ANNA, doors=(MAIN,), do="lockdown"))
    [effect] = [e for e in desk.effects if isinstance(e, SendOrder) and e.order.do == "lockdown"]
    assert {"unlock", "hold", "lift"} <= set(effect.replaces)


@pytest.mark.parametrize("do", ["lockdown", "lift"])
def test_a_lockdown_or_lift_that_came_to_nothing_raises_an_alert(desk: Desk, do: Order) -> None:
    [order] = desk.order(do, MAIN)
    desk.now = order.expires
    desk.tell(OrderLapsed(id=order.id, door=MAIN, do=do))
    assert desk.state.locked_down == frozenset()
    assert [one["door"] for one in desk.told("alert.order_not_obeyed")] == [MAIN]


def test_a_lockdown_survives_a_restart_of_the_server(desk: Desk) -> None:
    desk.order("lockdown", MAIN)
    assert from_json(to_json(desk.state)).locked_down == {MAIN}


def test_a_state_that_an_earlier_version_wrote_is_read_with_its_lockdown() -> None:
    desk = Desk()
    desk.record(MAIN, "unit.started", version="1")
    new = to_json(desk.state)
    assert '"locked_down":[]' in new
    former = new.replace('"locked_down":[]', '"is_locked_down":true')
    assert from_json(former).locked_down == {MAIN}
    assert from_json(former.replace("true", "false", 1)).locked_down == frozenset()
    assert from_json(new).locked_down == frozenset()


# What becomes of them


def outcome(desk: Desk) -> str | None:
    order = desk.state.door(MAIN).order
    assert order is not None
    return order.outcome


def dropped(effects: list[Effect]) -> list[str]:
    return [effect.id for effect in effects if isinstance(effect, DropOrder)]


def test_an_order_is_done_once_the_doors_journal_names_it(desk: Desk) -> None:
    [order] = desk.order("unlock", MAIN)
    assert outcome(desk) is None
    assert dropped(desk.record(MAIN, "lock.unlocked", command=order.id, by=ANNA)) == [order.id]
    assert outcome(desk) == "done"
    assert dropped(desk.record(MAIN, "door.opened", command=order.id)) == []


def test_another_doors_journal_does_not_settle_an_order(desk: Desk) -> None:
    [order] = desk.order("unlock", MAIN)
    effects = desk.record(LAB, "lock.unlocked", command=order.id, by=ANNA)
    assert all(e.door == LAB for e in effects if isinstance(e, DropOrder))
    assert outcome(desk) is None


@pytest.mark.parametrize("command", [None, 7, ["x"], {}])
def test_a_record_whose_command_is_nonsense_changes_nothing(desk: Desk, command: object) -> None:
    desk.order("unlock", MAIN)
    assert dropped(desk.record(MAIN, "lock.unlocked", command=command)) == []


def test_a_hold_that_the_door_answers_with_an_end_was_refused(desk: Desk) -> None:
    [order] = desk.order("hold", MAIN)
    desk.record(MAIN, "passage.ended", command=order.id, cause="lockdown")
    assert outcome(desk) == "refused"
    desk.tell(CloseAsked(by=ANNA))
    assert desk.released() == []


def test_an_order_that_is_over_is_given_up_and_the_ledger_says_so(desk: Desk) -> None:
    [order] = desk.order("unlock", MAIN)
    desk.now = order.expires
    effects = desk.tell(OrderLapsed(id=order.id, door=MAIN, do="unlock"))
    assert dropped(effects) == [order.id]
    assert outcome(desk) == "expired"
    assert desk.told("command.expired") == [{"command": order.id, "door": MAIN, "do": "unlock"}]
    assert desk.told("alert.order_not_obeyed") == []


def test_what_a_door_that_was_away_did_in_time_is_done_though_it_was_given_up(desk: Desk) -> None:
    [order] = desk.order("unlock", MAIN)
    desk.now = order.expires
    desk.tell(OrderLapsed(id=order.id, door=MAIN, do="unlock"))
    desk.record(MAIN, "lock.unlocked", command=order.id, by=ANNA)
    assert outcome(desk) == "done"
