"""Who is inside, whatever is late, lost, repeated or out of order."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from access.ids import DoorId, MemberId
from access.presence import CountError, Presence, Stay

DOOR = DoorId("main")
NORA, RENE, PAUL = (MemberId(name) for name in ("nora", "rene", "paul"))
START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A member comes or goes."""

    member: MemberId
    is_in: bool
    at: datetime


def apply(presence: Presence, move: Move) -> bool:
    if move.is_in:
        return presence.enter(move.member, DOOR, move.at)
    return presence.leave(move.member, move.at)


def with_inside(*members: MemberId) -> Presence:
    presence = Presence()
    for member in members:
        presence.enter(member, DOOR, at(0))
    return presence


moves = st.lists(
    st.builds(
        Move,
        member=st.sampled_from([NORA, RENE, PAUL]),
        is_in=st.booleans(),
        at=st.integers(0, 20).map(at),
    ),
    max_size=12,
)


@given(moves, st.data())
def test_the_same_moves_in_any_order_and_repeated_put_the_same_members_inside(
    moved: list[Move], data: st.DataObject
) -> None:
    in_order, mixed = Presence(), Presence()
    for move in sorted(moved, key=lambda move: move.at):
        apply(in_order, move)
    repeated = moved + (data.draw(st.lists(st.sampled_from(moved))) if moved else [])
    for move in data.draw(st.permutations(repeated)):
        apply(mixed, move)
    assert set(mixed.inside) == set(in_order.inside)
    assert mixed.high == in_order.high


@given(moves)
def test_a_move_that_is_known_already_is_no_news(moved: list[Move]) -> None:
    presence = Presence()
    for move in moved:
        apply(presence, move)
        assert not apply(presence, move)


@given(moves, st.integers(0, 20).map(at))
def test_late_news_from_before_a_sweep_puts_nobody_inside(
    moved: list[Move], swept: datetime
) -> None:
    before, after = Presence(), Presence()
    for move in sorted(moved, key=lambda move: move.at):
        apply(before, move)
    before.sweep(swept)
    after.sweep(swept)
    for move in sorted(moved, key=lambda move: move.at):
        if move.at != swept:
            apply(after, move)
    at_the_sweep = {move.member for move in moved if move.at == swept}
    assert set(before.inside) - at_the_sweep == set(after.inside) - at_the_sweep
    assert before.margin == after.margin == 0


class Site(RuleBasedStateMachine):
    """Anything that can happen to a count, with times in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.presence = Presence()

    member = st.sampled_from([NORA, RENE, PAUL])
    time = st.integers(0, 30).map(at)

    @rule(member=member, time=time)
    def enter(self, member: MemberId, time: datetime) -> None:
        if self.presence.enter(member, DOOR, time):
            assert member in self.presence.inside

    @rule(member=member, time=time)
    def leave(self, member: MemberId, time: datetime) -> None:
        if self.presence.leave(member, time):
            assert member not in self.presence.inside

    @rule(time=time)
    def leave_unattributed(self, time: datetime) -> None:
        high = self.presence.high
        self.presence.leave_unattributed(time)
        assert self.presence.high == high

    @rule(by=st.integers(-5, 5))
    def change_guests(self, by: int) -> None:
        guests = self.presence.guests
        try:
            self.presence.change_guests(by)
        except CountError:
            assert guests + by < 0
            assert self.presence.guests == guests

    @rule(members=st.frozensets(member), guests=st.integers(-1, 5), time=time)
    def recount(self, members: frozenset[MemberId], guests: int, time: datetime) -> None:
        try:
            self.presence.recount(members, guests, time)
        except CountError:
            assert guests < 0

    @rule(people=st.integers(-1, 9), time=time)
    def recount_total(self, people: int, time: datetime) -> None:
        known = self.presence.certain_at
        try:
            self.presence.recount_total(people, time)
        except CountError:
            assert people < 0
        else:
            if known is None or time >= known:
                assert (self.presence.high, self.presence.margin) == (people, 0)

    @rule(time=time)
    def sweep(self, time: datetime) -> None:
        self.presence.sweep(time)

    @invariant()
    def the_count_is_one_that_can_be(self) -> None:
        count = self.presence
        assert min(count.present, count.margin, count.guests, count.members) >= 0
        assert count.high == count.present + count.margin == count.members + count.guests
        assert count.members <= len(count.inside)


TestSite = Site.TestCase


def test_who_comes_in_twice_is_inside_once_since_the_first_time() -> None:
    presence = with_inside(NORA)
    assert presence.enter(NORA, DoorId("lab"), at(5))
    assert presence.inside == {NORA: Stay(since=at(0), door=DOOR)}
    assert presence.high == 1


def test_an_exit_that_is_heard_of_late_takes_nobody_out_who_came_back_since() -> None:
    presence = Presence()
    presence.enter(NORA, DOOR, at(10))
    assert not presence.leave(NORA, at(9))
    assert NORA in presence.inside


def test_an_entry_that_is_heard_of_late_puts_nobody_in_who_left_since() -> None:
    presence = Presence()
    assert presence.leave(NORA, at(10))
    assert not presence.enter(NORA, DOOR, at(9))
    assert not presence.inside


@pytest.mark.parametrize("first", [True, False])
def test_of_a_coming_and_a_going_at_the_same_instant_the_coming_counts(*, first: bool) -> None:
    presence = Presence()
    for is_in in (first, not first):
        apply(presence, Move(member=NORA, is_in=is_in, at=at(1)))
    assert NORA in presence.inside


def test_an_unattributed_exit_widens_the_margin_and_leaves_the_high_count() -> None:
    presence = with_inside(NORA, RENE)
    assert presence.leave_unattributed(at(1))
    assert (presence.present, presence.margin, presence.high) == (1, 1, 2)


def test_more_unattributed_exits_than_people_leave_nobody_and_no_debt() -> None:
    presence = with_inside(NORA)
    for minute in (1, 2, 3):
        presence.leave_unattributed(at(minute))
    assert (presence.present, presence.margin) == (0, 1)


def test_guests_count_as_people_and_never_fall_below_zero() -> None:
    presence = with_inside(NORA)
    presence.change_guests(3)
    assert (presence.present, presence.high, presence.members) == (4, 4, 1)
    with pytest.raises(CountError, match="there are 3 guests, so 4 can't leave"):
        presence.change_guests(-4)
    presence.change_guests(-3)
    assert presence.guests == 0


def test_a_recount_by_name_makes_the_count_certain() -> None:
    presence = with_inside(NORA, RENE)
    presence.leave_unattributed(at(1))
    presence.recount([NORA, PAUL], guests=2, at=at(5))
    assert presence.inside == {
        NORA: Stay(since=at(0), door=DOOR),
        PAUL: Stay(since=at(5), door=None),
    }
    assert (presence.present, presence.margin, presence.certain_at) == (4, 0, at(5))


def test_a_recount_does_not_undo_what_happened_after_it() -> None:
    presence = with_inside(NORA, RENE)
    presence.leave(RENE, at(6))
    presence.enter(PAUL, DOOR, at(7))
    presence.recount([NORA, RENE], guests=0, at=at(5))
    assert presence.inside == {
        NORA: Stay(since=at(0), door=DOOR),
        PAUL: Stay(since=at(7), door=DOOR),
    }
    assert not presence.leave(PAUL, at(6))


@pytest.mark.parametrize("late", ["recount", "total", "sweep"])
def test_a_recount_that_is_older_than_another_one_changes_nothing(late: str) -> None:
    presence = Presence()
    presence.recount([NORA], guests=1, at=at(10))
    if late == "recount":
        presence.recount([RENE, PAUL], guests=5, at=at(9))
    elif late == "total":
        presence.recount_total(9, at=at(9))
    else:
        presence.sweep(at(9))
    assert set(presence.inside) == {NORA}
    assert (presence.guests, presence.gone, presence.certain_at) == (1, 0, at(10))


def test_a_recount_of_the_same_instant_counts() -> None:
    presence = Presence()
    presence.recount([NORA], guests=0, at=at(10))
    presence.recount([RENE], guests=0, at=at(10))
    assert set(presence.inside) == {RENE}


def test_nobody_is_recounted_below_zero() -> None:
    presence = with_inside(NORA)
    with pytest.raises(CountError, match="guests can't be -1"):
        presence.recount([], guests=-1, at=at(1))
    with pytest.raises(CountError, match="people inside can't be -1"):
        presence.recount_total(-1, at=at(1))
    assert presence.high == 1


def test_more_people_than_members_known_are_guests() -> None:
    presence = with_inside(NORA, RENE)
    presence.recount_total(5, at(1))
    assert (presence.members, presence.guests, presence.present, presence.margin) == (2, 3, 5, 0)


def test_fewer_people_than_members_known_have_left_nobody_knows_which() -> None:
    presence = with_inside(NORA, RENE, PAUL)
    presence.recount_total(1, at(1))
    assert (presence.members, presence.high, len(presence.inside)) == (1, 1, 3)
    presence.leave(NORA, at(2))
    presence.leave(RENE, at(3))
    presence.leave(PAUL, at(4))
    assert presence.high == 0


def test_each_member_who_comes_back_after_a_recount_counts_for_one() -> None:
    presence = with_inside(NORA, RENE, PAUL)
    presence.recount_total(1, at(1))
    presence.enter(NORA, DOOR, at(2))
    assert (presence.high, presence.gone) == (2, 1)


def test_each_unattributed_exit_counts() -> None:
    presence = with_inside(NORA, RENE, PAUL)
    presence.leave_unattributed(at(1))
    presence.leave_unattributed(at(2))
    assert (presence.present, presence.margin, presence.high) == (1, 2, 3)


def test_who_came_in_at_the_instant_of_a_recount_was_counted_by_it() -> None:
    presence = Presence()
    presence.enter(NORA, DOOR, at(5))
    presence.recount([], guests=0, at=at(5))
    assert presence.high == 0
    assert presence.enter(NORA, DOOR, at(5))


def test_a_member_who_comes_back_after_a_recount_is_counted_again() -> None:
    presence = with_inside(NORA, RENE)
    presence.recount_total(1, at(1))
    assert presence.enter(NORA, DOOR, at(2))
    assert presence.high == 2
    presence.enter(NORA, DOOR, at(2))
    presence.enter(NORA, DOOR, at(3))
    assert (presence.high, presence.gone) == (2, 0)


def test_an_unattributed_exit_before_the_last_certain_count_does_not_count() -> None:
    presence = with_inside(NORA)
    presence.recount([NORA], guests=0, at=at(5))
    assert not presence.leave_unattributed(at(4))
    assert presence.leave_unattributed(at(5))
    assert presence.margin == 1


def test_the_sweep_empties_the_site() -> None:
    presence = with_inside(NORA, RENE)
    presence.change_guests(4)
    presence.leave_unattributed(at(1))
    presence.sweep(at(2))
    assert (presence.high, presence.margin, presence.inside) == (0, 0, {})
    assert not presence.enter(NORA, DOOR, at(1))


def test_what_was_noted_while_the_clock_was_ahead_hides_nobody() -> None:
    presence = with_inside(NORA)
    presence.enter(RENE, DOOR, at(600))
    presence.sweep(at(700))
    assert not presence.enter(NORA, DOOR, at(2))
    presence.set_back_to(at(2))
    assert presence.enter(NORA, DOOR, at(2))
    presence.enter(RENE, DOOR, at(601))
    presence.set_back_to(at(3))
    assert presence.leave(RENE, at(3))
    assert set(presence.inside) == {NORA}


def test_clocks_that_differ_a_little_change_nothing_of_what_is_known() -> None:
    presence = with_inside(NORA)
    presence.sweep(at(5))
    presence.set_back_to(at(4))
    assert presence.certain_at == at(5)
