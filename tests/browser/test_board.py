"""The pages in a real Chromium: they move by themselves, suit everybody, and fit a phone."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Page, expect

from access.model import Reader

pytestmark = pytest.mark.browser

NewPage = Callable[..., Page]
Serve = Callable[[Flask], str]
PAGES = (
    "/",
    "/watch",
    "/watch/roll-call",
    "/me",
    "/me/data",
    "/me/hours",
    "/curve",
    "/kiosk",
    "/privacy",
    "/privacy/sign",
    "/privacy/register",
)


@pytest.fixture
def url(place: Any, serve: Serve, world: Any) -> str:
    return serve(world.make_app(place, demo=world.make_demo(place)))


@pytest.fixture
def quiet_url(quiet_place: Any, serve: Serve, world: Any) -> str:
    return serve(world.make_app(quiet_place))


def log_in(page: Page, url: str, world: Any, who: str = "salome") -> None:
    page.goto(f"{url}/login")
    page.fill("[name=email]", f"{who}@example.org")
    page.fill("[name=password]", world.PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url(f"{url}/")


def is_live(page: Page) -> None:
    expect(page.locator("body")).to_have_attribute("data-state", "live")


def test_the_board_moves_by_itself_when_the_gate_lets_somebody_in(
    place: Any, url: str, new_page: NewPage, world: Any, shoot: Any
) -> None:
    page = new_page()
    log_in(page, url, world)
    is_live(page)
    expect(page.locator("#count")).to_have_text("22 personnes présentes (jusqu'à 23)")
    page.evaluate("window.isTheSamePage = true")
    place.tap("vera-novak")
    expect(page.locator("#events")).to_contain_text("Vera Novak entre")
    expect(page.locator("#count")).to_have_text("23 personnes présentes (jusqu'à 24)")
    place.tap("vera-novak", at=place.clock.now(), reader=Reader.OUT)
    expect(page.locator("#events")).to_contain_text("Vera Novak sort")
    expect(page.locator("#count")).to_have_text("22 personnes présentes (jusqu'à 23)")
    assert page.evaluate("window.isTheSamePage")
    shoot(page, "board-live")


def test_the_screen_in_the_hall_moves_too(
    place: Any, url: str, new_page: NewPage, shoot: Any
) -> None:
    page = new_page()
    page.goto(f"{url}/kiosk")
    is_live(page)
    place.tap("vera-novak")
    expect(page.locator("#gauge .big")).to_have_text("23")
    shoot(page, "kiosk")


def test_a_badge_is_presented_from_the_page(url: str, new_page: NewPage, world: Any) -> None:
    page = new_page()
    log_in(page, url, world)
    page.select_option("[name=uid]", label="Salomé Tessier")
    page.select_option("[name=reader]", "main/in")
    page.get_by_role("button", name="Présenter le badge").click()
    expect(page.get_by_role("status")).to_have_text("Salomé Tessier : badge présenté.")
    expect(page.locator("#events")).to_contain_text("Salomé Tessier entre")


def test_a_guardian_counts_guests_by_keyboard_and_the_page_goes_on_by_itself(
    place: Any, url: str, new_page: NewPage, world: Any
) -> None:
    page = new_page("en-GB", width=390, height=844)
    log_in(page, url, world, "claire")
    page.goto(f"{url}/language/en?next=/watch")
    button = page.get_by_role("button", name="1 guest came")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#room")).to_contain_text("5 guests")
    is_live(page)
    page.locator("[name=people]").fill("2")
    place.tap("vera-novak")
    expect(page.locator("#count")).to_have_text("24 people inside (up to 25)")
    expect(page.locator("[name=people]")).to_have_value("2")


def test_a_session_that_has_ended_leads_to_the_log_in(
    place: Any, url: str, new_page: NewPage, world: Any
) -> None:
    page, other = new_page(), new_page()
    log_in(page, url, world)
    is_live(page)
    token = next(c["value"] for c in page.context.cookies() if c["name"] == "gardien")
    other.context.add_cookies([{"name": "gardien", "value": token, "url": url}])
    other.goto(url)
    other.get_by_role("button", name="Se déconnecter").click()
    other.wait_for_url(f"{url}/login")
    place.tap("vera-novak")
    page.wait_for_url(f"{url}/login**")


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong_with_any_page(
    url: str, new_page: NewPage, world: Any, language: str, scheme: str
) -> None:
    page = new_page(scheme=scheme)
    page.goto(f"{url}/language/{language}?next=/login")
    assert [one["id"] for one in Axe().run(page).response["violations"]] == []
    log_in(page, url, world)
    for path in PAGES:
        page.goto(f"{url}{path}")
        found = Axe().run(page).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], path


def test_axe_finds_nothing_wrong_with_an_empty_place(
    quiet_url: str, new_page: NewPage, world: Any, shoot: Any
) -> None:
    page = new_page()
    log_in(page, quiet_url, world)
    shoot(page, "board-empty")
    for path in PAGES:
        page.goto(f"{quiet_url}{path}")
        assert [one["id"] for one in Axe().run(page).response["violations"]] == [], path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone(
    url: str, new_page: NewPage, world: Any, shoot: Any, scheme: str
) -> None:
    page = new_page(width=390, height=844, scheme=scheme)
    log_in(page, url, world, "claire")
    for path in PAGES:
        page.goto(f"{url}{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        shoot(page, f"phone-{scheme}-{path.strip('/').replace('/', '-') or 'board'}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_kept_as_pictures(
    url: str, new_page: NewPage, world: Any, shoot: Any, scheme: str
) -> None:
    page = new_page(scheme=scheme)
    page.goto(f"{url}/login")
    shoot(page, f"{scheme}-login")
    log_in(page, url, world)
    for path in PAGES:
        page.goto(f"{url}{path}")
        expect(page.locator("h1")).to_be_attached()
        shoot(page, f"{scheme}-{path.strip('/').replace('/', '-') or 'board'}")


def test_the_roll_call_goes_on_paper_without_the_page_around_it(
    url: str, new_page: NewPage, world: Any, out: Any
) -> None:
    page = new_page()
    log_in(page, url, world)
    page.goto(f"{url}/watch/roll-call")
    expect(page.get_by_role("button", name="Imprimer")).to_be_visible()
    pdf = page.pdf(path=out / "roll-call.pdf", prefer_css_page_size=True, format="A4")
    assert pdf.startswith(b"%PDF-")
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="Imprimer")).to_be_hidden()
    expect(page.locator("nav")).to_be_hidden()
    expect(page.get_by_role("cell", name="Élodie Caron")).to_be_visible()


def test_without_scripts_the_pages_show_the_same_and_reload(
    url: str, chromium: Any, world: Any
) -> None:
    context = chromium.new_context(java_script_enabled=False, locale="fr-FR")
    page = context.new_page()
    log_in(page, url, world)
    expect(page.locator("#count")).to_have_text("22 personnes présentes (jusqu'à 23)")
    assert page.locator("noscript meta[http-equiv=refresh]").count() == 1
    page.goto(f"{url}/watch")
    page.get_by_role("button", name="1 invité de plus").click()
    expect(page.get_by_role("status")).to_have_text("C'est compté.")
    context.close()


def test_the_first_stop_of_the_keyboard_leads_to_the_content(
    url: str, new_page: NewPage, world: Any
) -> None:
    page = new_page()
    log_in(page, url, world)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    expect(page.locator(".skip")).to_be_in_viewport()


@pytest.mark.parametrize("look", [(390, "light"), (1280, "light"), (1280, "dark")])
def test_beside_a_refusal_one_can_ask_why(
    url: str, new_page: NewPage, world: Any, shoot: Any, look: tuple[int, str]
) -> None:
    width, scheme = look
    page = new_page(width=width, scheme=scheme)
    log_in(page, url, world, "claire")
    shoot(page, f"board-with-why-{width}-{scheme}")
    page.get_by_role("link", name="Pourquoi ? Zoé Faure, 19:56").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Pourquoi ?")
    expect(page.locator("tr.refused")).to_contain_text("adhésion : suspendue")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
    shoot(page, f"why-{width}-{scheme}")


@pytest.mark.parametrize("seen", [("fr", 1280), ("en", 390)])
def test_staff_read_who_looked(
    url: str, new_page: NewPage, world: Any, shoot: Any, seen: tuple[str, int]
) -> None:
    language, width = seen
    guardian = new_page()
    log_in(guardian, url, world, "claire")
    guardian.goto(f"{url}/watch/roll-call")
    page = new_page(width=width)
    page.goto(f"{url}/language/{language}?next=/login")
    log_in(page, url, world)
    page.goto(f"{url}/looks")
    assert [one["id"] for one in Axe().run(page).response["violations"]] == []
    page.fill("[name=reason]", "CNIL")
    page.press("[name=reason]", "Enter")
    expect(page.locator("tbody tr")).to_have_count(3)
    expect(page.locator("tbody")).to_contain_text("Claire Dubois")
    page.click("summary")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert [one["id"] for one in Axe().run(page).response["violations"]] == []
    shoot(page, f"looks-{language}")


@pytest.mark.parametrize("width", [390, 1280])
def test_a_member_makes_a_secret_address_for_their_calendar(
    url: str, new_page: NewPage, world: Any, shoot: Any, width: int
) -> None:
    page = new_page(width=width)
    log_in(page, url, world)
    page.goto(f"{url}/me")
    page.get_by_role("button", name="Créer une adresse secrète").click()
    address = page.get_by_label("L'Atelier, Malakoff")
    assert f"{url}/calendar/malakoff.ics?key=" in address.input_value()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
    shoot(page, f"me-calendar-{width}")
