"""The statement of the time bank: one's own, by month, to print or as a table."""

import html
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from access.ids import MemberId, SiteId, WatchId
from server import ledger

MakeBrowser = Callable[[str | None], Any]
SITE = SiteId("malakoff")


def words_of(page: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page)))


@pytest.fixture
def earned(place: Any) -> Any:
    """Claire has earned 1 h 45 this month and 30 min the month before."""
    now = place.clock.now()
    with place.installation.database.writing() as connection:
        for watch, minutes, at in (("a", 105, now), ("b", 30, now - timedelta(days=40))):
            ledger.credit(
                connection,
                site=SITE,
                member=MemberId("claire"),
                minutes=minutes,
                watch=WatchId(watch),
                at=at,
            )
    return place


@pytest.mark.usefixtures("earned")
def test_a_statement_brings_forward_adds_and_closes(browser_of: MakeBrowser) -> None:
    page = words_of(browser_of("claire").text("/me/hours"))
    assert "Report 30 min" in page
    assert "Permanence tenue 1 h 45 2 h 15" in page
    assert "Solde à la fin du mois 2 h 15" in page


@pytest.mark.usefixtures("earned")
def test_it_is_ones_own_and_nobody_elses(browser_of: MakeBrowser) -> None:
    page = words_of(browser_of("salome").text("/me/hours?member=claire"))
    assert "Permanence tenue" not in page
    assert "Solde à la fin du mois 0 min" in page


@pytest.mark.usefixtures("earned")
def test_the_same_is_there_as_a_table(browser_of: MakeBrowser) -> None:
    answer = browser_of("claire").get("/me/hours.csv")
    assert answer.mimetype == "text/csv"
    assert ",105," in answer.text
    assert ",30," not in answer.text


@pytest.mark.parametrize("month", ["2026-13", "november", "9999-12", ""])
def test_a_month_that_is_none_is_not_found(browser_of: MakeBrowser, month: str) -> None:
    assert browser_of("claire").get(f"/me/hours?month={month}").status_code == 404
