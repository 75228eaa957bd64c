"""What is InfluxDB's own: log-in, versions, dropped points, slow servers, secrets."""

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Protocol
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from access.ids import DoorId, SiteId
from server.history import (
    HistoryForbidden,
    HistoryRejected,
    HistoryUnavailable,
    Retention,
)
from server.history_influx import InfluxHistory
from server.history_influx_client import InfluxSettings
from server.history_influxql import Version
from server.history_points import Point, door_point, occupancy_point

SITE = SiteId("lyon")
SESAME = "sesame"
ACCENTED = "pä"
HOUR = timedelta(hours=1)
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - 10 * 24 * HOUR


class RunningInflux(Protocol):
    """What `influxd` and `new_influxd` of conftest.py give, to a test."""

    @property
    def url(self) -> str: ...

    @property
    def port(self) -> int: ...


def inside(at: datetime, present: int = 3) -> Point:
    return occupancy_point(
        site=SITE, at=at, present=present, margin=0, members=present, guests=0, capacity=60
    )


def ask(server: RunningInflux, statement: str, user: str | None = None) -> str:
    """Say something to a real InfluxDB, past the code under test."""
    login = {} if user is None else {"u": user, "p": f"{user}-password"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("POST", f"/query?{urlencode({'q': statement, **login})}")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


@pytest.mark.influxdb
def test_prepare_makes_what_the_contract_names(influxd: RunningInflux) -> None:
    with InfluxHistory(InfluxSettings(url=influxd.url, database="named")) as history:
        assert not history.is_ready()
        with pytest.raises(HistoryUnavailable, match="not found"):
            history.write([inside(NOON)])
        history.prepare()
        assert history.is_ready()
    shown = ask(influxd, 'SHOW RETENTION POLICIES ON "named"')
    assert '["raw","9528h0m0s","168h0m0s",1,true]' in shown  # 397 days
    assert '["hourly","0s","2184h0m0s",1,false]' in shown


@pytest.mark.influxdb
def test_a_retention_that_is_not_as_it_should_be_is_told_with_what_mends_it(
    influxd: RunningInflux,
) -> None:
    with InfluxHistory(InfluxSettings(url=influxd.url, database="flawed")) as history:
        history.prepare()
        assert history.flaws() == []
        ask(influxd, 'ALTER RETENTION POLICY "raw" ON "flawed" DURATION 14d')
        ask(influxd, 'DROP RETENTION POLICY "hourly" ON "flawed"')
        assert [(one.retention, one.kept) for one in history.flaws()] == [
            (Retention.RAW, "336h0m0s"),
            (Retention.HOURLY, ""),
        ]
        for flaw in history.flaws():
            ask(influxd, flaw.mend)
        assert history.flaws() == []
        ask(influxd, 'ALTER RETENTION POLICY "raw" ON "flawed" DURATION INF')
        assert [one.kept for one in history.flaws()] == ["ever"], "longer than the rules allow"


@pytest.mark.influxdb
def test_points_are_in_nanoseconds_under_the_names_of_the_contract(influxd: RunningInflux) -> None:
    with InfluxHistory(InfluxSettings(url=influxd.url, database="lines")) as history:
        history.prepare()
        at = NOON + timedelta(microseconds=1)
        history.write([door_point(site=SITE, door=DoorId("main"), at=at, open_s=4, held=True)])
        history.write([inside(at)], retention=Retention.HOURLY)
    shown = ask(influxd, 'SELECT * FROM "lines"."raw"."door"')
    assert '"columns":["time","door","held","open_s","site"]' in shown
    assert f'"{at:%Y-%m-%dT%H:%M:%S.%f}Z","main",1,4,"lyon"' in shown
    assert '"present"' in ask(influxd, 'SELECT * FROM "lines"."hourly"."occupancy"')


@pytest.mark.influxdb
def test_a_partial_write_keeps_the_good_points_and_says_how_many_were_dropped(
    influxd: RunningInflux,
) -> None:
    wanted = InfluxSettings(url=influxd.url, database="partly", batch_points=2)
    with InfluxHistory(wanted) as history:
        history.prepare()
        ancient = [inside(NOON - 500 * 24 * HOUR, n) for n in range(1)]
        good = [inside(NOON + n * HOUR, n) for n in range(4)]
        began = time.monotonic()
        with pytest.raises(HistoryRejected, match="dropped 1 of 5") as caught:
            history.write([good[0], *ancient, *good[1:]])
        assert caught.value.dropped == 1
        assert time.monotonic() - began < 5
        samples = history.occupancy(SITE, start=NOON, end=NOON + 4 * HOUR)
    assert [one.present for one in samples] == [0, 1, 2, 3]


@pytest.mark.influxdb
def test_who_logs_in_may_do_what_they_were_granted_and_no_more(
    new_influxd: Callable[[bool], RunningInflux],
) -> None:
    server = new_influxd(True)  # noqa: FBT003 - InfluxDB's own switch
    ask(server, "CREATE USER root WITH PASSWORD 'root-password' WITH ALL PRIVILEGES")
    for user in ("gardien", "grafana"):
        ask(server, f"CREATE USER {user} WITH PASSWORD '{user}-password'", user="root")
    with history_of(server, "root", "root-password") as history:
        history.prepare()
    ask(server, "GRANT ALL ON gardien TO gardien", user="root")
    ask(server, "GRANT READ ON gardien TO grafana", user="root")
    with history_of(server, "gardien", "gardien-password") as history:
        history.prepare()
        history.write([inside(NOON)])
        assert history.is_ready()
    with history_of(server, "grafana", "grafana-password") as history:
        assert len(history.occupancy(SITE, start=NOON, end=NOON + HOUR)) == 1
        with pytest.raises(HistoryForbidden):
            history.write([inside(NOON)])


@pytest.mark.influxdb
def test_a_wrong_password_is_not_now_and_is_not_repeated_in_the_message(
    new_influxd: Callable[[bool], RunningInflux],
) -> None:
    server = new_influxd(True)  # noqa: FBT003 - InfluxDB's own switch
    ask(server, "CREATE USER root WITH PASSWORD 'root-password' WITH ALL PRIVILEGES")
    with history_of(server, "root", SESAME) as history:
        assert not history.is_ready()
        with pytest.raises(HistoryForbidden) as caught:
            history.prepare()
        assert SESAME not in str(caught.value)
        with pytest.raises(HistoryForbidden):
            history.write([inside(NOON)])


def history_of(server: RunningInflux, user: str, password: str) -> InfluxHistory:
    return InfluxHistory(InfluxSettings(url=server.url, user=user, password=password))


@dataclass
class StandIn:
    """A server that says it is some InfluxDB and remembers what it was asked.

    Only for what no InfluxDB that can be installed here does: newer versions, and being slow.
    """

    version: str
    wait_s: float = 0.0
    drip_s: float = 0.0
    found: bytes = b'{"results":[{"statement_id":0}]}\n'
    statuses: list[int] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, list[str]]]] = field(default_factory=list)
    logins: set[str | None] = field(default_factory=set)
    url: str = ""

    def answer(self, method: str, target: str, login: str | None) -> tuple[int, bytes]:
        parts = urlsplit(target)
        if parts.path == "/ping":
            return 204, b""
        self.asked.append((method, parts.path, parse_qs(parts.query)))
        self.logins.add(login)
        time.sleep(self.wait_s)
        if parts.path == "/query":
            return 200, self.found
        return (self.statuses.pop(0) if self.statuses else 204), b'{"message":"as told"}'


@contextmanager
def standing_in(stand_in: StandIn) -> Iterator[StandIn]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            # A client that gave up is no error of the server's.
            with suppress(ConnectionError):
                self.reply()

        def reply(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            login = self.headers.get("Authorization")
            status, body = stand_in.answer(self.command, self.path, login)
            self.send_response(status)
            self.send_header("X-Influxdb-Version", stand_in.version)
            self.send_header("Content-Length", str(len(body) if status != 204 else 0))
            self.end_headers()
            for piece in body if status != 204 else b"":
                self.wfile.write(bytes([piece]))
                time.sleep(stand_in.drip_s)

        do_POST = do_GET  # noqa: N815 - the library's name

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        stand_in.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield stand_in
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("version", ["1.8.10", "v2.7.1", "2.7", "3.1.0-core"])
def test_a_newer_server_is_written_to_by_token_at_the_v2_address(version: str) -> None:
    with (
        standing_in(StandIn(version)) as server,
        InfluxHistory(InfluxSettings(url=server.url, token=SESAME, org="place")) as history,
    ):
        history.write([inside(NOON)])
    assert server.asked == [
        (
            "POST",
            "/api/v2/write",
            {"org": ["place"], "bucket": ["gardien/raw"], "precision": ["ns"]},
        )
    ]
    assert server.logins == {f"Token {SESAME}"}


@pytest.mark.parametrize("version", ["1.6.7~rc0", "1.7.11", ""])
def test_an_older_or_nameless_server_is_written_to_at_the_v1_address(version: str) -> None:
    with (
        standing_in(StandIn(version)) as server,
        InfluxHistory(InfluxSettings(url=server.url, user="u", password=ACCENTED)) as history,
    ):
        history.write([inside(NOON)], retention=Retention.HOURLY)
    assert server.asked == [
        ("POST", "/write", {"db": ["gardien"], "rp": ["hourly"], "precision": ["ns"]})
    ]
    assert server.logins == {"Basic dTpww6Q="}  # RFC 7617, section 2.1, of u:pä in UTF-8


@pytest.mark.parametrize("version", ["2.7.1", "3.1.0"])
def test_a_server_without_management_is_not_asked_to_make_anything(version: str) -> None:
    with (
        standing_in(StandIn(version)) as server,
        InfluxHistory(InfluxSettings(url=server.url, token=SESAME)) as history,
    ):
        history.prepare()
        assert server.asked == []


def test_readings_are_selects_by_get_in_windows_of_less_than_72_hours() -> None:
    with (
        standing_in(StandIn("3.1.0")) as server,
        InfluxHistory(InfluxSettings(url=server.url, token=SESAME)) as history,
    ):
        history.occupancy(SITE, start=NOON, end=NOON + 8 * 24 * HOUR, step=HOUR)
    assert len(server.asked) == 3
    for method, path, params in server.asked:
        (statement,) = params["q"]
        assert (method, path, params["rp"]) == ("GET", "/query", ["raw"])
        assert statement.startswith("SELECT ")
        words = statement.split()
        first, last = (int(words[words.index(sign) + 1]) for sign in (">=", "<"))
        assert 0 < last - first < 72 * 3600 * 10**9


def test_a_reading_ends_when_its_time_is_up_however_many_requests_it_takes() -> None:
    with (
        standing_in(StandIn("1.6.7", wait_s=0.2)) as server,
        InfluxHistory(InfluxSettings(url=server.url, timeout_s=0.5)) as history,
    ):
        began = time.monotonic()
        with pytest.raises(HistoryUnavailable):
            history.occupancy(SITE, start=NOON - 90 * 24 * HOUR, end=NOON)
        assert time.monotonic() - began < 1.5


def test_a_reading_ends_when_its_time_is_up_however_slowly_the_answer_drips() -> None:
    with (
        standing_in(StandIn("1.6.7", drip_s=0.05)) as server,
        InfluxHistory(InfluxSettings(url=server.url, timeout_s=0.3)) as history,
    ):
        began = time.monotonic()
        with pytest.raises(HistoryUnavailable):
            history.occupancy(SITE, start=NOON, end=NOON + HOUR)
        assert time.monotonic() - began < 1.0


def test_a_busy_server_is_tried_again_at_once_and_then_later() -> None:
    with (
        standing_in(StandIn("1.6.7", statuses=[503, 503])) as server,
        InfluxHistory(InfluxSettings(url=server.url)) as history,
    ):
        history.write([inside(NOON)])
        assert len(server.asked) == 3
        server.statuses = [503, 429, 503]
        with pytest.raises(HistoryUnavailable, match="as told"):
            history.write([inside(NOON)])
        assert len(server.asked) == 6


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_the_server_calls_wrong_is_not_tried_again(status: int) -> None:
    with (
        standing_in(StandIn("1.6.7", statuses=[status])) as server,
        InfluxHistory(InfluxSettings(url=server.url)) as history,
    ):
        with pytest.raises(HistoryRejected) as caught:
            history.write([inside(NOON), inside(NOON + HOUR)])
        assert len(server.asked) == 1
    assert caught.value.dropped == 2


@pytest.mark.parametrize(
    "found",
    [
        b"<html>welcome to the hotel</html>",
        b'{"results":[{"error":"database not found: gardien"}]}',
        b'{"error":"cannot execute now"}',
        b'{"results":[{"series":[{"columns":["time"],"values":[[1]]}],"partial":true}]}',
        b'{"results":[{"series":[{"columns":"time"}]}]}',
        b'{"results":[{"series":[{"columns":["time"],"values":[["noon", 3]]}]}]}',
        b'{"results":[{"series":[{"columns":["time", "present"],"values":[[1, 3]]}]}]}',
    ],
)
def test_a_reading_that_is_not_answered_whole_is_not_now(found: bytes) -> None:
    with (
        standing_in(StandIn("1.6.7", found=found)) as server,
        InfluxHistory(InfluxSettings(url=server.url)) as history,
    ):
        with pytest.raises(HistoryUnavailable):
            history.occupancy(SITE, start=NOON, end=NOON + HOUR)
        with pytest.raises(HistoryUnavailable):
            history.prepare()


def test_a_database_that_is_not_there_is_not_ready() -> None:
    missing = b'{"results":[{"error":"database not found: gardien"}]}'
    with (
        standing_in(StandIn("2.7.1", found=missing)) as server,
        InfluxHistory(InfluxSettings(url=server.url)) as history,
    ):
        assert not history.is_ready()


def test_something_else_that_answers_queries_is_not_taken_for_influxdb() -> None:
    canned = b'{"results":[{"series":[{"columns":["name"],"values":[["_internal"]]}]}]}'
    with (
        standing_in(StandIn("", found=canned)) as server,
        InfluxHistory(InfluxSettings(url=server.url)) as history,
    ):
        with pytest.raises(HistoryUnavailable, match="not answer as InfluxDB does"):
            history.occupancy(SITE, start=NOON, end=NOON + HOUR)
        with pytest.raises(HistoryUnavailable, match="not answer as InfluxDB does"):
            history.decisions(SITE, start=NOON, end=NOON + HOUR)


def test_nobody_there_is_not_now() -> None:
    with InfluxHistory(InfluxSettings(url="http://127.0.0.1:1", retries=0)) as history:
        assert not history.is_ready()
        with pytest.raises(HistoryUnavailable):
            history.write([inside(NOON)])


def test_a_closed_history_says_so() -> None:
    history = InfluxHistory(InfluxSettings(url="http://127.0.0.1:1"))
    history.close()
    with pytest.raises(HistoryUnavailable, match="closed"):
        history.write([inside(NOON)])


def test_secrets_are_not_shown() -> None:
    by_password = InfluxSettings(url="http://h:8086", user="gardien", password=SESAME)
    by_token = InfluxSettings(url="http://h:8086", token=SESAME)
    with InfluxHistory(by_password) as first, InfluxHistory(by_token) as second:
        for one in (by_password, by_token, first, second):
            assert SESAME not in f"{one!r} {one}"


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "influx:8086"},
        {"url": "http://user:sesame@h:8086"},
        {"url": "http://h", "user": "u"},
        {"url": "http://h", "user": "u", "password": "p", "token": "t"},
        {"url": "http://h", "user": "a:b", "password": "p"},
        {"url": "http://h", "token": "t\r\nX-Other: 1"},
    ],
)
def test_settings_that_cannot_work_are_refused_without_showing_secrets(
    wrong: dict[str, str],
) -> None:
    with pytest.raises(ValueError, match="InfluxDB") as caught:
        InfluxSettings(**wrong)  # type: ignore[arg-type] # they are all text
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "version", "has_v2_write", "has_management"),
    [
        ("1.6.7~rc0", Version(major=1, minor=6), False, True),
        ("1.8.10", Version(major=1, minor=8), True, True),
        ("v2.7.1", Version(major=2, minor=7), True, False),
        ("3.0.0-beta", Version(major=3, minor=0), True, False),
        ("1.12.2", Version(major=1, minor=12), True, True),
        ("unknown", Version(), False, False),
        (None, Version(), False, False),
    ],
)
def test_a_version_says_what_a_server_can_do(
    text: str | None,
    version: Version,
    has_v2_write: bool,  # noqa: FBT001 - a column of the table above
    has_management: bool,  # noqa: FBT001 - likewise
) -> None:
    assert Version.of(text) == version
    assert version.has_v2_write is has_v2_write
    assert version.has_management is has_management
