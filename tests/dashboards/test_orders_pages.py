"""Orders to doors from the pages: who is shown what, what is asked first, and what is told."""

import html
import re
from collections.abc import Callable
from typing import Any

import pytest

from access.ids import DoorId, MemberId
from server.desk import OPERATOR
from server.events import CloseAsked, DoorOrdered, OrderLapsed

MakeBrowser = Callable[[str | None], Any]
MAIN, LAB = DoorId("main"), DoorId("fablab")
PAGES = ("/", "/watch")


def words_of(page: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page)))


def state_of(place: Any) -> Any:
    return place.installation.gatehouse.look("malakoff")


def waiting(place: Any) -> list[Any]:
    found: list[Any] = place.installation.gatehouse.orders("malakoff")
    return found


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("who", ["salome", "claire"])
def test_staff_and_the_guardian_on_watch_see_what_they_may_order(
    browser_of: MakeBrowser, path: str, who: str
) -> None:
    page = browser_of(who).text(path)
    for door in (MAIN, LAB):
        assert f'id="unlock-{door}"' in page
        assert f'id="hold-{door}"' in page
    assert 'id="lockdown"' in page


@pytest.mark.parametrize("path", PAGES)
def test_another_guardian_sees_no_buttons(browser_of: MakeBrowser, path: str) -> None:
    page = browser_of("bruno").text(path)
    assert "unlock-" not in page
    assert 'id="lockdown"' not in page


@pytest.mark.parametrize("who", ["bruno", "noor"])
def test_nobody_else_may_order_anything(place: Any, browser_of: MakeBrowser, who: str) -> None:
    browser = browser_of(who)
    assert browser.post("/doors/main/order", do="unlock").status_code == 403
    assert browser.post("/doors/lockdown", do="lockdown").status_code == 403
    assert waiting(place) == []


@pytest.mark.parametrize(
    ("back", "page"), [("board", "/?site=malakoff"), ("watch", "/watch?site=malakoff")]
)
def test_an_unlock_is_ordered_and_the_page_says_sent_and_then_what_the_door_did(
    place: Any, browser_of: MakeBrowser, back: str, page: str
) -> None:
    browser = browser_of("claire")
    answer = browser.post("/doors/main/order", do="unlock", back=back)
    assert answer.headers["Location"] == page
    [order] = waiting(place)
    assert (order.door, order.do, order.by) == (MAIN, "unlock", "claire")
    said = words_of(browser.text(page))
    assert "Envoyé : la porte se déverrouille aussitôt" in said
    assert "« déverrouiller » : envoyé, la porte n'a pas encore répondu" in said
    place.report(MAIN, place.clock.now(), "lock.unlocked", {"command": order.id, "by": "claire"})
    said = words_of(browser.text(page))
    assert "« déverrouiller » : la porte l'a fait" in said
    assert waiting(place) == []


def test_the_board_tells_who_ordered_what(place: Any, browser_of: MakeBrowser) -> None:
    browser_of("claire").post("/doors/main/order", do="unlock")
    assert "Claire Dubois a fait déverrouiller la porte" in words_of(browser_of("salome").text("/"))
    place.handle(DoorOrdered(by=OPERATOR, doors=(LAB,), do="unlock"))
    assert "Ordre à la porte : déverrouiller" in words_of(browser_of("salome").text("/"))


def test_an_order_that_the_door_did_not_do_in_time_is_told(
    place: Any, browser_of: MakeBrowser
) -> None:
    browser_of("claire").post("/doors/main/order", do="unlock")
    [order] = waiting(place)
    place.handle(OrderLapsed(id=order.id, door=MAIN, do="unlock"), at=order.expires)
    page = words_of(browser_of("salome").text("/"))
    assert "« déverrouiller » : la porte n'a pas répondu à temps" in page
    assert "La porte n'a pas répondu à temps : « déverrouiller »" in page


def test_a_held_door_is_released_from_the_page(place: Any, browser_of: MakeBrowser) -> None:
    browser = browser_of("claire")
    browser.post("/doors/main/order", do="hold")
    [order] = waiting(place)
    place.report(MAIN, place.clock.now(), "passage.started", {"command": order.id, "by": "claire"})
    page = browser.text("/watch")
    assert "Ne plus maintenir" in words_of(page)
    assert 'value="release"' in page
    browser.post("/doors/main/order", do="release")
    assert [one.do for one in waiting(place)] == ["release"]


def test_without_a_public_watch_no_door_can_be_held_and_the_page_says_when(
    place: Any, browser_of: MakeBrowser
) -> None:
    place.handle(CloseAsked(by=MemberId("claire")))
    browser = browser_of("salome")
    page = browser.text("/watch")
    assert 'value="hold"' not in page
    assert "pendant une permanence ouverte au public" in words_of(page)
    browser.post("/doors/main/order", do="hold")
    said = words_of(browser.text("/watch"))
    assert "Une porte n'est maintenue déverrouillée que pendant une permanence" in said
    assert waiting(place) == []


def test_a_lockdown_is_asked_twice_and_then_shown_big_to_everybody_who_keeps_the_place(
    place: Any, browser_of: MakeBrowser
) -> None:
    browser = browser_of("claire")
    asked = words_of(browser.text("/doors/lockdown?do=lockdown&back=board"))
    assert "Bloquer toutes les portes ?" in asked
    assert state_of(place).locked_down == frozenset()
    browser.post("/doors/lockdown", do="lockdown", back="board")
    assert state_of(place).locked_down == {MAIN, LAB}
    for who in ("claire", "salome", "bruno"):
        for path in PAGES:
            page = browser_of(who).text(path)
            assert '<section class="card lockdown" role="alert"' in page
            told = "Locked down Only staff" if who == "bruno" else "Accès bloqué Seule l'équipe"
            assert told in words_of(page)
    assert 'id="lift"' not in browser_of("bruno").text("/")
    assert "Lever le blocage ?" in words_of(browser.text("/doors/lockdown?do=lift"))
    browser.post("/doors/lockdown", do="lift", back="watch")
    assert state_of(place).locked_down == frozenset()
    for path in PAGES:
        assert 'class="card lockdown"' not in browser.text(path)


def test_a_lockdown_of_one_door_names_it(place: Any, browser_of: MakeBrowser) -> None:
    place.handle(DoorOrdered(by=MemberId("salome"), doors=(LAB,), do="lockdown"))
    page = browser_of("salome").text("/")
    assert "Accès bloqué : Fab lab" in words_of(page)
    assert 'id="lockdown"' in page
    assert 'id="hold-main"' in page
    assert 'id="hold-fablab"' not in page


@pytest.mark.parametrize(
    ("path", "do", "status"),
    [
        ("/doors/main/order", "lockdown", 400),
        ("/doors/main/order", "restart", 400),
        ("/doors/main/order", "", 400),
        ("/doors/attic/order", "unlock", 404),
        ("/doors/annexe-main/order", "unlock", 404),
        ("/doors/lockdown", "unlock", 400),
        ("/doors/lockdown", "", 400),
    ],
)
def test_what_makes_no_sense_is_refused(
    place: Any, browser_of: MakeBrowser, path: str, do: str, status: int
) -> None:
    assert browser_of("salome").post(path, do=do).status_code == status
    assert waiting(place) == []


def test_one_is_led_back_to_no_address_from_elsewhere(browser_of: MakeBrowser) -> None:
    answer = browser_of("salome").post("/doors/main/order", do="unlock", back="//evil.example")
    assert answer.headers["Location"] == "/watch?site=malakoff"
