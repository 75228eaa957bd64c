"""Who looked at other people's records: only ever added to, and gone after twelve months."""

from datetime import UTC, datetime, timedelta

import pytest

from access.ids import MemberId, SiteId
from server import forgetting_registry, looks
from server.database import ConflictError, Database
from server.forgetting_registry import LOOKS_KEPT

AT = datetime(2026, 11, 24, 19, 31, tzinfo=UTC)
LYON = SiteId("lyon")


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
        )
    return database


def left(database: Database) -> int:
    with database.reading() as connection:
        return len(looks.list_looks(connection))


@pytest.mark.parametrize("change", ["UPDATE look SET member = 'other'", "DELETE FROM look"])
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
