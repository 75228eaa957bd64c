"""What the ledger could not take is told at once, and recorded once it can take something again."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server.database import DatabaseError, DiskError
from server.unwritten import TOLD_AFTER_S, Unwritten, UnwrittenNote

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def note(tmp_path: Path) -> UnwrittenNote:
    note = UnwrittenNote(tmp_path / "run" / "unwritten")
    note.make()
    return note


def test_the_note_says_so_until_it_is_taken_back(note: UnwrittenNote) -> None:
    assert not note.is_said()
    note.say()
    assert note.is_said()
    note.take_back()
    assert not note.is_said()


def test_a_note_of_a_server_that_has_gone_counts_no_more(tmp_path: Path) -> None:
    path = tmp_path / "unwritten"
    note = UnwrittenNote(path)
    assert not note.is_said()
    note.make()
    note.say()
    os.utime(path, (time.time() - 60,) * 2)
    assert not note.is_said()


def test_a_note_that_cant_be_made_harms_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    note = UnwrittenNote(tmp_path / "file" / "unwritten")
    note.make()
    note.say()
    assert not note.is_said()


def test_a_disk_that_failed_is_recorded_however_short_it_was(note: UnwrittenNote) -> None:
    unwritten = Unwritten(note)
    assert not unwritten.is_worth_telling()
    unwritten.refused(DiskError("EIO"), NOON, 0.0)
    assert note.is_said()
    assert unwritten.is_worth_telling()
    unwritten.is_over()
    assert not note.is_said()
    assert not unwritten.is_worth_telling()


def test_a_database_that_is_started_again_is_not_recorded_but_one_that_stays_away_is() -> None:
    unwritten = Unwritten()
    unwritten.refused(DatabaseError("away"), NOON, 0.0)
    unwritten.refused(DatabaseError("away"), NOON, TOLD_AFTER_S - 0.5)
    assert not unwritten.is_worth_telling()
    unwritten.refused(DatabaseError("away"), NOON, TOLD_AFTER_S)
    assert unwritten.is_worth_telling()
    assert unwritten.since == NOON


def test_two_short_ones_an_hour_apart_are_not_a_long_one() -> None:
    unwritten, later = Unwritten(), NOON + timedelta(hours=1)
    unwritten.refused(DatabaseError("away"), NOON, 0.0)
    unwritten.refused(DatabaseError("away"), later, 3600.0)
    assert not unwritten.is_worth_telling()
    assert unwritten.since == later
