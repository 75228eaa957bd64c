"""The notice, the sign and the register say what this installation does, in both languages."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from access.ids import SiteId
from server.privacy_settings import PrivacySettings
from server.settings import PlansSettings, PlanTerms, ServerSettings
from tests.dashboards.test_pages import words_of

ABOUT = PrivacySettings(
    controller="SCIC L'Atelier, 12 rue de l'Exemple, 92240 Malakoff",
    contact="donnees@example.org",
    officer="Camille Roux, dpo@example.org",
    processors=("Hébergeur Exemple SAS", "Sauvegardes Exemple"),
)
PAGES = ("/privacy", "/privacy/sign", "/privacy/register")


def said(settings: ServerSettings, place: Any, make_browser: Any, path: str, who: str) -> str:
    with make_browser(place, settings=settings) as browser:
        browser.log_in(who)
        return words_of(browser.text(path))


def told(settings: ServerSettings, **changed: Any) -> ServerSettings:
    site = msgspec.structs.replace(settings.sites[0], **changed)
    return msgspec.structs.replace(settings, privacy=ABOUT, sites=(site, *settings.sites[1:]))


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("who", ["salome", "bruno"])
def test_each_page_names_who_answers_and_for_how_long_it_is_kept(
    place: Any, make_browser: Any, path: str, who: str
) -> None:
    settings = told(place.installation.settings, keep_days=31)
    page = said(settings, place, make_browser, path, who)
    assert "SCIC L'Atelier, 12 rue de l'Exemple, 92240 Malakoff" in page
    assert "donnees@example.org" in page
    assert ("31 jours" if who == "salome" else "31 days") in page
    assert "90 jours, puis" not in page


def test_the_notice_says_whether_hours_of_presence_are_counted(
    place: Any, make_browser: Any
) -> None:
    plans = PlansSettings(nomad=PlanTerms(hours_a_month=40))
    counted = told(place.installation.settings, plans=plans)
    plain = told(place.installation.settings)
    assert "un total pour chacun" in said(counted, place, make_browser, "/privacy", "salome")
    page = said(plain, place, make_browser, "/privacy", "salome")
    assert "Les heures de présence ne sont comptées pour personne" in page
    assert "un total pour chacun" not in page


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/privacy", "un total par mois : 5 ans"),
        ("/privacy/register", "Heures de présence d'un nomade : 5 ans"),
    ],
)
def test_sums_of_presence_are_among_the_time_limits_where_they_are_kept(
    place: Any, make_browser: Any, path: str, text: str
) -> None:
    plans = PlansSettings(nomad=PlanTerms(hours_a_month=40))
    counted = told(place.installation.settings, plans=plans)
    assert text in said(counted, place, make_browser, path, "salome")
    plain = told(place.installation.settings)
    assert text not in said(plain, place, make_browser, path, "salome")


@pytest.mark.parametrize(
    ("cameras", "text"),
    [(None, None), (False, "There is no camera in the place"), (True, "The place has cameras")],
)
def test_of_cameras_the_notice_says_what_the_settings_say(
    place: Any, make_browser: Any, cameras: object, text: str | None
) -> None:
    about = msgspec.structs.replace(ABOUT, cameras=cameras)
    settings = msgspec.structs.replace(told(place.installation.settings), privacy=about)
    page = said(settings, place, make_browser, "/privacy", "bruno")
    assert (text in page) if text else ("camera" not in page)


def test_the_register_names_processors_and_where_counts_are(place: Any, make_browser: Any) -> None:
    settings = told(place.installation.settings)
    page = said(settings, place, make_browser, "/privacy/register", "salome")
    assert "Hébergeur Exemple SAS · Sauvegardes Exemple" in page
    assert "les nombres sans noms à côté" in page
    assert "Il manque" not in page
    history = msgspec.structs.replace(settings.history, url="http://127.0.0.1:8086")
    there = msgspec.structs.replace(settings, history=history)
    page = said(there, place, make_browser, "/privacy/register", "salome")
    assert "les nombres sans noms dans InfluxDB" in page


def test_what_is_not_said_yet_is_named_in_the_register(
    browser_of: Callable[[str | None], Any],
) -> None:
    assert "controller, contact" in words_of(browser_of("salome").text("/privacy/register"))


def test_everybody_reads_the_notice_which_each_page_links_to(
    browser_of: Callable[[str | None], Any],
) -> None:
    nobody = browser_of(None)
    assert "/privacy?site=malakoff" in nobody.text("/login")
    assert "Ce qui est enregistré ici" in words_of(nobody.text("/privacy"))
    assert "Les badges sont enregistrés" in words_of(nobody.text("/privacy/sign"))
    assert nobody.get("/privacy/register").status_code == 302


def test_the_notice_is_that_of_the_site_that_was_asked_for(
    place: Any, browser_of: Callable[[str | None], Any]
) -> None:
    assert SiteId("annexe") in {site.id for site in place.installation.settings.sites}
    assert "L'Annexe" in browser_of(None).text("/privacy/sign?site=annexe").replace("&#39;", "'")
