"""The events of a site for members' calendar programs."""

import html
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import icalendar
import pytest

from access.ids import MemberId, SiteId
from access.model import Status
from server import calendar_addresses, registry

MakeBrowser = Callable[[str | None], Any]
PATH = "/calendar/malakoff.ics"
EVENTS = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:test
BEGIN:VEVENT
UID:tuesday
DTSTAMP:20260901T000000Z
SUMMARY:Mardi de l'Atelier
DTSTART;TZID=Europe/Paris:20261103T193000
DTEND;TZID=Europe/Paris:20261103T213000
RRULE:FREQ=WEEKLY;COUNT=4
CATEGORIES:public
X-GARDIEN-GUARDIAN:claire
ATTENDEE;ROLE=CHAIR:mailto:bruno@example.org
ATTENDEE;ROLE=CHAIR:mailto:salome@example.org
ATTENDEE:mailto:noor@example.org
END:VEVENT
END:VCALENDAR
"""


@pytest.fixture(autouse=True)
def with_events(place: Any) -> None:
    with place.installation.database.writing() as connection:
        registry.put_calendar(
            connection,
            site=SiteId("malakoff"),
            kind="file",
            location="events.ics",
            body=EVENTS,
            at=place.clock.now(),
        )


def events_of(text: str) -> list[Any]:
    return list(icalendar.Calendar.from_ical(text).walk("VEVENT"))


def make_address(browser: Any) -> str:
    """Make a secret address on one's own page, and give its path."""
    page = html.unescape(browser.post("/me/calendar").text)
    url = urlsplit(re.findall(r'<input readonly value="([^"]+)"', page)[0])
    return f"{url.path}?{url.query}"


def test_a_member_reads_the_events_and_who_watches_them(browser_of: MakeBrowser) -> None:
    answer = browser_of("noor").get(PATH)
    assert answer.content_type == "text/calendar; charset=utf-8"
    events = events_of(answer.text)
    assert [str(one["DTSTART"].dt) for one in events] == [
        f"2026-11-{day:02} 18:30:00+00:00" for day in (3, 10, 17, 24)
    ]
    assert {str(one["SUMMARY"]) for one in events} == {"Mardi de l'Atelier"}
    assert {str(one["DESCRIPTION"]) for one in events} == {
        "De permanence : Bruno Lambert, Claire Dubois"
    }, "guardians alone: staff and guests are not"
    assert "On watch: Bruno" in browser_of("bruno").get(PATH).text


def test_nobodys_e_mail_is_in_it(browser_of: MakeBrowser) -> None:
    text = browser_of("noor").get(PATH).text.lower()
    assert "@" not in text.replace("\r\n ", "")
    assert "attendee" not in text


def test_it_is_sent_again_only_when_it_has_changed(place: Any, browser_of: MakeBrowser) -> None:
    browser = browser_of("noor")
    first = browser.get(PATH)
    assert first.headers["Cache-Control"] == "private, no-cache"
    again = browser.get(PATH, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.text) == (304, "")
    place.clock.leap_to(place.clock.now() + timedelta(hours=1))
    assert browser.get(PATH).headers["ETag"] == first.headers["ETag"], "the same all day"
    with place.installation.database.writing() as connection:
        registry.change_status(connection, MemberId("bruno"), Status.SUSPENDED)
    changed = browser.get(PATH, headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200
    assert "Bruno" not in changed.text


def test_only_members_of_the_site_read_it(browser_of: MakeBrowser) -> None:
    assert browser_of("noor").get("/calendar/annexe.ics").status_code == 403
    assert browser_of("salome").get("/calendar/annexe.ics").status_code == 200
    assert browser_of("salome").get("/calendar/nowhere.ics").status_code == 404
    answer = browser_of(None).get(PATH)
    assert answer.headers["Location"] == "/login?next=%2Fcalendar%2Fmalakoff.ics"


def test_a_secret_address_opens_the_calendar_and_nothing_else(browser_of: MakeBrowser) -> None:
    address = make_address(browser_of("noor"))
    program = browser_of(None)
    assert len(events_of(program.get(address).text)) == 4
    query = address.partition("?")[2]
    assert program.get(f"/calendar/annexe.ics?{query}").status_code == 403
    for path in ("/me", "/me/data.json", "/", "/api/v1/watch", "/why/1"):
        assert program.get(f"{path}?{query}").status_code in (302, 401), path


@pytest.mark.parametrize("key", ["", "x", "\ud800", "%00", "0" * 5000])
def test_a_wrong_secret_opens_nothing(browser_of: MakeBrowser, key: str) -> None:
    make_address(browser_of("noor"))
    query = {"key": key.encode("utf-8", "surrogatepass")}
    assert browser_of(None).get(PATH, query_string=query).status_code == 401


def test_a_new_address_ends_the_old_one_and_each_is_shown_once(browser_of: MakeBrowser) -> None:
    browser = browser_of("noor")
    old, new = make_address(browser), make_address(browser)
    assert browser_of(None).get(old).status_code == 401
    assert browser_of(None).get(new).status_code == 200
    page = browser.text("/me")
    assert "depuis le 24/11/2026" in page
    assert new.partition("key=")[2] not in page
    assert "key=" not in browser.text("/me/data.json")


def test_an_address_can_be_ended(browser_of: MakeBrowser) -> None:
    browser = browser_of("noor")
    address = make_address(browser)
    browser.post("/me/calendar/forget")
    assert "ne fonctionne plus" in browser.text("/me")
    assert browser_of(None).get(address).status_code == 401


def test_an_address_ends_with_the_membership(place: Any, browser_of: MakeBrowser) -> None:
    address = make_address(browser_of("noor"))
    with place.installation.database.writing() as connection:
        registry.change_status(connection, MemberId("noor"), Status.ENDED)
    assert browser_of(None).get(address).status_code == 401


def test_the_database_holds_no_address(place: Any, browser_of: MakeBrowser) -> None:
    key = make_address(browser_of("noor")).partition("key=")[2]
    with place.installation.database.reading() as connection:
        assert calendar_addresses.find(connection, key) == "noor"
    place.installation.database.close()
    kept = b"".join(one.read_bytes() for one in place.installation.folder.path.glob("*.db*"))
    assert key.encode() not in kept
