"""The board for Grafana as it is shipped: whatever it asks for is there."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from access.ids import DoorId, SiteId
from access.model import Reader
from access.policy import Reason
from dashboards.metrics_server import ServerReport
from server.history_influx import InfluxHistory
from server.history_influx_client import InfluxSettings
from server.history_points import access_point, door_point, occupancy_point, watch_point
from server.meter_prometheus import PrometheusMeter
from tests.conftest import Influxd
from tests.server.test_history_influx import ask

MakeBrowser = Callable[..., Any]

BOARD = Path(__file__).parents[2] / "firmware_config" / "grafana" / "gardien.json"
SITE, MAIN = SiteId("malakoff"), DoorId("main")
NAME = re.compile(r"\bgardien_\w+")
LABELS = re.compile(r"\b(\w+)=~|by \(([\w, ]+)\)")
LEGEND = re.compile(r"\{\{(\w+)\}\}")


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(BOARD.read_text(encoding="utf-8"))["panels"]
    return [one for one in found if one["type"] != "row"]


def targets(kind: str) -> list[dict[str, Any]]:
    return [
        target
        for panel in panels()
        for target in panel["targets"]
        if target["datasource"]["type"] == kind
    ]


@pytest.fixture
def told(place: Any, tmp_path: Path, make_browser: MakeBrowser) -> dict[str, set[str]]:
    """The labels of each series that Prometheus would read, by its name."""
    meter = PrometheusMeter(waiting=lambda: 0, dropped=lambda: 0)
    meter.link_is(is_up=False)
    meter.took_in("request")
    meter.decided(SITE, is_granted=True, reason="watch", took_s=0.01)
    meter.write(tmp_path / "server.prom")
    place.follow()
    report = ServerReport(tmp_path / "server.prom")
    with make_browser(place, cursors=place.cursors, report=report) as browser:
        text = browser.get("/metrics").text
    return {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_each_series_that_the_board_names_is_told_with_its_labels(
    told: dict[str, set[str]],
) -> None:
    assert len(targets("prometheus")) > 15
    for target in targets("prometheus"):
        named = set(NAME.findall(target["expr"]))
        assert named, target
        assert named <= set(told), target["expr"]
        known = set().union(*(told[one] for one in named))
        found = LABELS.findall(target["expr"])
        asked = {label.strip() for pair in found for part in pair for label in part.split(",")}
        asked |= set(LEGEND.findall(target["legendFormat"]))
        assert asked - {""} <= known, target


def test_the_board_lies_on_its_grid_and_its_parts_are_chosen_by_name() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["datasource"]["uid"] in {"${prometheus}", "${influxdb}"}
    numbers = [one["id"] for one in json.loads(BOARD.read_text(encoding="utf-8"))["panels"]]
    assert len(set(numbers)) == len(numbers)


@pytest.fixture
def filled(influxd: Influxd, place: Any) -> Iterator[str]:
    """A database with a point of each measurement, one hour ago."""
    at = place.clock.now() - timedelta(hours=1)
    with InfluxHistory(InfluxSettings(url=influxd.url, database="grafana")) as history:
        history.prepare()
        history.write(
            [
                occupancy_point(
                    site=SITE, at=at, present=9, margin=0, members=8, guests=1, capacity=40
                ),
                access_point(
                    site=SITE,
                    door=MAIN,
                    reader=Reader.IN,
                    reason=Reason.WATCH,
                    granted=True,
                    at=at,
                ),
                door_point(site=SITE, door=MAIN, at=at, held=True, forced=False),
                watch_point(site=SITE, at=at, minutes=120, guests=1, peak=12),
            ]
        )
        yield "grafana"


@pytest.mark.influxdb
def test_each_query_to_influxdb_finds_what_is_written(
    influxd: Influxd, filled: str, place: Any
) -> None:
    at = place.clock.now()
    span = f"time >= '{at - timedelta(hours=2):%FT%TZ}' AND time <= '{at:%FT%TZ}'"
    assert {re.findall(r'"raw"\."(\w+)"', one["query"])[0] for one in targets("influxdb")} == {
        "occupancy",
        "access",
        "door",
        "watch",
    }
    for target in targets("influxdb"):
        query = (
            target["query"]
            .replace("${site:regex}", SITE)
            .replace("$timeFilter", span)
            .replace("$__interval", "10m")
            .replace('"raw".', f'"{filled}"."raw".')
        )
        [result] = json.loads(ask(influxd, query))["results"]
        assert "error" not in result, query
        [series] = result["series"]
        assert any(row[1] is not None for row in series["values"]), query
