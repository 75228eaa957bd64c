"""The pages of a database, as they are on the disk, hold nobody whose time has come."""

from datetime import timedelta

import pytest
from sqlalchemy import text as sql

from access.ids import MemberId
from server import forgetting
from server.erasure import erase
from server.registry_members import Person, add_member
from tests.server import test_forgetting
from tests.server.test_forgetting import CARDS, EMAILS, EVENING, NAMES, UNKNOWN, VISITOR, Place

place = test_forgetting.place

_FILES = """
    SELECT relation.relname, pg_relation_filepath(relation.oid) AS file
    FROM pg_class AS relation
    WHERE relation.relkind IN ('r', 'i', 't')
      AND (relation.relnamespace = current_schema()::regnamespace
           OR relation.oid IN (SELECT reltoastrelid FROM pg_class
                               WHERE relnamespace = current_schema()::regnamespace))
"""
_WHO = (*NAMES, *EMAILS, VISITOR, *CARDS.values(), UNKNOWN)


def found(place: Place) -> set[str]:
    """Give who is in the files of tables and indexes, or in the statistics on them."""
    with place.database.reading() as connection:
        files = [row.file for row in connection.execute(sql(_FILES))]
        read = sql("SELECT pg_read_binary_file(:file)")
        held = [bytes(connection.execute(read, {"file": file}).scalar_one()) for file in files]
        counted = sql("SELECT pg_stats::text FROM pg_stats WHERE schemaname = current_schema()")
        held += [text.encode() for text in connection.execute(counted).scalars()]
    assert len(files) > 20, "tables, their indexes, and what is too long for them"
    return {who for who in _WHO if any(who.encode() in data for data in held)}


def flush(place: Place) -> None:
    """Have PostgreSQL write to the files what it holds in memory."""
    with place.database.writing() as connection:
        connection.execute(sql("CHECKPOINT"))


def test_no_page_of_postgresql_holds_anybody_after_91_days(place: Place) -> None:
    if place.database.is_sqlite:
        pytest.skip("the files of SQLite are scanned in test_forgetting")
    place.evening()
    flush(place)
    assert found(place) == set(_WHO)
    place.clock.at = EVENING + timedelta(days=91)
    place.forgetter().forget(place.clock.at, is_thorough=True)
    flush(place)
    assert found(place) == set()
    place.must_verify()


def test_no_page_of_postgresql_says_who_an_id_was_once_they_are_erased(place: Place) -> None:
    if place.database.is_sqlite:
        pytest.skip("the files of SQLite are scanned in tests/gardien/test_erasure.py")
    gone = {NAMES[1], EMAILS[1], CARDS[VISITOR]}
    flush(place)
    assert gone < found(place)
    with place.database.writing() as connection:
        erase(connection, VISITOR)
    assert place.forgetter().wipe()
    flush(place)
    assert found(place) & gone == set()
    assert NAMES[0] in found(place), "others stay"


def test_a_file_of_sqlite_is_written_anew_for_whoever_is_erased_however_large_it_is(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not place.database.is_sqlite:
        pytest.skip("PostgreSQL is looked at above")
    monkeypatch.setattr(forgetting, "_SMALL_BYTES", 0)
    people = [Person(id=MemberId(f"m-{number}"), name="Alix" * 15) for number in range(200)]
    with place.database.writing() as connection:
        for person in people:
            add_member(connection, person, EVENING)
    with place.database.writing() as connection:
        for person in people:
            erase(connection, person.id)
    assert empty_pages(place) > 0
    assert place.forgetter().wipe()
    assert empty_pages(place) == 0


def empty_pages(place: Place) -> int:
    """Say how many pages of SQLite's file were used once and are not now."""
    with place.database.reading() as connection:
        return int(connection.exec_driver_sql("PRAGMA freelist_count").scalar_one())
