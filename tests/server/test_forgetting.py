"""Forgetting: after its time nobody is named any more, counts stay, and chains still verify."""

import threading
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy import text as sql

from access.ids import BadgeDigest, DoorId, MemberId, SiteId
from access.instants import Span
from access.journal import Head, chained, hash_of
from access.messages import AccessRequest
from access.model import Status, Validity
from runtime.settings import MqttSettings
from server import forgetting, forgetting_ledger, ledger, looks, registry, schema, sessions
from server.database import Database
from server.events import (
    Asked,
    CloseAsked,
    Event,
    GuestsChanged,
    Recounted,
    Reported,
    RollCallSigned,
)
from server.folder import Folder
from server.follower import HistoryFollower
from server.forgetting import Forgetter, Forgotten, StoppedError
from server.forgotten import is_forgotten
from server.gatehouse import TICK, Gatehouse
from server.history import Retention
from server.history_embedded import EmbeddedHistory
from server.installation import Installation
from server.policy_source import PolicySource
from server.recorder import points_of
from server.registry import Person
from server.settings import DatabaseUrl, DoorSettings, ServerSettings, SiteSettings, ZoneName
from server.verify import ChainReport, verify_site
from tests.server.test_policy_source import SetClock

LYON = SiteId("lyon")
FRONT = DoorId("front")
GUARDIAN = MemberId("aurelie-guardian")
VISITOR = MemberId("bertrand-visitor")
EVENING = datetime(2026, 11, 2, 18, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
UNKNOWN = BadgeDigest("ab5e1ced" * 4)
CARDS = {GUARDIAN: BadgeDigest("c0ffee01" * 4), VISITOR: BadgeDigest("deadbea7" * 4)}
NAMES = ("Aurélie Gardienne", "Bertrand Visiteur")
EMAILS = ("aurelie@forget.example", "bertrand@forget.example")


def site_settings(**other: Any) -> SiteSettings:
    door = DoorSettings(id="front", name="Front", contact=True, readers=("in", "out"))
    zone = ZoneName("Europe/Paris")
    return SiteSettings(id="lyon", name="Lyon", zone=zone, capacity=60, doors=(door,), **other)


@dataclass
class Place:
    """An installation, and a door that reports to it."""

    installation: Installation
    clock: SetClock
    door: Head = field(default_factory=Head)

    @property
    def database(self) -> Database:
        return self.installation.database

    def handle(self, *events: Event) -> None:
        self.installation.gatehouse.handle(LYON, events, self.clock.at)

    def ask(self, badge: BadgeDigest) -> str:
        request = AccessRequest(
            id=str(uuid.uuid4()), at=self.clock.at, reader="in", badge=badge, token=None
        )
        self.handle(Asked(door=FRONT, request=request))
        return request.id

    def report(self, kind: str, **data: Any) -> None:
        record, self.door = chained(
            self.door, site=LYON, source=FRONT, kind=kind, time=self.clock.at, data=data
        )
        self.handle(Reported(door=FRONT, records=(record,)))

    def visit(self, member: MemberId, reader: str = "in") -> None:
        """Somebody passes the door by their badge."""
        badge = CARDS[member]
        request = self.ask(badge) if reader == "in" else None
        said = {"request": request, "reader": reader, "badge": badge, "member": member}
        self.report("access.granted", **said, reason="watch", granted=True)
        self.report("door.opened", request=request, cause="grant")
        self.report("door.closed", open_s=2.0)
        self.report("lock.locked", cause="time")
        self.clock.at += timedelta(minutes=1)

    def be_refused(self) -> None:
        """Somebody tries a badge that nobody has."""
        request = self.ask(UNKNOWN)
        said = {"request": request, "reader": "in", "badge": UNKNOWN, "member": None}
        self.report("access.denied", **said, reason="unknown_badge", granted=False)

    def evening(self) -> None:
        """A watch: it is opened, people come and go, it is counted and closed."""
        self.visit(GUARDIAN)
        for _ in range(30):
            self.visit(VISITOR)
            self.visit(VISITOR, "out")
        self.visit(VISITOR)
        self.be_refused()
        self.handle(GuestsChanged(by=GUARDIAN, change=2))
        self.handle(Recounted(by=GUARDIAN, members=(GUARDIAN, VISITOR), guests=1))
        self.handle(CloseAsked(by=GUARDIAN))
        self.handle(RollCallSigned(by=GUARDIAN))

    def forgetter(self, **other: Any) -> Forgetter:
        return Forgetter(self.installation, rest_s=0, **other)

    def forget(self) -> Forgotten:
        return self.forgetter().forget(self.clock.at)

    def entries(self) -> list[ledger.StoredEntry]:
        with self.database.reading() as connection:
            return ledger.read(connection, limit=100_000)

    def reports(self) -> list[ChainReport]:
        with self.database.reading() as connection:
            return verify_site(connection, LYON)

    def must_verify(self) -> None:
        found = self.reports()
        assert found
        assert [report.problem for report in found if not report.is_whole] == []

    def count(self, table: Any) -> int:
        with self.database.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


@pytest.fixture
def place(database: Database, tmp_path: Path) -> Place:
    """A place with a guardian and a visitor, at the evening of the first day."""
    clock = SetClock(EVENING)
    settings = ServerSettings(
        database=DatabaseUrl(f"sqlite:///{tmp_path}/gardien.db"),
        mqtt=MqttSettings(
            host="127.0.0.1", port=1883, username="server", password_file=Path("password")
        ),
        sites=(site_settings(),),
    )
    with database.writing() as connection:
        for member, name, email in zip(CARDS, NAMES, EMAILS, strict=True):
            person = Person(
                id=member,
                name=name,
                email=email,
                is_guardian=member == GUARDIAN,
                sites=frozenset({LYON}),
                validity=Validity(until=EVENING + 4 * HOUR),
            )
            registry.add_member(connection, person, EVENING)
            registry.assign_badge(connection, CARDS[member], member, at=EVENING)
            account = {"email": email, "member": member, "password_hash": "x"}
            connection.execute(insert(schema.account), account | {"changed_at": EVENING})
            sessions.begin(connection, email, EVENING)
        span = Span(start=EVENING, end=EVENING + 4 * HOUR)
        registry.authorize(connection, site=LYON, guardian=GUARDIAN, span=span, title="Talk")
        looks.note_look(
            connection,
            site=LYON,
            member=GUARDIAN,
            role="guardian",
            what="roll-call",
            reason=looks.DUTY,
            at=EVENING,
        )
    policies = PolicySource(database=database, settings=settings, clock=clock)
    return Place(
        clock=clock,
        installation=Installation(
            folder=Folder(path=tmp_path),
            settings=settings,
            clock=clock,
            database=database,
            policies=policies,
            gatehouse=Gatehouse(database=database, policy_of=policies.current),
        ),
    )


def named_in_ledger(place: Place) -> list[str]:
    """Give what names somebody in the ledger and in the state of the site."""
    with place.database.reading() as connection:
        texts = list(connection.execute(sql("SELECT body FROM ledger")).scalars())
        texts += connection.execute(sql("SELECT body FROM site_state")).scalars()
        texts += connection.execute(
            sql("SELECT member FROM ledger WHERE member IS NOT NULL")
        ).scalars()
    return [
        text
        for text in texts
        if any(who in text for who in (GUARDIAN, VISITOR, UNKNOWN, *CARDS.values()))
    ]


def tamper(place: Place, change: str) -> None:
    with place.database.writing() as connection:
        connection.execute(sql("INSERT INTO purge_permit (id) VALUES (1)"))
        assert connection.exec_driver_sql(change).rowcount == 1
        connection.execute(sql("DELETE FROM purge_permit"))


def test_after_91_days_nobody_is_named_and_counts_stay(place: Place) -> None:
    place.evening()
    before = place.entries()
    assert named_in_ledger(place)
    place.clock.at = EVENING + 91 * DAY
    done = place.forget()
    assert done.entries + done.unknown_badges > 100
    assert named_in_ledger(place) == []
    after = [entry for entry in place.entries() if entry.kind != "gardien.ledger.forgotten"]
    assert Counter(entry.kind for entry in before) == Counter(entry.kind for entry in after)
    assert [points_of(entry) for entry in before] == [points_of(entry) for entry in after]
    (closed,) = [e for e in after if e.kind == "gardien.watch.closed"]
    assert type(closed.record["data"]["minutes"]) is int
    place.must_verify()


def test_after_91_days_no_file_holds_a_name_an_address_an_id_or_a_digest(
    place: Place, tmp_path: Path
) -> None:
    if not place.database.is_sqlite:
        pytest.skip("the files of PostgreSQL are its own")
    place.evening()
    with place.installation.open_history() as (history, cursors):
        follower = HistoryFollower(source=place.database, cursors=cursors, history=history)
        while follower.step():
            pass
    place.clock.at = EVENING + 91 * DAY
    assert place.forget().is_log_empty
    assert (tmp_path / "history.db").stat().st_size > 0
    with place.database.reading() as connection:
        # Alone the accounts of hours, kept for five years, and the looks, for one, name an id.
        assert connection.scalars(select(schema.time_entry.c.member)).all() == [GUARDIAN]
    place.clock.at = EVENING + 6 * 366 * DAY
    assert place.forget().rows.time_entries == 1
    for file in tmp_path.iterdir():
        held = file.read_bytes()
        for who in (*NAMES, *EMAILS, *CARDS, *CARDS.values(), UNKNOWN):
            assert who.encode() not in held, f"{who} in {file.name}"


@pytest.mark.parametrize("small_bytes", [0, 32_000_000], ids=["large", "small"])
def test_the_visitor_is_in_no_file_after_91_days(
    place: Place, tmp_path: Path, small_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "_SMALL_BYTES", small_bytes)
    if not place.database.is_sqlite:
        pytest.skip("the files of PostgreSQL are its own")
    place.evening()
    place.clock.at = EVENING + 91 * DAY
    place.forget()
    names = (*NAMES, *EMAILS, VISITOR, *CARDS.values(), UNKNOWN)
    held = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert [
        (file, who) for file, data in held.items() for who in names if who.encode() in data
    ] == []


def test_entries_of_day_89_are_untouched(place: Place) -> None:
    place.evening()
    before = [entry for entry in place.entries() if entry.record["data"].get("badge") != UNKNOWN]
    place.clock.at = EVENING + 89 * DAY
    assert place.forget().entries == 0
    kept = {entry.id: entry for entry in place.entries()}
    assert [kept[entry.id] for entry in before] == before


def test_a_site_may_forget_sooner_and_never_later(place: Place) -> None:
    place.evening()
    settings = place.installation.settings
    place.installation = Installation(
        folder=place.installation.folder,
        settings=ServerSettings(
            database=settings.database, mqtt=settings.mqtt, sites=(site_settings(keep_days=10),)
        ),
        clock=place.clock,
        database=place.database,
        policies=place.installation.policies,
        gatehouse=place.installation.gatehouse,
    )
    place.clock.at = EVENING + 11 * DAY
    assert place.forget().entries > 0
    assert named_in_ledger(place) == []
    with pytest.raises(ValueError, match="2006-102"):
        site_settings(keep_days=91)


def test_an_unknown_badge_may_be_enrolled_for_24_hours_and_is_forgotten_then(place: Place) -> None:
    place.be_refused()
    place.visit(GUARDIAN)
    place.clock.at = EVENING + 23 * HOUR
    assert place.forgetter().forget_unknown(place.clock.at) == 0
    assert len([e for e in place.entries() if e.record["data"].get("badge") == UNKNOWN]) == 2
    place.clock.at = EVENING + 25 * HOUR
    assert place.forgetter().forget_unknown(place.clock.at) == 2
    assert [text for text in named_in_ledger(place) if UNKNOWN in text] == []
    assert any(CARDS[GUARDIAN] in text for text in named_in_ledger(place))
    place.must_verify()
    place.clock.at = EVENING + 91 * DAY
    assert place.forget().unknown_badges == 0
    place.must_verify()


def test_forgetting_again_changes_nothing(place: Place) -> None:
    place.evening()
    place.clock.at = EVENING + 91 * DAY
    place.forget()
    before = place.entries()
    place.clock.at += DAY
    again = place.forget()
    assert (again.entries, again.unknown_badges, again.points) == (0, 0, 0)
    assert place.entries() == before


def test_later_runs_leave_what_earlier_ones_vouched_for(place: Place) -> None:
    place.evening()
    place.clock.at = EVENING + 91 * DAY
    place.forget()
    place.be_refused()
    place.clock.at += 2 * DAY
    place.forget()
    place.be_refused()
    place.clock.at += 91 * DAY
    place.forget()
    told = [e for e in place.entries() if e.kind == "gardien.ledger.forgotten"]
    assert len(told) >= 4
    place.must_verify()


@pytest.mark.parametrize(
    ("change", "found_in"),
    [
        ("SET body = replace(body, '\"granted\":true', '\"granted\":false')", "front"),
        ('SET body = replace(body, \'"reason":"watch"\', \'"reason":"staff"\')', "front"),
        ("SET body = replace(body, '\"vouched\":', '\"vouched\":9')", "front"),
        ("SET id = 1000000", "front"),
    ],
)
def test_a_change_of_a_forgotten_record_is_found(place: Place, change: str, found_in: str) -> None:
    place.evening()
    place.clock.at = EVENING + 91 * DAY
    place.forget()
    tamper(place, f"UPDATE ledger {change} WHERE source = 'front' AND seq = 9")
    found = {report.source: report for report in place.reports()}
    assert not found[found_in].is_whole
    assert not found["server"].is_whole


def test_a_record_that_only_says_it_was_forgotten_is_found(place: Place) -> None:
    place.evening()
    tamper(
        place,
        """UPDATE ledger SET body = replace(body, '"granted":true', '"granted":false,"vouched":1')
        WHERE source = 'front' AND seq = 9""",
    )
    tamper(
        place,
        """UPDATE ledger SET body = replace(body, '"prev"', '"forgotten":"x","vouched":1,"prev"')
        WHERE source = 'front' AND seq = 5""",
    )
    found = {report.source: report for report in place.reports()}
    assert "nor forgotten" in str(found["front"].problem)


def test_a_door_can_not_keep_a_record_from_being_forgotten(place: Place) -> None:
    said = {"reader": "in", "badge": CARDS[VISITOR], "member": VISITOR, "reason": "watch"}
    sly, _ = chained(
        Head(), site=LYON, source=FRONT, kind="access.granted", time=EVENING, data=said
    )
    sly |= {"vouched": 1, "forgotten": "2026-11-02T18:00:00Z"}
    sly["hash"] = hash_of(sly)
    place.handle(Reported(door=FRONT, records=(sly,)))
    place.must_verify()
    assert not any(is_forgotten(entry.record) for entry in place.entries())
    place.clock.at = EVENING + 91 * DAY
    place.forget()
    assert named_in_ledger(place) == []
    place.must_verify()


def test_a_run_that_was_broken_off_goes_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting_ledger, "BATCH", 20)
    place.evening()
    place.clock.at = EVENING + 91 * DAY

    class BrokenOffError(RuntimeError):
        pass

    looked: list[int] = []

    def break_off(number: int) -> None:
        looked.append(number)
        if len(looked) == 30:
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        place.forgetter().forget(place.clock.at, advance=break_off)
    some = [entry for entry in place.entries() if is_forgotten(entry.record)]
    assert some
    assert named_in_ledger(place)
    place.must_verify()
    place.forget()
    assert named_in_ledger(place) == []
    rest = {entry.id: entry for entry in place.entries()}
    assert [rest[entry.id] for entry in some] == some
    place.must_verify()


def test_a_server_that_stops_breaks_it_off_between_two_batches(place: Place) -> None:
    place.evening()
    place.clock.at = EVENING + 91 * DAY
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        place.forgetter(stop=stop).forget(place.clock.at)
    place.must_verify()


def test_what_a_door_tells_late_is_forgotten_in_the_night_after(place: Place) -> None:
    place.visit(VISITOR)
    place.visit(VISITOR, "out")
    place.clock.at = EVENING + 100 * DAY
    place.forget()
    record, place.door = chained(
        place.door,
        site=LYON,
        source=FRONT,
        kind="access.granted",
        time=EVENING + HOUR,
        data={"reader": "out", "badge": CARDS[VISITOR], "member": VISITOR, "reason": "exit"},
    )
    place.handle(Reported(door=FRONT, records=(record,)))
    assert named_in_ledger(place)
    place.clock.at += DAY
    assert place.forget().entries == 1
    assert named_in_ledger(place) == []
    place.must_verify()


def test_the_gate_goes_on_after_forgetting_as_if_nothing_were(place: Place) -> None:
    place.evening()
    place.clock.at = EVENING + 91 * DAY
    house = place.installation.gatehouse
    shown = house.look(LYON)
    place.forget()
    assert house.look(LYON).presence.present == shown.presence.present
    assert house.look(LYON).doors[FRONT].head == place.door
    place.be_refused()
    place.handle(*TICK)
    place.must_verify()


def test_when_nothing_sweeps_the_state_forgets_names_and_keeps_the_count(place: Place) -> None:
    place.visit(GUARDIAN)
    place.visit(VISITOR)
    place.visit(VISITOR, "out")
    place.report("access.granted", reader="in", badge=CARDS[VISITOR], member=VISITOR)
    house = place.installation.gatehouse
    assert forgetting_ledger.forget_in_state(place.database, LYON, EVENING) == 0
    assert house.look(LYON).presence.high == 1
    assert forgetting_ledger.forget_in_state(place.database, LYON, EVENING + DAY) > 0
    state = house.look(LYON)
    assert (state.presence.inside, state.presence.moved) == ({}, {})
    assert state.doors[FRONT].grants == []
    assert state.presence.high == 1


def test_members_go_90_days_after_their_membership_with_all_that_hangs_on_them(
    place: Place,
) -> None:
    place.clock.at = EVENING + 4 * HOUR + 90 * DAY
    assert place.forget().rows.members == 0
    place.clock.at += timedelta(seconds=1)
    rows = place.forget().rows
    assert (rows.members, rows.badges, rows.authorizations, rows.accounts) == (2, 2, 1, 2)
    for table in (schema.member, schema.badge, schema.account, sessions.web_session):
        assert place.count(table) == 0
    assert place.count(looks.look) == 1


def test_a_membership_that_was_ended_by_hand_counts_from_when_it_was_seen(place: Place) -> None:
    with place.database.writing() as connection:
        connection.execute(update(schema.member).values(until=None))
        registry.change_status(connection, VISITOR, Status.ENDED)
    place.forget()
    place.clock.at += 90 * DAY
    assert place.forget().rows.members == 0
    place.clock.at += DAY
    assert place.forget().rows.members == 1
    with place.database.writing() as connection:
        registry.change_status(connection, GUARDIAN, Status.ENDED)
    place.forget()
    with place.database.writing() as connection:
        registry.change_status(connection, GUARDIAN, Status.ACTIVE)
    place.clock.at += 91 * DAY
    assert place.forget().rows.members == 0


def test_looks_go_after_a_year_sessions_when_over_and_what_was_set_aside_after_90_days(
    place: Place,
) -> None:
    with place.database.writing() as connection:
        ledger.set_aside(
            connection, site=LYON, door=FRONT, received=EVENING, why="no", body=f'"{VISITOR}"'
        )
    place.clock.at = EVENING + 8 * DAY
    rows = place.forget().rows
    assert (rows.sessions, rows.set_aside, rows.looks) == (2, 0, 0)
    place.clock.at = EVENING + 91 * DAY
    assert place.forget().rows.set_aside == 1
    place.clock.at = EVENING + 364 * DAY
    assert place.forget().rows.looks == 0
    place.clock.at = EVENING + 366 * DAY
    assert place.forget().rows.looks == 1


def test_a_dry_run_says_the_same_and_changes_nothing(place: Place) -> None:
    place.evening()
    place.clock.at = EVENING + 91 * DAY
    before = place.entries()
    dry = place.forgetter().forget(place.clock.at, is_dry=True)
    assert place.entries() == before
    assert place.count(schema.member) == 2
    done = place.forget()
    assert done.unknown_badges == dry.unknown_badges == 2
    assert done.entries == dry.entries
    assert done.rows == dry.rows


def test_hours_are_kept_before_moments_are_forgotten(place: Place) -> None:
    place.evening()
    with place.installation.open_history() as (history, cursors):
        follower = HistoryFollower(source=place.database, cursors=cursors, history=history)
        while follower.step():
            pass
        read = partial(history.occupancy, LYON, start=EVENING - DAY, end=EVENING + DAY)
        assert read()
        hourly = read(step=HOUR)
        place.clock.at = EVENING + 398 * DAY
        assert place.forget().points > 0
        assert isinstance(history, EmbeddedHistory)
        assert read() == []
        assert read(retention=Retention.HOURLY) == hourly


def test_it_runs_at_the_quiet_hour_once_and_at_the_start_when_that_was_missed(place: Place) -> None:
    forgetter = place.forgetter()

    def last_run() -> datetime:
        with place.database.reading() as connection:
            mark = forgetting_ledger.mark_of(connection, "", "run")
        assert mark is not None
        return mark.until

    forgetter.step()
    assert last_run() == EVENING
    place.clock.at = datetime(2026, 11, 3, 2, 59, tzinfo=UTC)
    forgetter.step()
    assert last_run() == EVENING
    place.clock.at = at_four = datetime(2026, 11, 3, 3, tzinfo=UTC)
    forgetter.step()
    assert last_run() == at_four
    place.clock.at += HOUR
    forgetter.step()
    assert last_run() == at_four
    place.clock.at += 3 * DAY
    forgetter.step()
    assert last_run() == place.clock.at


def test_unknown_badges_go_within_the_hour(place: Place) -> None:
    forgetter = place.forgetter()
    place.be_refused()
    place.clock.at = datetime(2026, 11, 3, 17, 59, tzinfo=UTC)
    forgetter.step()
    assert named_in_ledger(place)
    place.clock.at += HOUR
    forgetter.step()
    assert named_in_ledger(place) == []


def test_it_stops_with_the_server(place: Place) -> None:
    stop = threading.Event()
    running = threading.Thread(target=place.forgetter(stop=stop).run)
    running.start()
    stop.set()
    running.join(10)
    assert not running.is_alive()
