"""What machines read."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from access.messages import OccupancyReport, decode
from dashboards.api import DoorsAnswer, WatchAnswer

MakeBrowser = Callable[[str | None], Any]


def test_the_numbers_are_those_of_the_contract(browser_of: MakeBrowser) -> None:
    report = decode(browser_of(None).get("/api/v1/occupancy").data, OccupancyReport)
    numbers = (report.present, report.margin, report.members, report.guests, report.capacity)
    assert numbers == (22, 1, 19, 4, 40)
    assert report.open == "watch"


def test_the_watch_and_the_doors_are_for_keepers(browser_of: MakeBrowser) -> None:
    watch = msgspec.json.decode(browser_of("bruno").get("/api/v1/watch").data, type=WatchAnswer)
    assert watch.watch is not None
    assert watch.watch.guardian == "Claire Dubois"
    doors = msgspec.json.decode(browser_of("bruno").get("/api/v1/doors").data, type=DoorsAnswer)
    assert [(door.id, door.contact) for door in doors.doors] == [
        ("main", "online"),
        ("fablab", "offline"),
    ]


@pytest.mark.parametrize("who", [None, "noor", "salome"])
def test_the_description_tells_each_status_that_the_api_gives(
    browser_of: MakeBrowser, who: str | None
) -> None:
    browser = browser_of(who)
    described = json.loads(browser.get("/api/v1/openapi.json").text)
    for path, methods in described["paths"].items():
        answer = browser.get(path)
        assert str(answer.status_code) in methods["get"]["responses"], path
        if answer.status_code == 200:
            schema = methods["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            name = schema["$ref"].rpartition("/")[2]
            wanted = described["components"]["schemas"][name]
            assert (
                set(wanted["required"]) <= set(json.loads(answer.text)) <= set(wanted["properties"])
            )


def test_an_answer_of_the_api_is_json_even_when_it_is_no(browser_of: MakeBrowser) -> None:
    answer = browser_of(None).get("/api/v1/doors")
    assert (answer.status_code, answer.json) == (401, {"status": 401})


def test_a_site_tells_the_public_only_if_it_says_so(browser_of: MakeBrowser) -> None:
    browser = browser_of(None)
    told = browser.get("/spaceapi.json").json
    assert told["api_compatibility"] == ["15"]
    assert told["space"] == "L'Atelier, Malakoff"
    assert told["state"] == {"open": True}
    assert told["sensors"]["people_now_present"] == [{"value": 22}]
    assert {"logo", "url", "contact", "location"} <= set(told)
    assert browser.get("/spaceapi.json").headers["Access-Control-Allow-Origin"] == "*"
    assert browser.get("/spaceapi.json?site=annexe").status_code == 404


def test_the_program_says_that_it_is_well(browser_of: MakeBrowser) -> None:
    browser = browser_of(None)
    assert browser.text("/healthz") == "ok\n"
    assert browser.text("/readyz") == "ready\n"
