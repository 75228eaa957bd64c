"""The ledger: each record once, in order, with what follows from it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy import text as sql

from access.ids import DoorId, MemberId, RequestId, SiteId, WatchId
from access.journal import SERVER, Head, chained, verify
from server import ledger
from server.database import ConflictError, Database, open_database
from server.ledger import Entry, Misfit, StateConflictError
from server.schema import time_entry

LYON = SiteId("lyon")
PARIS = SiteId("paris")
ANNA = MemberId("anna")
MORNING = datetime(2026, 11, 2, 8, tzinfo=UTC)


def entries(
    source: str, count: int, *, site: SiteId = LYON, kind: str = "door.opened"
) -> Iterator[Entry]:
    """Give the first entries of a chain, a second apart."""
    head = Head()
    for number in range(count):
        time = MORNING + timedelta(seconds=head.seq)
        record, head = chained(
            head, site=site, source=source, kind=kind, time=time, data={"n": number, "é": [None]}
        )
        yield Entry(
            site=site,
            source=source,
            seq=head.seq,
            kind=f"gardien.{kind}",
            time=time,
            received=time + timedelta(microseconds=1),
            record=record,
        )


def decision(request: str, *, seq: int = 1, site: SiteId = LYON) -> Entry:
    return Entry(
        site=site,
        source=SERVER,
        seq=seq,
        kind="gardien.access.granted",
        time=MORNING,
        received=MORNING,
        member=ANNA,
        request=RequestId(request),
        record={"data": {"request": request, "granted": True}},
    )


def append(database: Database, *added: Entry) -> None:
    with database.writing() as connection:
        ledger.append(connection, added)


def test_what_was_appended_is_read_back_whole_and_in_order(database: Database) -> None:
    added = [*entries("front", 3), decision("r-1"), *entries("back", 2)]
    append(database, *added)
    with database.reading() as connection:
        found = ledger.read(connection)
    assert [
        Entry(**{name: getattr(one, name) for name in Entry.__slots__}) for one in found
    ] == added
    assert [one.id for one in found] == sorted({one.id for one in found})


def test_reading_goes_on_after_the_last_known_entry(database: Database) -> None:
    append(database, *entries("front", 5), *entries("front", 2, site=PARIS))
    with database.reading() as connection:
        first = ledger.read(connection, LYON, limit=3)
        rest = ledger.read(connection, LYON, after_id=first[-1].id)
        assert [one.seq for one in first + rest] == [1, 2, 3, 4, 5]
        assert ledger.read(connection, LYON, after_id=rest[-1].id) == []
        assert len(ledger.read(connection, after_id=rest[-1].id)) == 2


def test_reading_picks_kinds(database: Database) -> None:
    append(database, *entries("front", 3), *entries("back", 2, kind="door.forced"), decision("r"))
    forced = ["gardien.door.forced"]
    with database.reading() as connection:
        assert [one.source for one in ledger.read(connection, kinds=forced)] == ["back"] * 2
        assert [one.seq for one in ledger.latest(connection, LYON, 1, kinds=forced)] == [2]
        assert ledger.read(connection, kinds=[]) == []


def test_the_latest_come_newest_first(database: Database) -> None:
    append(database, *entries("front", 5), *entries("front", 1, site=PARIS))
    with database.reading() as connection:
        assert [one.seq for one in ledger.latest(connection, LYON, 2)] == [5, 4]


def test_the_last_id_is_that_of_the_newest_entry(database: Database) -> None:
    with database.reading() as connection:
        assert ledger.last_id(connection) == 0
    append(database, *entries("front", 4))
    with database.reading() as connection:
        assert ledger.last_id(connection) == ledger.read(connection)[-1].id


def test_the_first_that_was_received_since_a_time_is_found_also_where_ids_are_missing(
    database: Database,
) -> None:
    with database.writing() as connection:
        assert ledger.first_received(connection, MORNING) == 1
        ledger.append(
            connection,
            [
                replace(entry, received=MORNING + timedelta(minutes=number // 3))
                for number, entry in enumerate(entries("front", 60))
            ],
        )
        connection.execute(sql("INSERT INTO purge_permit (id) VALUES (1)"))
        connection.execute(sql("DELETE FROM ledger WHERE id % 7 < 3 OR id > 55"))
        connection.execute(sql("DELETE FROM purge_permit"))
        kept = ledger.read(connection)
        for half_minutes in range(-1, 42):
            since = MORNING + timedelta(seconds=30 * half_minutes)
            first = ledger.first_received(connection, since)
            wanted = [entry.id for entry in kept if entry.received >= since]
            assert [entry.id for entry in kept if entry.id >= first] == wanted


def test_a_record_that_is_there_already_is_refused_with_its_whole_batch(database: Database) -> None:
    append(database, *entries("front", 2))
    with pytest.raises(ConflictError):
        append(database, *entries("back", 1), *entries("front", 1))
    with database.reading() as connection:
        assert ledger.sources(connection, LYON) == ["front"]


def test_a_request_is_decided_once_at_a_site(database: Database) -> None:
    append(database, decision("r-1"), decision("r-1", site=PARIS))
    with pytest.raises(ConflictError):
        append(database, decision("r-1", seq=2))


def test_the_decision_of_a_request_is_found_again(database: Database) -> None:
    append(database, decision("r-1"), decision("r-2", seq=2), decision("r-3", site=PARIS))
    asked = [RequestId("r-2"), RequestId("r-3"), RequestId("r-4")]
    with database.reading() as connection:
        found = ledger.decision_of(connection, LYON, asked)
        assert ledger.decision_of(connection, LYON, []) == {}
    assert found == {RequestId("r-2"): {"data": {"request": "r-2", "granted": True}}}


def test_a_chain_comes_back_as_it_verifies(database: Database) -> None:
    append(database, *entries("front", 2500), *entries("back", 3), *entries("front", 1, site=PARIS))
    with database.reading() as connection:
        end = verify(ledger.chain(connection, LYON, "front"))
        assert end.seq == 2500
        assert ledger.head(connection, LYON, "front") == end
        assert ledger.head(connection, LYON, "side") == Head()
        assert list(ledger.chain(connection, LYON, "side")) == []


def test_sources_are_named_once(database: Database) -> None:
    append(database, *entries("front", 3), *entries("back", 3), *entries("side", 1, site=PARIS))
    append(database, decision("r-1"))
    with database.reading() as connection:
        assert ledger.sources(connection, LYON) == ["back", "front", SERVER]


def test_a_state_is_saved_and_loaded(database: Database) -> None:
    with database.writing() as connection:
        assert ledger.load_state(connection, LYON) is None
        assert ledger.state_version(connection, LYON) == 0
        ledger.save_state(connection, LYON, 1, '{"present":1}')
        ledger.save_state(connection, LYON, 2, '{"present":2}')
    with database.reading() as connection:
        assert ledger.load_state(connection, LYON) == (2, '{"present":2}')
        assert ledger.state_version(connection, LYON) == 2
        assert ledger.load_state(connection, PARIS) is None


@pytest.mark.parametrize("version", [1, 2, 4])
def test_a_state_that_does_not_follow_is_refused(database: Database, version: int) -> None:
    with database.writing() as connection:
        ledger.save_state(connection, LYON, 1, "a")
        ledger.save_state(connection, LYON, 2, "b")
    with pytest.raises(StateConflictError, match="decide again"), database.writing() as connection:
        ledger.save_state(connection, LYON, version, "c")
    with database.reading() as connection:
        assert ledger.load_state(connection, LYON) == (2, "b")


def test_of_two_servers_that_save_the_same_version_one_is_told(
    database: Database, database_url: str
) -> None:
    def save(one: Database) -> bool:
        try:
            with one.writing() as connection:
                ledger.save_state(connection, LYON, 1, "x")
        except StateConflictError:
            return False
        return True

    with open_database(database_url) as other, ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(save, [database, other])) == [False, True]


def test_a_misfit_is_kept_as_it_came(database: Database) -> None:
    misfit = Misfit(
        site=LYON, door=DoorId("front"), received=MORNING, why="a gap", body="\x00 é \ud7ff"
    )
    with database.writing() as connection:
        ledger.set_aside(
            connection,
            site=misfit.site,
            door=misfit.door,
            received=misfit.received,
            why=misfit.why,
            body=misfit.body,
        )
    with database.reading() as connection:
        (found,) = ledger.list_set_aside(connection, LYON)
        assert ledger.list_set_aside(connection, PARIS) == []
    assert found.body == "\ufffd é \ud7ff"
    assert (found.why, found.received) == ("a gap", MORNING)


def credit(database: Database, watch: str, member: MemberId = ANNA, site: SiteId = LYON) -> bool:
    with database.writing() as connection:
        return ledger.credit(
            connection,
            site=site,
            member=member,
            minutes=90,
            watch=WatchId(watch),
            at=MORNING,
        )


def test_a_watch_credits_each_guardian_once(database: Database) -> None:
    assert credit(database, "w-1")
    assert not credit(database, "w-1")
    assert credit(database, "w-1", MemberId("bob"))
    assert credit(database, "w-2")
    assert credit(database, "w-2", site=PARIS)
    assert not credit(database, "w-2", site=PARIS)
    with database.reading() as connection:
        total = connection.execute(select(func.sum(time_entry.c.minutes))).scalar_one()
    assert total == 4 * 90


def test_a_follower_goes_forward_only_and_may_begin_again(database: Database) -> None:
    with database.writing() as connection:
        assert ledger.cursor(connection, "history") == 0
        ledger.advance(connection, "history", 7)
        ledger.advance(connection, "history", 3)
        ledger.advance(connection, "alerts", 1)
        assert ledger.cursor(connection, "history") == 7
        ledger.rewind(connection, "history")
        assert ledger.cursor(connection, "history") == 0
        assert ledger.cursor(connection, "alerts") == 1


def test_a_follower_never_passes_over_an_entry_that_commits_late(
    database: Database, database_url: str
) -> None:
    """Ids are seen in order: whoever sees one has seen all before it."""
    if database.is_sqlite:
        pytest.skip("SQLite has one writer at a time")

    def append_many(source: str) -> None:
        with open_database(database_url) as own:
            for entry in entries(source, 60):
                append(own, entry)

    seen: list[int] = []
    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(append_many, source) for source in ("front", "back", "side")]
        while len(seen) < 180:
            # Asked before the reading: what ends after it may still have written.
            is_over = all(one.done() for one in running)
            with database.reading() as connection:
                after = seen[-1] if seen else 0
                seen += [one.id for one in ledger.read(connection, after_id=after)]
            if is_over and len(seen) < 180:
                [one.result() for one in running]
                with database.reading() as connection:
                    assert len(ledger.read(connection)) == len(seen)
    assert len(seen) == 180
