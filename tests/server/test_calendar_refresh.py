"""Calendars by address: read again when they change, kept when their source is away or broken."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from access.ids import BadgeDigest, DoorId, MemberId, SiteId
from access.messages import AccessRequest
from runtime.settings import MqttSettings
from server import ledger, registry
from server.calendar_fetch_urllib3 import Fetcher, FetchError, Stamp, host_of
from server.calendar_refresh import ALERT_AFTER, CalendarRefresher
from server.database import Database
from server.effects import Answer
from server.events import Asked, CalendarFailed, Ticked
from server.gatehouse import Gatehouse
from server.policy_source import PolicySource
from server.settings import (
    DatabaseUrl,
    DoorSettings,
    ServerSettings,
    SiteSettings,
    ZoneName,
)

LYON = SiteId("lyon")
ANNA = MemberId("anna")
HOME = ZoneInfo("Europe/Paris")
EVENING = datetime(2026, 11, 24, 18, 15, tzinfo=UTC)
TALK = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//tests//EN
BEGIN:VEVENT
UID:talk@example.org
SUMMARY:Talk
DTSTART:20261124T183000Z
DTEND:20261124T203000Z
X-GARDIEN-GUARDIAN:anna
END:VEVENT
END:VCALENDAR
"""
CANCELLED = TALK.replace("SUMMARY:Talk", "SUMMARY:Talk\nSTATUS:CANCELLED")
TOMORROW = TALK.replace("20261124", "20261125")


@dataclass
class Source:
    """A calendar's server, as its owner may change it.

    Attributes:
        etag: None for a server that knows only Last-Modified, or nothing.
        asked: the conditions of each request.
        drip_s: how long it waits before each letter.
    """

    body: bytes = TALK.encode()
    status: int = 200
    etag: str | None = '"1"'
    modified: str | None = None
    location: str | None = None
    drip_s: float = 0.0
    asked: list[tuple[str | None, str | None]] = field(default_factory=list)
    url: str = ""

    def say(self, body: str, etag: str | None) -> None:
        self.body, self.etag = body.encode(), etag

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        conditions = (request.headers["If-None-Match"], request.headers["If-Modified-Since"])
        self.asked.append(conditions)
        is_same = any(
            mine is not None and mine == theirs
            for mine, theirs in zip((self.etag, self.modified), conditions, strict=True)
        )
        request.send_response(304 if is_same else self.status)
        named = {"ETag": self.etag, "Last-Modified": self.modified, "Location": self.location}
        for name, value in named.items():
            if value is not None:
                request.send_header(name, value)
        request.end_headers()
        if not is_same:
            self._write(request)

    def _write(self, request: BaseHTTPRequestHandler) -> None:
        with suppress(OSError):
            if not self.drip_s:
                request.wfile.write(self.body)
                return
            for letter in self.body:
                request.wfile.write(bytes([letter]))
                time.sleep(self.drip_s)


@pytest.fixture
def source() -> Iterator[Source]:
    """A calendar on a real HTTP server of its own."""
    found = Source()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.answer(self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_port}/private/evenings.ics"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    with closing(Fetcher(timeout_s=2.0, most_bytes=10_000)) as fetcher:
        yield fetcher


class SetClock:
    """A clock that shows what it is set to."""

    def __init__(self) -> None:
        self.at = EVENING

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


@dataclass
class House:
    """A site whose events come from an address."""

    database: Database
    clock: SetClock
    policies: PolicySource
    gatehouse: Gatehouse
    refresher: CalendarRefresher
    told: list[CalendarFailed] = field(default_factory=list)

    def body(self) -> str:
        with self.database.reading() as connection:
            return registry.list_calendars(connection, LYON)[0].body

    def authorized(self) -> bool:
        return self.policies.current(LYON).authorization(ANNA, self.clock.at) is not None

    def wait(self, **length: float) -> None:
        self.clock.at += timedelta(**length)


@pytest.fixture
def house(database: Database, source: Source, fetcher: Fetcher) -> House:
    clock = SetClock()
    settings = ServerSettings(
        database=DatabaseUrl("sqlite:////x"),
        mqtt=MqttSettings(host="127.0.0.1", port=1883, username="server", password_file=Path("x")),
        sites=(
            SiteSettings(
                id="lyon",
                name="Lyon",
                zone=ZoneName("Europe/Paris"),
                capacity=60,
                doors=(DoorSettings(id="front", name="Front", contact=True),),
            ),
        ),
    )
    policies = PolicySource(database=database, settings=settings, clock=clock)
    gatehouse = Gatehouse(database=database, policy_of=policies.current)
    told: list[CalendarFailed] = []

    def tell(site: SiteId, event: CalendarFailed) -> None:
        told.append(event)
        gatehouse.handle(site, [event], clock.at)

    refresher = CalendarRefresher(
        database=database, zones={LYON: HOME}, clock=clock, fetch=fetcher.fetch, tell=tell
    )
    with database.writing() as connection:
        person = registry.Person(id=ANNA, name="Anna", is_guardian=True, sites=frozenset({LYON}))
        registry.add_member(connection, person, EVENING)
        registry.put_calendar(
            connection, site=LYON, kind="url", location=source.url, body=TALK, at=EVENING
        )
    return House(database, clock, policies, gatehouse, refresher, told)


def test_an_event_that_is_cancelled_takes_its_authorization_with_it(
    house: House, source: Source
) -> None:
    assert house.authorized()
    source.say(CANCELLED, '"2"')
    house.wait(seconds=45)
    assert house.refresher.step() == 1
    assert not house.authorized()
    source.say(TALK, '"3"')
    house.wait(seconds=45)
    assert house.refresher.step() == 1
    assert house.authorized()


@pytest.mark.parametrize("body", [CANCELLED, TOMORROW])
def test_a_watch_whose_event_is_cancelled_or_moved_away_begins_to_close(
    house: House, source: Source, body: str
) -> None:
    badge = BadgeDigest("0123456789abcdef" * 2)
    with house.database.writing() as connection:
        registry.assign_badge(connection, badge, ANNA, at=EVENING)
    request = AccessRequest(
        id="00000000-0000-7000-8000-000000000001", at=EVENING, reader="in", badge=badge
    )
    effects = house.gatehouse.handle(LYON, [Asked(door=DoorId("front"), request=request)], EVENING)
    assert [e.decision.reason for e in effects if isinstance(e, Answer)] == ["watch_opened"]
    source.say(body, '"2"')
    house.wait(seconds=45)
    house.refresher.step()
    assert house.gatehouse.has_due(LYON, house.clock.at)
    house.gatehouse.handle(LYON, [Ticked()], house.clock.at)
    watch = house.gatehouse.look(LYON).watch
    assert watch is not None
    assert watch.closing_since == house.clock.at


def test_what_has_not_changed_is_not_read_twice_and_changes_no_policy(
    house: House, source: Source
) -> None:
    version = house.policies.current(LYON).version
    for _ in range(3):
        assert house.refresher.step() == 0
    assert source.asked == [(None, None), ('"1"', None), ('"1"', None)]
    assert house.policies.current(LYON).version == version


def test_a_source_without_etag_is_asked_by_its_date(house: House, source: Source) -> None:
    source.etag, source.modified = None, "Tue, 24 Nov 2026 08:00:00 GMT"
    for _ in range(2):
        house.refresher.step()
    assert source.asked[-1] == (None, "Tue, 24 Nov 2026 08:00:00 GMT")


def test_a_source_that_says_neither_is_read_whole_and_compared(
    house: House, source: Source
) -> None:
    source.etag = None
    assert [house.refresher.step() for _ in range(2)] == [0, 0]
    source.say(CANCELLED, None)
    assert house.refresher.step() == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, TALK),
        (404, TALK),
        (200, TALK[:150]),
        (200, "<html>Please log in</html>"),
        (200, ""),
        (200, TALK.replace("DTSTART:20261124T183000Z", "DTSTART:soon")),
        (200, "x" * 10_001),
        (200, TALK.replace("Talk", "\udcff")),
        (302, TALK),
    ],
)
def test_a_source_that_is_away_or_broken_leaves_the_last_good_copy(
    house: House, source: Source, status: int, body: str
) -> None:
    source.status, source.etag = status, '"2"'
    source.body = body.encode(errors="surrogateescape")
    source.location = "file:///etc/passwd" if status == 302 else None
    assert house.refresher.step() == 0
    assert house.body() == TALK
    assert house.authorized()
    source.status, source.location = 200, None
    source.say(CANCELLED, '"3"')
    assert house.refresher.step() == 1


def test_a_broken_copy_is_asked_for_again_and_never_taken_for_known(
    house: House, source: Source
) -> None:
    house.refresher.step()
    source.say("broken", '"2"')
    for _ in range(2):
        house.refresher.step()
    assert source.asked[-1] == ('"1"', None)


def test_who_has_been_away_for_an_hour_raises_one_alert(
    house: House, source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    source.status, source.etag = 503, None
    for _ in range(4):
        house.refresher.step()
        house.wait(minutes=20)
    for _ in range(3):
        house.refresher.step()
        house.wait(hours=5)
    (failed,) = house.told
    assert (failed.host, failed.since) == ("127.0.0.1", EVENING)
    with house.database.reading() as connection:
        alerts = ledger.read(connection, LYON, kinds=["gardien.alert.calendar_failed"])
    assert [one.record["data"]["host"] for one in alerts] == ["127.0.0.1"]
    assert len(caplog.records) == 1
    assert "private" not in caplog.text
    assert timedelta(hours=1) == ALERT_AFTER


def test_a_restart_forgets_neither_since_when_nor_that_somebody_was_told(
    house: House, source: Source, fetcher: Fetcher
) -> None:
    source.status, source.etag = 503, None

    def restart() -> None:
        house.refresher = CalendarRefresher(
            database=house.database,
            zones={LYON: HOME},
            clock=house.clock,
            fetch=fetcher.fetch,
            tell=lambda _, event: house.told.append(event),
        )

    for _ in range(8):
        house.refresher.step()
        restart()
        house.wait(minutes=20)
    (failed,) = house.told
    assert failed.since == EVENING
    source.status = 200
    house.refresher.step()
    source.status = 503
    for _ in range(2):
        restart()
        house.refresher.step()
        house.wait(minutes=60)
    assert [one.since for one in house.told] == [EVENING, EVENING + timedelta(minutes=160)]


def test_who_comes_back_and_fails_again_is_given_another_hour(house: House, source: Source) -> None:
    source.etag = None
    for status, minutes in ((503, 59), (200, 1), (503, 59), (503, 1), (503, 1)):
        source.status = status
        house.refresher.step()
        house.wait(minutes=minutes)
    assert len(house.told) == 1
    assert house.told[0].since == EVENING + timedelta(hours=1)


def test_a_calendar_that_is_forgotten_meanwhile_does_not_come_back(
    house: House, source: Source, fetcher: Fetcher
) -> None:
    def fetch(url: str, stamp: Stamp | None = None, /) -> object:
        with house.database.writing() as connection:
            (one,) = registry.list_calendars(connection, LYON)
            registry.remove_calendar(connection, one.id)
        return fetcher.fetch(url, stamp)

    source.say(CANCELLED, '"2"')
    house.refresher._fetch = fetch  # type: ignore[assignment] # noqa: SLF001 (the race)
    assert house.refresher.step() == 0
    with house.database.reading() as connection:
        assert registry.list_calendars(connection, LYON) == []
    assert house.refresher.step() == 0


def test_a_file_is_never_read_again(house: House, source: Source, tmp_path: Path) -> None:
    with house.database.writing() as connection:
        registry.put_calendar(
            connection, site=LYON, kind="file", location=str(tmp_path), body=TALK, at=EVENING
        )
    house.refresher.step()
    assert len(source.asked) == 1


def test_it_runs_until_it_is_told_to_stop(house: House, source: Source) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=house.refresher.run, args=(stop, 0.05))
    thread.start()
    deadline = time.monotonic() + 20
    while len(source.asked) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.set()
    thread.join(20)
    assert not thread.is_alive()
    assert len(source.asked) >= 3


def test_a_source_that_speaks_drop_by_drop_is_left_in_time(source: Source) -> None:
    source.drip_s = 0.05
    began = time.monotonic()
    with closing(Fetcher(timeout_s=0.3)) as fetcher, pytest.raises(FetchError, match=r"0\.3 s"):
        fetcher.fetch(source.url)
    assert time.monotonic() - began < 5
    source.body = b""


def test_a_redirect_is_followed_to_http_only(source: Source, fetcher: Fetcher) -> None:
    source.status, source.location = 302, source.url
    with pytest.raises(FetchError, match=r"127\.0\.0\.1"):
        fetcher.fetch(source.url)
    assert len(source.asked) == 4


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.org/x", "/etc/passwd", "http://[", "http:///x"]
)
def test_only_addresses_with_http_are_asked(fetcher: Fetcher, url: str) -> None:
    with pytest.raises(FetchError):
        fetcher.fetch(url)


def test_nobody_there_is_said_without_the_path(fetcher: Fetcher) -> None:
    with pytest.raises(FetchError, match=r"127\.0\.0\.1 can't be reached") as caught:
        fetcher.fetch("http://127.0.0.1:9/secret-token")
    assert "secret" not in str(caught.value)
    assert host_of("http://user:secret@calendar.example.org/token") == "calendar.example.org"
