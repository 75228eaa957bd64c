"""Calendars, read from a file and over HTTP."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from gardien.calendar_fetch import FetchError, fetch
from tests.gardien.conftest import EVENTS, CommandLine


class Calendars(BaseHTTPRequestHandler):
    """Serves one calendar, and nothing else."""

    def do_GET(self) -> None:
        found = self.path == "/evenings.ics"
        self.send_response(200 if found else 404)
        self.send_header("ETag", '"1"')
        self.end_headers()
        self.wfile.write(EVENTS.encode() if found else b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Calendars) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_events_are_listed_in_local_time_with_their_guardians(house: CommandLine) -> None:
    table = house.done("event", "list")
    assert "2026-11-24 19:30" in table
    assert "Tuesday talk" in table
    found = json.loads(house.done("event", "list", "--days", "1", "--json"))
    assert [(one["title"], one["guardians"]) for one in found] == [("Tuesday talk", ["gaelle"])]


def test_a_calendar_read_again_takes_the_place_of_the_first(
    house: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "more.ics"
    file.write_text(EVENTS.replace("Tuesday talk", "First"))
    assert ": read, 2 events" in house.done("event", "import", str(file))
    file.write_text(EVENTS.replace("Tuesday talk", "Second"))
    assert ": read again, 2 events" in house.done("event", "import", str(file))
    titles = {one["title"] for one in json.loads(house.done("event", "list", "--json"))}
    assert "Second" in titles
    assert "First" not in titles
    assert str(file) in house.done("event", "list", "--calendars")
    house.done("event", "forget", str(file))
    assert str(file) not in house.done("event", "list", "--calendars")


def test_a_calendar_that_is_cut_off_changes_nothing(house: CommandLine, tmp_path: Path) -> None:
    before = house.done("event", "list", "--json")
    file = tmp_path / "torn.ics"
    file.write_text(EVENTS[:200])
    assert house("event", "import", str(file)).status == 1
    assert house.done("event", "list", "--json") == before


def test_a_stranger_who_is_named_as_guardian_is_pointed_out(
    house: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "more.ics"
    file.write_text(EVENTS.replace("GUARDIAN:gaelle", "GUARDIAN:nora"))
    done = house("event", "import", str(file))
    assert done.status == 0
    assert done.err == "note: nora is named as a guardian and is none here\n"


def test_a_calendar_is_read_from_an_address(house: CommandLine, site: str) -> None:
    told = house.done("event", "import", f"{site}/evenings.ics")
    assert told.startswith(f"{site}/evenings.ics: read, 2 events")
    assert fetch(f"{site}/evenings.ics").etag == '"1"'
    done = house("event", "import", f"{site}/nothing.ics")
    assert done.status == 1
    assert "404" in done.err


def test_an_address_reads_no_file_of_this_machine(tmp_path: Path) -> None:
    file = tmp_path / "x.ics"
    file.write_text(EVENTS)
    with pytest.raises(FetchError):
        fetch(f"file://{file}")
