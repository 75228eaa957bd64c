"""The gatehouse: one transaction round the gate, on SQLite and on PostgreSQL."""

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy import text as sql

from access.ids import BadgeDigest, DoorId, MemberId, SiteId
from access.instants import Span
from access.journal import SERVER, Head, chained, verify
from access.messages import AccessRequest
from access.model import Badge, Door, Member, Plan, Policy, Reader, Status
from server import alerts_list, ledger
from server import database as database_module
from server.database import Database, DatabaseError, open_database
from server.desk import OPERATOR, DeskError
from server.effects import Acknowledge, Answer, Effect
from server.events import Asked, Event, GuestsChanged, Recounted, Reported, Ticked
from server.gate import Gate
from server.gatehouse import Gatehouse
from server.state import SiteState, from_json
from server.verify import verify_site

SITE = SiteId("malakoff")
MAIN, LAB = DoorId("main"), DoorId("lab")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MEMBERS = tuple(MemberId(f"member-{number}") for number in range(8))


def badge_of(member: MemberId) -> BadgeDigest:
    return BadgeDigest(member.encode().hex().ljust(32, "0"))


def rules() -> Policy:
    both = (Reader.IN, Reader.OUT)
    return Policy(
        version=1,
        site=SITE,
        issued=NOON,
        relies_until=NOON + timedelta(hours=72),
        capacity=60,
        doors={
            door: Door(id=door, name=door, plans=frozenset(Plan), readers=both)
            for door in (MAIN, LAB)
        },
        members={member: Member(id=member, plan=Plan.NOMAD) for member in MEMBERS},
        badges={badge_of(m): Badge(digest=badge_of(m), member=m) for m in MEMBERS},
        opening=(Span(start=NOON - timedelta(hours=4), end=NOON + timedelta(hours=6)),),
    )


_numbers = count(1)


def asked(member: MemberId, door: DoorId = MAIN, correlation: bytes | None = None) -> Asked:
    request = AccessRequest(
        id=f"00000000-0000-7000-8000-{next(_numbers):012x}",
        at=NOON,
        reader="in",
        badge=badge_of(member),
    )
    return Asked(door=door, request=request, correlation=correlation)


@dataclass
class Journal:
    """What a door has recorded."""

    door: DoorId = MAIN
    head: Head = field(default_factory=Head)
    records: list[dict[str, Any]] = field(default_factory=list)

    def add(self, kind: str, **data: Any) -> None:
        time = NOON + timedelta(seconds=self.head.seq)
        record, self.head = chained(
            self.head, site=SITE, source=self.door, kind=kind, time=time, data=data
        )
        self.records.append(record)

    def add_entry(self, member: MemberId) -> None:
        self.add("access.granted", reader="in", member=member)
        self.add("door.opened")
        self.add("door.closed", open_s=2.0)
        self.add("lock.locked")

    def after(self, seq: int) -> Reported:
        return Reported(door=self.door, records=tuple(self.records[seq : seq + 100]))


@pytest.fixture
def gatehouse(database: Database) -> Gatehouse:
    return new_gatehouse(database)


def new_gatehouse(database: Database) -> Gatehouse:
    policy = rules()
    return Gatehouse(database=database, policy_of=lambda _: policy)


def answers(effects: Sequence[Effect]) -> list[Answer]:
    return [effect for effect in effects if isinstance(effect, Answer)]


def entries(database: Database) -> list[ledger.StoredEntry]:
    with database.reading() as connection:
        return ledger.read(connection, SITE, limit=100_000)


def decisions(database: Database) -> list[ledger.StoredEntry]:
    return [entry for entry in entries(database) if entry.kind == "gardien.access.decided"]


def committed(database: Database) -> SiteState:
    with database.reading() as connection:
        found = ledger.load_state(connection, SITE)
    return SiteState() if found is None else from_json(found[1])


def must_verify(database: Database) -> None:
    """Every chain is whole, and the state says where each ends."""
    state = committed(database)
    with database.reading() as connection:
        ends = {
            source: verify(ledger.chain(connection, SITE, source))
            for source in ledger.sources(connection, SITE)
        }
    assert ends.pop(SERVER, Head()) == state.own
    assert ends == {door: track.head for door, track in state.doors.items() if track.head.seq}


def count_commits(database: Database) -> list[object]:
    """Give a list that grows with each commit from now on."""
    commits: list[object] = []
    event.listen(database.engine, "commit", commits.append)
    return commits


def test_what_comes_together_is_committed_together(
    database: Database, gatehouse: Gatehouse
) -> None:
    events = [asked(member) for member in MEMBERS]
    commits = count_commits(database)
    effects = gatehouse.handle(SITE, events, NOON)
    assert len(commits) == 1
    assert [a.decision.request for a in answers(effects)] == [e.request.id for e in events]
    assert [entry.request for entry in decisions(database)] == [e.request.id for e in events]
    must_verify(database)


def test_only_what_is_to_be_sent_is_given_back(gatehouse: Gatehouse) -> None:
    journal = Journal()
    journal.add_entry(MEMBERS[0])
    effects = gatehouse.handle(SITE, [asked(MEMBERS[0]), journal.after(0)], NOON)
    assert {type(effect).__name__ for effect in effects} == {"Answer", "Acknowledge", "Announce"}


def test_a_repeated_request_has_the_same_answer_and_decides_nothing_new(
    database: Database, gatehouse: Gatehouse
) -> None:
    first = asked(MEMBERS[0], correlation=b"one")
    once = answers(gatehouse.handle(SITE, [first], NOON))
    before = entries(database)
    again = answers(gatehouse.handle(SITE, [replace(first, correlation=b"two")], NOON))
    assert again == [replace(once[0], correlation=b"two")]
    assert entries(database) == before
    assert answers(gatehouse.handle(SITE, [asked(MEMBERS[1])], NOON))
    must_verify(database)


def test_a_request_that_comes_twice_in_one_batch_is_decided_once(
    database: Database, gatehouse: Gatehouse
) -> None:
    request = asked(MEMBERS[0])
    effects = answers(gatehouse.handle(SITE, [request, asked(MEMBERS[1]), request], NOON))
    assert len(effects) == 3
    assert effects[0] == effects[2]
    assert len(decisions(database)) == 2
    must_verify(database)


def test_a_repeated_request_does_not_keep_its_neighbours_from_their_answers(
    database: Database, gatehouse: Gatehouse
) -> None:
    first = asked(MEMBERS[0])
    gatehouse.handle(SITE, [first], NOON)
    effects = answers(gatehouse.handle(SITE, [asked(MEMBERS[1]), first, asked(MEMBERS[2])], NOON))
    assert [a.decision.member for a in effects] == [MEMBERS[1], MEMBERS[0], MEMBERS[2]]
    assert len(decisions(database)) == 3
    must_verify(database)


def test_a_request_that_another_door_repeats_is_answered_at_the_first_door_only(
    database: Database, gatehouse: Gatehouse
) -> None:
    first = asked(MEMBERS[0])
    gatehouse.handle(SITE, [first], NOON)
    again = answers(gatehouse.handle(SITE, [replace(first, door=LAB)], NOON))
    assert [a.door for a in again] == [MAIN]
    assert len(decisions(database)) == 1


def test_after_a_restart_a_repeated_request_has_the_same_answer(
    database: Database, gatehouse: Gatehouse
) -> None:
    first = asked(MEMBERS[0])
    once = gatehouse.handle(SITE, [first], NOON)
    assert answers(new_gatehouse(database).handle(SITE, [first], NOON)) == answers(once)
    assert len(decisions(database)) == 1


def test_a_request_of_a_door_that_the_site_does_not_have_changes_nothing(
    database: Database, gatehouse: Gatehouse
) -> None:
    gatehouse.handle(SITE, [Ticked()], NOON)
    before = entries(database)
    nowhere = DoorId("nowhere")
    events: list[Event] = [asked(MEMBERS[0], door=nowhere), Reported(door=nowhere, records=())]
    # At an hour at which something is due, which must not get lost with the message.
    late = NOON + timedelta(days=1)
    assert gatehouse.handle(SITE, events, late) == []
    assert entries(database) == before
    gatehouse.handle(SITE, [Ticked()], late)
    must_verify(database)


def test_two_processes_on_one_database_see_each_others_acts(
    database_url: str, database: Database, gatehouse: Gatehouse
) -> None:
    with open_database(database_url) as theirs:
        other = new_gatehouse(theirs)
        gatehouse.handle(SITE, [GuestsChanged(by=OPERATOR, change=3)], NOON)
        assert other.look(SITE).presence.guests == 3
        other.handle(SITE, [GuestsChanged(by=OPERATOR, change=-1)], NOON)
        assert gatehouse.look(SITE).presence.guests == 2
        # The first one remembers an older state, and finds out when it writes.
        assert answers(gatehouse.handle(SITE, [asked(MEMBERS[0])], NOON))
        assert answers(other.handle(SITE, [asked(MEMBERS[1])], NOON))
        must_verify(database)
    assert len(decisions(database)) == 2


def test_two_processes_that_act_at_once_lose_nothing_of_each_other(
    database_url: str, database: Database
) -> None:
    request = asked(MEMBERS[0])
    heard: list[Answer] = []

    def act() -> None:
        with open_database(database_url) as own:
            mine = new_gatehouse(own)
            for _ in range(15):
                mine.handle(SITE, [GuestsChanged(by=OPERATOR, change=1)], NOON)
                heard.extend(answers(mine.handle(SITE, [asked(MEMBERS[1]), request], NOON)))

    threads = [threading.Thread(target=act) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert committed(database).presence.guests == 30
    assert len(decisions(database)) == 31
    assert len(heard) == 60
    assert len({a for a in heard if a.decision.request == request.request.id}) == 1
    must_verify(database)


def test_what_the_desk_may_not_do_changes_nothing_and_the_next_turn_is_right(
    database: Database, gatehouse: Gatehouse
) -> None:
    gatehouse.handle(SITE, [GuestsChanged(by=OPERATOR, change=2)], NOON)
    before = entries(database)
    with pytest.raises(DeskError):
        gatehouse.handle(SITE, [GuestsChanged(by=OPERATOR, change=-3)], NOON)
    with pytest.raises(DeskError):
        # The first of the two could be done; but they come together.
        gatehouse.handle(
            SITE,
            [GuestsChanged(by=OPERATOR, change=1), Recounted(by=MEMBERS[0], members=(), guests=0)],
            NOON,
        )
    assert entries(database) == before
    assert gatehouse.look(SITE).presence.guests == 2
    assert answers(gatehouse.handle(SITE, [asked(MEMBERS[0])], NOON))[0].decision.granted
    must_verify(database)


def test_what_was_looked_at_is_a_copy(gatehouse: Gatehouse) -> None:
    gatehouse.handle(SITE, [GuestsChanged(by=OPERATOR, change=2)], NOON)
    gatehouse.look(SITE).presence.guests = 7
    assert gatehouse.look(SITE).presence.guests == 2


def test_new_rules_hold_at_the_next_tick(database: Database) -> None:
    now = [rules()]
    gatehouse = Gatehouse(database=database, policy_of=lambda _: now[0])
    assert answers(gatehouse.handle(SITE, [asked(MEMBERS[0])], NOON))[0].decision.granted
    suspended = Member(id=MEMBERS[0], plan=Plan.NOMAD, status=Status.SUSPENDED)
    now[0] = replace(now[0], version=2, members={**now[0].members, MEMBERS[0]: suspended})
    gatehouse.has_due(SITE, NOON)
    answer = answers(gatehouse.handle(SITE, [asked(MEMBERS[0])], NOON))[0]
    assert answer.decision.reason == "member_suspended"


@contextmanager
def somebody_else_writing(database_url: str) -> Iterator[None]:
    """Hold the lock that a gatehouse needs."""
    engine = create_engine(database_url)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql("LOCK TABLE site_state IN EXCLUSIVE MODE")
        yield
        connection.rollback()
    engine.dispose()


@pytest.fixture
def impatient(
    database_url: str,
    database: Database,  # noqa: ARG001 (it has made the tables)
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Database]:
    """The same database, by connections that wait for a lock for 50 ms only."""
    monkeypatch.setattr(database_module, "BUSY_S", 0.05)
    with open_database(database_url) as opened:
        yield opened


def test_what_cannot_be_committed_is_neither_sent_nor_kept_and_comes_in_once_later(
    database_url: str, database: Database, impatient: Database
) -> None:
    gatehouse = new_gatehouse(impatient)
    journal = Journal()
    journal.add_entry(MEMBERS[0])
    journal.add_entry(MEMBERS[1])
    request = asked(MEMBERS[2])
    gatehouse.handle(SITE, [Ticked()], NOON)
    before = entries(database)
    with somebody_else_writing(database_url):
        tries: list[list[Event]] = [[journal.after(0)], [request], [journal.after(0), request]]
        for events in tries:
            with pytest.raises(DatabaseError):
                gatehouse.handle(SITE, events, NOON)
    assert entries(database) == before
    assert gatehouse.look(SITE).presence.inside == {}
    for _ in range(2):
        effects = gatehouse.handle(SITE, [journal.after(0), request], NOON)
        assert [e.seq for e in effects if isinstance(e, Acknowledge)] == [8]
        assert len(answers(effects)) == 1
    assert set(gatehouse.look(SITE).presence.inside) == set(MEMBERS[:2])
    assert len(decisions(database)) == 1
    must_verify(database)


def fill(gatehouse: Gatehouse, journal: Journal) -> None:
    while True:
        journal.add("door.opened", note="x" * 2_000)
        seq = len(journal.records)
        assert Acknowledge(door=MAIN, seq=seq) in gatehouse.handle(
            SITE, [journal.after(seq - 1)], NOON
        )


def test_a_full_disk_keeps_nothing_by_halves(database: Database, gatehouse: Gatehouse) -> None:
    if not database.is_sqlite:
        pytest.skip("only SQLite lets a test set how many pages there are")
    journal = Journal()
    gatehouse.handle(SITE, [Ticked()], NOON)
    with database.writing() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 4}")
    with pytest.raises(DatabaseError, match="full"):
        fill(gatehouse, journal)
    held = len(journal.records) - 1
    assert held == committed(database).doors[MAIN].head.seq
    must_verify(database)
    with database.writing() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    effects = gatehouse.handle(SITE, [journal.after(held)], NOON)
    assert Acknowledge(door=MAIN, seq=len(journal.records)) in effects
    must_verify(database)


def test_a_chain_that_was_cut_by_a_forged_record_goes_on(
    database: Database, gatehouse: Gatehouse
) -> None:
    journal = Journal()
    for _ in range(3):
        journal.add("door.opened")
    forged = journal.records[0] | {"hash": "not a hash" * 1_000}
    gatehouse.handle(SITE, [Reported(door=MAIN, records=(forged,))], NOON)
    effects = gatehouse.handle(SITE, [journal.after(1)], NOON)
    assert Acknowledge(door=MAIN, seq=3) in effects
    with database.reading() as connection:
        assert [m.door for m in ledger.list_set_aside(connection, SITE)] == [MAIN, MAIN]
    assert len(to_body(database)) < 5_000


def test_after_the_restore_of_a_backup_a_door_goes_on_with_what_it_still_holds(
    database: Database, gatehouse: Gatehouse
) -> None:
    journal = Journal()
    journal.add_entry(MEMBERS[0])
    gatehouse.handle(SITE, [replace(journal.after(0), oldest=1)], NOON)
    # Four more were acknowledged and deleted, and went with the database that was restored.
    journal.add_entry(MEMBERS[1])
    journal.add_entry(MEMBERS[2])
    effects = gatehouse.handle(SITE, [replace(journal.after(8), oldest=9)], NOON)
    assert Acknowledge(door=MAIN, seq=12) in effects
    with database.reading() as connection:
        assert all(report.is_whole for report in verify_site(connection, SITE))
        assert alerts_list.listed(connection, SITE)[0].alert.kind == "records_missing"
    assert set(committed(database).presence.inside) == {MEMBERS[0], MEMBERS[2]}
    with database.writing() as connection:
        connection.execute(sql("INSERT INTO purge_permit (id) VALUES (1)"))
        connection.execute(sql("DELETE FROM ledger WHERE source = 'main' AND seq = 4"))
        connection.execute(sql("DELETE FROM purge_permit"))
    with database.reading() as connection:
        assert not all(report.is_whole for report in verify_site(connection, SITE))


@pytest.mark.parametrize("seq", [True, 1.0, 2**70, -1, "1", None, [1]])
def test_a_record_with_an_odd_number_spoils_no_state(
    database: Database, gatehouse: Gatehouse, seq: object
) -> None:
    gatehouse.handle(SITE, [Reported(door=MAIN, records=({"seq": seq, "hash": 7},))], NOON)
    journal = Journal()
    journal.add_entry(MEMBERS[0])
    effects = new_gatehouse(database).handle(SITE, [journal.after(0)], NOON)
    assert Acknowledge(door=MAIN, seq=4) in effects
    must_verify(database)


def test_a_door_whose_clock_is_ahead_does_not_make_later_news_look_old(
    gatehouse: Gatehouse,
) -> None:
    ahead, head = chained(
        Head(),
        site=SITE,
        source=MAIN,
        kind="access.granted",
        time=NOON + timedelta(days=400),
        data={"reader": "in", "member": MEMBERS[0]},
    )
    journal = Journal(head=head, records=[ahead])
    journal.add("door.opened")
    gatehouse.handle(SITE, [journal.after(0)], NOON)
    assert gatehouse.look(SITE).presence.inside == {MEMBERS[0]: gatehouse_stay(gatehouse)}
    later = Journal(door=LAB)
    for _ in range(5):
        later.add("unit.started")
    later.add("access.granted", reader="out", member=MEMBERS[0])
    gatehouse.handle(SITE, [later.after(0)], NOON + timedelta(minutes=1))
    assert gatehouse.look(SITE).presence.inside == {}


def gatehouse_stay(gatehouse: Gatehouse) -> Any:
    stay = gatehouse.look(SITE).presence.inside[MEMBERS[0]]
    # Not in 400 days, as the door said; a moment after the grant, as its journal has it.
    assert NOON <= stay.since <= NOON + timedelta(milliseconds=1)
    return stay


def to_body(database: Database) -> str:
    with database.reading() as connection:
        found = ledger.load_state(connection, SITE)
    assert found is not None
    return found[1]


# A server that takes in what a door has recorded, and says what it acknowledges.
SERVER_PROGRAM = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("tests_of_the_gatehouse", sys.argv[1])
tests = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = tests
spec.loader.exec_module(tests)
tests.take_in_for_ever(sys.argv[2], int(sys.argv[3]))
"""
MOST_RECORDS = 4_000


def whole_journal() -> Journal:
    """The same at each call: members come and go at random."""
    random, journal = Random(7), Journal()  # noqa: S311 (no secret)
    while len(journal.records) < MOST_RECORDS:
        reader = random.choice(("in", "out"))
        journal.add("access.granted", reader=reader, member=random.choice(MEMBERS))
        if random.random() < 0.9:
            journal.add("door.opened")
            journal.add("door.closed", open_s=1.0)
        journal.add("lock.locked")
    return journal


def take_in_for_ever(url: str, acknowledged: int) -> None:
    journal = whole_journal()
    with open_database(url) as database:
        gatehouse = new_gatehouse(database)
        seq = acknowledged
        while seq < len(journal.records):
            batch = Reported(door=MAIN, records=tuple(journal.records[seq : seq + 7]))
            effects = gatehouse.handle(SITE, [asked(MEMBERS[0]), batch], NOON)
            seq = next(e.seq for e in effects if isinstance(e, Acknowledge))
            print(seq, flush=True)  # noqa: T201 (how it speaks to the test)


def run_and_kill(url: str, acknowledged: int, acks: int) -> int:
    """Let a server run until it has acknowledged so often, and kill it with -9 then."""
    command = [sys.executable, "-c", SERVER_PROGRAM, __file__, url, str(acknowledged)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        for _ in range(acks):
            acknowledged = int(server.stdout.readline())
        server.kill()
        # What was said before it died counts as well.
        return int((server.stdout.read().split("\n")[:-1] or [str(acknowledged)])[-1])


def test_a_server_killed_in_the_middle_loses_nothing_it_acknowledged_and_doubles_nothing(
    database_url: str, database: Database
) -> None:
    acknowledged = 0
    for acks in (1, 9, 23):
        sent_from = acknowledged
        acknowledged = run_and_kill(database_url, max(0, sent_from - 3), acks)
        assert acknowledged > sent_from
        assert committed(database).doors[MAIN].head.seq >= acknowledged
        must_verify(database)
    held = [entry.record for entry in entries(database) if entry.source == MAIN]
    assert held == whole_journal().records[: len(held)]


def test_the_state_is_what_follows_from_the_ledger(
    database: Database, gatehouse: Gatehouse
) -> None:
    journal = whole_journal()
    for seq in range(0, 700, 70):
        gatehouse.handle(SITE, [Reported(door=MAIN, records=tuple(journal.records[:seq]))], NOON)
        gatehouse.handle(SITE, [asked(MEMBERS[seq % 8]), journal.after(seq)], NOON)
    replayed = Gate(rules(), SiteState())
    for entry in entries(database):
        if entry.source == MAIN:
            replayed.handle(Reported(door=MAIN, records=(dict(entry.record),)), entry.received)
    state = committed(database)
    assert replayed.state.presence == state.presence
    assert replayed.state.doors == state.doors
    with database.reading() as connection:
        assert ledger.head(connection, SITE, MAIN) == state.doors[MAIN].head
