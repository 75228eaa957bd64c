"""The board's alerts: shown until somebody on duty takes them in charge."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from access.ids import DoorId, SiteId
from access.journal import chained
from server import alerts_list
from server.alerts_list import ListedAlert
from server.events import Reported

SITE = SiteId("malakoff")
BrowserOf = Callable[[str | None], Any]
Place = Any  # of conftest.py, which cannot be imported by name


def open_alerts(place: Place) -> list[ListedAlert]:
    with place.installation.database.reading() as connection:
        return alerts_list.open_ones(alerts_list.listed(connection, SITE))


def shown(page: str) -> str:
    found = re.search(r'<div id="alerts".*?(?=<section aria-labelledby="h-doors")', page, re.DOTALL)
    assert found is not None
    return found[0]


def test_an_alert_leaves_the_board_when_it_is_taken_in_charge(
    place: Place, browser_of: BrowserOf
) -> None:
    staff = browser_of("salome")
    [alert] = open_alerts(place)
    assert "Porte ouverte trop longtemps" in shown(staff.text("/"))
    answer = staff.post("/alerts/take", number=str(alert.alert.number))
    assert answer.status_code == 302
    page = staff.text("/")
    assert "Porte ouverte trop longtemps" not in shown(page)
    assert "Prise en charge" in page
    assert open_alerts(place) == []


def test_who_took_it_and_when_is_on_record(place: Place, browser_of: BrowserOf) -> None:
    [alert] = open_alerts(place)
    browser_of("claire").post("/alerts/take", number=str(alert.alert.number))
    with place.installation.database.reading() as connection:
        found = alerts_list.find(connection, SITE, alert.alert.number)
    assert found is not None
    assert found.by == "claire"
    assert found.taken_at is not None
    assert place.clock.now() - found.taken_at < timedelta(minutes=1)


def test_only_who_is_on_duty_is_offered_to(browser_of: BrowserOf) -> None:
    assert "/alerts/take" in browser_of("claire").text("/")
    assert "/alerts/take" not in browser_of("bruno").text("/")


def test_several_are_taken_one_by_one_or_together(place: Place, browser_of: BrowserOf) -> None:
    place.report("main", place.clock.now(), "door.forced")
    staff = browser_of("salome")
    numbers = [one.alert.number for one in open_alerts(place)]
    part = shown(staff.text("/"))
    assert part.count("<button") == 3
    staff.post("/alerts/take", number=[str(one) for one in numbers])
    assert open_alerts(place) == []


def test_what_is_no_alert_is_not_taken(place: Place, browser_of: BrowserOf) -> None:
    staff = browser_of("salome")
    assert staff.post("/alerts/take", number="1").status_code == 302
    assert staff.post("/alerts/take", number="a").status_code == 400
    assert staff.post("/alerts/take").status_code == 400
    assert len(open_alerts(place)) == 1


def test_a_record_that_does_not_fit_or_is_missing_is_told_on_the_board(
    place: Place, browser_of: BrowserOf
) -> None:
    now, door = place.clock.now(), DoorId("main")
    held = place.heads[door]
    for kind in ("door.opened", "door.closed", "lock.locked"):
        place.heads[door] = chained(
            place.heads[door], site=SITE, source=door, kind=kind, time=now, data={}
        )[1]
    first, head = chained(held, site=SITE, source=door, kind="door.opened", time=now, data={})
    place.handle(Reported(door=door, records=(first | {"data": {"forged": True}},)))
    assert "ne concorde pas" in shown(browser_of("salome").text("/"))
    # The two after it were acknowledged, and are gone on both sides.
    last, place.heads[door] = chained(
        place.heads[door], site=SITE, source=door, kind="door.opened", time=now, data={}
    )
    place.handle(Reported(door=door, records=(last,), oldest=last["seq"]))
    assert "Des enregistrements de la porte manquent" in shown(browser_of("salome").text("/"))
    assert {one.alert.kind for one in open_alerts(place)} >= {
        "record_set_aside",
        "records_missing",
    }
    assert head.seq == last["seq"] - 3


def test_the_newest_open_ones_are_shown_however_many_were_taken_since(
    place: Place, browser_of: BrowserOf
) -> None:
    staff = browser_of("salome")
    first = {one.alert.number for one in open_alerts(place)}
    for _ in range(20):
        place.report("main", place.clock.now(), "door.forced")
        (number,) = {one.alert.number for one in open_alerts(place)} - first
        staff.post("/alerts/take", number=str(number))
    # Forty entries later, the one that was open before all of them still is.
    page = shown(staff.text("/"))
    assert "Porte ouverte trop longtemps" in page
    assert {one.alert.number for one in open_alerts(place)} == first
    for _ in range(8):
        place.report("main", place.clock.now(), "door.forced")
    page = shown(staff.text("/"))
    assert "Porte forcée" in page
    assert "Porte ouverte trop longtemps" not in page, "six newer ones are shown"
