"""Who looked at other people's records: only ever added to, and gone after twelve months."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from access.ids import MemberId, SiteId
from server import forgetting_registry, looks
from server.database import ConflictError, Database
from server.forgetting_registry import LOOKS_KEPT

AT = datetime(2026, 11, 24, 19, 31, tzinfo=UTC)
LYON = SiteId("lyon")
VISITOR, OTHER = MemberId("m-b3w8tz5f"), MemberId("m-c6r4hn2j")
DAY = timedelta(days=1)


@pytest.fixture
def noted(database: Database) -> Database:
    with database.writing() as connection:
        looks.note_look(
            connection,
            site=LYON,
            member=MemberId("m-k7x2qv9d"),
            role="guardian",
            what="roll-call",
            reason=looks.DUTY,
            at=AT,
            among=[VISITOR, OTHER, VISITOR],
        )
    return database


def left(database: Database) -> int:
    with database.reading() as connection:
        return len(looks.list_looks(connection))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE look SET member = 'other'",
        "DELETE FROM look",
        "UPDATE look_about SET member = 'other'",
        "DELETE FROM look_about",
    ],
)
def test_nobody_changes_or_deletes_a_look(noted: Database, change: str) -> None:
    with pytest.raises(ConflictError, match="append-only"), noted.writing() as connection:
        connection.exec_driver_sql(change)
    assert left(noted) == 1


@pytest.mark.parametrize(("more", "kept"), [(timedelta(0), 1), (timedelta(seconds=1), 0)])
def test_a_look_is_kept_for_twelve_months_and_no_longer(
    noted: Database, more: timedelta, kept: int
) -> None:
    with noted.writing() as connection:
        forgetting_registry.take_out(connection, AT + LOOKS_KEPT + more, {}, timedelta(days=90))
    assert left(noted) == kept


def test_each_whom_it_listed_finds_it_and_nobody_else(noted: Database) -> None:
    with noted.reading() as connection:
        (found,) = looks.list_looks(connection, about=VISITOR)
        assert found.among == (VISITOR, OTHER)
        assert looks.list_looks(connection, about=MemberId("m-nobody")) == []
        assert looks.list_looks(connection, by=VISITOR) == []
        assert looks.list_looks(connection, before=found.id) == []


@pytest.mark.parametrize(
    ("kept", "after", "listed"), [({}, 90, 2), ({}, 91, 0), ({LYON: 10 * DAY}, 11, 0)]
)
def test_whom_it_listed_is_known_as_long_as_who_was_inside(
    noted: Database, kept: dict[SiteId, timedelta], after: int, listed: int
) -> None:
    with noted.writing() as connection:
        gone = forgetting_registry.take_out(connection, AT + after * DAY, kept, 90 * DAY)
    assert gone.listed == 2 - listed
    with noted.reading() as connection:
        (found,) = looks.list_looks(connection)
    assert len(found.among) == listed


def test_a_look_at_what_goes_on_is_noted_once_an_hour_by_each_at_each_site(
    database: Database,
) -> None:
    who = MemberId("m-k7x2qv9d")
    with database.writing() as connection:
        looks.note_look(
            connection, site=LYON, member=who, role="staff", what="board", reason="x", at=AT
        )
        asked: dict[str, Any] = {
            "site": LYON,
            "member": who,
            "what": "board",
            "at": AT + timedelta(minutes=59),
        }
        others: list[dict[str, Any]] = [
            {"site": SiteId("nantes")},
            {"member": VISITOR},
            {"what": "events"},
            {"at": AT + looks.DAILY_EVERY},
        ]
        assert looks.is_noted(connection, **asked)
        assert not any(looks.is_noted(connection, **(asked | other)) for other in others)
