"""The statement of the time bank: one's own, by month, to print or as a table."""

import html
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from access.ids import MemberId, SiteId, WatchId
from server import ledger
from server.settings import PlansSettings, PlanTerms

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


@pytest.fixture
def nomad(place: Any) -> Any:
    """Nomads have one hour a month; Noor has been inside for 74 minutes and has earned 3 h."""
    plans = PlansSettings(nomad=PlanTerms(hours_a_month=1))
    first, *rest = place.installation.settings.sites
    place.installation = replace(
        place.installation,
        settings=structs.replace(
            place.installation.settings, sites=(structs.replace(first, plans=plans), *rest)
        ),
    )
    with place.installation.database.writing() as connection:
        ledger.credit(
            connection,
            site=SITE,
            member=MemberId("noor"),
            minutes=180,
            watch=WatchId("w"),
            at=place.clock.now(),
        )
    return place


def pay(browser: Any, minutes: int, key: str = "k") -> str:
    answer = browser.post("/me/hours/spend", minutes=str(minutes), month="2026-11", key=key)
    assert answer.status_code == 302
    return words_of(browser.text(answer.location))


@pytest.mark.usefixtures("nomad")
def test_a_nomad_sees_what_is_over_and_pays_it_with_their_time(browser_of: MakeBrowser) -> None:
    noor = browser_of("noor")
    page = words_of(noor.text("/me/hours"))
    assert "Compris dans ma formule 1 h" in page
    assert "Reste à régler 14 min" in page
    said = pay(noor, 10)
    assert "Dépensé. Merci pour vos permanences" in said
    assert "Reste à régler 4 min" in said
    assert "plus que ce qui reste à régler" in pay(noor, 5, "other")
    # The form of before, sent again, spends nothing more.
    assert "Reste à régler 4 min" in pay(noor, 10)


@pytest.mark.usefixtures("nomad")
def test_what_makes_no_sense_is_refused(browser_of: MakeBrowser) -> None:
    noor = browser_of("noor")
    for form in ({"minutes": "x"}, {"minutes": "0"}, {"key": ""}, {"month": "9"}):
        whole = {"minutes": "5", "month": "2026-11", "key": "k"} | form
        assert noor.post("/me/hours/spend", **whole).status_code in (400, 404)
    assert "ne peut pas être dépensé" in pay(browser_of("claire"), 5)


@pytest.mark.usefixtures("earned")
def test_who_is_no_nomad_or_counts_no_hours_sees_no_presence(browser_of: MakeBrowser) -> None:
    assert "Comprises dans ma formule" not in words_of(browser_of("claire").text("/me/hours"))


@pytest.mark.parametrize("month", ["2026-13", "november", "9999-12", ""])
def test_a_month_that_is_none_is_not_found(browser_of: MakeBrowser, month: str) -> None:
    assert browser_of("claire").get(f"/me/hours?month={month}").status_code == 404
