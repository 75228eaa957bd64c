"""What `/readyz` says of each part, and what the server's program tells of itself in `/metrics`."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from access.ids import SiteId
from dashboards.metrics_server import FRESH_S, ServerReport
from server.meter_prometheus import PrometheusMeter

MakeBrowser = Callable[..., Any]


class Reporting:
    """A server that writes its numbers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.meter = PrometheusMeter(waiting=lambda: 3, dropped=lambda: 0)

    def write(self, *, is_up: bool, age_s: float = 0.0) -> None:
        self.meter.link_is(is_up=is_up)
        self.meter.write(self.path)
        said = self.path.read_text()
        now = next(one for one in said.splitlines() if one.startswith("gardien_server_written"))
        then = f"{now.split()[0]} {time.time() - age_s}"
        self.path.write_text(said.replace(now, then))


@pytest.fixture
def reporting(tmp_path: Path) -> Reporting:
    return Reporting(tmp_path / "server.prom")


@pytest.fixture
def browser(place: Any, reporting: Reporting, make_browser: MakeBrowser) -> Any:
    place.follow()
    report = ServerReport(reporting.path)
    with make_browser(place, cursors=place.cursors, report=report) as found:
        yield found


def ask(browser: Any, path: str = "/readyz") -> tuple[int, dict[str, Any]]:
    answer = browser.get(path)
    assert answer.content_type == "application/json"
    return answer.status_code, json.loads(answer.text)["parts"]


def test_all_is_well(browser: Any, reporting: Reporting) -> None:
    reporting.write(is_up=True)
    for path in ("/readyz", "/readyz?all"):
        status, parts = ask(browser, path)
        assert status == 200
        assert {name: part["ok"] for name, part in parts.items()} == {
            "database": True,
            "migrations": True,
            "broker_link": True,
            "followers": True,
        }
    assert parts["followers"]["lag_entries"] == 0


def test_pages_are_ready_without_the_broker_but_not_all_is_well(
    browser: Any, reporting: Reporting
) -> None:
    reporting.write(is_up=False)
    status, parts = ask(browser)
    assert (status, parts["broker_link"]["ok"]) == (200, False)
    assert ask(browser, "/readyz?all")[0] == 503


@pytest.mark.parametrize("what", ["old", "torn", "gone"])
def test_a_server_that_has_ended_is_not_linked(
    browser: Any, reporting: Reporting, what: str
) -> None:
    reporting.write(is_up=True, age_s=FRESH_S + 1 if what == "old" else 0.0)
    if what == "torn":
        reporting.path.write_text("no { metrics at all")
    if what == "gone":
        reporting.path.unlink()
    assert not ask(browser)[1]["broker_link"]["ok"]
    told = browser.get("/metrics").text
    assert "gardien_server_up 0.0" in told
    assert "gardien_server_link_up" not in told


def test_a_follower_that_is_far_behind_is_told_of(place: Any, browser: Any) -> None:
    place.tap("nobody")
    assert ask(browser)[1]["followers"]["lag_entries"] > 0
    status, parts = ask(browser, "/readyz?all")
    assert parts["followers"]["ok"], "a moment is no delay"
    assert status == 503, "no server writes its numbers"


def test_tables_of_another_version_are_not_ready(place: Any, browser: Any) -> None:
    with place.installation.database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    status, parts = ask(browser)
    assert (status, parts["migrations"]["ok"]) == (503, False)
    assert parts["database"]["ok"]
    assert browser.get("/healthz").status_code == 200


def test_a_database_that_is_away_is_not_ready(place: Any, browser: Any) -> None:
    folder = place.installation.folder.path
    place.installation.database.close()
    (folder / "gardien.db").rename(folder / "elsewhere.db")
    (folder / "gardien.db").mkdir()
    status, parts = ask(browser)
    assert (status, parts["database"]["ok"]) == (503, False)
    assert parts["database"]["why"] == "can't be read now"


def test_what_the_server_counts_is_in_the_metrics(browser: Any, reporting: Reporting) -> None:
    meter = reporting.meter
    meter.took_in("request")
    meter.took_in("invalid")
    meter.decided(SiteId("malakoff"), is_granted=True, reason="watch", took_s=0.004)
    meter.decided(SiteId("malakoff"), is_granted=False, reason="no_guardian", took_s=0.3)
    reporting.write(is_up=True)
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(browser.get("/metrics").text)
        for sample in family.samples
    }
    assert found["gardien_server_up",] == 1
    assert found["gardien_server_link_up",] == 1
    assert found["gardien_server_messages_total", "request"] == 1
    assert found["gardien_server_messages_total", "invalid"] == 1
    assert found["gardien_server_decisions_total", "malakoff", "true", "watch"] == 1
    assert found["gardien_server_decision_seconds_count", "malakoff"] == 2
    assert found["gardien_server_decision_seconds_bucket", "0.005", "malakoff"] == 1
    assert found["gardien_server_decision_seconds_bucket", "0.4", "malakoff"] == 2
    assert found["gardien_server_inbox_messages",] == 3
    assert found["gardien_forget_timestamp_seconds",] == 0
    assert found["gardien_server_process_resident_memory_bytes",] > 1_000_000
