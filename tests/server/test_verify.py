"""Verifying: whatever is changed in the ledger behind its back is found."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text as sql

from access.ids import DoorId, SiteId
from access.journal import SERVER, Head, chained
from access.model import Door, Plan, Policy
from server import ledger
from server.database import Database
from server.events import Reported
from server.gatehouse import Gatehouse
from server.ledger import Entry
from server.verify import ChainReport, verify_site

LYON = SiteId("lyon")
FRONT = DoorId("front")
MORNING = datetime(2026, 11, 2, 8, tzinfo=UTC)


@pytest.fixture
def full(database: Database) -> Database:
    """A ledger with two chains of five records."""
    with database.writing() as connection:
        for source in ("front", SERVER):
            head = Head()
            for number in range(5):
                time = MORNING + timedelta(seconds=number)
                record, head = chained(
                    head, site=LYON, source=source, kind="door.opened", time=time, data={}
                )
                entry = Entry(
                    site=LYON,
                    source=source,
                    seq=head.seq,
                    kind="gardien.door.opened",
                    time=time,
                    received=time,
                    record=record,
                )
                ledger.append(connection, [entry])
    return database


def reports(database: Database) -> dict[str, ChainReport]:
    with database.reading() as connection:
        return {report.source: report for report in verify_site(connection, LYON)}


def tamper(database: Database, change: str) -> None:
    with database.writing() as connection:
        connection.execute(sql("INSERT INTO purge_permit (id) VALUES (1)"))
        assert connection.execute(sql(change)).rowcount == 1
        connection.execute(sql("DELETE FROM purge_permit"))


def test_whole_chains_are_found_whole(full: Database) -> None:
    found = reports(full)
    assert found.keys() == {"front", SERVER}
    assert all(report.is_whole and report.head.seq == 5 for report in found.values())


def test_an_empty_site_has_no_chains(database: Database) -> None:
    assert reports(database) == {}


@pytest.mark.parametrize(
    ("change", "kept", "says"),
    [
        ("UPDATE ledger SET body = replace(body, 'opened', 'closed')", 2, "not what its hash says"),
        ("UPDATE ledger SET body = '{}'", 2, "should have number 3"),
        ("UPDATE ledger SET body = '[1]'", 2, "can't be read"),
        ("UPDATE ledger SET body = 'nothing'", 2, "can't be read"),
        ("DELETE FROM ledger", 2, "should have number 3"),
    ],
)
def test_a_change_behind_its_back_is_found(
    full: Database, change: str, kept: int, says: str
) -> None:
    tamper(full, f"{change} WHERE source = 'front' AND seq = 3")
    found = reports(full)
    assert found[SERVER].is_whole
    assert not found["front"].is_whole
    assert found["front"].head.seq == kept
    assert says in str(found["front"].problem)


def test_a_record_that_was_moved_to_another_chain_is_found(full: Database) -> None:
    tamper(full, "UPDATE ledger SET source = 'back' WHERE source = 'front' AND seq = 1")
    found = reports(full)
    assert "filed under lyon/back" in str(found["back"].problem)
    assert "should have number 1" in str(found["front"].problem)


def test_a_record_that_was_set_aside_leaves_a_hole_that_the_server_vouches_for(
    database: Database,
) -> None:
    def no_policy(_site: SiteId) -> Policy:
        return Policy(
            version=1,
            site=LYON,
            issued=MORNING,
            relies_until=MORNING,
            capacity=10,
            doors={FRONT: Door(id=FRONT, name="Front", plans=frozenset(Plan))},
        )

    head, records = Head(), []
    for _ in range(3):
        record, head = chained(
            head, site=LYON, source=FRONT, kind="door.opened", time=MORNING, data={}
        )
        records.append(record)
    records[1] = records[1] | {"data": {"forged": True}}
    house = Gatehouse(database=database, policy_of=no_policy)
    house.handle(LYON, [Reported(door=FRONT, records=tuple(records))], MORNING)
    found = reports(database)
    assert found[FRONT].is_whole
    assert found[FRONT].head.seq == 3
    tamper(database, "DELETE FROM ledger WHERE source = 'front' AND seq = 1")
    assert not reports(database)[FRONT].is_whole
