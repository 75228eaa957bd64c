"""One suite of behaviour for every store that the history can be kept in."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from random import Random
from typing import Protocol
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from access.ids import DoorId, SiteId
from access.model import Reader
from access.policy import Reason
from server.history import (
    DecisionCount,
    History,
    HistoryUnavailable,
    Retention,
    Sample,
)
from server.history_embedded import EmbeddedHistory, history_metadata
from server.history_hourly import downsample
from server.history_influx import InfluxHistory
from server.history_influx_client import InfluxSettings
from server.history_points import (
    Measurement,
    Point,
    access_point,
    door_point,
    occupancy_point,
    watch_point,
)

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
# Within the 13 months that InfluxDB keeps, whenever this runs; at 09:00 UTC.
MORNING = datetime.now(UTC).replace(hour=9, minute=0, second=0, microsecond=0) - 30 * 24 * HOUR
MAIN = DoorId("main")


class RunningInflux(Protocol):
    """What `influxd` of conftest.py is, to a test."""

    @property
    def url(self) -> str: ...


def embedded(url: str, stack: ExitStack) -> History:
    engine = create_engine(url)
    stack.callback(engine.dispose)
    stack.callback(history_metadata.drop_all, engine)
    return EmbeddedHistory(engine)


def influx(url: str, stack: ExitStack) -> History:
    database = f"gardien-{uuid4().hex[:8]}"
    # Nothing but the behaviour is measured here, and the machine may be busy.
    wanted = InfluxSettings(url=url, database=database, timeout_s=10.0)
    return stack.enter_context(InfluxHistory(wanted))


def store(kind: str, request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> History:
    if kind == "influx-1.6":
        server: RunningInflux = request.getfixturevalue("influxd")
        return influx(server.url, stack)
    if kind == "postgresql":
        return embedded(request.getfixturevalue("postgres_url"), stack)
    return embedded(f"sqlite:///{folder / 'history.db'}", stack)


@pytest.fixture(
    params=["sqlite", "postgresql", pytest.param("influx-1.6", marks=pytest.mark.influxdb)]
)
def history(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[History]:
    with ExitStack() as stack:
        made = store(request.param, request, tmp_path, stack)
        made.prepare()
        yield made


@pytest.fixture
def site() -> SiteId:
    return SiteId(f"site-{uuid4().hex[:8]}")


def inside(site: SiteId, at: datetime, present: int) -> Point:
    return occupancy_point(
        site=site, at=at, present=present, margin=1, members=present, guests=0, capacity=60
    )


def answered(site: SiteId, at: datetime, reason: Reason, *, granted: bool) -> Point:
    return access_point(
        site=site, door=MAIN, reader=Reader.IN, reason=reason, granted=granted, at=at, decide_ms=1.5
    )


def curve(history: History, site: SiteId, step: timedelta | None = None) -> list[tuple[int, int]]:
    """Read a day as seconds after the morning and people present."""
    samples = history.occupancy(site, start=MORNING, end=MORNING + 24 * HOUR, step=step)
    return [(int((one.at - MORNING).total_seconds()), one.present) for one in samples]


def test_a_prepared_store_is_ready(history: History) -> None:
    assert history.is_ready()


def test_preparing_twice_keeps_what_is_there(history: History, site: SiteId) -> None:
    history.write([inside(site, MORNING, 3)])
    history.prepare()
    assert curve(history, site) == [(0, 3)]


def test_what_is_written_is_read_back_whole(history: History, site: SiteId) -> None:
    point = occupancy_point(
        site=site, at=MORNING, present=23, margin=2, members=20, guests=5, capacity=60
    )
    history.write([point])
    assert history.occupancy(site, start=MORNING, end=MORNING + HOUR) == [
        Sample(at=MORNING, present=23, margin=2, members=20, guests=5, capacity=60)
    ]


def test_points_written_in_any_order_are_read_in_the_order_of_time(
    history: History, site: SiteId
) -> None:
    minutes = [5, 1, 4, 2, 3]
    history.write([inside(site, MORNING + n * MINUTE, n) for n in minutes])
    assert curve(history, site) == [(60 * n, n) for n in sorted(minutes)]


def test_the_same_points_written_again_change_nothing(history: History, site: SiteId) -> None:
    points = [
        inside(site, MORNING, 3),
        answered(site, MORNING, Reason.STAFF, granted=True),
        door_point(site=site, door=MAIN, at=MORNING, open_s=4.0, held=False),
        watch_point(site=site, at=MORNING, minutes=90, guests=3, peak=20),
    ]
    for _ in range(3):
        history.write(points)
    history.write([points[0], points[0]])
    assert curve(history, site) == [(0, 3)]
    assert history.decisions(site, start=MORNING, end=MORNING + HOUR) == [
        DecisionCount(reason="staff", granted=True, count=1)
    ]


def test_a_point_corrected_at_its_time_replaces_the_first(history: History, site: SiteId) -> None:
    history.write([inside(site, MORNING, 3)])
    history.write([inside(site, MORNING, 4)])
    assert curve(history, site) == [(0, 4)]


def test_the_time_is_that_of_what_happened_not_of_the_write(history: History, site: SiteId) -> None:
    in_paris = MORNING.astimezone(timezone(2 * HOUR))
    history.write([inside(site, in_paris, 3)])
    (sample,) = history.occupancy(site, start=in_paris, end=in_paris + MINUTE)
    assert sample.at == MORNING
    assert sample.at.utcoffset() == timedelta()


def test_microseconds_survive(history: History, site: SiteId) -> None:
    moments = [MORNING + timedelta(microseconds=n) for n in (1, 2, 999_999)]
    history.write([inside(site, at, n) for n, at in enumerate(moments)])
    samples = history.occupancy(site, start=MORNING, end=MORNING + HOUR)
    assert [one.at for one in samples] == moments


def test_a_start_belongs_and_an_end_does_not(history: History, site: SiteId) -> None:
    history.write([inside(site, MORNING + n * HOUR, n) for n in range(3)])
    samples = history.occupancy(site, start=MORNING, end=MORNING + 2 * HOUR)
    assert [one.present for one in samples] == [0, 1]


def test_a_step_keeps_its_last_value(history: History, site: SiteId) -> None:
    seconds = {0: 1, 899: 2, 900: 3, 1000: 9, 1799: 4, 5400: 5}
    history.write([inside(site, MORNING + timedelta(seconds=s), n) for s, n in seconds.items()])
    assert curve(history, site, 15 * MINUTE) == [(0, 2), (900, 4), (5400, 5)]


def test_steps_are_counted_from_the_start_that_was_asked_for(
    history: History, site: SiteId
) -> None:
    start = MORNING + timedelta(minutes=7, microseconds=13)
    history.write([inside(site, start + n * MINUTE, n) for n in (0, 9, 10, 19)])
    samples = history.occupancy(site, start=start, end=start + HOUR, step=10 * MINUTE)
    assert [(one.at - start, one.present) for one in samples] == [
        (timedelta(), 9),
        (10 * MINUTE, 19),
    ]


@pytest.mark.parametrize("step", [1, 7, 600, 86_400, 1_000_000])
def test_steps_give_what_the_changes_give(history: History, site: SiteId, step: int) -> None:
    dice = Random(step)  # noqa: S311 (not for secrets)
    seconds = sorted(dice.sample(range(86_400), 200))
    history.write([inside(site, MORNING + timedelta(seconds=s), s % 97) for s in seconds])
    last = {s // step * step: s % 97 for s in seconds}
    assert curve(history, site, timedelta(seconds=step)) == sorted(last.items())


def test_a_reading_of_two_weeks_is_whole_and_has_nothing_twice(
    history: History, site: SiteId
) -> None:
    hours = range(0, 14 * 24, 7)
    history.write([inside(site, MORNING + n * HOUR, n) for n in hours])
    end = MORNING + 14 * 24 * HOUR
    changes = history.occupancy(site, start=MORNING, end=end)
    assert [one.present for one in changes] == list(hours)
    weeks = history.occupancy(site, start=MORNING, end=end, step=7 * 24 * HOUR)
    assert [(one.at - MORNING, one.present) for one in weeks] == [
        (timedelta(), 161),
        (7 * 24 * HOUR, 329),
    ]


def test_sites_do_not_mix(history: History, site: SiteId) -> None:
    other = SiteId(f"{site}-2")
    history.write([inside(site, MORNING, 3), inside(other, MORNING, 50)])
    assert curve(history, site) == [(0, 3)]


def test_raw_and_hourly_points_do_not_mix(history: History, site: SiteId) -> None:
    history.write([inside(site, MORNING, 3)])
    history.write([inside(site, MORNING, 7)], retention=Retention.HOURLY)
    end = MORNING + HOUR
    hourly = history.occupancy(site, start=MORNING, end=end, retention=Retention.HOURLY)
    assert [one.present for one in hourly] == [7]
    assert curve(history, site) == [(0, 3)]


def test_each_whole_hour_keeps_its_last_value_for_ever(history: History, site: SiteId) -> None:
    minutes = {0: 1, 59: 2, 61: 3, 26 * 60 + 5: 4, 27 * 60 + 5: 5}
    history.write([inside(site, MORNING + n * MINUTE, who) for n, who in minutes.items()])
    end = MORNING + 27 * HOUR + 30 * MINUTE
    for _ in range(2):
        assert downsample(history, site, start=MORNING + 20 * MINUTE, end=end) == 3
    hourly = history.occupancy(site, start=MORNING, end=end, retention=Retention.HOURLY)
    assert [((one.at - MORNING) // HOUR, one.present) for one in hourly] == [
        (0, 2),
        (1, 3),
        (26, 4),
    ]


def test_decisions_are_counted_by_reason_and_answer(history: History, site: SiteId) -> None:
    week = 7 * 24 * HOUR
    told = [
        (0 * MINUTE, Reason.OPENING_HOURS, True),
        (1 * MINUTE, Reason.OPENING_HOURS, True),
        (2 * MINUTE, Reason.NO_GUARDIAN, False),
        (week - MINUTE, Reason.OPENING_HOURS, True),
        (week - 2 * MINUTE, Reason.EXIT, True),
        (week, Reason.SITE_FULL, False),
    ]
    history.write([answered(site, MORNING + at, why, granted=yes) for at, why, yes in told])
    assert history.decisions(site, start=MORNING, end=MORNING + week) == [
        DecisionCount(reason="opening_hours", granted=True, count=3),
        DecisionCount(reason="exit", granted=True, count=1),
        DecisionCount(reason="no_guardian", granted=False, count=1),
    ]


def test_a_decision_of_unknown_length_is_counted(history: History, site: SiteId) -> None:
    point = access_point(
        site=site, door=MAIN, reader=Reader.OUT, reason=Reason.EXIT, granted=True, at=MORNING
    )
    history.write([point])
    (count,) = history.decisions(site, start=MORNING, end=MORNING + MINUTE)
    assert count == DecisionCount(reason="exit", granted=True, count=1)


def test_nothing_written_is_nothing_read(history: History, site: SiteId) -> None:
    history.write([])
    assert history.occupancy(site, start=MORNING, end=MORNING + HOUR) == []
    assert history.occupancy(site, start=MORNING, end=MORNING + HOUR, step=MINUTE) == []
    assert history.decisions(site, start=MORNING, end=MORNING + HOUR) == []


def test_a_question_that_makes_no_sense_is_refused(history: History, site: SiteId) -> None:
    naive = MORNING.replace(tzinfo=None)
    with pytest.raises(ValueError, match="time zone"):
        history.occupancy(site, start=naive, end=MORNING)
    with pytest.raises(ValueError, match="later than"):
        history.decisions(site, start=MORNING, end=MORNING)
    with pytest.raises(ValueError, match="step"):
        history.occupancy(site, start=MORNING, end=MORNING + HOUR, step=timedelta())


def test_closing_twice_is_harmless(history: History) -> None:
    history.close()
    history.close()


def test_thousands_of_points_arrive_whole(history: History, site: SiteId) -> None:
    count = 12_000
    history.write([inside(site, MORNING + timedelta(seconds=n), n) for n in range(count)])
    samples = history.occupancy(site, start=MORNING, end=MORNING + 24 * HOUR)
    assert [one.present for one in samples] == list(range(count))


ODD = st.text(
    st.characters(blacklist_categories=["Cc", "Cs"], blacklist_characters="\\"),
    min_size=1,
    max_size=64,
) | st.text(st.sampled_from(", ='\"#é漢🗝"), min_size=1, max_size=8)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(reason=ODD, place=ODD)
def test_whatever_a_tag_holds_comes_back_the_same(
    history: History, reason: str, place: str
) -> None:
    unique = SiteId(f"{uuid4().hex[:12]}{place[:52]}")
    tags = {"site": unique, "door": place, "reader": "in", "reason": reason, "granted": "false"}
    point = Point(measurement=Measurement.ACCESS, tags=tags, fields={"count": 7}, at=MORNING)
    history.write([point, inside_oddly(unique)])
    assert history.decisions(unique, start=MORNING, end=MORNING + MINUTE) == [
        DecisionCount(reason=reason, granted=False, count=7)
    ]
    (sample,) = history.occupancy(unique, start=MORNING, end=MORNING + MINUTE)
    assert sample.present == 3


def inside_oddly(site: str) -> Point:
    counted = inside(SiteId("x"), MORNING, 3)
    return Point(
        measurement=counted.measurement, tags={"site": site}, fields=counted.fields, at=MORNING
    )


@pytest.mark.influxdb
def test_a_server_that_goes_away_is_not_now_and_later_works(
    new_influxd: Callable[[bool], "StoppableInflux"], site: SiteId
) -> None:
    server = new_influxd(False)  # noqa: FBT003 - InfluxDB's own switch
    wanted = InfluxSettings(url=server.url, timeout_s=10.0, retries=0)
    with InfluxHistory(wanted) as history:
        history.prepare()
        history.write([inside(site, MORNING, 1)])
        server.stop()
        assert not history.is_ready()
        with pytest.raises(HistoryUnavailable):
            history.write([inside(site, MORNING + MINUTE, 2)])
        with pytest.raises(HistoryUnavailable):
            curve(history, site)
        with pytest.raises(HistoryUnavailable):
            history.prepare()
        server.start()
        history.write([inside(site, MORNING + MINUTE, 2)])
        assert curve(history, site) == [(0, 1), (60, 2)]


class StoppableInflux(RunningInflux, Protocol):
    """What `new_influxd` of conftest.py makes, to a test."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


def test_a_database_without_the_table_is_not_now_and_later_works(
    tmp_path: Path, site: SiteId
) -> None:
    with ExitStack() as stack:
        history = store_in(tmp_path, stack)
        assert not history.is_ready()
        with pytest.raises(HistoryUnavailable):
            history.write([inside(site, MORNING, 1)])
        history.prepare()
        history.write([inside(site, MORNING, 1)])
        assert curve(history, site) == [(0, 1)]


def store_in(folder: Path, stack: ExitStack) -> EmbeddedHistory:
    engine = create_engine(f"sqlite:///{folder / 'history.db'}")
    stack.callback(engine.dispose)
    return EmbeddedHistory(engine)


def test_the_embedded_store_forgets_raw_points_and_keeps_hourly_ones(
    tmp_path: Path, site: SiteId
) -> None:
    with ExitStack() as stack:
        history = store_in(tmp_path, stack)
        history.prepare()
        points = [inside(site, MORNING, 1), inside(site, MORNING + HOUR, 2)]
        history.write(points)
        history.write(points, retention=Retention.HOURLY)
        assert history.forget(MORNING + HOUR) == 1
        assert curve(history, site) == [(3600, 2)]
        end = MORNING + 24 * HOUR
        hourly = history.occupancy(site, start=MORNING, end=end, retention=Retention.HOURLY)
        assert len(hourly) == 2


def test_fields_said_apart_about_one_moment_are_kept_together(tmp_path: Path) -> None:
    with ExitStack() as stack:
        history = store_in(tmp_path, stack)
        history.prepare()
        site = SiteId("site")
        history.write([door_point(site=site, door=MAIN, at=MORNING, open_s=4.5)])
        history.write([door_point(site=site, door=MAIN, at=MORNING, held=True)])
        with create_engine(f"sqlite:///{tmp_path / 'history.db'}").connect() as connection:
            (text,) = connection.exec_driver_sql("SELECT fields FROM history_point").one()
            connection.engine.dispose()
        assert json.loads(text) == {"open_s": 4.5, "held": 1}
