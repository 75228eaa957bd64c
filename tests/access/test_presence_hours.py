"""How long somebody was inside in a month: months as the site counts them, whatever the order."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.ids import MemberId, SiteId
from access.instants import Span
from access.presence_hours import (
    Move,
    NotOverError,
    PresenceMonth,
    Way,
    check_over,
    is_inside_after,
    presence_minutes,
    present_in,
    stays_of,
    whole_minutes,
)
from access.time_bank import Month

HOME = ZoneInfo("Europe/Paris")
START = datetime(2026, 10, 1, tzinfo=UTC)
WITHIN = Span(start=START, end=START + timedelta(days=60))
OCTOBER, NOVEMBER = Month(year=2026, month=10), Month(year=2026, month=11)
MARCH = Month(year=2026, month=3)
MINUTE = timedelta(minutes=1)


def came(minutes: float) -> Move:
    return Move(at=START + minutes * MINUTE, way=Way.IN)


def went(minutes: float) -> Move:
    return Move(at=START + minutes * MINUTE, way=Way.OUT)


def lengths(*moves: Move, is_inside: bool = False, within: Span = WITHIN) -> list[tuple[int, int]]:
    return [
        ((stay.start - START) // MINUTE, (stay.end - START) // MINUTE)
        for stay in stays_of(moves, within, is_inside=is_inside)
    ]


def test_who_comes_and_goes_was_inside_meanwhile_whatever_the_order() -> None:
    assert lengths(went(90), came(30)) == [(30, 90)]


def test_who_comes_twice_was_inside_all_the_time_and_who_goes_twice_left_first() -> None:
    assert lengths(came(10), came(20), went(30), went(40), came(50), went(55)) == [
        (10, 30),
        (50, 55),
    ]


def test_who_was_inside_when_it_began_or_never_left_counts_to_its_edge() -> None:
    within = Span(start=START, end=START + 100 * MINUTE)
    assert lengths(went(20), came(80), is_inside=True, within=within) == [(0, 20), (80, 100)]
    assert lengths(is_inside=True, within=within) == [(0, 100)]
    assert lengths(within=within) == []


def test_what_lies_outside_the_span_is_left_out_and_its_end_does_not_belong() -> None:
    within = Span(start=START + 10 * MINUTE, end=START + 50 * MINUTE)
    assert lengths(came(5), came(10), went(50), within=within) == [(10, 50)]
    assert lengths(came(5), went(55), within=within) == []


def test_a_coming_and_a_going_at_one_instant_leave_somebody_inside() -> None:
    assert lengths(came(10), went(10), went(20)) == [(10, 20)]
    assert is_inside_after([came(10), went(10)], WITHIN)
    assert lengths(went(0), is_inside=True) == []


def test_who_is_inside_at_the_end_is_who_came_last() -> None:
    assert is_inside_after([went(10), came(20)], WITHIN)
    assert not is_inside_after([came(10), went(20)], WITHIN)
    assert is_inside_after([], WITHIN, is_inside=True)
    assert not is_inside_after([], WITHIN)
    short = Span(start=START + 15 * MINUTE, end=START + 20 * MINUTE)
    assert not is_inside_after([came(10), came(20)], short)
    assert is_inside_after([went(10), came(15)], short)


def test_a_stay_across_midnight_of_the_month_counts_in_both() -> None:
    # Midnight in Paris is 23:00 UTC on 31 October: the clock has changed on the 25th.
    stay = Span(
        start=datetime(2026, 10, 31, 22, 30, tzinfo=UTC),
        end=datetime(2026, 10, 31, 23, 45, tzinfo=UTC),
    )
    assert presence_minutes([stay], OCTOBER, HOME) == 30
    assert presence_minutes([stay], NOVEMBER, HOME) == 45
    assert presence_minutes([stay], Month(year=2026, month=12), HOME) == 0


@pytest.mark.parametrize(
    ("month", "hours"), [(OCTOBER, 31 * 24 + 1), (MARCH, 31 * 24 - 1), (NOVEMBER, 30 * 24)]
)
def test_a_whole_month_is_as_long_as_it_is_with_its_clock_change(month: Month, hours: int) -> None:
    whole = Span(start=datetime(2025, 1, 1, tzinfo=UTC), end=datetime(2027, 1, 1, tzinfo=UTC))
    assert presence_minutes([whole], month, HOME) == hours * 60


def test_stays_add_up_before_a_part_of_a_minute_is_dropped() -> None:
    half = [
        Span(
            start=START + n * timedelta(hours=1), end=START + n * timedelta(hours=1) + 1.5 * MINUTE
        )
        for n in (1, 2)
    ]
    assert presence_minutes(half, OCTOBER, HOME) == 3
    assert presence_minutes(half[:1], OCTOBER, HOME) == 1
    assert whole_minutes(timedelta(seconds=59)) == 0


MOVES = st.lists(
    st.builds(
        Move,
        at=st.integers(0, 59 * 24 * 60).map(lambda n: START + n * MINUTE),
        way=st.sampled_from(Way),
    ),
    max_size=30,
)


@given(MOVES, st.data())
def test_to_cut_the_record_anywhere_gives_the_same_presence(
    moves: list[Move], data: st.DataObject
) -> None:
    cut = START + data.draw(st.integers(1, 59 * 24 * 60)) * MINUTE
    order = data.draw(st.permutations(moves))
    before, after = Span(start=START, end=cut), Span(start=cut, end=WITHIN.end)
    first = list(stays_of(order, before))
    rest = list(stays_of(order, after, is_inside=is_inside_after(order, before)))
    for month in (OCTOBER, NOVEMBER):
        whole = present_in(stays_of(moves, WITHIN), month, HOME)
        assert whole == present_in(first, month, HOME) + present_in(rest, month, HOME)


def found(present: int, included: int | None, spent: int = 0, balance: int = 1000) -> PresenceMonth:
    return PresenceMonth(
        site=SiteId("lyon"),
        member=MemberId("zoe"),
        month=OCTOBER,
        present=present,
        included=included,
        spent=spent,
        balance=balance,
    )


@pytest.mark.parametrize(
    ("one", "over", "left", "spendable"),
    [
        (found(1200, 1200), 0, 0, 0),
        (found(1199, 1200), 0, 0, 0),
        (found(1260, 1200), 60, 60, 60),
        (found(1260, 1200, spent=45), 60, 15, 15),
        (found(1260, 1200, spent=90), 60, 0, 0),
        (found(1260, 1200, balance=20), 60, 60, 20),
        (found(1260, 1200, balance=-20), 60, 60, 0),
        (found(30, 0), 30, 30, 30),
        (found(1260, None), 0, 0, None),
    ],
)
def test_what_is_over_the_plan_and_not_paid_can_be_spent(
    one: PresenceMonth, over: int, left: int, spendable: int | None
) -> None:
    assert (one.over, one.left, one.spendable) == (over, left, spendable)


def test_more_than_what_is_left_over_is_refused_and_says_how_much_is() -> None:
    one = found(1260, 1200, spent=45)
    check_over(one, 15)
    with pytest.raises(
        NotOverError,
        match=r"16 minutes are more than the 15 of 2026-10 that are over the plan's 20 h",
    ):
        check_over(one, 16)


def test_where_no_hours_are_counted_only_the_balance_says() -> None:
    check_over(found(0, None), 999)
