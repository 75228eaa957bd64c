"""What the pages show and do, in both languages."""

import html
import json
import re
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from access.ids import DoorId, MemberId, SiteId
from access.watch import Phase
from server import registry
from server.events import CloseAsked
from server.history import HistoryUnavailable
from server.history_influx import InfluxHistory
from server.history_influx_client import InfluxSettings
from server.holdings import holdings_of
from server.looks import list_looks

MakeBrowser = Callable[[str | None], Any]


def words_of(page: str) -> str:
    """Give a page's text, without its tags."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page)))


def state_of(place: Any) -> Any:
    return place.installation.gatehouse.look("malakoff")


def test_the_board_shows_how_many_who_watches_and_what_happened(browser_of: MakeBrowser) -> None:
    page = words_of(browser_of("salome").text("/"))
    assert "22 personnes présentes (jusqu'à 23)" in page
    assert "encore 18 places · 4 invités" in page
    assert "De permanence Claire Pour Mardi de l'Atelier : réparer ensemble" in page
    assert "Fin au plus tard 22:00" in page
    assert "Proposée à Bruno Lambert" in page
    assert "Fab lab Verrouillée (dernier état connu) Hors ligne : décide seule" in page
    assert "3 enregistrements à recevoir" in page
    assert "Porte ouverte trop longtemps" in page
    assert "Sacha Lévy entre Entrée principale" in page
    assert "Quelqu'un entrée refusée — Badge inconnu : passez à l'accueil" in page
    assert "Zoé Faure entrée refusée — Adhésion suspendue" in page


def test_each_passage_is_one_line(place: Any, browser_of: MakeBrowser) -> None:
    place.tap("vera-novak")
    page = words_of(browser_of("salome").text("/"))
    assert page.count("Vera Novak") == 1
    place.clock.leap_to(place.clock.now() + timedelta(minutes=1))
    place.tap("vera-novak", reader=place.out)
    page = words_of(browser_of("salome").text("/"))
    assert "Vera Novak sort" in page
    assert page.count("Vera Novak") == 2


def test_the_board_speaks_english_to_those_who_do(browser_of: MakeBrowser) -> None:
    page = words_of(browser_of("bruno").text("/"))
    assert "22 people inside (up to 23)" in page
    assert "On watch Claire" in page
    assert "Somebody was refused: Unknown badge: please see the desk" in page


def test_the_language_is_the_accounts_then_the_browsers_and_can_be_picked(
    browser_of: MakeBrowser,
) -> None:
    english = {"Accept-Language": "en-GB,en;q=0.8"}
    assert '<html lang="fr">' in browser_of("salome").text("/", headers=english)
    assert '<html lang="en">' in browser_of(None).text("/login", headers=english)
    assert '<html lang="fr">' in browser_of(None).text("/login", headers={"Accept-Language": "de"})
    browser = browser_of("salome")
    assert browser.get("/language/en?next=/me").headers["Location"] == "/me"
    assert '<html lang="en">' in browser.text("/me")


def test_a_name_that_looks_like_a_script_is_shown_as_it_is(browser_of: MakeBrowser) -> None:
    browser = browser_of("salome")
    for path in ("/", "/watch/roll-call"):
        page = browser.text(path)
        assert "&lt;script&gt;alert(1)&lt;/script&gt; O&#39;Neil &amp; &#34;Co&#34;" in page
        assert "<script>alert" not in page


def test_the_screen_in_the_hall_shows_numbers_and_nobodys_name(browser_of: MakeBrowser) -> None:
    page = browser_of(None).text("/kiosk")
    assert "22 personnes présentes" in page
    assert "Ouvert : un gardien est de permanence" in page
    for name in ("Claire", "Bruno", "Sacha", "réparer"):
        assert name not in page


def test_an_empty_place_says_so(quiet_place: Any, make_browser: Callable[..., Any]) -> None:
    with make_browser(quiet_place) as browser:
        browser.log_in("salome")
        page = words_of(browser.text("/"))
        assert "Personne à l'intérieur" in page
        assert "Fermé Aucun gardien n'est de permanence" in page
        assert "Rien ne s'est encore passé" in page
        assert "Jamais entendue" in page
        assert "Personne n'est encore venu" in words_of(browser.text("/curve"))
        assert "Personne à l'intérieur" in words_of(browser.text("/watch/roll-call"))
        assert "Pas encore de visite" in browser.text("/me")


def test_a_door_that_says_nothing_for_long_is_doubted(
    place: Any, make_browser: Callable[..., Any]
) -> None:
    with make_browser(place) as browser:
        browser.log_in("salome")
        assert "Silencieuse" not in browser.text("/")
        place.clock.leap_to(place.clock.now() + timedelta(seconds=91))
        assert "Silencieuse Nouvelles il y a 1 min" in words_of(browser.text("/"))


def test_a_demonstration_that_leaps_ahead_doubts_no_door(
    place: Any, browser_of: MakeBrowser
) -> None:
    browser = browser_of("salome")
    place.clock.leap_to(place.clock.now() + timedelta(hours=3))
    assert "Silencieuse" not in browser.text("/")


def test_a_door_that_cant_record_says_so_on_its_card_and_as_an_alert(
    place: Any, browser_of: MakeBrowser
) -> None:
    browser = browser_of("bruno")
    for condition, card, alert in (
        ("full", "journal nearly full", "only staff and guardians come in"),
        ("failing", "can't record", "nobody is let in"),
    ):
        place.say(DoorId("main"), place.clock.now(), online=True, lock="locked", journal=condition)
        page = words_of(browser.text("/"))
        assert card in page
        assert alert in page
        assert browser.get("/api/v1/doors").json["doors"][0]["journal"] == condition
    place.say(DoorId("main"), place.clock.now(), online=True, lock="locked", journal="ok")
    assert "lets nobody in" not in words_of(browser.text("/"))


def test_the_curve_is_drawn_and_is_a_table_too(browser_of: MakeBrowser) -> None:
    browser = browser_of("salome")
    answer = browser.get("/curve.svg")
    assert answer.mimetype == "image/svg+xml"
    assert '<path class="line" d="M34.0 ' in answer.text
    page = words_of(browser.text("/curve"))
    assert "11:00 15 15" in page
    assert "20:00 23 22" in page


def test_the_curve_of_a_month_is_drawn_and_is_a_table_too(browser_of: MakeBrowser) -> None:
    browser = browser_of("salome")
    assert "/curve?site=malakoff&amp;month=2026-11" in browser.text("/curve")
    assert '<path class="line" d="M34.0 ' in browser.text("/curve.svg?month=2026-11")
    page = words_of(browser.text("/curve?month=2026-11"))
    assert "23/11/2026 0 0 24/11/2026 22 22" in page
    assert "Le mois précédent" in page
    assert "Le mois suivant" not in page


def test_a_month_in_which_nobody_came_says_so(browser_of: MakeBrowser) -> None:
    browser = browser_of("salome")
    # Longer ago than raw points are kept: it is read from the hourly ones.
    for month in ("2026-10", "2024-01"):
        page = words_of(browser.text(f"/curve?month={month}"))
        assert "Personne n'est venu ce mois-ci" in page
        assert "Le mois suivant" in page
        assert "Personne n'est venu" in browser.text(f"/curve.svg?month={month}")


@pytest.mark.parametrize("month", ["2026-12", "2026-13", "november", "1999-12", "9999-12"])
def test_a_month_that_cannot_be_shown_is_not_found(browser_of: MakeBrowser, month: str) -> None:
    browser = browser_of("salome")
    assert browser.get(f"/curve?month={month}").status_code == 404
    assert browser.get(f"/curve.svg?month={month}").status_code == 404


def test_guests_are_counted_in_and_out(place: Any, browser_of: MakeBrowser) -> None:
    browser = browser_of("claire")
    answer = browser.post("/watch/guests", change="5")
    assert answer.headers["Location"] == "/watch?site=malakoff"
    assert "compté" in browser.text("/watch")
    browser.post("/watch/guests", change="-1")
    assert state_of(place).presence.guests == 8


def test_guests_cannot_be_fewer_than_none_and_the_page_says_why(
    place: Any, browser_of: MakeBrowser
) -> None:
    browser = browser_of("claire")
    browser.post("/watch/guests", change="-5")
    assert "Il n'y a pas autant d'invités" in words_of(browser.text("/watch"))
    assert state_of(place).presence.guests == 4


@pytest.mark.parametrize("change", ["", "0", "many", "501", "1e3", "--1"])
def test_a_number_of_guests_that_is_none_is_refused(browser_of: MakeBrowser, change: str) -> None:
    assert browser_of("claire").post("/watch/guests", change=change).status_code == 400


def test_a_recount_makes_the_count_certain(place: Any, browser_of: MakeBrowser) -> None:
    browser = browser_of("salome")
    browser.post("/watch/recount", people="25")
    assert state_of(place).presence.present == 25
    assert "25 personnes présentes" in browser.text("/watch")
    assert "jusqu" not in browser.text("/kiosk")


def test_a_watch_is_passed_on_by_two_people(place: Any, browser_of: MakeBrowser) -> None:
    heir = browser_of("bruno")
    assert "The watch is offered to you" in heir.text("/watch")
    heir.post("/watch/take")
    assert state_of(place).watch.guardian == "bruno"
    assert "The watch is yours. Thank you!" in heir.text("/watch")
    page = words_of(browser_of("salome").text("/"))
    assert "Bruno Lambert prend la permanence de Claire Dubois" in page


def test_a_watch_that_was_not_offered_cannot_be_taken(place: Any, browser_of: MakeBrowser) -> None:
    browser = browser_of("salome")
    browser.post("/watch/take")
    assert "La permanence ne vous a pas été proposée." in browser.text("/watch")
    assert state_of(place).watch.guardian == "claire"


def test_a_watch_is_closed_and_the_roll_call_signed(place: Any, browser_of: MakeBrowser) -> None:
    browser = browser_of("claire")
    browser.post("/watch/close")
    assert state_of(place).watch.phase_at(place.clock.now()) is Phase.CLOSING
    page = words_of(browser.text("/watch"))
    assert "Fermeture : merci de sortir" in page
    assert "Tout le monde est compté : signer" in page
    browser.post("/watch/sign")
    assert state_of(place).watch is None
    assert "1 h 15" in words_of(browser.text("/me")), "the hours are earned at once"
    page = words_of(browser.text("/"))
    assert "Claire Dubois commence à fermer la permanence" in page
    assert "Claire Dubois signe l'appel : la permanence est fermée" in page


def test_a_watch_cannot_be_opened_from_a_page(place: Any, browser_of: MakeBrowser) -> None:
    place.handle(CloseAsked(by=MemberId("claire")))
    browser = browser_of("claire")
    browser.post("/watch/sign")
    for path in ("/watch/take", "/watch/offer"):
        browser.post(path, to="bruno")
    assert state_of(place).watch is None


def test_the_roll_call_names_all_who_may_be_inside_and_each_look_is_recorded(
    place: Any, browser_of: MakeBrowser
) -> None:
    page = words_of(browser_of("claire").text("/watch/roll-call"))
    for words in (
        "Bruno Lambert · gardien",
        "Élodie Caron 19:24 Entrée principale",
        "invité 4",
        "1 personne est sortie par le bouton",
        "Fab lab Hors ligne : décide seule 20:11",
    ):
        assert words in page
    assert page.index("Élodie") < page.index("Farid"), "É is searched for as E"
    with place.installation.database.reading() as connection:
        (look,) = list_looks(connection, SiteId("malakoff"))
    assert (look.member, look.role, look.what) == ("claire", "guardian", "roll-call")
    assert (look.about, look.reason) == (None, "duty")


def test_everybody_sees_their_own_visits_and_nobody_elses(browser_of: MakeBrowser) -> None:
    browser = browser_of("noor")
    page = words_of(browser.text("/me"))
    assert "Noor Haddad" in page
    assert "19:17 Entrée principale entrée" in page
    assert "19:10 Entrée principale refusé — Fermé : aucun gardien" in page
    for query in ("?member=claire", "?id=claire", "?email=claire@example.org"):
        assert words_of(browser.text(f"/me{query}")) == page
    for path in ("/me/claire", "/members/claire", "/api/v1/members/claire"):
        assert browser.get(path).status_code == 404


def test_everybody_can_take_away_all_that_is_held_on_them(browser_of: MakeBrowser) -> None:
    answer = browser_of("noor").get("/me/data.json?member=claire")
    held = json.loads(answer.text)
    assert "attachment" in answer.headers["Content-Disposition"]
    assert held["id"] == "noor"
    assert held["email"] == "noor@example.org"
    assert [one["is_granted"] for one in held["passages"]] == [True, False]
    assert "claire" not in {record["data"].get("member") for record in held["records"]}


def test_the_file_the_api_and_the_command_line_give_the_same(
    place: Any, browser_of: MakeBrowser
) -> None:
    with place.installation.database.reading() as connection:
        given = msgspec.to_builtins(holdings_of(connection, MemberId("claire")))
    browser = browser_of("claire")
    file = json.loads(browser.get("/me/data.json").text)
    called = browser.get("/api/v1/me/data").json["data"]
    for one in (file, called):
        one["logins"][0].pop("sessions")  # the browser's own is new
    given["logins"][0].pop("sessions")
    assert file == called == json.loads(msgspec.json.encode(given))


def test_all_that_is_held_can_be_read_on_a_page(place: Any, browser_of: MakeBrowser) -> None:
    page = words_of(browser_of("claire").text("/me/data"))
    assert "Tout ce qui est conservé sur moi" in page
    assert "ouvre la permanence" in page
    assert "claire@example.org" in page
    with place.installation.database.reading() as connection:
        digest = registry.list_badges(connection, MemberId("claire"))[0].digest
    assert digest in page
    assert "bruno" not in page
    english = words_of(browser_of("bruno").text("/me/data"))
    assert "All that is held on me" in english
    assert "none" in english


def test_the_demonstration_presents_a_badge(place: Any, browser_of: MakeBrowser) -> None:
    browser = browser_of("salome")
    uid = b"salome".hex()
    answer = browser.post("/demo/tap", uid=uid, reader="main/in")
    assert answer.headers["Location"].startswith("/?")
    assert "Salomé Tessier : badge présenté." in browser.text("/")
    assert "salome" in state_of(place).presence.inside


@pytest.mark.parametrize(
    ("uid", "reader"), [("00", "main/in"), ("", ""), (b"salome".hex(), "fablab/out")]
)
def test_the_demonstration_takes_only_its_own_badges_and_readers(
    browser_of: MakeBrowser, uid: str, reader: str
) -> None:
    assert browser_of("salome").post("/demo/tap", uid=uid, reader=reader).status_code == 400


def test_without_a_demonstration_there_is_no_panel(
    place: Any, make_browser: Callable[..., Any]
) -> None:
    with make_browser(place) as browser:
        browser.log_in("salome")
        assert "Démonstration" not in browser.text("/")
        answer = browser.post("/demo/tap", uid=b"salome".hex(), reader="main/in")
        assert answer.status_code == 404


def test_pages_say_so_when_the_database_is_away(place: Any, browser_of: MakeBrowser) -> None:
    browser = browser_of("salome")
    folder = place.installation.folder.path
    place.installation.database.close()
    (folder / "gardien.db").rename(folder / "elsewhere.db")
    (folder / "gardien.db").mkdir()
    answer = browser.get("/")
    assert answer.status_code == 503
    assert "Les portes continuent d'elles-mêmes" in words_of(answer.text)
    assert browser.get("/readyz").status_code == 503
    assert browser.get("/healthz").status_code == 200


class AwayHistory:
    """A history that can't be reached, or that fails in a way that nobody thought of."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def occupancy(self, *_of: object, **_between: object) -> None:
        raise self.error


def test_the_board_goes_on_when_the_history_is_away(
    place: Any, make_browser: Callable[..., Any]
) -> None:
    history = AwayHistory(HistoryUnavailable("no route"))
    with make_browser(place, history=history) as browser:
        browser.log_in("salome")
        assert browser.get("/").status_code == 200
        assert "L'historique est absent" in browser.text("/curve.svg")
        assert "Rien n'est perdu" in words_of(browser.text("/curve"))


def test_while_influxdb_is_away_curves_are_of_the_embedded_store_and_say_so(
    place: Any, make_browser: Callable[..., Any]
) -> None:
    nobody = socket.create_server(("127.0.0.1", 0))
    port = nobody.getsockname()[1]
    nobody.close()
    with (
        InfluxHistory(InfluxSettings(url=f"http://127.0.0.1:{port}")) as away,
        make_browser(place, history=away, stand_in=place.history) as browser,
    ):
        browser.log_in("salome")
        for part, row in (("", "11:00 15 15"), ("?month=2026-11", "24/11/2026 22 22")):
            page = words_of(browser.text(f"/curve{part}"))
            assert row in page
            assert "voici la copie de gardien" in page
            svg = browser.text(f"/curve.svg{part}")
            assert '<path class="line" d="M34.0 ' in svg
            assert "copie de gardien : historique absent" in svg
        assert browser.get("/api/v1/occupancy/history").json["stand_in"] is True


def test_a_fault_of_ours_is_a_page_that_gives_nothing_away(
    place: Any, make_browser: Callable[..., Any]
) -> None:
    with make_browser(place, history=AwayHistory(RuntimeError("secret detail"))) as browser:
        browser.log_in("salome")
        answer = browser.get("/curve")
        assert answer.status_code == 500
        assert "L'erreur vient de nous" in words_of(answer.text)
        assert "secret detail" not in answer.text


def test_what_a_door_hands_in_late_stands_where_it_happened(
    place: Any, browser_of: MakeBrowser
) -> None:
    browser = browser_of("salome")
    late = place.clock.now() - timedelta(minutes=5)
    place.report("fablab", late, "passage.started")
    page = words_of(browser.text("/"))
    assert page.index("La porte est maintenue ouverte") > page.index("se voit proposer")


def test_what_happened_on_another_day_says_which(place: Any, browser_of: MakeBrowser) -> None:
    browser = browser_of("salome")
    assert "mardi 24 novembre" not in browser.text("/")
    place.clock.leap_to(place.clock.now() + timedelta(hours=11))
    page = words_of(browser.text("/"))
    assert "Derniers événements mardi 24 novembre 20:29" in page
    assert page.count("mardi 24 novembre") == 2, "once for the alerts, once for the rest"
