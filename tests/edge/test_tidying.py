"""A door's file holds nobody any more once the server has the records and a day has passed."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from access.ids import DoorId, SiteId
from edge.badges.counters import KEPT_UNDER, recall_counters
from edge.outbox import Outbox
from edge.tidying import EVERY, Tidying

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
DIGEST = "c0ffee01" * 4
MEMBER = "m-k7x2qv9d"


class SetClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0.0


class Place:
    """A door's file, and what tidies it."""

    def __init__(self, path: Path) -> None:
        self.path, self.clock = path, SetClock()
        self.outbox = Outbox(path, site=SiteId("malakoff"), door=DoorId("main"))
        self.tidying = Tidying(outbox=self.outbox, clock=self.clock)

    def visit(self, count: int = 300) -> None:
        for _ in range(count):
            self.outbox.append(
                "access.granted", self.clock.at, {"badge": DIGEST, "member": MEMBER, "x": "-" * 300}
            )

    def hand_over(self, keeping: int = 0) -> None:
        """Delete what the server has, as an SQLite does that wipes nothing; Debian's wipes."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("PRAGMA secure_delete = OFF")
            last = self.outbox.head.seq - keeping
            connection.execute("DELETE FROM record WHERE seq <= ?", (last,))
            connection.commit()

    def held(self) -> list[str]:
        """Give the files in which somebody is."""
        words = (DIGEST.encode(), MEMBER.encode())
        return [
            file.name
            for file in sorted(self.path.parent.iterdir())
            if any(word in file.read_bytes() for word in words)
        ]

    def start_again(self) -> None:
        self.outbox.close()
        self.tidying = Tidying(outbox=self.outbox, clock=self.clock)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path / "outbox.db")
    place.tidying.tend()
    yield place
    place.outbox.close()


def test_a_day_after_the_server_has_them_no_record_is_left_in_the_file(place: Place) -> None:
    place.visit()
    place.hand_over()
    assert place.held(), "what is deleted stays in the log for now"
    place.clock.at += EVERY
    place.tidying.tend()
    assert place.held() == []
    assert place.outbox.head.seq == 300


def test_what_a_page_was_moved_from_is_wiped_too(place: Place) -> None:
    for _ in range(8):
        place.visit(200)
        place.hand_over(keeping=60)
    place.hand_over()
    place.clock.at += EVERY
    place.tidying.tend()
    assert place.held() == []


def test_it_waits_for_a_day_and_for_the_last_record(place: Place) -> None:
    place.visit()
    place.clock.at += EVERY
    place.tidying.tend()
    assert len(place.outbox) == 300
    place.hand_over()
    place.clock.at += timedelta(hours=1)
    place.tidying.tend()
    assert place.held() == []
    place.visit()
    place.hand_over()
    place.clock.at += EVERY - timedelta(seconds=1)
    place.tidying.tend()
    assert place.held()


def test_a_day_counts_across_restarts(place: Place) -> None:
    place.visit()
    place.hand_over()
    place.clock.at += EVERY / 2
    place.start_again()
    place.tidying.tend()
    place.clock.at += EVERY / 2
    place.start_again()
    place.tidying.tend()
    assert place.held() == []


def test_a_clock_that_was_ahead_does_not_put_it_off_for_good(place: Place) -> None:
    place.clock.at += timedelta(days=4000)
    place.tidying.tend()
    place.clock.at = NOON + timedelta(hours=1)
    place.visit()
    place.hand_over()
    place.tidying.tend()
    assert place.held() == []


@pytest.mark.parametrize(("days", "is_kept"), [(89, True), (91, False)])
def test_a_file_that_was_set_aside_goes_after_90_days(
    place: Place, days: int, is_kept: object
) -> None:
    aside = place.path.with_name("outbox.db.unreadable-1")
    aside.write_text(MEMBER)
    os.utime(aside, (NOON.timestamp(), NOON.timestamp()))
    place.clock.at += timedelta(days=days)
    place.tidying.tend()
    assert aside.exists() is is_kept


def test_counters_are_recalled_of_all_badges_so_that_a_policy_without_one_forgets_it(
    place: Place,
) -> None:
    place.outbox.keep(f"{KEPT_UNDER}{DIGEST}", "7")
    place.outbox.keep("policy", "{}")
    assert recall_counters(place.outbox.kept_under(KEPT_UNDER)) == {DIGEST: 7}
