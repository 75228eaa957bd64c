"""Who looked at whose records: what is recorded, for whom, and who may read it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from access.ids import MemberId, SiteId
from server.api_tokens import Scope
from server.looks import DAILY_EVERY, Look, list_looks
from tests.dashboards.test_pages import words_of

SITE = SiteId("malakoff")
MakeBrowser = Callable[[str | None], Any]
MakeProgram = Callable[..., Any]


def looks(place: Any, **which: Any) -> list[Look]:
    with place.installation.database.reading() as connection:
        return list_looks(connection, SITE, **which)


def made(place: Any) -> list[tuple[str, str, str | None]]:
    return [(one.member, one.what, one.reason) for one in looks(place)]


def inside(place: Any) -> set[MemberId]:
    return set(place.installation.gatehouse.look(SITE).presence.inside)


@pytest.mark.parametrize(
    ("who", "is_noted"), [("salome", True), ("bruno", True), ("claire", False)]
)
def test_who_follows_the_board_is_noted_but_for_the_guardian_on_watch(
    place: Any, browser_of: MakeBrowser, who: str, is_noted: object
) -> None:
    browser = browser_of(who)
    browser.text("/")
    browser.text("/")
    assert made(place) == ([(who, "board", "board")] if is_noted else [])


def test_the_board_is_noted_again_after_an_hour(place: Any, browser_of: MakeBrowser) -> None:
    browser = browser_of("salome")
    for minutes, times in ((0, 1), (59, 1), (2, 2)):
        place.clock.leap_to(place.clock.now() + timedelta(minutes=minutes))
        browser.text("/")
        assert len(looks(place)) == times
    assert timedelta(hours=1) == DAILY_EVERY


def test_the_watch_and_the_numbers_are_no_look(place: Any, browser_of: MakeBrowser) -> None:
    browser = browser_of("bruno")
    for path in ("/watch", "/kiosk", "/curve", "/me", "/me/data", "/api/v1/watch", "/live"):
        browser.get(path).close()
    assert looks(place) == []


def test_events_by_name_are_a_look_and_without_names_none(
    place: Any, program_of: MakeProgram
) -> None:
    program_of("bruno", Scope.EVENTS_READ).get("/api/v1/events")
    program_of(None, Scope.EVENTS_READ).get("/api/v1/events")
    program_of("claire").get("/api/v1/events")
    assert looks(place) == []
    bruno = program_of("bruno")
    for _ in range(3):
        assert bruno.get("/api/v1/events").status_code == 200
    assert made(place) == [("bruno", "events", "board")]


@pytest.mark.parametrize("is_program", [False, True])
def test_each_member_whom_a_roll_call_listed_sees_it(
    place: Any, browser_of: MakeBrowser, program_of: MakeProgram, is_program: object
) -> None:
    if is_program:
        program_of("claire").get("/api/v1/roll-call?reason=fire+drill")
    else:
        browser_of("claire").text("/watch/roll-call")
    (look,) = looks(place)
    assert set(look.among) == inside(place) - {"claire"}
    assert "noor" in look.among
    page = words_of(browser_of("noor").text("/me"))
    assert "gardien fire drill" in page if is_program else "pour savoir qui est présent" in page
    assert "Personne dans les douze derniers mois" in words_of(browser_of("claire").text("/me"))
    assert "Nobody in the last twelve months" not in words_of(browser_of("bruno").text("/me"))


def test_staff_read_who_looked_and_that_is_recorded_with_their_reason(
    place: Any, browser_of: MakeBrowser
) -> None:
    browser_of("claire").text("/watch/roll-call")
    salome = browser_of("salome")
    assert "Claire" not in words_of(salome.text("/looks"))
    assert [one.what for one in looks(place)] == ["roll-call"], "the form alone tells nothing"
    page = words_of(salome.post("/looks", reason="Une question de la CNIL").text)
    assert "Claire Dubois gardien l'appel" in page
    assert "pour savoir qui est présent" in page
    assert f"{len(inside(place)) - 1} personnes" in page
    assert "Noor Haddad" in page
    assert "Salomé Tessier équipe qui a consulté" in page
    last = looks(place)[0]
    assert (last.member, last.role, last.what) == ("salome", "staff", "looks")
    assert last.reason == "Une question de la CNIL"


def test_they_are_narrowed_to_one_member_who_sees_that(place: Any, browser_of: MakeBrowser) -> None:
    browser_of("claire").text("/watch/roll-call")
    browser_of("bruno").text("/")
    salome = browser_of("salome")
    page = words_of(salome.post("/looks", reason="asked", about="noor@example.org").text)
    assert "Claire Dubois" in page
    assert "le tableau du jour" not in page
    assert looks(place)[0].about == "noor"
    assert "équipe" in words_of(browser_of("noor").text("/me"))


@pytest.mark.parametrize("form", [{"reason": " x "}, {"reason": "asked", "about": "nobody-such"}])
def test_without_a_reason_or_a_member_nothing_is_shown(
    place: Any, browser_of: MakeBrowser, form: dict[str, str]
) -> None:
    answer = browser_of("salome").post("/looks", **form)
    assert answer.status_code == 400
    assert "Les plus récentes" not in answer.text
    assert "looks" not in {one.what for one in looks(place)}


def test_older_ones_come_by_pages(place: Any, browser_of: MakeBrowser, monkeypatch: Any) -> None:
    monkeypatch.setattr("dashboards.pages_looks.SHOWN", 2)
    claire, salome = browser_of("claire"), browser_of("salome")
    for _ in range(3):
        claire.text("/watch/roll-call")
    page = salome.post("/looks", reason="asked").text
    before = page.split('name="before" value="')[1].split('"')[0]
    assert int(before) == looks(place)[1].id
    page = salome.post("/looks", reason="asked", before=before).text
    assert page.count("l&#39;appel") == 2
    assert salome.post("/looks", reason="asked", before="x").status_code == 400


def test_programs_of_staff_read_them_too(program_of: MakeProgram) -> None:
    program_of("claire").get("/api/v1/roll-call?reason=fire+drill")
    staff = program_of("salome")
    found = staff.get("/api/v1/looks?reason=asked").json["looks"]
    assert [one["what"] for one in found] == ["looks", "roll-call"]
    assert "noor" in found[1]["about"]
    assert staff.get("/api/v1/looks").status_code == 400
    assert staff.get("/api/v1/looks?reason=asked&about=nobody-such").status_code == 404
    assert program_of("claire").get("/api/v1/looks?reason=asked").status_code == 403
