"""Log-in and log-out: sessions on the server, forms that carry a token, tries that are counted."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from msgspec.structs import replace
from sqlalchemy import text

from access.ids import MemberId
from access.model import Status
from server import registry, sessions

MakeBrowser = Callable[[str | None], Any]


def cookie(answer: Any, name: str) -> str:
    found = [one for one in answer.headers.getlist("Set-Cookie") if one.startswith(f"{name}=")]
    assert len(found) == 1
    return str(found[0])


def test_whoever_knows_the_password_comes_in(browser_of: MakeBrowser) -> None:
    browser = browser_of(None)
    answer = browser.log_in("salome")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/"
    assert browser.get("/").status_code == 200


@pytest.mark.parametrize("who", ["salome", "nobody"])
def test_a_wrong_password_and_a_log_in_that_does_not_exist_are_told_the_same(
    browser_of: MakeBrowser, who: str
) -> None:
    browser = browser_of(None)
    answer = browser.log_in(who, "another password altogether")
    assert answer.status_code == 401
    assert "Adresse ou mot de passe incorrect." in answer.text
    assert browser.get("/").status_code == 302


def test_a_session_ends_on_the_server_when_somebody_logs_out(
    app: Flask, browser_of: MakeBrowser
) -> None:
    browser = browser_of("salome")
    kept = browser.client.get_cookie("gardien")
    browser.post("/logout")
    thief = app.test_client()
    thief.set_cookie("gardien", kept.value)
    assert thief.get("/").status_code == 302


def test_logging_in_again_ends_the_session_before(app: Flask, browser_of: MakeBrowser) -> None:
    browser = browser_of(None)
    browser.log_in("salome")
    first = browser.client.get_cookie("gardien").value
    token = browser.text("/watch").split('name="csrf_token" value="')[1].split('"')[0]
    form = {"email": "salome@example.org", "password": "quatre mots pour entrer"}
    browser.client.post("/login", data=form | {"csrf_token": token})
    assert browser.client.get_cookie("gardien").value != first
    thief = app.test_client()
    thief.set_cookie("gardien", first)
    assert thief.get("/").status_code == 302


def test_the_database_holds_no_token_that_a_browser_would_send(
    place: Any, browser_of: MakeBrowser
) -> None:
    token = browser_of("salome").client.get_cookie("gardien").value
    with place.installation.database.reading() as connection:
        held = connection.execute(text("SELECT * FROM web_session")).all()
    assert held
    assert token not in str(held)


def test_a_session_that_nobody_uses_is_over(place: Any, browser_of: MakeBrowser) -> None:
    browser = browser_of("salome")
    place.clock.leap_to(place.clock.now() + sessions.IDLE + timedelta(minutes=1))
    assert browser.get("/").status_code == 302


def test_a_session_is_over_after_a_week_however_much_it_is_used(
    place: Any, browser_of: MakeBrowser
) -> None:
    browser = browser_of("salome")
    for _ in range(13):
        assert browser.get("/me").status_code == 200
        place.clock.leap_to(place.clock.now() + timedelta(hours=11))
    for _ in range(4):
        browser.get("/me")
        place.clock.leap_to(place.clock.now() + timedelta(hours=11))
    assert browser.get("/me").status_code == 302


def test_somebody_whose_membership_ends_is_out_at_once(place: Any, browser_of: MakeBrowser) -> None:
    browser = browser_of("salome")
    with place.installation.database.writing() as connection:
        registry.change_status(connection, MemberId("salome"), Status.ENDED)
    assert browser.get("/me").status_code == 302


def test_staff_who_are_suspended_keep_their_own_page_only(
    place: Any, browser_of: MakeBrowser
) -> None:
    browser = browser_of("salome")
    with place.installation.database.writing() as connection:
        registry.change_status(connection, MemberId("salome"), Status.SUSPENDED)
    assert browser.get("/me").status_code == 200
    assert browser.get("/watch").status_code == 403


def test_a_form_without_its_token_changes_nothing(place: Any, browser_of: MakeBrowser) -> None:
    browser = browser_of("salome")
    before = place.installation.gatehouse.look("malakoff").presence.guests
    for token in ("", "made-up"):
        answer = browser.client.post("/watch/guests", data={"change": "1", "csrf_token": token})
        assert answer.status_code == 400
        assert "trop longtemps" in answer.text
    assert place.installation.gatehouse.look("malakoff").presence.guests == before


def test_a_token_of_another_browser_does_not_serve(browser_of: MakeBrowser) -> None:
    theirs, ours = browser_of("claire"), browser_of("salome")
    stolen = theirs.text("/watch").split('name="csrf_token" value="')[1].split('"')[0]
    answer = ours.client.post("/watch/guests", data={"change": "1", "csrf_token": stolen})
    assert answer.status_code == 400


def test_passwords_can_be_tried_a_few_times_only(browser_of: MakeBrowser) -> None:
    browser = browser_of(None)
    answers = [browser.log_in("salome", f"wrong password no. {n}").status_code for n in range(7)]
    assert answers == [401] * 5 + [429] * 2
    assert browser.log_in("claire").status_code == 302, "another log-in is not touched"


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:1", "x"]
)
def test_after_logging_in_nobody_is_sent_elsewhere(browser_of: MakeBrowser, target: str) -> None:
    browser = browser_of(None)
    form = {"email": "salome@example.org", "password": "quatre mots pour entrer", "next": target}
    assert browser.post("/login", **form).headers["Location"] == "/"
    assert browser.get("/language/en", query_string={"next": target}).headers["Location"] == "/"


def test_cookies_cannot_be_read_by_scripts_or_sent_by_other_sites(browser_of: MakeBrowser) -> None:
    answer = browser_of(None).log_in("salome")
    for name in ("gardien", "gardien-form"):
        flags = cookie(answer, name)
        assert "HttpOnly" in flags
        assert "SameSite=Lax" in flags


@pytest.fixture
def tls_browser(place: Any, make_browser: Callable[..., Any]) -> Iterator[Any]:
    settings = place.installation.settings
    behind = replace(settings, dashboard=replace(settings.dashboard, behind_tls=True))
    with make_browser(place, settings=behind) as browser:
        browser.client.environ_base["HTTP_X_FORWARDED_PROTO"] = "https"
        browser.client.environ_base["HTTP_X_FORWARDED_FOR"] = "192.0.2.7"
        browser.client.environ_base["HTTP_REFERER"] = "https://localhost/"
        yield browser


def test_behind_tls_cookies_are_bound_to_the_host_and_to_https(tls_browser: Any) -> None:
    answer = tls_browser.log_in("salome")
    for name in ("__Host-gardien", "__Host-gardien-form"):
        flags = cookie(answer, name)
        assert "Secure" in flags
        assert "Path=/" in flags
        assert "Domain" not in flags
    assert "Strict-Transport-Security" in answer.headers


def test_every_answer_says_what_a_page_may_do(browser_of: MakeBrowser) -> None:
    browser = browser_of("salome")
    for path in ("/", "/kiosk", "/login", "/nowhere", "/static/gardien.css"):
        answer = browser.get(path)
        headers = answer.headers
        answer.close()
        assert "script-src 'self'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert browser.get("/").headers["Cache-Control"] == "no-store"
