"""Nobody sees or does through the API what their role or their token does not allow: all of it."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from access.ids import MemberId, SiteId
from access.model import Status
from dashboards.api import OPERATIONS
from dashboards.api_operations import Operation
from dashboards.guard import ROUTES, STREAMS, Who
from server import ledger, registry
from server.api_tokens import OF_MEMBERS, Scope

MakeProgram = Callable[..., Any]

ROLES: Final = {
    "member": "noor",
    "guardian": "bruno",
    "on watch": "claire",
    "staff": "salome",
}
MAY: Final = {
    Who.ANYONE: {*ROLES, "nobody"},
    Who.HALL: {"guardian", "on watch", "staff", "nobody"},
    Who.MEMBER: {*ROLES, "nobody"},
    Who.KEEPER: {"guardian", "on watch", "staff", "nobody"},
    Who.IN_CHARGE: {"on watch", "staff"},
    Who.STAFF: {"staff"},
}
"""Which roles a token may act in; `nobody` is a token that acts for no member."""

WANTED: Final = {
    "openapi": (Who.ANYONE, None),
    "version": (Who.ANYONE, None),
    "sites": (Who.MEMBER, None),
    "occupancy": (Who.HALL, "occupancy:read"),
    "history": (Who.KEEPER, "history:read"),
    "doors": (Who.KEEPER, "doors:read"),
    "order": (Who.IN_CHARGE, "doors:write"),
    "order_all": (Who.IN_CHARGE, "doors:write"),
    "watch": (Who.KEEPER, "watch:read"),
    "offer": (Who.KEEPER, "watch:write"),
    "take": (Who.KEEPER, "watch:write"),
    "close": (Who.IN_CHARGE, "watch:write"),
    "sign": (Who.IN_CHARGE, "watch:write"),
    "guests": (Who.IN_CHARGE, "watch:write"),
    "recount": (Who.IN_CHARGE, "watch:write"),
    "roll_call": (Who.IN_CHARGE, "people:read"),
    "looks": (Who.STAFF, "people:read"),
    "events": (Who.KEEPER, "events:read"),
    "alerts": (Who.KEEPER, "events:read"),
    "take_alert": (Who.IN_CHARGE, "watch:write"),
    "why": (Who.KEEPER, "people:read"),
    "me": (Who.MEMBER, "me:read"),
    "visits": (Who.MEMBER, "me:read"),
    "hours": (Who.MEMBER, "me:read"),
    "spend": (Who.MEMBER, "me:write"),
    "data": (Who.MEMBER, "me:read"),
    "make_calendar": (Who.MEMBER, "me:write"),
    "forget_calendar": (Who.MEMBER, "me:write"),
}
"""Who may call each operation, and what a token must be for: written a second time, on purpose."""

ELSEWHERE: Final = {"HTTP_X_FORWARDED_FOR": "192.0.2.7"}
"""From outside the hall, where the network lets nobody in."""

ENDS: Final = {"take", "close", "sign"}
"""What changes who may do what comes after: `test_api` tries who may, here only who may not."""

TOKENS: Final = [
    (role, scope)
    for role in ("nobody", *ROLES)
    for scope in (None, *Scope)
    if role != "nobody" or scope not in OF_MEMBERS
]
"""Each role with each scope alone, and with all that it can have (None)."""


def path_of(one: Operation) -> str:
    return (
        one.path.replace("{door}", "main")
        .replace("{entry}", "999999")
        .replace("{number}", "999999")
    )


def call(program: Any, one: Operation) -> tuple[int, str]:
    """Call an operation from outside; what it is not given makes it fail after it was let in."""
    answer = program.ask(one.method, path_of(one), environ_overrides=ELSEWHERE, json={})
    kind = answer.json["type"].rpartition(":")[2] if "problem" in answer.mimetype else ""
    return answer.status_code, kind


def test_the_table_is_what_is_wanted() -> None:
    found = {one.name: (one.who, one.scope and one.scope.value) for one in OPERATIONS}
    assert found == WANTED


@pytest.mark.parametrize(("role", "scope"), TOKENS, ids=str)
def test_each_operation_takes_the_role_and_the_scope_and_no_others(
    program_of: MakeProgram, role: str, scope: Scope | None
) -> None:
    program = program_of(ROLES.get(role), *([] if scope is None else [scope]))
    for one in OPERATIONS:
        if one.name in ENDS and role in MAY[one.who]:
            continue
        status, kind = call(program, one)
        who, wanted = WANTED[one.name]
        has_scope = wanted is None or (
            wanted == scope.value
            if scope is not None
            else role != "nobody" or Scope(wanted) not in OF_MEMBERS
        )
        if not has_scope:
            assert (status, kind) == (403, "insufficient-scope"), one.name
        elif role not in MAY[who]:
            assert (status, kind) == (403, "not-allowed"), one.name
        else:
            assert status not in (401, 403), (one.name, status, kind)


@pytest.mark.parametrize("role", ["nobody", *ROLES])
def test_each_role_that_is_logged_in_has_what_it_has_on_the_pages(
    browser_of: Callable[[str | None], Any], role: str
) -> None:
    browser = browser_of(ROLES.get(role))
    token = browser.token()
    for one in OPERATIONS:
        who, _ = WANTED[one.name]
        may = who is Who.ANYONE or (role != "nobody" and role in MAY[who])
        if one.name in ENDS and may:
            continue
        answer = browser.client.open(
            path_of(one),
            method=one.method,
            json={},
            headers={"X-CSRFToken": token},
            environ_overrides=ELSEWHERE,
        )
        assert (answer.status_code not in (401, 403)) is may, (one.name, answer.status_code)
        if role == "nobody" and not may:
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="gardien"'


@pytest.mark.parametrize("role", ["nobody", *ROLES])
def test_a_token_opens_no_page(program_of: MakeProgram, role: str, app: Any) -> None:
    program = program_of(ROLES.get(role))
    for rule in app.url_map.iter_rules():
        who = ROUTES.get(rule.endpoint)
        if who in (None, Who.ANYONE, Who.OPERATOR) or rule.endpoint in STREAMS:
            continue
        path = rule.rule.replace("<slug>", "malakoff").replace("<int:entry>", "1")
        for method in sorted(rule.methods & {"GET", "POST"}):
            answer = program.ask(method, path, environ_overrides=ELSEWHERE)
            location = answer.headers.get("Location", "")
            is_out = answer.status_code in (400, 401, 404) or location.startswith("/login")
            assert is_out, (method, path, answer.status_code, location)


@pytest.mark.parametrize(
    ("path", "scope"), [("/live", Scope.EVENTS_READ), ("/live/numbers", Scope.OCCUPANCY_READ)]
)
def test_a_stream_is_open_to_a_token_with_its_scope(
    program_of: MakeProgram, path: str, scope: Scope
) -> None:
    for role in ("nobody", *ROLES):
        others = {one for one in Scope if one is not scope}
        if role == "nobody":
            others -= OF_MEMBERS
        without = program_of(ROLES.get(role), *others).get(path, environ_overrides=ELSEWHERE)
        assert without.status_code == 403, role
        assert f'scope="{scope.value}"' in without.headers["WWW-Authenticate"]
        answer = program_of(ROLES.get(role), scope).get(
            path, environ_overrides=ELSEWHERE, buffered=False
        )
        assert (answer.status_code == 200) is (role != "member"), role
        if role != "member":
            assert next(iter(answer.response)) == b"retry: 2000\n\n"
        answer.close()


def test_a_stream_by_token_tells_that_something_has_changed(
    program_of: MakeProgram,
) -> None:
    answer = program_of(None, Scope.EVENTS_READ).get("/live", buffered=False)
    pieces = iter(answer.response)
    assert next(pieces) == b"retry: 2000\n\n"
    mark = next(pieces)
    assert mark.startswith(b"data: ")
    program_of("claire", Scope.WATCH_WRITE).post("/api/v1/watch/guests", json={"change": 1})
    assert next(pieces) not in (mark, b"")
    answer.close()


def test_a_token_of_one_site_is_nothing_at_another(program_of: MakeProgram) -> None:
    for program in (
        program_of(None, site=SiteId("annexe")),
        program_of("salome", site=SiteId("annexe")),
    ):
        assert program.get("/api/v1/doors").json["doors"][0]["id"] == "annexe-main"
        assert [one["id"] for one in program.get("/api/v1/sites").json["sites"]] == ["annexe"]
        assert program.get("/api/v1/doors?site=malakoff").status_code == 403
        assert program.get("/api/v1/occupancy?site=malakoff").status_code == 403
        assert program.get("/live/numbers?site=malakoff").status_code == 403
    assert program_of("claire").get("/api/v1/doors?site=annexe").status_code == 403
    both = program_of(None).get("/api/v1/sites").json["sites"]
    assert [one["id"] for one in both] == ["malakoff", "annexe"]


def test_a_member_who_is_suspended_keeps_only_what_is_their_own(
    place: Any, program_of: MakeProgram
) -> None:
    program = program_of("salome")
    with place.installation.database.writing() as connection:
        registry.change_status(connection, MemberId("salome"), Status.SUSPENDED)
    for one in OPERATIONS:
        status, _ = call(program, one)
        if one.who in (Who.ANYONE, Who.MEMBER):
            assert status not in (401, 403), one.name
        else:
            assert status == 403, one.name


def test_a_guardian_whose_watch_is_over_has_no_more_than_the_others(
    program_of: MakeProgram,
) -> None:
    claire = program_of("claire")
    assert claire.post("/api/v1/watch/offer", json={"to": "bruno"}).status_code in (200, 409)
    assert program_of("bruno").post("/api/v1/watch/take").status_code == 200
    for path, body in (("guests", {"change": 1}), ("recount", {"people": 1}), ("close", {})):
        assert claire.post(f"/api/v1/watch/{path}", json=body).status_code == 403
    assert claire.get("/api/v1/roll-call?reason=fire").status_code == 403
    answer = claire.post("/api/v1/doors/main/orders", json={"do": "unlock"})
    assert answer.status_code == 403


def test_what_a_token_does_is_recorded_in_the_name_of_its_member(
    place: Any, program_of: MakeProgram
) -> None:
    program_of("salome").post("/api/v1/watch/guests", json={"change": 1})
    with place.installation.database.reading() as connection:
        (newest,) = ledger.latest(connection, SiteId("malakoff"), 1, ["gardien.guests.changed"])
    assert newest.member == "salome"


def test_an_order_by_a_cookie_wants_the_forms_token(
    place: Any, browser_of: Callable[[str | None], Any]
) -> None:
    browser = browser_of("salome")
    before = place.installation.gatehouse.look(SiteId("malakoff")).presence.guests
    for headers in ({}, {"X-CSRFToken": "made-up"}):
        for one in OPERATIONS:
            if one.method == "GET":
                continue
            answer = browser.client.open(
                path_of(one), method=one.method, json={"change": 1}, headers=headers
            )
            assert answer.status_code == 400, one.name
            assert answer.json["type"] == "urn:gardien:problem:form", one.name
    assert place.installation.gatehouse.look(SiteId("malakoff")).presence.guests == before
    good = {"X-CSRFToken": browser.token()}
    answer = browser.client.post("/api/v1/watch/guests", json={"change": 1}, headers=good)
    assert answer.status_code == 200


def test_a_token_that_does_not_count_is_not_made_good_by_a_cookie(
    browser_of: Callable[[str | None], Any],
) -> None:
    headers = {"Authorization": "Bearer gardien_" + "x" * 43}
    browser = browser_of("salome")
    assert browser.client.get("/api/v1/doors", headers=headers).status_code == 401
    answer = browser.client.post("/api/v1/watch/guests", json={"change": 1}, headers=headers)
    assert answer.status_code == 401
