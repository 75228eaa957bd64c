"""Orders to doors in a real Chromium: asked, sent, and told what the door did, on any screen."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Page, expect

from access.ids import DoorId
from server.desk import OPERATOR
from server.events import DoorOrdered

pytestmark = pytest.mark.browser

NewPage = Callable[..., Page]
MAIN = DoorId("main")


@pytest.fixture
def url(place: Any, serve: Callable[[Flask], str], world: Any) -> str:
    return serve(world.make_app(place, demo=world.make_demo(place)))


def log_in(page: Page, url: str, world: Any) -> None:
    page.goto(f"{url}/login")
    page.fill("[name=email]", "claire@example.org")
    page.fill("[name=password]", world.PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url(f"{url}/")


def test_an_unlock_shows_that_it_was_sent_and_by_itself_what_the_door_did(
    place: Any, url: str, new_page: NewPage, world: Any, shoot: Any
) -> None:
    page = new_page()
    log_in(page, url, world)
    page.click("#unlock-main")
    expect(page.locator("#doors")).to_contain_text("« déverrouiller » : envoyé")
    shoot(page, "orders-sent")
    [order] = place.installation.gatehouse.orders("malakoff")
    data = {"command": order.id, "by": "claire"}
    place.report(MAIN, place.clock.now(), "lock.unlocked", data)
    expect(page.locator("#doors")).to_contain_text("« déverrouiller » : la porte l'a fait")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_lockdown_is_asked_first_shown_big_and_lifted_without_a_script(
    place: Any, url: str, *, new_page: NewPage, world: Any, shoot: Any, width: int, scheme: str
) -> None:
    page = new_page(width=width, height=860, scheme=scheme)
    log_in(page, url, world)
    page.goto(f"{url}/watch")
    shoot(page, f"orders-watch-{width}-{scheme}")
    page.click("#lockdown")
    look(page, width)
    shoot(page, f"orders-ask-{width}-{scheme}")
    page.click("#b-lockdown")
    expect(page.get_by_role("heading", name="Accès bloqué", exact=True)).to_be_visible()
    for path in ("/watch", "/"):
        page.goto(f"{url}{path}")
        look(page, width)
        shoot(page, f"orders-lockdown{path.replace('/', '-').rstrip('-')}-{width}-{scheme}")
    page.click("#lift")
    look(page, width)
    page.click("#b-lift")
    page.wait_for_url(f"{url}/?site=malakoff")
    expect(page.locator("#lockdowns")).to_have_text("")
    assert place.installation.gatehouse.look("malakoff").locked_down == frozenset()


def test_a_lockdown_that_somebody_else_orders_shows_by_itself(
    place: Any, url: str, new_page: NewPage, world: Any
) -> None:
    page = new_page()
    log_in(page, url, world)
    expect(page.locator("body")).to_have_attribute("data-state", "live")
    place.handle(DoorOrdered(by=OPERATOR, doors=(), do="lockdown"))
    expect(page.locator("#lockdowns")).to_contain_text("Accès bloqué")


def look(page: Page, width: int) -> None:
    """See that a page fits, and that everybody can use it."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
