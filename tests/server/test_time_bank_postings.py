"""The time bank in the database: each posting once and for good, spent by who may."""

import csv
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from alembic import command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from sqlalchemy import text as sql

from access.ids import MemberId, SiteId, WatchId
from access.model import Plan
from access.time_bank import (
    Account,
    Cause,
    Month,
    OverdrawnError,
    Posting,
    TimeBankError,
)
from server import ledger, registry, time_bank, upgrade
from server.database import ConflictError, Database, open_database
from server.desk import OPERATOR
from server.registry import Person, TakenError, UnknownError
from server.time_bank import NotTheirsError
from tests.server.test_forgetting import site_settings

LYON, PARIS = SiteId("lyon"), SiteId("paris")
ZOE, OMAR, SONIA, RENE = (MemberId(one) for one in ("zoe", "omar", "sonia", "rene"))
HOME = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 11, 24, 20, tzinfo=UTC)
OCTOBER, NOVEMBER, DECEMBER = (Month(year=2026, month=month) for month in (10, 11, 12))
PLANS = {ZOE: Plan.NOMAD, OMAR: Plan.NOMAD, SONIA: Plan.STAFF, RENE: Plan.RESIDENT}


@pytest.fixture
def bank(database: Database) -> Database:
    """A database with four members, and nothing in the bank."""
    with database.writing() as connection:
        for member, plan in PLANS.items():
            person = Person(id=member, name=member.title(), plan=plan, sites=frozenset({LYON}))
            registry.add_member(connection, person, NOW)
    return database


def earn(
    bank: Database, minutes: int, watch: str, at: datetime = NOW, member: MemberId = ZOE
) -> bool:
    with bank.writing() as connection:
        return ledger.credit(
            connection, site=LYON, member=member, minutes=minutes, watch=WatchId(watch), at=at
        )


def spend(bank: Database, minutes: int, **changes: Any) -> Posting:
    values: dict[str, Any] = {
        "place": site_settings(),
        "member": ZOE,
        "month": NOVEMBER,
        "by": ZOE,
        "at": NOW,
    }
    with bank.writing() as connection:
        return time_bank.spend(connection, minutes=minutes, **values | changes)


def correct(bank: Database, minutes: int, **changes: Any) -> Posting:
    values: dict[str, Any] = {
        "site": LYON,
        "member": ZOE,
        "reason": "Came early",
        "by": SONIA,
        "at": NOW,
    }
    with bank.writing() as connection:
        return time_bank.correct(connection, minutes=minutes, **values | changes)


def read(bank: Database, look: Callable[[Connection], Any]) -> Any:
    with bank.reading() as connection:
        return look(connection)


def balance(bank: Database, member: MemberId = ZOE) -> int:
    found: int = read(bank, lambda one: registry.balance(one, member))
    return found


def test_a_credit_a_correction_and_a_spending_add_up(bank: Database) -> None:
    earn(bank, 90, "w-1")
    earn(bank, 15, "w-1", member=OMAR)
    correct(bank, -20, site=PARIS)
    spend(bank, 30)
    assert read(bank, registry.balances) == {OMAR: 15, ZOE: 40}
    assert read(bank, lambda one: registry.balances(one, LYON)) == {OMAR: 15, ZOE: 60}
    assert balance(bank, RENE) == 0
    accounts = read(bank, registry.accounts)
    assert accounts == {
        Account(owner=OMAR): 15,
        Account(owner=ZOE): 40,
        Account(owner=LYON, is_site=True): -75,
        Account(owner=PARIS, is_site=True): 20,
    }
    newest = read(bank, lambda one: registry.newest_postings(one, ZOE))
    assert [one.cause for one in newest] == [Cause.SPENDING, Cause.CORRECTION, Cause.WATCH]


def test_nobody_spends_more_than_they_have_unless_staff_says_so(bank: Database) -> None:
    earn(bank, 60, "w-1")
    with pytest.raises(OverdrawnError, match="61 minutes are more than the 60"):
        spend(bank, 61)
    with pytest.raises(NotTheirsError, match="only staff"):
        spend(bank, 61, may_overdraw=True)
    assert balance(bank) == 60
    spend(bank, 60)
    with pytest.raises(OverdrawnError):
        spend(bank, 1)
    spend(bank, 15, by=SONIA, may_overdraw=True)
    spend(bank, 15, by=OPERATOR, may_overdraw=True)
    assert balance(bank) == -30


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"by": OMAR}, NotTheirsError, "only staff"),
        ({"by": MemberId("nobody")}, NotTheirsError, "only staff"),
        ({"member": RENE, "by": RENE}, TimeBankError, "no nomad"),
        ({"month": DECEMBER}, TimeBankError, "still to come"),
        ({"minutes": 0}, TimeBankError, "above 0"),
        ({"minutes": -5}, TimeBankError, "above 0"),
        ({"member": MemberId("eve"), "by": SONIA}, UnknownError, "no member 'eve'"),
    ],
)
def test_a_spending_that_makes_no_sense_is_refused(
    bank: Database, changes: dict[str, Any], error: type[Exception], says: str
) -> None:
    earn(bank, 60, "w-1")
    with pytest.raises(error, match=says):
        spend(bank, **{"minutes": 5} | changes)
    assert balance(bank) == 60


def test_the_month_of_the_site_is_what_has_begun(bank: Database) -> None:
    earn(bank, 60, "w-1")
    midnight = datetime(2026, 11, 30, 23, tzinfo=UTC)
    with pytest.raises(TimeBankError, match="still to come"):
        spend(bank, 5, month=DECEMBER, at=midnight - timedelta(seconds=1))
    spend(bank, 5, month=DECEMBER, at=midnight)


def test_a_spending_that_is_asked_for_again_is_posted_once(bank: Database) -> None:
    earn(bank, 60, "w-1")
    for _ in range(2):
        spend(bank, 60, key="click-1")
    assert balance(bank) == 0
    with pytest.raises(TakenError, match="ask anew"):
        spend(bank, 15, key="click-1")
    with pytest.raises(TakenError, match="ask anew"):
        correct(bank, 15, key="click-1")


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"by": OMAR}, NotTheirsError, "only staff"),
        ({"by": SONIA, "member": SONIA}, NotTheirsError, "their own"),
        ({"reason": " "}, TimeBankError, "say why"),
        ({"minutes": 0}, TimeBankError, "nothing would move"),
        ({"member": MemberId("eve")}, UnknownError, "no member 'eve'"),
    ],
)
def test_a_correction_that_makes_no_sense_is_refused(
    bank: Database, changes: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        correct(bank, **{"minutes": 5} | changes)
    assert read(bank, registry.balances) == {}


def test_a_correction_says_why_and_by_whom(bank: Database) -> None:
    correct(bank, 30, key="k")
    correct(bank, 30, key="k")
    (posting,) = read(bank, lambda one: registry.newest_postings(one, ZOE))
    assert (posting.reason, posting.made_by, posting.minutes) == ("Came early", SONIA, 30)


def test_the_account_of_who_has_left_can_still_be_put_right(bank: Database) -> None:
    earn(bank, 60, "w-1", member=MemberId("gone"))
    correct(bank, -60, member=MemberId("gone"))
    assert balance(bank, MemberId("gone")) == 0


WATCH = "INSERT INTO time_entry (site, member, minutes, cause, at, watch) VALUES "
OTHER = "INSERT INTO time_entry (site, member, minutes, cause, at, made_by, month) VALUES "


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE time_entry SET minutes = 600",
        "DELETE FROM time_entry",
        WATCH + "('lyon', 'zoe', 0, 'watch', 1, 'w-2')",
        WATCH + "('lyon', 'zoe', -5, 'watch', 1, 'w-2')",
        WATCH + "('lyon', 'zoe', 15, 'watch', 1, 'w-1')",
        WATCH + "('lyon', 'zoe', 5, 'watch', 1, NULL)",
        WATCH + "('lyon', 'zoe', 5, 'gift', 1, NULL)",
        OTHER + "('lyon', 'zoe', 5, 'correction', 1, 'sonia', NULL)",
        OTHER + "('lyon', 'zoe', 5, 'spending', 1, 'sonia', '2026-11')",
        OTHER + "('lyon', 'zoe', -5, 'spending', 1, NULL, '2026-11')",
        OTHER + "('lyon', 'zoe', -5, 'spending', 1, 'sonia', NULL)",
    ],
)
def test_the_database_itself_refuses_what_is_no_posting(bank: Database, change: str) -> None:
    earn(bank, 60, "w-1")
    with pytest.raises(ConflictError), bank.writing() as connection:
        connection.execute(sql(change))
    assert balance(bank) == 60


def test_a_purge_takes_old_postings_out_but_changes_none(bank: Database) -> None:
    earn(bank, 60, "w-1")

    def change() -> None:
        with bank.writing() as connection:
            connection.execute(sql("INSERT INTO purge_permit (id) VALUES (1)"))
            connection.execute(sql("UPDATE time_entry SET minutes = 5"))

    with pytest.raises(ConflictError, match="append-only"):
        change()
    with bank.writing() as connection:
        connection.execute(sql("INSERT INTO purge_permit (id) VALUES (1)"))
        connection.execute(sql("DELETE FROM time_entry"))
        connection.execute(sql("DELETE FROM purge_permit"))
    assert balance(bank) == 0


def test_two_who_spend_at_once_do_not_both_get_what_is_there_for_one(
    bank: Database, database_url: str
) -> None:
    earn(bank, 60, "w-1")

    def try_it(_: int) -> bool:
        with open_database(database_url) as own:
            try:
                spend(own, 45)
            except OverdrawnError:
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(try_it, range(4))) == [False, False, False, True]
    assert balance(bank) == 15


def test_a_statement_tells_a_month_as_the_site_counts_it(bank: Database) -> None:
    # The last minute of October in Paris, and the first of November and of December.
    starts = [datetime(2026, 10, 31, 23, tzinfo=UTC), datetime(2026, 11, 30, 23, tzinfo=UTC)]
    earn(bank, 90, "w-1", at=starts[0] - timedelta(minutes=1))
    earn(bank, 15, "w-2", at=starts[0])
    spend(bank, 60)
    earn(bank, 30, "w-3", at=starts[1])
    with bank.reading() as connection:
        of = {
            month: time_bank.statement(connection, ZOE, month, HOME)
            for month in (OCTOBER, NOVEMBER, DECEMBER)
        }
    assert [(s.opening, s.closing) for s in of.values()] == [(0, 90), (90, 45), (45, 75)]
    assert [line.balance for line in of[NOVEMBER].lines] == [105, 45]
    assert of[NOVEMBER].lines[1].posting.month == NOVEMBER


def test_the_statements_of_a_site_are_of_those_to_whom_it_posted(bank: Database) -> None:
    earn(bank, 90, "w-1")
    correct(bank, 5, member=OMAR, site=PARIS)
    correct(bank, 5, site=PARIS)
    found = read(bank, lambda one: time_bank.statements(one, NOVEMBER, HOME, LYON))
    assert [(one.member, one.closing) for one in found] == [(ZOE, 95)]
    every = read(bank, lambda one: time_bank.statements(one, NOVEMBER, HOME))
    assert [one.member for one in every] == [OMAR, ZOE]


def test_a_sheet_has_the_members_name_as_long_as_anybody_knows_it(bank: Database) -> None:
    found = read(bank, lambda one: time_bank.sheet(one, ZOE, NOVEMBER, HOME, NOW))
    assert (found.name, found.statement.member, found.issued) == ("Zoe", ZOE, NOW)
    gone = MemberId("gone")
    assert read(bank, lambda one: time_bank.sheet(one, gone, NOVEMBER, HOME, NOW)).name == ""


def test_the_csv_has_a_line_for_each_posting_and_no_formula(bank: Database) -> None:
    earn(bank, 90, "w-1")
    correct(bank, -5, reason='=HYPERLINK("x"), he said')
    found = read(bank, lambda one: time_bank.statements(one, NOVEMBER, HOME))
    rows = list(csv.reader(time_bank.to_csv(found, HOME).splitlines()))
    assert tuple(rows[0]) == time_bank.COLUMNS
    assert rows[1][:7] == [
        "zoe",
        "2026-11",
        "2026-11-24T21:00:00+01:00",
        "lyon",
        "watch",
        "90",
        "90",
    ]
    assert rows[2][5:7] == ["-5", "85"]
    assert rows[2][-1] == '\'=HYPERLINK("x"), he said'


def test_what_was_in_the_bank_before_it_was_kept_like_money_is_taken_over(
    empty_database: Database,
) -> None:
    with empty_database.writing() as connection:
        command.upgrade(upgrade._config(connection), "0002")  # noqa: SLF001 (an older schema)
        connection.execute(
            sql(
                "INSERT INTO time_entry (id, site, member, minutes, watch, cause, at) VALUES"
                " (3, 'lyon', 'zoe', 90, 'w-1', 'watch', 1), (4, 'lyon', 'zoe', -30, NULL, 'x', 2),"
                " (7, 'lyon', 'zoe', 0, NULL, 'y', 3), (9, 'lyon', 'omar', 15, 'w-1', 'watch', 1)"
            )
        )
    upgrade.upgrade(empty_database)
    assert read(empty_database, registry.balances) == {OMAR: 15, ZOE: 60}
    newest = read(empty_database, lambda one: registry.newest_postings(one, ZOE))
    assert (newest[0].reason, newest[0].made_by) == ("x", OPERATOR)
    assert not earn(empty_database, 90, "w-1")
    earn(empty_database, 15, "w-2")
    with empty_database.reading() as connection:
        ids = connection.execute(sql("SELECT id FROM time_entry ORDER BY id")).scalars().all()
    assert ids[:3] == [3, 4, 9]
    assert ids[3] > 9


WATCHES = st.lists(
    st.tuples(
        st.sampled_from(["w-1", "w-2", "w-3"]),
        st.sampled_from([LYON, PARIS]),
        st.sampled_from([ZOE, OMAR]),
    ),
    max_size=12,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(WATCHES.flatmap(lambda made: st.tuples(st.just(made), st.permutations(made))))
def test_credits_replayed_in_any_order_and_any_number_give_the_same_balances(
    database: Database, both: tuple[list[Any], list[Any]]
) -> None:
    minutes = {"w-1": 15, "w-2": 90, "w-3": 45}

    def balances(replayed: list[Any]) -> dict[MemberId, int]:
        with database.writing() as connection:
            for watch, site, member in replayed:
                ledger.credit(
                    connection,
                    site=site,
                    member=member,
                    minutes=minutes[watch],
                    watch=WatchId(watch),
                    at=NOW,
                )
            found = registry.balances(connection)
            assert sum(registry.accounts(connection).values()) == 0
            connection.rollback()
        return found

    once = sorted(set(both[0]))
    assert balances(both[1] + both[0]) == balances(once)
    assert sum(balances(once).values()) == sum(minutes[watch] for watch, *_ in once)
