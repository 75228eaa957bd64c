"""The time bank: whole minutes, two sides to each posting, months as the site counts them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.ids import MemberId, SiteId, WatchId
from access.time_bank import (
    MOST_MINUTES,
    Account,
    Cause,
    Month,
    OverdrawnError,
    Posting,
    TimeBankError,
    balances_of,
    check_spending,
    credited,
    lines_of,
    month_of,
    parse_month,
    spending,
    statement_of,
)

PARIS = ZoneInfo("Europe/Paris")
MALAKOFF, LYON = SiteId("malakoff"), SiteId("lyon")
ZOE, OMAR, SONIA = MemberId("zoe"), MemberId("omar"), MemberId("sonia")
NOW = datetime(2026, 11, 24, 20, tzinfo=UTC)
NOVEMBER = Month(year=2026, month=11)


def earned(minutes: int = 90, member: MemberId = ZOE, watch: str = "w") -> Posting:
    return Posting(
        site=MALAKOFF,
        member=member,
        minutes=minutes,
        cause=Cause.WATCH,
        at=NOW,
        watch=WatchId(watch),
    )


def corrected(minutes: int, reason: str | None = "Came early") -> Posting:
    return Posting(
        site=MALAKOFF,
        member=ZOE,
        minutes=minutes,
        cause=Cause.CORRECTION,
        at=NOW,
        made_by=SONIA,
        reason=reason,
    )


def spent(minutes: int) -> Posting:
    return spending(site=MALAKOFF, member=ZOE, minutes=minutes, month=NOVEMBER, by=ZOE, at=NOW)


postings = st.lists(
    st.builds(
        Posting,
        site=st.sampled_from([MALAKOFF, LYON]),
        member=st.sampled_from([ZOE, OMAR]),
        minutes=st.integers(-MOST_MINUTES, MOST_MINUTES).filter(bool),
        cause=st.just(Cause.CORRECTION),
        at=st.just(NOW),
        made_by=st.just(SONIA),
        reason=st.just("so"),
    )
)


@given(postings)
def test_all_accounts_together_always_hold_nothing(made: list[Posting]) -> None:
    assert sum(balances_of(made).values()) == 0
    for one in made:
        member, site = lines_of(one)
        assert member.minutes + site.minutes == 0
        assert (member.account.is_site, site.account.is_site) == (False, True)


@given(postings.flatmap(lambda made: st.tuples(st.just(made), st.permutations(made))))
def test_the_order_of_postings_changes_no_balance(
    both: tuple[list[Posting], list[Posting]],
) -> None:
    assert balances_of(both[0]) == balances_of(both[1])


def test_what_a_site_gives_is_what_its_members_get() -> None:
    made = [earned(90), earned(15, OMAR), corrected(-30), spent(20)]
    assert balances_of(made) == {
        Account(owner=ZOE): 40,
        Account(owner=OMAR): 15,
        Account(owner=MALAKOFF, is_site=True): -55,
    }


def test_a_site_and_a_member_of_one_name_have_two_accounts() -> None:
    made = Posting(
        **{name: getattr(earned(), name) for name in Posting.__slots__} | {"site": "zoe"}
    )
    assert set(balances_of([made]).values()) == {90, -90}


@given(st.timedeltas(timedelta(), timedelta(days=8)), st.decimals("0.01", "100", places=2))
def test_a_credit_is_what_was_held_to_the_nearest_quarter_times_the_rate(
    held: timedelta, rate: Decimal
) -> None:
    minutes = credited(held, rate)
    assert abs(Decimal(minutes) - rate * Decimal(held / timedelta(minutes=1))) <= (
        rate * Decimal("7.5") + Decimal("0.51")
    )
    assert credited(held, Decimal(1)) % 15 == 0


@pytest.mark.parametrize(
    ("seconds", "rate", "minutes"),
    [
        (0, "1", 0),
        (7 * 60 + 29, "1", 0),
        (7 * 60 + 30, "1", 15),
        (22 * 60 + 29, "1", 15),
        (22 * 60 + 30, "1", 30),
        (3600, "1.0", 60),
        (900, "0.5", 8),
        (900, "0.1", 2),
        (900, "0.09", 1),
    ],
)
def test_halves_are_rounded_up(seconds: int, rate: str, minutes: int) -> None:
    assert credited(timedelta(seconds=seconds), Decimal(rate)) == minutes


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: corrected(0), "nothing would move"),
        (lambda: corrected(MOST_MINUTES + 1), "at most 60000"),
        (lambda: corrected(-MOST_MINUTES - 1), "at most 60000"),
        (lambda: corrected(5, ""), "say why in 1 to 200"),
        (lambda: corrected(5, "  "), "say why"),
        (lambda: corrected(5, "x" * 201), "say why"),
        (lambda: corrected(5, "a\nb"), "say why"),
        (lambda: corrected(5, None), "the cause correction"),
        (lambda: earned(-5), "the cause watch"),
        (lambda: spent(0), "write a number above 0"),
        (lambda: spent(-5), "write a number above 0"),
        (lambda: spent(MOST_MINUTES + 1), "at most"),
    ],
)
def test_what_makes_no_sense_is_not_posted(make: Callable[[], Posting], says: str) -> None:
    with pytest.raises(TimeBankError, match=says):
        make()


@pytest.mark.parametrize(
    "changes",
    [
        {"minutes": 1.5},
        {"minutes": True},
        {"watch": None},
        {"month": NOVEMBER},
        {"cause": Cause.CORRECTION, "made_by": SONIA, "reason": "so"},
        {"cause": Cause.CORRECTION, "watch": None, "reason": "so"},
        {"cause": Cause.SPENDING, "watch": None, "made_by": ZOE, "minutes": -5},
        {"cause": Cause.SPENDING, "watch": None, "month": NOVEMBER, "minutes": -5},
        {
            "cause": Cause.SPENDING,
            "watch": None,
            "month": NOVEMBER,
            "minutes": 5,
            "made_by": ZOE,
        },
    ],
)
def test_a_posting_has_what_its_cause_asks_for_and_nothing_else(changes: dict[str, object]) -> None:
    fields = {name: getattr(earned(), name) for name in Posting.__slots__}
    with pytest.raises(TimeBankError):
        Posting(**fields | changes)


def test_a_single_minute_is_earned_and_spent() -> None:
    assert earned(1).minutes == 1
    assert (spent(1).minutes, spent(1).at, spent(1).month) == (-1, NOW, NOVEMBER)


def test_a_long_watch_at_a_high_rate_is_credited_whole() -> None:
    assert earned(MOST_MINUTES + 15).minutes == 60_015


def test_the_longest_reason_and_the_most_minutes_are_taken() -> None:
    assert corrected(MOST_MINUTES, "x" * 200).minutes == MOST_MINUTES


def test_what_is_there_may_be_spent_to_the_last_minute() -> None:
    check_spending(30, 30)
    with pytest.raises(OverdrawnError, match="31 minutes are more than the 30"):
        check_spending(30, 31)
    check_spending(-5, 31, may_overdraw=True)


@pytest.mark.parametrize(
    ("clock", "month"),
    [
        (datetime(2026, 10, 31, 22, 59, 59, tzinfo=UTC), "2026-10"),
        (datetime(2026, 10, 31, 23, tzinfo=UTC), "2026-11"),
        (datetime(2026, 6, 30, 21, 59, 59, tzinfo=UTC), "2026-06"),
        (datetime(2026, 6, 30, 22, tzinfo=UTC), "2026-07"),
        (datetime(2026, 12, 31, 23, tzinfo=UTC), "2027-01"),
    ],
)
def test_a_month_begins_at_the_sites_midnight(clock: datetime, month: str) -> None:
    assert str(month_of(clock, PARIS)) == month
    assert clock in parse_month(month).span(PARIS)


def test_a_month_begins_at_the_first_of_two_midnights() -> None:
    # In Havana the clock goes from 1:00 back to midnight on the first of November 2026.
    start = NOVEMBER.span(ZoneInfo("America/Havana")).start
    assert start == datetime(2026, 11, 1, 4, tzinfo=UTC)


@given(
    st.integers(1980, 2100),
    st.integers(1, 12),
    st.sampled_from(["Europe/Paris", "America/Havana", "Asia/Beirut", "Pacific/Apia", "UTC"]),
)
def test_months_follow_each_other_without_gap_or_overlap(year: int, month: int, zone: str) -> None:
    # Havana and Beirut change the clock at midnight; Apia has left a whole day out.
    one = Month(year=year, month=month)
    span, following = one.span(ZoneInfo(zone)), one.next().span(ZoneInfo(zone))
    assert span.end == following.start
    assert one.next().before() == one
    assert month_of(span.start, ZoneInfo(zone)) == one
    assert month_of(following.start - timedelta(seconds=1), ZoneInfo(zone)) == one


@pytest.mark.parametrize("text", ["", "2026", "2026-13", "2026-00", "26-01", "0000-01", "9999-12"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(TimeBankError, match="month"):
        parse_month(text)


def test_a_statement_goes_from_what_there_was_to_what_there_is() -> None:
    found = statement_of(ZOE, NOVEMBER, 15, [earned(90), spent(60), corrected(-10)])
    assert [line.balance for line in found.lines] == [105, 45, 35]
    assert (found.member, found.month) == (ZOE, NOVEMBER)
    assert (found.opening, found.closing) == (15, 35)
    assert [found.total(cause) for cause in Cause] == [90, -10, -60]
    assert statement_of(ZOE, NOVEMBER, 15, []).closing == 15


@pytest.mark.parametrize("text", ["0001-01", "1999-12", "3000-01", "9998-12", "9999-12"])
def test_a_month_at_the_ends_of_the_calendar_is_refused_before_it_is_counted(text: str) -> None:
    with pytest.raises(TimeBankError, match=r"from 2000-01 to 2999-12"):
        parse_month(text)


@pytest.mark.parametrize("text", ["2000-01", "2999-12"])
def test_the_first_and_the_last_month_can_be_counted(text: str) -> None:
    span = parse_month(text).span(PARIS)
    assert span.start < span.end


def test_a_month_without_one_after_it_is_none() -> None:
    with pytest.raises(ValueError, match="has no year after it"):
        Month(year=9999, month=1)
