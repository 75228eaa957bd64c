"""The gate of one site: an evening told as events, and what may go wrong with it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeGuard

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from access.ids import BadgeDigest, DoorId, MemberId, SiteId
from access.instants import Span
from access.journal import Head, chained, verify
from access.messages import AccessDecision, AccessRequest, DoorState
from access.model import (
    Authorization,
    Badge,
    BadgeStatus,
    Door,
    Member,
    Plan,
    Policy,
    Reader,
)
from server.desk import DeskError, NotAllowedError
from server.effects import Acknowledge, Answer, Credit, Effect, Keep, SetAside
from server.events import (
    Asked,
    CloseAsked,
    DoorSaid,
    Event,
    GuestsChanged,
    Recounted,
    RecountedTotal,
    Reported,
    RollCallSigned,
    Ticked,
    WatchOffered,
    WatchTaken,
)
from server.gate import Gate
from server.state import SiteState, from_json, to_json

SITE = SiteId("malakoff")
MAIN = DoorId("main")
ANNA, BRUNO, CARL, STAFF = (MemberId(m) for m in ("anna", "bruno", "carl", "sophie"))
MEMBERS = (
    Member(id=ANNA, plan=Plan.NOMAD, is_guardian=True),
    Member(id=BRUNO, plan=Plan.RESIDENT, is_guardian=True),
    Member(id=CARL, plan=Plan.NOMAD, language="en"),
    Member(id=STAFF, plan=Plan.STAFF),
)


def at(clock: str) -> datetime:
    """A time of the evening of 24 November 2026, UTC."""
    hours, minutes = clock.split(":")
    return datetime(2026, 11, 24, int(hours), int(minutes), tzinfo=UTC)


TALK = Span(start=at("18:30"), end=at("21:00"))


def badge_of(member: MemberId) -> BadgeDigest:
    return BadgeDigest(member.encode().hex().ljust(32, "0"))


def policy(**changes: Any) -> Policy:
    values: dict[str, Any] = {
        "version": 1,
        "site": SITE,
        "issued": at("06:00"),
        "relies_until": at("06:00") + timedelta(hours=72),
        "capacity": 60,
        "doors": {
            MAIN: Door(
                id=MAIN,
                name="Main",
                plans=frozenset(Plan),
                readers=(Reader.IN, Reader.OUT),
            )
        },
        "members": {m.id: m for m in MEMBERS},
        "badges": {badge_of(m.id): Badge(digest=badge_of(m.id), member=m.id) for m in MEMBERS},
        "opening": (
            Span(start=at("08:00"), end=at("17:30")),
            Span(start=at("08:00") + timedelta(days=1), end=at("17:30") + timedelta(days=1)),
        ),
        "authorizations": {
            guardian: (Authorization(id=f"talk-{guardian}", guardian=guardian, span=TALK),)
            for guardian in (ANNA, BRUNO)
        },
    }
    return Policy(**(values | changes))


@dataclass
class Evening:
    """Drives a gate as one door and a desk would."""

    gate: Gate = field(default_factory=lambda: Gate(policy(), SiteState()))
    head: Head = field(default_factory=Head)
    effects: list[Effect] = field(default_factory=list)
    ids: Iterator[int] = field(default_factory=lambda: count(1))

    def tell(self, event: Event, clock: str) -> list[Effect]:
        effects = self.gate.handle(event, at(clock))
        self.effects += effects
        return effects

    def ask(self, member: MemberId, clock: str) -> AccessDecision:
        request = AccessRequest(
            id=f"00000000-0000-7000-8000-{next(self.ids):012x}",
            at=at(clock),
            reader="in",
            badge=badge_of(member),
        )
        effects = self.tell(Asked(door=MAIN, request=request), clock)
        return next(e.decision for e in effects if isinstance(e, Answer))

    def record(self, kind: str, clock: str, **data: Any) -> list[Effect]:
        return self.tell(Reported(door=MAIN, records=(self.make(kind, clock, **data),)), clock)

    def make(self, kind: str, clock: str, **data: Any) -> dict[str, Any]:
        record, self.head = chained(
            self.head, site=SITE, source=MAIN, kind=kind, time=at(clock), data=data
        )
        return record

    def enter(self, member: MemberId, clock: str) -> AccessDecision:
        decision = self.ask(member, clock)
        if decision.granted:
            self.record(
                "access.granted", clock, reader="in", member=member, request=decision.request
            )
            self.record("door.opened", clock)
            self.record("door.closed", clock, open_s=2.0)
            self.record("lock.locked", clock)
        return decision

    def leave(self, member: MemberId, clock: str) -> None:
        self.record("access.granted", clock, reader="out", member=member)
        self.record("door.opened", clock)
        self.record("door.closed", clock, open_s=2.0)
        self.record("lock.locked", clock)

    def kinds(self) -> list[str]:
        return [e.record["type"].removeprefix("gardien.") for e in self.effects if _is_own(e)]

    @property
    def inside(self) -> set[str]:
        return set(self.gate.state.presence.inside)

    def credits(self) -> dict[str, int]:
        return {e.member: e.minutes for e in self.effects if isinstance(e, Credit)}


def _is_own(effect: Effect) -> TypeGuard[Keep]:
    return isinstance(effect, Keep) and effect.source == "server"


@pytest.fixture
def evening() -> Evening:
    return Evening()


def test_a_tuesday_evening_from_opening_to_credit(evening: Evening) -> None:
    assert evening.enter(CARL, "18:10").reason == "no_guardian"
    opened = evening.enter(ANNA, "18:15")
    assert (opened.granted, opened.reason) == (True, "watch_opened")
    assert evening.enter(CARL, "18:20").reason == "watch"
    evening.enter(BRUNO, "18:30")
    assert evening.inside == {ANNA, BRUNO, CARL}
    evening.tell(WatchOffered(by=ANNA, to=BRUNO), "20:00")
    evening.tell(WatchTaken(by=BRUNO), "20:00")
    evening.leave(ANNA, "20:10")
    evening.tell(CloseAsked(by=BRUNO), "21:00")
    assert evening.enter(CARL, "21:01").reason == "watch_closing"
    evening.leave(CARL, "21:05")
    evening.leave(BRUNO, "21:10")
    assert evening.gate.state.watch is None
    # Anna held it 1 h 45; Bruno 1 h 10, which rounds to 1 h 15.
    assert evening.credits() == {ANNA: 105, BRUNO: 75}
    assert evening.kinds().count("watch.closed") == 1


def test_a_watch_whose_door_is_not_opened_lapses_and_credits_nothing(evening: Evening) -> None:
    decision = evening.ask(ANNA, "18:15")
    evening.record("access.granted", "18:15", reader="in", member=ANNA, request=decision.request)
    evening.record("lock.locked", "18:15")
    evening.tell(Ticked(), "18:16")
    assert evening.gate.state.watch is None
    assert "watch.lapsed" in evening.kinds()
    assert evening.credits() == {}
    assert evening.inside == set()


def test_who_was_admitted_under_a_watch_that_lapses_is_a_matter_for_an_alert(
    evening: Evening,
) -> None:
    anna = evening.ask(ANNA, "18:15")
    evening.record("access.granted", "18:15", reader="in", member=ANNA, request=anna.request)
    carl = evening.ask(CARL, "18:15")
    assert carl.granted
    evening.gate.state.presence.enter(CARL, MAIN, at("18:15"))
    evening.record("lock.locked", "18:16")
    evening.tell(Ticked(), "18:17")
    assert "alert.admitted_under_lapsed_watch" in evening.kinds()


def test_a_door_that_is_opened_just_as_it_locks_still_counts(evening: Evening) -> None:
    decision = evening.ask(ANNA, "18:15")
    evening.record("access.granted", "18:15", reader="in", member=ANNA, request=decision.request)
    evening.record("lock.locked", "18:15")
    evening.record("door.opened", "18:15", request=decision.request, cause="grant")
    evening.tell(Ticked(), "18:17")
    assert evening.inside == {ANNA}
    assert evening.gate.state.watch is not None


def test_a_grant_that_was_not_used_gives_nothing_to_the_next_opening(evening: Evening) -> None:
    evening.record("access.granted", "10:00", reader="in", member=CARL)
    evening.record("lock.locked", "10:00")
    evening.record("door.opened", "10:05", cause="forced")
    assert evening.inside == set()


def test_who_comes_in_by_a_door_whose_clock_has_gone_back_is_inside(evening: Evening) -> None:
    evening.enter(ANNA, "18:15")
    evening.gate.state.presence.sweep(at("18:20"))
    evening.tell(
        Reported(
            door=MAIN,
            records=(
                evening.make("door.closed", "18:30", open_s=1.0),
                evening.make("access.granted", "10:00", reader="in", member=CARL, request="r"),
                evening.make("door.opened", "10:00"),
            ),
        ),
        "18:40",
    )
    assert evening.inside == {CARL}


def test_a_watch_that_a_door_with_a_slow_clock_tells_of_does_not_lapse_at_once(
    evening: Evening,
) -> None:
    evening.tell(DoorSaid(door=MAIN, state=DoorState(online=True)), "18:10")
    opened = evening.make("watch.opened", "18:15", member=ANNA, request="r-1", watch="r1")
    evening.tell(Reported(door=MAIN, records=(opened,)), "18:19")
    assert "watch.opened" in evening.kinds()
    assert "watch.lapsed" not in evening.kinds()


def test_each_sweep_is_in_the_ledger_so_that_the_count_follows_from_it(evening: Evening) -> None:
    evening.tell(Ticked(), "18:35")
    assert evening.kinds().count("site.swept") == 1


def test_an_unopened_watch_lapses_by_the_clock_when_its_door_is_in_reach(evening: Evening) -> None:
    evening.tell(DoorSaid(door=MAIN, state=DoorState(online=True)), "18:00")
    evening.ask(ANNA, "18:15")
    evening.tell(Ticked(), "18:17")
    assert evening.gate.state.watch is None


def test_leaving_passes_the_watch_to_the_guardian_who_is_longest_inside(evening: Evening) -> None:
    evening.enter(ANNA, "18:15")
    evening.enter(BRUNO, "18:30")
    evening.leave(ANNA, "19:00")
    watch = evening.gate.state.watch
    assert watch is not None
    assert watch.guardian == BRUNO


def test_leaving_with_nobody_to_take_it_begins_to_close(evening: Evening) -> None:
    evening.enter(ANNA, "18:15")
    evening.enter(CARL, "18:20")
    evening.leave(ANNA, "19:00")
    assert evening.enter(CARL, "19:01").reason == "watch_closing"
    evening.tell(Ticked(), "19:15")
    assert evening.gate.state.watch is None
    assert "alert.still_inside" in evening.kinds()
    assert evening.inside == set()


def test_the_watch_closes_when_authorization_and_grace_are_over(evening: Evening) -> None:
    evening.enter(ANNA, "18:15")
    evening.tell(Ticked(), "21:29")
    assert "watch.closing" not in evening.kinds()
    evening.tell(Ticked(), "21:30")
    assert "watch.closing" in evening.kinds()
    evening.tell(Ticked(), "21:45")
    # From 18:15 to 21:45, although the clock was not looked at in between.
    assert evening.credits() == {ANNA: 210}


def test_a_late_timer_closes_the_watch_at_the_time_at_which_it_was_due(evening: Evening) -> None:
    evening.enter(ANNA, "18:15")
    evening.tell(Ticked(), "23:59")
    assert evening.credits() == {ANNA: 210}


def test_opening_hours_end_a_watch_and_ask_nobody_to_leave() -> None:
    early = Span(start=at("07:00"), end=at("09:00"))
    authorizations = {ANNA: (Authorization(id="a", guardian=ANNA, span=early),)}
    evening = Evening(gate=Gate(policy(authorizations=authorizations), SiteState()))
    evening.enter(ANNA, "06:45")
    evening.enter(CARL, "07:30")
    evening.tell(Ticked(), "08:00")
    assert evening.gate.state.watch is None
    assert evening.inside == {ANNA, CARL}
    assert evening.credits() == {ANNA: 75}
    assert evening.enter(CARL, "08:30").reason == "opening_hours"


def test_the_site_is_swept_once_half_an_hour_after_opening_hours(evening: Evening) -> None:
    evening.enter(CARL, "17:00")
    evening.tell(Ticked(), "17:59")
    assert evening.inside == {CARL}
    evening.tell(Ticked(), "18:00")
    assert evening.inside == set()
    assert evening.kinds().count("site.swept") == 1


def test_the_same_records_again_change_nothing(evening: Evening) -> None:
    records = tuple(
        evening.make(kind, "10:00", **data)
        for kind, data in (
            ("access.granted", {"reader": "in", "member": CARL}),
            ("door.opened", {}),
            ("door.closed", {"open_s": 1.0}),
            ("lock.locked", {}),
        )
    )
    evening.tell(Reported(door=MAIN, records=records), "10:00")
    before = to_json(evening.gate.state)
    again = evening.tell(Reported(door=MAIN, records=records), "10:01")
    assert to_json(evening.gate.state) == before
    assert again == [Acknowledge(door=MAIN, seq=4)]


def test_a_gap_is_asked_for_again_from_the_last_record_held(evening: Evening) -> None:
    first = evening.make("unit.started", "10:00")
    evening.make("door.opened", "10:00")
    third = evening.make("door.closed", "10:00", open_s=1.0)
    effects = evening.tell(Reported(door=MAIN, records=(first, third)), "10:00")
    assert Acknowledge(door=MAIN, seq=1) in effects


def journal_of(evening: Evening, number: int) -> list[dict[str, Any]]:
    return [evening.make("door.opened", "10:00") for _ in range(number)]


def test_records_that_the_door_no_longer_holds_are_told_and_passed_over(evening: Evening) -> None:
    records = journal_of(evening, 6)
    evening.tell(Reported(door=MAIN, records=tuple(records[:2]), oldest=1), "10:00")
    effects = evening.tell(Reported(door=MAIN, records=tuple(records[4:]), oldest=5), "10:01")
    assert Acknowledge(door=MAIN, seq=6) in effects
    (told,) = (
        e for e in effects
        if isinstance(e, Keep) and e.record["type"] == "gardien.alert.records_missing"
    )  # fmt: skip
    assert told.record["data"] == {
        "door": MAIN, "first": 3, "last": 4, "hash": records[3]["hash"],
    }  # fmt: skip
    assert not [e for e in effects if isinstance(e, SetAside)]


@pytest.mark.parametrize("oldest", [None, 1, 2, 3])
def test_a_gap_of_records_that_the_door_still_holds_is_asked_for(
    evening: Evening, oldest: int | None
) -> None:
    records = journal_of(evening, 6)
    evening.tell(Reported(door=MAIN, records=tuple(records[:2]), oldest=1), "10:00")
    effects = evening.tell(Reported(door=MAIN, records=tuple(records[4:]), oldest=oldest), "10:01")
    assert Acknowledge(door=MAIN, seq=2) in effects
    assert "alert.records_missing" not in evening.kinds()


def test_a_batch_behind_the_oldest_record_does_not_pass_over_it(evening: Evening) -> None:
    records = journal_of(evening, 6)
    effects = evening.tell(Reported(door=MAIN, records=tuple(records[4:]), oldest=3), "10:01")
    assert Acknowledge(door=MAIN, seq=0) in effects
    effects = evening.tell(Reported(door=MAIN, records=tuple(records[2:]), oldest=3), "10:01")
    assert Acknowledge(door=MAIN, seq=6) in effects


def test_a_record_whose_hash_does_not_fit_is_set_aside_and_the_next_go_on(
    evening: Evening,
) -> None:
    good = evening.make("door.opened", "10:00")
    forged = good | {"data": {"open_s": 9.0}}
    after = evening.make("door.closed", "10:01", open_s=1.0)
    effects = evening.tell(Reported(door=MAIN, records=(forged, after)), "10:01")
    assert [e for e in effects if isinstance(e, SetAside)]
    assert "alert.record_set_aside" in evening.kinds()
    assert Acknowledge(door=MAIN, seq=2) in effects


@pytest.mark.parametrize(
    "record", [{}, {"seq": 1}, {"seq": "1"}, {"seq": 1, "hash": 7}, {"seq": True}, {"seq": None}]
)
def test_a_record_that_is_none_never_stops_the_gate(
    evening: Evening, record: dict[str, Any]
) -> None:
    evening.tell(Reported(door=MAIN, records=(record,)), "10:00")
    assert evening.inside == set()


@pytest.mark.parametrize("kind", ["occupancy.changed", "alert.door_forced", "door\x00opened"])
def test_a_door_cannot_write_what_is_the_servers_to_write(evening: Evening, kind: str) -> None:
    effects = evening.record(kind, "10:00", present=9)
    assert [e for e in effects if isinstance(e, SetAside)]
    assert not [e for e in effects if isinstance(e, Keep) and e.source == MAIN]
    assert Acknowledge(door=MAIN, seq=1) in effects


def test_an_exit_by_the_button_leaves_a_doubt_that_a_recount_ends(evening: Evening) -> None:
    evening.enter(CARL, "10:00")
    evening.record("exit.requested", "10:30")
    evening.record("door.opened", "10:30")
    presence = evening.gate.state.presence
    assert (presence.high, presence.present, presence.margin) == (1, 0, 1)
    evening.tell(Recounted(by=STAFF, members=(CARL,), guests=0), "10:31")
    assert (presence.high, presence.present, presence.margin) == (1, 1, 0)
    evening.tell(RecountedTotal(by=STAFF, people=4), "10:32")
    assert (presence.present, presence.guests) == (4, 3)


def test_people_who_come_while_the_door_stands_open_are_inside(evening: Evening) -> None:
    evening.record("access.granted", "10:00", reader="in", member=ANNA)
    evening.record("door.opened", "10:00")
    evening.record("access.granted", "10:00", reader="in", member=CARL)
    assert evening.inside == {ANNA, CARL}


def test_a_door_that_decided_alone_tells_its_watch_later(evening: Evening) -> None:
    request = "00000000-0000-7000-8000-0000000000aa"
    evening.record("watch.opened", "18:15", guardian=ANNA, member=ANNA, request=request)
    evening.record(
        "access.granted", "18:15", reader="in", member=ANNA, request=request, offline=True
    )
    evening.record("door.opened", "18:15")
    watch = evening.gate.state.watch
    assert watch is not None
    assert watch.is_confirmed
    assert watch.guardian == ANNA


def test_guests_are_never_below_zero(evening: Evening) -> None:
    evening.tell(GuestsChanged(by=STAFF, change=2), "10:00")
    with pytest.raises(DeskError, match="there are 2 guests"):
        evening.tell(GuestsChanged(by=STAFF, change=-3), "10:00")
    assert evening.gate.state.presence.guests == 2


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (CloseAsked(by=CARL), NotAllowedError),
        (WatchOffered(by=CARL, to=BRUNO), NotAllowedError),
        (WatchTaken(by=BRUNO), NotAllowedError),
        (GuestsChanged(by=CARL, change=1), NotAllowedError),
        (RollCallSigned(by=ANNA), DeskError),
        (WatchOffered(by=ANNA, to=CARL), DeskError),
        (WatchOffered(by=ANNA, to=BRUNO), DeskError),
        (WatchOffered(by=ANNA, to=ANNA), DeskError),
    ],
)
def test_what_is_not_theirs_or_not_possible_is_refused_and_changes_nothing(
    evening: Evening, event: Event, error: type[Exception]
) -> None:
    evening.enter(ANNA, "18:15")
    before = to_json(evening.gate.state)
    with pytest.raises(error):
        evening.tell(event, "19:00")
    assert to_json(evening.gate.state) == before


def test_signing_the_roll_call_ends_a_closing_watch(evening: Evening) -> None:
    evening.enter(ANNA, "18:15")
    evening.enter(CARL, "18:20")
    evening.tell(CloseAsked(by=ANNA), "20:00")
    evening.tell(RollCallSigned(by=ANNA), "20:05")
    assert evening.gate.state.watch is None
    assert evening.credits() == {ANNA: 105}


def test_a_revoked_badge_is_refused_with_an_alert() -> None:
    lost = Badge(digest=badge_of(CARL), member=CARL, status=BadgeStatus.LOST)
    rules = policy(badges={badge_of(CARL): lost})
    evening = Evening(gate=Gate(rules, SiteState()))
    assert evening.ask(CARL, "10:00").reason == "badge_revoked"
    assert "alert.badge_revoked" in evening.kinds()


def test_the_door_speaks_the_members_language(evening: Evening) -> None:
    assert evening.ask(CARL, "10:00").message == "Hello!"
    assert evening.ask(ANNA, "10:00").message == "Bonjour !"


def test_a_last_will_keeps_what_the_door_said_before(evening: Evening) -> None:
    evening.tell(DoorSaid(door=MAIN, state=DoorState(online=True, queue=3)), "10:00")
    evening.tell(DoorSaid(door=MAIN, state=DoorState(online=False)), "10:05")
    state = evening.gate.state.doors[MAIN].state
    assert state is not None
    assert (state.online, state.queue) == (False, 3)
    told = [kind for kind in evening.kinds() if kind.startswith("door.")]
    assert told == ["door.online", "door.offline"]


def test_nothing_is_due_once_a_tick_has_been_handled(evening: Evening) -> None:
    evening.enter(ANNA, "18:15")
    evening.enter(CARL, "18:20")
    for clock in ("18:21", "21:30", "21:40", "21:45", "23:00"):
        evening.tell(Ticked(), clock)
        assert not evening.gate.has_due(at(clock))


def test_the_servers_own_chain_verifies_and_the_state_survives_its_row(evening: Evening) -> None:
    evening.enter(ANNA, "18:15")
    evening.leave(ANNA, "19:00")
    own = [e.record for e in evening.effects if isinstance(e, Keep) and e.source == "server"]
    assert verify(own) == evening.gate.state.own
    assert to_json(from_json(to_json(evening.gate.state))) == to_json(evening.gate.state)


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["enter", "leave", "button", "tick", "close", "guest"]),
        st.sampled_from([ANNA, BRUNO, CARL, STAFF]),
        st.integers(0, 30),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(_STEPS)
def test_whatever_happens_after_hours_members_enter_only_under_a_watch(
    steps: Sequence[tuple[str, MemberId, int]],
) -> None:
    evening = Evening()
    minute = 18 * 60
    for what, member, wait in steps:
        minute = min(minute + wait, 23 * 60 + 59)
        clock = f"{minute // 60}:{minute % 60}"
        if what == "enter":
            watch = evening.gate.state.watch
            decision = evening.enter(member, clock)
            if member == CARL and decision.granted:
                assert watch is not None
                assert decision.reason == "watch"
        elif what == "leave":
            evening.leave(member, clock)
        elif what == "button":
            evening.record("exit.requested", clock)
            evening.record("door.opened", clock)
            evening.record("door.closed", clock, open_s=1.0)
        elif what == "guest":
            evening.tell(GuestsChanged(by=STAFF, change=1), clock)
        elif what == "close" and evening.kinds()[-1:] != ["watch.closing"]:
            watch = evening.gate.state.watch
            if watch is not None and watch.closing_since is None and at(clock) < watch.over_by:
                evening.tell(CloseAsked(by=STAFF), clock)
        else:
            evening.tell(Ticked(), clock)
        presence = evening.gate.state.presence
        assert presence.present >= 0
        assert presence.high == presence.present + presence.margin
    evening.tell(Ticked(), "23:59")
    opened = evening.kinds().count("watch.confirmed")
    assert evening.kinds().count("watch.closed") == opened
