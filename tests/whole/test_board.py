"""The board of a running demonstration in a real Chromium: it moves while people come and go."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page

from edge.simulated.client import tap
from gardien.demo.cast import cast

if TYPE_CHECKING:
    from tests.whole.conftest import StartDemo

pytestmark = [pytest.mark.whole, pytest.mark.browser]

OUT = Path(__file__).parents[1] / "out"
MOVES_MS = 20_000


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page whose console stays silent."""
    said: list[str] = []
    context = chromium.new_context(locale="en-GB", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    context.close()
    assert said == []


def test_the_number_on_the_demos_board_moves_without_reload(
    start_demo: "StartDemo", tmp_path: Path, page: Page
) -> None:
    demo = start_demo(tmp_path / "demo")
    demo.expect("Hello!")
    email, password = credentials(demo.text, "staff")
    board = f"http://127.0.0.1:{demo.port}/"
    assert board in demo.text
    page.goto(board)
    page.fill("input[name=email]", email)
    page.fill("input[name=password]", password)
    page.click("main button, form button")
    page.wait_for_selector("#count")
    assert page.url == board
    page.evaluate("window.neverLoadedAgain = true")
    seen = number(page)
    for player in cast()[-5:]:
        # Not one of those whom the play sends: whether they are let in is up to the hour.
        tap(demo.data / "doors" / "main" / "sim.sock", uid=player.uid)
    page.wait_for_function(
        f"() => parseInt(document.querySelector('#count').innerText) > {seen}", timeout=MOVES_MS
    )
    assert page.evaluate("window.neverLoadedAgain") is True
    page.wait_for_function("() => document.querySelectorAll('#events li').length >= 2")
    OUT.mkdir(exist_ok=True)
    page.screenshot(path=OUT / "demo-board.png", full_page=True)
    assert len(page.query_selector_all("#doors > li")) == 2
    page.close()  # before its server goes, of which it would rightly complain
    demo.close()
    demo.expect_nothing_left()


def credentials(text: str, role: str) -> tuple[str, str]:
    """Read a log-in as the demonstration prints it."""
    found = re.search(rf"{role} +(\S+@\S+) +([0-9a-f]{{4}}(?:-[0-9a-f]{{4}}){{3}}) ", text)
    assert found is not None, text
    return found[1], found[2]


def number(page: Page) -> int:
    found = re.match(r"\d+", page.inner_text("#count"))
    return int(found[0]) if found else 0
