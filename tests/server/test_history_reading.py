"""What people who look are given while the history is away, or slow."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from access.ids import SiteId
from server.database import open_database
from server.history import HistoryUnavailable
from server.history_embedded import EmbeddedHistory
from server.history_influx import InfluxHistory
from server.history_influx_client import InfluxSettings
from server.history_points import occupancy_point
from server.history_reading import HistoryReader

SITE = SiteId("lyon")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def filled(file: Path, present: int) -> EmbeddedHistory:
    """A store with one number at noon."""
    history = EmbeddedHistory(open_database(f"sqlite:///{file}").engine)
    history.prepare()
    point = occupancy_point(
        site=SITE, at=NOON, present=present, margin=0, members=present, guests=0, capacity=60
    )
    history.write([point])
    return history


@pytest.fixture
def stand_in(tmp_path: Path) -> EmbeddedHistory:
    return filled(tmp_path / "stand_in.db", 4)


@pytest.fixture
def mute() -> Iterator[socket.socket]:
    """Something that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        yield listener


def influx_at(port: int, timeout_s: float = 2.0) -> InfluxHistory:
    return InfluxHistory(InfluxSettings(url=f"http://127.0.0.1:{port}", timeout_s=timeout_s))


def read(reader: HistoryReader) -> tuple[list[int], bool]:
    found = reader.occupancy(SITE, start=NOON, end=NOON + timedelta(hours=1))
    return [sample.present for sample in found.samples], found.is_stand_in


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_history_that_is_there_is_read(tmp_path: Path, stand_in: EmbeddedHistory) -> None:
    assert read(HistoryReader(filled(tmp_path / "main.db", 7), stand_in)) == ([7], False)


def test_while_the_history_is_away_the_stand_in_answers_and_says_so(
    stand_in: EmbeddedHistory,
) -> None:
    with influx_at(free_port()) as history:
        assert read(HistoryReader(history, stand_in)) == ([4], True)


def test_without_a_stand_in_a_history_that_is_away_is_away() -> None:
    with influx_at(free_port()) as history, pytest.raises(HistoryUnavailable):
        read(HistoryReader(history))


def test_for_a_history_that_is_slow_only_the_first_one_waits(
    stand_in: EmbeddedHistory, mute: socket.socket
) -> None:
    with influx_at(mute.getsockname()[1], timeout_s=0.2) as history:
        reader = HistoryReader(history, stand_in)
        assert [read(reader) for _ in range(3)] == [([4], True)] * 3
    asked = 0
    while True:
        try:
            mute.accept()[0].close()
            asked += 1
        except BlockingIOError:
            break
    assert asked == 1


def test_a_history_that_is_back_is_read_again(
    tmp_path: Path, stand_in: EmbeddedHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.history_reading.AWAY_S", 0.0)
    file = tmp_path / "main.db"
    reader = HistoryReader(EmbeddedHistory(open_database(f"sqlite:///{file}").engine), stand_in)
    assert read(reader) == ([4], True)
    filled(file, 7)
    assert read(reader) == ([7], False)


def test_a_mistake_of_the_caller_is_nobodys_absence(stand_in: EmbeddedHistory) -> None:
    with influx_at(free_port()) as history, pytest.raises(ValueError, match="later than the start"):
        HistoryReader(history, stand_in).occupancy(SITE, start=NOON, end=NOON)
