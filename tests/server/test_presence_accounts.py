"""Presence hours: worked out from the record, kept before it forgets, and what may be spent."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from sqlalchemy import func, select

from access.ids import DoorId, MemberId, SiteId, WatchId
from access.journal import Head, chained
from access.model import Plan
from access.presence_hours import NotOverError
from access.time_bank import Month, OverdrawnError, TimeBankError
from runtime.settings import MqttSettings
from server import ledger, registry, schema, time_bank
from server.database import Database, open_database
from server.desk import OPERATOR
from server.erasure import erase
from server.events import Event, Recounted, RecountedTotal, Reported
from server.folder import Folder
from server.forgetting import Forgetter
from server.gatehouse import Gatehouse
from server.installation import Installation
from server.personal import personal
from server.policy_source import PolicySource
from server.presence_accounts import keep_before, kept_of, presence_of
from server.registry import Person
from server.settings import (
    DatabaseUrl,
    DoorSettings,
    PlansSettings,
    PlanTerms,
    ServerSettings,
    SiteSettings,
    ZoneName,
)
from tests.server.migrated import open_migrated
from tests.server.test_policy_source import SetClock

LYON = SiteId("lyon")
FRONT, SHED = DoorId("front"), DoorId("shed")
ZOE, OMAR, RENE = (MemberId(one) for one in ("zoe", "omar", "rene"))
PLANS = {ZOE: Plan.NOMAD, OMAR: Plan.NOMAD, RENE: Plan.RESIDENT}
START = datetime(2026, 10, 5, 8, tzinfo=UTC)
OCTOBER, NOVEMBER = Month(year=2026, month=10), Month(year=2026, month=11)
HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)


def site_settings(hours_a_month: int | None = 2, **other: Any) -> SiteSettings:
    doors = (
        DoorSettings(id=FRONT, name="Front", contact=True, readers=("in", "out")),
        DoorSettings(id=SHED, name="Shed", contact=False),
    )
    return SiteSettings(
        id=LYON,
        name="Lyon",
        zone=ZoneName("Europe/Paris"),
        capacity=60,
        doors=doors,
        plans=PlansSettings(nomad=PlanTerms(hours_a_month=hours_a_month)),
        **other,
    )


@dataclass
class Place:
    """A site and its doors, as the ledger hears of them."""

    database: Database
    installation: Installation
    clock: SetClock
    heads: dict[DoorId, Head] = field(default_factory=dict)
    visits: int = 0

    @property
    def settings(self) -> SiteSettings:
        return self.installation.settings.sites[0]

    def handle(self, *events: Event) -> None:
        self.installation.gatehouse.handle(LYON, events, self.clock.at)

    def report(self, kind: str, at: datetime, door: DoorId = FRONT, **data: Any) -> None:
        self.clock.at = max(self.clock.at, at)
        head = self.heads.get(door, Head())
        record, self.heads[door] = chained(
            head, site=LYON, source=door, kind=kind, time=at, data=data
        )
        self.handle(Reported(door=door, records=(record,)))

    def grant(
        self, at: datetime, member: MemberId = ZOE, reader: str = "in", door: DoorId = FRONT
    ) -> str:
        self.visits += 1
        request = f"r-{self.visits}"
        self.report("access.granted", at, door, request=request, reader=reader, member=member)
        return request

    def enter(self, at: datetime, member: MemberId = ZOE) -> None:
        request = self.grant(at, member)
        self.report("door.opened", at, request=request, cause="grant")
        self.report("door.closed", at)
        self.report("lock.locked", at)

    def leave(self, at: datetime, member: MemberId = ZOE) -> None:
        self.grant(at, member, "out")

    def stay(self, since: datetime, length: timedelta, member: MemberId = ZOE) -> None:
        self.enter(since, member)
        self.leave(since + length, member)

    def present(self, month: Month = OCTOBER, member: MemberId = ZOE) -> int:
        with self.database.reading() as connection:
            return presence_of(connection, self.settings, member, month, self.clock.at).present

    def earn(self, minutes: int, member: MemberId = ZOE) -> None:
        with self.database.writing() as connection:
            watch = WatchId(f"w-{member}")
            ledger.credit(
                connection, site=LYON, member=member, minutes=minutes, watch=watch, at=START
            )

    def spend(self, minutes: int, month: Month = OCTOBER, **changes: Any) -> None:
        values: dict[str, Any] = {
            "place": self.settings,
            "member": ZOE,
            "by": ZOE,
            "at": self.clock.at,
        }
        with self.database.writing() as connection:
            time_bank.spend(connection, minutes=minutes, month=month, **values | changes)

    def forget(self, at: datetime) -> None:
        self.clock.at = at
        Forgetter(self.installation, rest_s=0).forget(at)

    def rows(self) -> int:
        with self.database.reading() as connection:
            count = select(func.count()).select_from(schema.presence_month)
            return int(connection.execute(count).scalar_one())


def found(database: Database, folder: Path, site: SiteSettings) -> Place:
    clock = SetClock(START)
    settings = ServerSettings(
        database=DatabaseUrl(f"sqlite:///{folder}/gardien.db"),
        mqtt=MqttSettings(
            host="127.0.0.1", port=1883, username="server", password_file=Path("password")
        ),
        sites=(site,),
    )
    with database.writing() as connection:
        for member, plan in PLANS.items():
            person = Person(id=member, name=member.title(), plan=plan, sites=frozenset({LYON}))
            registry.add_member(connection, person, START)
    policies = PolicySource(database=database, settings=settings, clock=clock)
    return Place(
        database=database,
        clock=clock,
        installation=Installation(
            folder=Folder(path=folder),
            settings=settings,
            clock=clock,
            database=database,
            policies=policies,
            gatehouse=Gatehouse(database=database, policy_of=policies.current),
        ),
    )


@pytest.fixture
def place(database: Database, tmp_path: Path) -> Place:
    """A site whose nomads have two hours a month."""
    return found(database, tmp_path, site_settings())


def test_entries_and_exits_by_badge_are_presence(place: Place) -> None:
    place.stay(START, 90 * MINUTE)
    place.stay(START + DAY, 30 * MINUTE)
    place.stay(START + 2 * DAY, HOUR, OMAR)
    assert place.present() == 120
    assert place.present(member=OMAR) == 60
    assert place.present(NOVEMBER) == 0


def test_who_is_inside_is_present_up_to_now(place: Place) -> None:
    place.enter(START)
    place.clock.at = START + 25 * MINUTE
    assert place.present() == 25


def test_a_grant_whose_door_was_not_opened_is_no_presence(place: Place) -> None:
    place.grant(START)
    place.report("lock.locked", START + MINUTE)
    place.report("door.opened", START + 2 * MINUTE, cause="forced")
    place.report("door.closed", START + 2 * MINUTE)
    place.grant(START + HOUR)
    place.clock.at = START + 2 * HOUR
    assert place.present() == 0


def test_an_opening_counts_when_it_names_the_grant_or_comes_in_time(place: Place) -> None:
    request = place.grant(START)
    place.report("lock.locked", START + MINUTE)
    place.report("door.opened", START + 3 * MINUTE, request=request, cause="grant")
    place.report("door.closed", START + 3 * MINUTE)
    place.leave(START + 13 * MINUTE)
    place.grant(START + HOUR)
    place.report("lock.locked", START + HOUR)
    place.report("door.opened", START + HOUR + timedelta(seconds=0.5))
    place.leave(START + HOUR + 5 * MINUTE)
    assert place.present() == 14


def test_who_is_let_in_while_the_door_is_open_is_inside_at_once(place: Place) -> None:
    place.report("door.opened", START, cause="exit")
    place.grant(START + MINUTE)
    place.report("door.closed", START + 2 * MINUTE)
    place.leave(START + 11 * MINUTE)
    assert place.present() == 10


def test_at_a_door_without_contact_a_grant_is_enough(place: Place) -> None:
    place.grant(START, door=SHED)
    place.leave(START + 10 * MINUTE)
    assert place.present() == 10


def test_a_sweep_ends_what_nobody_badged_out_of(place: Place) -> None:
    place.enter(START)
    place.clock.at = START + HOUR
    place.handle(Recounted(by=OPERATOR, members=(), guests=0))
    place.clock.at = START + DAY
    assert place.present() == 60


def test_a_recount_by_name_ends_and_begins_stays_and_one_by_number_does_not(place: Place) -> None:
    place.enter(START)
    place.clock.at = START + HOUR
    place.handle(RecountedTotal(by=OPERATOR, people=0))
    place.clock.at = START + 2 * HOUR
    place.handle(Recounted(by=OPERATOR, members=(OMAR,), guests=0))
    place.clock.at = START + 3 * HOUR
    assert place.present() == 120
    assert place.present(member=OMAR) == 60


def test_a_stay_across_midnight_of_the_month_counts_in_both_months(place: Place) -> None:
    # 23:00 UTC is midnight in Paris.
    midnight = datetime(2026, 10, 31, 23, tzinfo=UTC)
    place.stay(midnight - 40 * MINUTE, 100 * MINUTE)
    assert (place.present(OCTOBER), place.present(NOVEMBER)) == (40, 60)
    place.forget(midnight + 200 * DAY)
    assert (place.present(OCTOBER), place.present(NOVEMBER)) == (40, 60)


def test_the_night_of_the_clock_change_is_as_long_as_it_was(place: Place) -> None:
    # From midnight to 06:00 in Paris, with 03:00 twice.
    place.stay(datetime(2026, 10, 24, 22, tzinfo=UTC), 7 * HOUR)
    assert place.present() == 7 * 60


def test_what_the_ledger_forgets_is_kept_and_counted_once(place: Place) -> None:
    place.stay(START, 90 * MINUTE)
    place.stay(START + 30 * DAY, HOUR)
    for days in (89, 91, 91, 100, 125, 125, 200):
        place.forget(START + days * DAY)
        assert (place.present(OCTOBER), place.present(NOVEMBER)) == (90, 60)
    with place.database.reading() as connection:
        assert connection.execute(select(schema.ledger.c.member).distinct()).scalars().all() == [
            None
        ]
        kept = kept_of(connection, LYON, ZOE)
    assert [(one.month, one.present) for one in kept] == [
        (OCTOBER, 90 * MINUTE),
        (NOVEMBER, HOUR),
    ]


def test_a_stay_that_runs_while_its_beginning_is_forgotten_goes_on(place: Place) -> None:
    place.enter(START)
    place.clock.at = START + 3 * HOUR
    assert keep_before(place.database, place.settings, START + HOUR) == 2
    assert keep_before(place.database, place.settings, START + HOUR) == 0
    place.forget(START + 90 * DAY + HOUR)
    place.clock.at = START + 3 * HOUR
    assert place.present() == 180
    place.leave(START + 4 * HOUR)
    assert place.present() == 240
    place.forget(START + 200 * DAY)
    assert place.present() == 240


def test_presence_is_kept_of_nomads_only_and_only_where_it_is_asked_for(
    database: Database, tmp_path: Path
) -> None:
    place = found(database, tmp_path, site_settings(None))
    place.stay(START, HOUR)
    place.forget(START + 100 * DAY)
    assert place.rows() == 0
    counting = found_again(place, site_settings(2))
    counting.stay(START + 101 * DAY, HOUR, RENE)
    counting.stay(START + 101 * DAY, HOUR)
    counting.forget(START + 200 * DAY)
    assert counting.rows() == 1


def found_again(place: Place, site: SiteSettings) -> Place:
    """The same place after its settings were changed."""
    settings = structs.replace(place.installation.settings, sites=(site,))
    policies = PolicySource(database=place.database, settings=settings, clock=place.clock)
    installation = Installation(
        folder=place.installation.folder,
        settings=settings,
        clock=place.clock,
        database=place.database,
        policies=policies,
        gatehouse=Gatehouse(database=place.database, policy_of=policies.current),
    )
    return Place(place.database, installation, place.clock, place.heads, place.visits)


def test_no_more_is_spent_than_what_is_over_the_plans_hours(place: Place) -> None:
    place.earn(600)
    place.stay(START, 3 * HOUR)
    with pytest.raises(NotOverError, match=r"61 minutes are more than the 60 of 2026-10"):
        place.spend(61)
    place.spend(45)
    with pytest.raises(NotOverError, match="spend at most 15"):
        place.spend(16, by=OPERATOR, may_overdraw=True)
    place.spend(15)
    with pytest.raises(NotOverError):
        place.spend(1)
    with place.database.reading() as connection:
        assert registry.balance(connection, ZOE) == 540


def test_the_month_that_runs_is_paid_up_to_now_and_no_further(place: Place) -> None:
    place.earn(600)
    place.enter(START)
    place.clock.at = START + 2 * HOUR + 10 * MINUTE
    with pytest.raises(NotOverError, match="the 10 of"):
        place.spend(11)
    place.spend(10)
    place.clock.at += 5 * MINUTE
    place.spend(5)


def test_the_balance_counts_first_and_staff_may_let_somebody_overdraw_up_to_what_is_over(
    place: Place,
) -> None:
    place.stay(START, 3 * HOUR)
    with pytest.raises(OverdrawnError):
        place.spend(60)
    place.spend(60, by=OPERATOR, may_overdraw=True)
    with pytest.raises(TimeBankError):
        place.spend(1, by=OPERATOR, may_overdraw=True)


def test_a_month_is_paid_after_the_ledger_has_forgotten_it(place: Place) -> None:
    place.earn(600)
    place.stay(START, 3 * HOUR)
    place.spend(20)
    place.forget(START + 100 * DAY)
    place.spend(40)
    with pytest.raises(NotOverError, match="the 0 of"):
        place.spend(1)


def test_two_who_spend_at_once_do_not_both_get_what_is_over_for_one(
    place: Place, database_url: str
) -> None:
    place.earn(600)
    place.stay(START, 3 * HOUR)

    def try_it(_: int) -> bool:
        with open_database(database_url) as own:
            try:
                Place(own, place.installation, place.clock).spend(45)
            except NotOverError:
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(try_it, range(4))) == [False, False, False, True]


def test_a_member_who_is_erased_leaves_true_balances_and_bare_months(place: Place) -> None:
    place.earn(600)
    place.stay(START, 3 * HOUR)
    place.spend(60)
    place.forget(START + 100 * DAY)
    with place.database.writing() as connection:
        assert personal(connection, ZOE).presence[0].minutes == 180
        assert erase(connection, ZOE).time_entries == 3
        assert sum(registry.accounts(connection).values()) == 0
        assert registry.balance(connection, ZOE) == 540
    assert place.rows() == 1
    with pytest.raises(registry.UnknownError):
        place.spend(1)


def test_months_of_presence_are_accounts_and_go_after_five_years(place: Place) -> None:
    place.stay(START, HOUR)
    place.forget(START + 100 * DAY)
    place.forget(START + 5 * 365 * DAY - 10 * DAY)
    assert place.rows() == 1
    place.forget(START + 5 * 365 * DAY + 40 * DAY)
    assert place.rows() == 0


@contextmanager
def fresh() -> Iterator[Place]:
    with TemporaryDirectory() as folder:
        path = Path(folder)
        with open_migrated(path / "gardien.db") as database:
            yield found(database, path, site_settings(0, keep_days=1))


VISITS = st.lists(
    st.tuples(st.integers(1, 20 * 60), st.sampled_from(["in", "out", "sweep"])), max_size=8
)


@settings(max_examples=10, deadline=None)
@given(VISITS, st.lists(st.integers(0, 9), max_size=3))
def test_to_forget_at_any_time_changes_no_presence(
    visits: list[tuple[int, str]], cuts: list[int]
) -> None:
    presents = []
    # Around midnight of the month, and across a change of clocks.
    begin = datetime(2026, 10, 29, 8, tzinfo=UTC)
    for at_cuts in (frozenset[int](), frozenset(cuts)):
        with fresh() as place:
            at = begin
            for number, (minutes, what) in enumerate(visits):
                at += minutes * MINUTE
                if what == "sweep":
                    place.clock.at = max(place.clock.at, at)
                    place.handle(Recounted(by=OPERATOR, members=(), guests=0))
                elif what == "in":
                    place.enter(at)
                else:
                    place.leave(at)
                if number in at_cuts:
                    Forgetter(place.installation, rest_s=0).forget(place.clock.at)
            place.clock.at = begin + 20 * DAY
            presents.append([place.present(month) for month in (OCTOBER, NOVEMBER)])
    assert presents[0] == presents[1]
