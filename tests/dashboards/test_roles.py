"""Who may open which page: each role on each route."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from dashboards.api import ADMISSIONS
from dashboards.guard import ROUTES, Who

NOBODY = None
ROLES = {
    "nobody": None,
    "member": "noor",
    "guardian": "bruno",
    "on watch": "claire",
    "staff": "salome",
}

MAY = {
    Who.ANYONE: {"nobody", "member", "guardian", "on watch", "staff"},
    Who.OPERATOR: {"nobody", "member", "guardian", "on watch", "staff"},
    Who.HALL: {"nobody", "member", "guardian", "on watch", "staff"},
    Who.MEMBER: {"member", "guardian", "on watch", "staff"},
    Who.KEEPER: {"guardian", "on watch", "staff"},
    Who.IN_CHARGE: {"on watch", "staff"},
    Who.STAFF: {"staff"},
}
WANTED = {
    "/": Who.KEEPER,
    "/live": Who.KEEPER,
    "/curve": Who.KEEPER,
    "/curve.svg": Who.KEEPER,
    "/watch": Who.KEEPER,
    "/watch/roll-call": Who.IN_CHARGE,
    "/looks": Who.STAFF,
    "/doors/lockdown": Who.IN_CHARGE,
    "/me": Who.MEMBER,
    "/me/data": Who.MEMBER,
    "/me/data.json": Who.MEMBER,
    "/me/hours": Who.MEMBER,
    "/me/hours.csv": Who.MEMBER,
    "/kiosk": Who.HALL,
    "/live/numbers": Who.HALL,
    "/spaceapi.json": Who.ANYONE,
    "/privacy": Who.ANYONE,
    "/privacy/sign": Who.ANYONE,
    "/privacy/register": Who.KEEPER,
    "/healthz": Who.ANYONE,
    "/readyz": Who.ANYONE,
    "/metrics": Who.OPERATOR,
    "/static/gardien.css": Who.ANYONE,
}
POSTS = {
    "/looks": Who.STAFF,
    "/doors/lockdown": Who.IN_CHARGE,
    "/alerts/take": Who.IN_CHARGE,
    "/watch/guests": Who.IN_CHARGE,
    "/watch/recount": Who.IN_CHARGE,
    "/watch/close": Who.IN_CHARGE,
    "/watch/sign": Who.IN_CHARGE,
    "/watch/offer": Who.KEEPER,
    "/watch/take": Who.KEEPER,
    "/demo/tap": Who.KEEPER,
    "/me/calendar": Who.MEMBER,
    "/me/calendar/forget": Who.MEMBER,
    "/me/hours/spend": Who.MEMBER,
    "/logout": Who.MEMBER,
}

ELSEWHERE = {
    "/login",
    "/language/<code>",
    "/static/<path:filename>",
    "/calendar/<slug>.ics",
    "/why/<int:entry>",
    "/doors/<door>/order",
}
"""Pages that take something in their path: the tests of each try who may open it."""


def was_let_in(path: str, answer: Any) -> bool:
    """Whether the page was served; being sent to log in, or home, is being turned away."""
    if answer.status_code in (401, 403):
        return False
    location = answer.headers.get("Location", "")
    if location.startswith("/login"):
        return "Clear-Site-Data" in answer.headers
    return not (path == "/" and location == "/me")


@pytest.mark.parametrize("role", ROLES)
def test_each_role_opens_its_pages_and_no_others(
    role: str, browser_of: Callable[[str | None], Any]
) -> None:
    browser = browser_of(ROLES[role])
    for path, who in WANTED.items():
        answer = browser.get(path)
        assert was_let_in(path, answer) == (role in MAY[who]), f"{role} {path}"
        answer.close()


@pytest.mark.parametrize("role", ROLES)
def test_each_role_sends_its_forms_and_no_others(
    role: str, browser_of: Callable[[str | None], Any]
) -> None:
    browser = browser_of(ROLES[role])
    for path, who in POSTS.items():
        answer = browser.post(path)
        assert was_let_in(path, answer) == (role in MAY[who]), f"{role} {path}"


def test_every_page_is_in_the_table_and_the_table_names_no_other(app: Flask) -> None:
    assert {rule.endpoint for rule in app.url_map.iter_rules()} == set(ROUTES) | set(ADMISSIONS)


def test_every_page_is_tried_here(app: Flask) -> None:
    """Those of the API are tried in `test_api_rights`."""
    tried = {*WANTED, *POSTS, *ELSEWHERE}
    rules = {rule.rule for rule in app.url_map.iter_rules() if rule.endpoint not in ADMISSIONS}
    assert rules <= tried


def test_a_page_that_the_table_does_not_name_is_refused(app: Flask) -> None:
    app.add_url_rule("/forgotten", "forgotten", lambda: "secret")
    assert app.test_client().get("/forgotten").status_code == 403


def test_somebody_who_is_not_logged_in_is_sent_to_log_in_and_back(
    browser_of: Callable[[str | None], Any],
) -> None:
    browser = browser_of(None)
    answer = browser.get("/watch?site=malakoff")
    assert answer.headers["Location"] == "/login?next=%2Fwatch%3Fsite%3Dmalakoff"
    page = browser.text(answer.headers["Location"])
    assert 'name="next" value="/watch?site=malakoff"' in page


def test_a_guardian_sees_only_their_own_sites(browser_of: Callable[[str | None], Any]) -> None:
    assert browser_of("claire").get("/?site=annexe").status_code == 302
    assert browser_of("claire").get("/watch?site=annexe").status_code == 403
    assert browser_of("claire").get("/api/v1/doors?site=annexe").status_code == 403
    assert "annexe" in browser_of("salome").text("/?site=annexe")


def test_a_site_that_does_not_exist_is_not_found(browser_of: Callable[[str | None], Any]) -> None:
    assert browser_of("salome").get("/?site=nowhere").status_code == 404
    assert browser_of(None).get("/kiosk?site=nowhere").status_code == 404
