"""The history's follower, on the embedded history and on InfluxDB."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest
from sqlalchemy import create_engine

from access.ids import BadgeDigest, DoorId, MemberId, SiteId
from access.instants import Span
from access.journal import Head, chained
from access.messages import AccessRequest
from access.model import Badge, Door, Member, Plan, Policy
from server import ledger, schema
from server.database import Database, open_database
from server.events import Asked, Reported
from server.follower import NAME, STAND_IN, HistoryFollower
from server.gatehouse import Gatehouse
from server.history import DecisionCount, History, HistoryUnavailable, Sample
from server.history_embedded import EmbeddedHistory
from server.history_influx import InfluxHistory
from server.history_influx_client import InfluxSettings
from server.history_points import Point
from server.verify import verify_site
from tests.server.migrated import open_migrated

SITE, MAIN = SiteId("malakoff"), DoorId("main")
# Within the 13 months that InfluxDB keeps, whenever this runs.
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=30)
MEMBERS = tuple(MemberId(f"member-{number}") for number in range(5))
WAIT_S = 20.0


class RunningInflux(Protocol):
    """What `new_influxd` of conftest.py gives, to a test."""

    @property
    def url(self) -> str: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Store:
    """A history, and a way to make it go away for a while."""

    history: History
    away: Callable[[], AbstractContextManager[None]]


def influx_store(server: RunningInflux, stack: ExitStack) -> Store:
    @contextmanager
    def away() -> Iterator[None]:
        server.stop()
        yield
        server.start()

    settings = InfluxSettings(url=server.url, database="gardien", timeout_s=10.0)
    return Store(history=stack.enter_context(InfluxHistory(settings)), away=away)


def embedded_store(path: Path, stack: ExitStack) -> Store:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 0.05})
    stack.callback(engine.dispose)

    @contextmanager
    def away() -> Iterator[None]:
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        yield
        holder.execute("ROLLBACK")
        holder.close()

    return Store(history=EmbeddedHistory(engine), away=away)


@pytest.fixture(params=["embedded", pytest.param("influx", marks=pytest.mark.influxdb)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with ExitStack() as stack:
        if request.param == "influx":
            new_influxd = request.getfixturevalue("new_influxd")
            yield influx_store(new_influxd(auth=False), stack)
        else:
            yield embedded_store(tmp_path / "points.db", stack)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A ledger, and the cursors of its followers in a file of their own."""

    database: Database
    cursors: Database
    gatehouse: Gatehouse

    def follower(self, history: History, name: str = NAME) -> HistoryFollower:
        return HistoryFollower(
            source=self.database, cursors=self.cursors, history=history, name=name
        )

    def done(self) -> int:
        with self.cursors.reading() as connection:
            return ledger.cursor(connection, NAME)

    def last(self) -> int:
        with self.database.reading() as connection:
            return ledger.last_id(connection)

    def is_caught_up(self) -> bool:
        return self.done() == self.last() > 0


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    policy = rules()
    with (
        open_migrated(tmp_path / "gardien.db") as database,
        open_database(f"sqlite:///{tmp_path / 'cursors.db'}") as cursors,
    ):
        schema.follower.create(cursors.engine)
        gatehouse = Gatehouse(database=database, policy_of=lambda _: policy)
        yield Place(database=database, cursors=cursors, gatehouse=gatehouse)


def rules() -> Policy:
    digests = {member: BadgeDigest(f"{n:032x}") for n, member in enumerate(MEMBERS)}
    return Policy(
        version=1,
        site=SITE,
        issued=NOON,
        relies_until=NOON + timedelta(hours=72),
        capacity=60,
        doors={MAIN: Door(id=MAIN, name="Main", plans=frozenset(Plan))},
        members={member: Member(id=member, plan=Plan.NOMAD) for member in MEMBERS},
        badges={d: Badge(digest=d, member=m) for m, d in digests.items()},
        opening=(Span(start=NOON - timedelta(hours=4), end=NOON + timedelta(hours=6)),),
    )


@dataclass
class People:
    """Members come in, one a minute."""

    place: Place
    came: int = 0
    head: Head = field(default_factory=Head)

    def come(self, number: int) -> None:
        for _ in range(number):
            self._enter(MEMBERS[self.came], NOON + timedelta(minutes=self.came))
            self.came += 1

    def _enter(self, member: MemberId, at: datetime) -> None:
        request = AccessRequest(
            id=f"00000000-0000-7000-8000-{self.came:012x}",
            at=at,
            reader="in",
            badge=BadgeDigest(f"{self.came:032x}"),
        )
        granted = self._record("access.granted", at, reader="in", member=member)
        opened = self._record("door.opened", at)
        odd = self._record("door.closed", at, open_s="long")
        events = [Asked(door=MAIN, request=request)]
        self.place.gatehouse.handle(SITE, events, at)
        self.place.gatehouse.handle(SITE, [Reported(door=MAIN, records=(granted, opened, odd))], at)

    def come_and_go(self, hour: datetime, visits: int) -> None:
        """Let members come in and leave again, one after the other, within an hour."""
        for number in range(visits):
            at, member = hour + timedelta(minutes=number), MEMBERS[number]
            for reader, later in (("in", at), ("out", at + timedelta(minutes=30))):
                records = (
                    self._record("access.granted", later, reader=reader, member=member),
                    self._record("door.opened", later),
                    self._record("door.closed", later, open_s=3.0),
                )
                self.place.gatehouse.handle(SITE, [Reported(door=MAIN, records=records)], later)

    def _record(self, kind: str, at: datetime, **data: Any) -> dict[str, Any]:
        record, self.head = chained(
            self.head, site=SITE, source=MAIN, kind=kind, time=at, data=data
        )
        return record


@pytest.fixture
def people(place: Place) -> People:
    return People(place)


def told(history: History) -> tuple[list[Sample], list[DecisionCount]]:
    start, end = NOON - timedelta(hours=1), NOON + timedelta(hours=1)
    return (
        history.occupancy(SITE, start=start, end=end),
        history.decisions(SITE, start=start, end=end),
    )


def day_of(history: History) -> tuple[list[Sample], list[Sample], list[DecisionCount]]:
    """Give each change of a day, its hours, and its decisions."""
    start, end = NOON - timedelta(hours=1), NOON + timedelta(hours=24)
    return (
        history.occupancy(SITE, start=start, end=end),
        history.occupancy(SITE, start=start, end=end, step=timedelta(hours=1)),
        history.decisions(SITE, start=start, end=end),
    )


def present(history: History) -> list[int]:
    return [sample.present for sample in told(history)[0]]


def catch_up(follower: HistoryFollower) -> int:
    return sum(iter(follower.step, 0))


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def running(follower: HistoryFollower) -> Iterator[threading.Thread]:
    stop = threading.Event()
    thread = threading.Thread(target=follower.run, args=(stop,))
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        follower.wake()
        thread.join(WAIT_S)
        assert not thread.is_alive()


def test_what_is_in_the_ledger_comes_into_the_history(
    place: Place, people: People, store: Store
) -> None:
    people.come(3)
    assert catch_up(place.follower(store.history)) == place.last()
    samples, decisions = told(store.history)
    # The count is told once before the first has come in, at the same minute.
    assert [(s.at - NOON, s.present) for s in samples][-3:] == [
        (timedelta(minutes=minute), minute + 1) for minute in range(3)
    ]
    assert decisions == [DecisionCount(reason="opening_hours", granted=True, count=3)]
    assert place.is_caught_up()


def test_nothing_new_is_nothing_to_do(place: Place, people: People, store: Store) -> None:
    follower = place.follower(store.history)
    assert follower.step() == 0
    people.come(1)
    assert follower.step() > 0
    assert follower.step() == 0


def test_it_catches_up_after_the_history_was_away(
    place: Place, people: People, store: Store
) -> None:
    follower = place.follower(store.history)
    people.come(1)
    catch_up(follower)
    before = place.done()
    with store.away():
        people.come(2)
        with pytest.raises(HistoryUnavailable):
            follower.step()
        assert place.done() == before
    catch_up(follower)
    assert present(store.history)[-3:] == [1, 2, 3]
    assert place.is_caught_up()


def test_a_day_without_the_history_is_made_up_for_to_the_point(
    place: Place, people: People, store: Store, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        engine = create_engine(f"sqlite:///{tmp_path / 'undisturbed.db'}")
        stack.callback(engine.dispose)
        undisturbed = EmbeddedHistory(engine)
        follower, other = place.follower(store.history), place.follower(undisturbed, STAND_IN)
        people.come_and_go(NOON - timedelta(hours=1), 5)
        catch_up(follower)
        with store.away():
            for hour in range(24):
                people.come_and_go(NOON + timedelta(hours=hour), 5)
                catch_up(other)
                with pytest.raises(HistoryUnavailable):
                    follower.step()
        assert catch_up(follower) > 24 * 5 * 6
        assert day_of(store.history) == day_of(undisturbed)
        assert len(day_of(store.history)[0]) >= 24 * 5 * 2
    with place.database.reading() as connection:
        assert all(report.is_whole for report in verify_site(connection, SITE))


def test_begun_again_at_zero_it_comes_to_the_same(
    place: Place, people: People, store: Store
) -> None:
    follower = place.follower(store.history)
    people.come(2)
    catch_up(follower)
    people.come(2)
    catch_up(follower)
    before = told(store.history)
    follower.restart()
    assert place.done() == 0
    assert catch_up(follower) == place.last()
    assert told(store.history) == before


def test_its_cursor_survives_a_restart(place: Place, people: People, store: Store) -> None:
    people.come(2)
    catch_up(place.follower(store.history))
    assert place.follower(store.history).step() == 0
    people.come(1)
    assert 0 < place.follower(store.history).step() < place.last()


def test_it_follows_what_is_committed_while_it_runs(
    place: Place, people: People, store: Store
) -> None:
    follower = place.follower(store.history)
    with running(follower):
        for _ in range(3):
            people.come(1)
            follower.wake()
            wait_for(place.is_caught_up)
    assert present(store.history)[-3:] == [1, 2, 3]


def work(follower: HistoryFollower, least_s: float) -> float:
    """Use the processor for so long, breathe, and give how long the breath was, in seconds."""
    start = time.thread_time()
    while time.thread_time() < start + least_s:
        pass
    before = time.monotonic()
    follower.breathe()
    return time.monotonic() - before


def test_after_work_it_rests_for_longer_while_badges_are_read(place: Place, store: Store) -> None:
    follower = place.follower(store.history)
    work(follower, 0.01)
    follower.wake()
    assert work(follower, 0.01) >= 0.03


def test_it_does_not_rest_while_nobody_is_at_a_door(place: Place, store: Store) -> None:
    follower = place.follower(store.history)
    assert min(work(follower, 0.02) for _ in range(5)) < 0.03


def test_while_badges_are_read_it_works_in_small_pieces(
    place: Place, people: People, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.follower._SMALL_BATCH", 3)
    people.come(2)
    follower = place.follower(store.history)
    follower.wake()
    assert follower.step() == 3
    calm = place.follower(store.history)
    assert calm.step() > 3
    assert place.is_caught_up()


class Refusing(EmbeddedHistory):
    """A history that fails by a fault, a number of times."""

    faults = 2

    def write(self, points: Sequence[Point], **options: Any) -> None:
        if self.faults:
            self.faults -= 1
            raise RuntimeError("a fault")
        super().write(points, **options)


def test_a_fault_never_ends_it(
    place: Place,
    people: People,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("server.follower._FAULT_S", 0.01)
    people.come(1)
    with running(place.follower(Refusing(place.cursors.engine))), caplog.at_level(logging.ERROR):
        wait_for(place.is_caught_up)
    assert [record.getMessage() for record in caplog.records] == [
        "a fault keeps the history from going on"
    ] * 2
