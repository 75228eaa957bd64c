"""Why somebody was refused: what was decided then, and the same with today's rules."""

import html
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from access.ids import BadgeDigest, DoorId, MemberId, SiteId
from access.model import BadgeStatus, Status
from dashboards.api import ADMISSIONS
from dashboards.guard import ROUTES, Who
from server import ledger, registry
from server.database import Database
from server.looks import list_looks

MakeBrowser = Callable[[str | None], Any]
SITE = SiteId("malakoff")


def words_of(page: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page)))


def refusal_of(place: Any, member: str | None) -> int:
    """Find the ledger id of the server's last refusal of a member's badge."""
    kinds = ["gardien.access.decided"]
    with place.installation.database.reading() as connection:
        entries = ledger.latest(connection, SITE, 200, kinds)
    return next(
        entry.id
        for entry in entries
        if entry.member == member and not entry.record["data"]["answer"]["granted"]
    )


def looks(database: Database) -> list[tuple[str, str]]:
    with database.reading() as connection:
        return [(one.member, one.what) for one in list_looks(connection, SITE)]


def test_beside_each_refusal_of_the_board_is_a_way_to_ask_why(
    place: Any, browser_of: MakeBrowser
) -> None:
    page = browser_of("claire").text("/")
    links = re.findall(r'href="(/why/\d+\?site=malakoff)"', page)
    assert f"/why/{refusal_of(place, 'suspended')}?site=malakoff" in links
    assert len(links) == words_of(page).count("entrée refusée")
    for link in links:
        assert "Ce qui a été décidé alors" in browser_of("claire").text(html.unescape(link))


def test_the_page_tells_each_row_that_was_looked_at_and_which_one_decided(
    place: Any, browser_of: MakeBrowser
) -> None:
    page = words_of(browser_of("salome").text(f"/why/{refusal_of(place, 'suspended')}"))
    assert "Zoé Faure entrée refusée — Adhésion suspendue" in page
    assert "mardi 24 novembre Heure 19:56 Porte Entrée principale Ligne des règles 5" in page
    assert "1 Est-ce une sortie ? lecteur : entrée non" in page
    assert "adhésion : suspendue valable dès : — valable jusqu'à : — oui : elle décide" in page
    assert "6 L'accès est-il bloqué" not in page, "rows after it were not looked at"
    assert "C'est recalculé maintenant" in page
    assert "la réponse serait autre" not in page


def test_the_page_speaks_english_to_those_who_do(place: Any, browser_of: MakeBrowser) -> None:
    page = words_of(browser_of("bruno").text(f"/why/{refusal_of(place, 'suspended')}"))
    assert (
        "5 Is the membership suspended, ended or outside its dates? membership: suspended" in page
    )
    assert "yes: it decides" in page
    assert "This is worked out now" in page


def test_what_would_be_decided_otherwise_today_is_said_and_what_was_decided_stays(
    place: Any, browser_of: MakeBrowser
) -> None:
    refusal = refusal_of(place, "suspended")
    with place.installation.database.writing() as connection:
        registry.change_status(connection, MemberId("suspended"), Status.ACTIVE)
    page = words_of(browser_of("salome").text(f"/why/{refusal}"))
    assert "Zoé Faure entrée refusée — Adhésion suspendue" in page
    assert "Ligne des règles 5" in page
    assert "la réponse serait autre : Bienvenue" in page
    assert "Accordé · Bienvenue" in page


def test_a_watch_that_was_opened_later_does_not_count(place: Any, browser_of: MakeBrowser) -> None:
    told = browser_of("salome").get(f"/api/v1/why/{refusal_of(place, 'noor')}").json
    assert told["decided"] == {"reason": "no_guardian", "row": "14", "alone": False}
    assert told["recomputed"]["reason"] == "no_guardian"
    assert told["recomputed"]["rows"][-1]["row"] == "14"


def test_machines_are_told_the_same_as_the_page(place: Any, browser_of: MakeBrowser) -> None:
    refusal = refusal_of(place, "suspended")
    told = json.loads(browser_of("bruno").get(f"/api/v1/why/{refusal}").text)
    rows = told["recomputed"].pop("rows")
    assert told == {
        "id": refusal,
        "at": "2026-11-24T18:56:00Z",
        "door": "main",
        "reader": "in",
        "member": "suspended",
        "decided": {"reason": "member_suspended", "row": "5", "alone": False},
        "recomputed": {"granted": False, "reason": "member_suspended", "row": "5"},
    }
    assert [row["row"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert rows[-1]["matched"]
    assert rows[-1]["facts"]["member_status"] == "suspended"


def test_the_description_tells_the_answer_and_its_number(browser_of: MakeBrowser) -> None:
    described = browser_of(None).get("/api/v1/openapi.json").json
    told = described["paths"]["/api/v1/why/{entry}"]["get"]
    assert [one["name"] for one in told["parameters"]] == ["site", "entry"]
    assert "401" in told["responses"]
    assert "WhyRow" in described["components"]["schemas"]


def test_a_door_that_decided_alone_is_explained_as_one(place: Any, browser_of: MakeBrowser) -> None:
    data = {
        "request": "r",
        "reader": "in",
        "badge": b"noor".hex().ljust(32, "0"),
        "member": "noor",
        "reason": "no_guardian",
        "granted": False,
        "offline": True,
    }
    place.report(DoorId("fablab"), place.clock.now(), "access.denied", data)
    link = re.findall(r'href="(/why/\d+)', browser_of("salome").text("/"))[0]
    told = browser_of("salome").get(f"/api/v1{link}").json
    assert told["decided"] == {"reason": "no_guardian", "row": None, "alone": True}
    assert told["door"] == "fablab"
    assert "La porte a décidé seule" in browser_of("salome").text(link)


@pytest.mark.parametrize("badge", [None, 7])
def test_a_refusal_whose_badge_is_no_longer_held_says_so(
    place: Any, browser_of: MakeBrowser, badge: object
) -> None:
    data = {"reader": "in", "reason": "unknown_badge", "offline": True, "badge": badge}
    place.report(DoorId("fablab"), place.clock.now(), "access.denied", data)
    link = re.findall(r'href="(/why/\d+)', browser_of("salome").text("/"))[0]
    assert "On ne peut pas la recalculer" in browser_of("salome").text(link)
    assert browser_of("salome").get(f"/api/v1{link}").json["recomputed"] is None


def test_each_look_at_somebody_elses_refusal_is_recorded(
    place: Any, browser_of: MakeBrowser
) -> None:
    refusal = refusal_of(place, "suspended")
    browser_of("claire").text(f"/why/{refusal}")
    browser_of("salome").text(f"/api/v1/why/{refusal}")
    database = place.installation.database
    assert looks(database) == [("salome", f"why/{refusal}"), ("claire", f"why/{refusal}")]


def test_a_member_sees_on_their_page_who_looked_at_their_refusal_and_why(
    place: Any, browser_of: MakeBrowser
) -> None:
    refusal = refusal_of(place, "noor")
    browser_of("salome").text(f"/why/{refusal}")
    page = words_of(browser_of("noor").text("/me"))
    assert "équipe pour expliquer un refus à la porte" in page
    assert "Salomé" not in page
    with place.installation.database.reading() as connection:
        (one,) = list_looks(connection, about=MemberId("noor"))
    assert (one.member, one.role, one.reason) == ("salome", "staff", "refusal")


def test_a_look_at_ones_own_refusal_is_not(place: Any, browser_of: MakeBrowser) -> None:
    with place.installation.database.writing() as connection:
        badge = BadgeDigest(b"bruno".hex().ljust(32, "0"))
        registry.mark_badge(connection, badge, BadgeStatus.LOST)
    place.tap("bruno")
    browser_of("bruno").text(f"/why/{refusal_of(place, 'bruno')}")
    assert looks(place.installation.database) == []


def test_what_is_no_refusal_of_this_site_is_not_found(place: Any, browser_of: MakeBrowser) -> None:
    refusal = refusal_of(place, "suspended")
    browser = browser_of("salome")
    for path in ("/why", "/api/v1/why"):
        assert browser.get(f"{path}/{refusal}?site=annexe").status_code == 404
        for other in (0, 1, refusal + 1, 10**9, 10**30):
            assert browser.get(f"{path}/{other}").status_code == 404, other
        assert browser.get(f"{path}/-1").status_code == 404
    assert looks(place.installation.database) == []


def test_only_staff_and_guardians_of_the_site_may_ask(place: Any, browser_of: MakeBrowser) -> None:
    refusal = refusal_of(place, "suspended")
    assert ROUTES["why.page"] is ADMISSIONS["api.why"].who is Who.KEEPER
    assert browser_of(None).get(f"/why/{refusal}").status_code == 302
    assert browser_of("noor").get(f"/why/{refusal}").status_code == 403
    assert browser_of("claire").get(f"/why/{refusal}?site=annexe").status_code == 403
    assert browser_of(None).get(f"/api/v1/why/{refusal}").status_code == 401
    assert browser_of("noor").get(f"/api/v1/why/{refusal}").status_code == 403
