"""What programs read and do, and that it is what the description says."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from access.ids import MemberId, SiteId
from access.messages import OccupancyReport, decode
from dashboards.api import OPERATIONS
from dashboards.api_operations import Operation
from dashboards.api_place import DoorsAnswer
from dashboards.api_problems import KINDS
from dashboards.api_watch import WatchAnswer
from server import alerts_list, api_requests, ledger, time_bank
from server.api_tokens import Scope
from server.events import GuestsChanged
from server.looks import list_looks

MakeBrowser = Callable[[str | None], Any]
MakeProgram = Callable[..., Any]
SITE = SiteId("malakoff")

QUERIES = {
    "roll_call": "reason=fire+drill",
    "looks": "reason=asked",
    "history": "step_min=60",
    "events": "limit=200",
}
BODIES: dict[str, Any] = {
    "order": {"do": "unlock"},
    "order_all": {"do": "lockdown"},
    "offer": {"to": "bruno"},
    "guests": {"change": 2},
    "recount": {"people": 21},
    "spend": {"minutes": 60, "month": "2026-11"},
}


def path_of(one: Operation, place: Any) -> str:
    """Give where an operation is, with something that is there in each part of its path."""
    path = one.path.replace("{door}", "main")
    if "{number}" in path:
        path = path.replace("{number}", str(alert_of(place)))
    if "{entry}" in path:
        path = path.replace("{entry}", str(refusal_of(place)))
    return path + (f"?{QUERIES[one.name]}" if one.name in QUERIES else "")


def refusal_of(place: Any) -> int:
    with place.installation.database.reading() as connection:
        entries = ledger.latest(connection, SITE, 200, ["gardien.access.decided"])
    return next(one.id for one in entries if not one.record["data"]["answer"]["granted"])


def alert_of(place: Any) -> int:
    with place.installation.database.reading() as connection:
        return alerts_list.listed(connection, SITE)[0].alert.number


def looks(place: Any) -> list[tuple[str, str]]:
    with place.installation.database.reading() as connection:
        return [(one.member, f"{one.what}: {one.reason}") for one in list_looks(connection, SITE)]


def guests(place: Any) -> int:
    found: int = place.installation.gatehouse.look(SITE).presence.guests
    return found


def test_the_numbers_are_those_of_the_contract(browser_of: MakeBrowser) -> None:
    report = decode(browser_of(None).get("/api/v1/occupancy").data, OccupancyReport)
    numbers = (report.present, report.margin, report.members, report.guests, report.capacity)
    assert numbers == (22, 1, 19, 4, 40)
    assert report.open == "watch"


def test_the_watch_and_the_doors_are_for_keepers(browser_of: MakeBrowser) -> None:
    watch = msgspec.json.decode(browser_of("bruno").get("/api/v1/watch").data, type=WatchAnswer)
    assert watch.watch is not None
    assert watch.watch.guardian == "Claire Dubois"
    assert watch.watch.offered_to_id == "bruno"
    doors = msgspec.json.decode(browser_of("bruno").get("/api/v1/doors").data, type=DoorsAnswer)
    assert [(door.id, door.contact) for door in doors.doors] == [
        ("main", "online"),
        ("fablab", "offline"),
    ]


def test_the_description_is_openapi_and_has_each_operation(browser_of: MakeBrowser) -> None:
    described = json.loads(browser_of(None).get("/api/v1/openapi.json").text)
    OpenAPIV31SpecValidator(described).validate()
    told = {
        (method.upper(), path, operation["operationId"])
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }
    assert told == {(one.method, one.path, one.name) for one in OPERATIONS}


def test_every_route_below_the_api_is_described(app: Any) -> None:
    routed = {
        (method, rule.endpoint)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert routed == {(one.method, one.endpoint) for one in OPERATIONS}


@pytest.mark.parametrize("who", [None, "noor", "bruno", "claire", "salome"])
def test_each_answer_is_of_the_form_that_the_description_tells(
    place: Any, program_of: MakeProgram, who: str | None
) -> None:
    program = program_of(who)
    described = json.loads(program.get("/api/v1/openapi.json").text)
    for one in OPERATIONS:
        answer = program.ask(one.method, path_of(one, place), json=BODIES.get(one.name))
        told = described["paths"][one.path][one.method.lower()]["responses"]
        assert str(answer.status_code) in told, (one.name, answer.text)
        content = told[str(answer.status_code)].get("content")
        if content is None:
            assert answer.data == b"", one.name
            continue
        (mimetype, wanted), *_ = content.items()
        assert answer.mimetype == mimetype, one.name
        schema = wanted["schema"] | {"components": described["components"]}
        Draft202012Validator(schema).validate(json.loads(answer.text))
        assert answer.headers["Cache-Control"] == "no-store", one.name


def test_the_staff_can_do_all_that_the_description_tells(
    place: Any, program_of: MakeProgram
) -> None:
    program = program_of("salome")
    for one in OPERATIONS:
        answer = program.ask(one.method, path_of(one, place), json=BODIES.get(one.name))
        # Of another's watch, and of hours that only nomads have, the rules say no.
        wanted = {"offer": 403, "take": 403, "spend": 409}.get(one.name, one.status)
        assert answer.status_code == wanted, (one.name, answer.text)


def test_whoever_may_not_see_people_is_told_no_name_and_no_id(program_of: MakeProgram) -> None:
    nameless = program_of("salome", Scope.WATCH_READ, Scope.EVENTS_READ)
    told = nameless.get("/api/v1/watch").text + nameless.get("/api/v1/events?limit=200").text
    assert "Mardi de l'Atelier" in told
    for word in ("Claire", "claire", "Bruno", "bruno", "Noor", "noor", "Zoé", "suspended"):
        assert word not in told.replace("member_suspended", ""), word
    named = program_of("salome", Scope.WATCH_READ, Scope.EVENTS_READ, Scope.PEOPLE_READ)
    told = named.get("/api/v1/watch").text + named.get("/api/v1/events?limit=200").text
    for word in ("Claire Dubois", "bruno", "Zoé Faure"):
        assert word in told, word


def test_events_are_followed_from_a_cursor_without_a_gap(
    place: Any, program_of: MakeProgram
) -> None:
    program = program_of(None, Scope.EVENTS_READ)
    whole = program.get("/api/v1/events?after=0&limit=200").json
    assert not whole["more"]
    ids = [one["id"] for one in whole["events"]]
    assert ids == sorted(set(ids))
    found: list[int] = []
    after, more = 0, True
    while more:
        part = program.get(f"/api/v1/events?after={after}&limit=7").json
        found += [one["id"] for one in part["events"]]
        after, more = part["next"], part["more"]
    assert found == ids
    newest = program.get("/api/v1/events?limit=5").json
    assert [one["id"] for one in newest["events"]] == ids[-5:]
    assert program.get(f"/api/v1/events?after={newest['next']}").json["events"] == []
    place.handle(GuestsChanged(by=MemberId("claire"), change=1))
    (new,) = program.get(f"/api/v1/events?after={newest['next']}").json["events"]
    assert (new["kind"], new["amount"]) == ("guests.changed", 1)


def test_events_of_long_ago_are_not_told(place: Any, program_of: MakeProgram) -> None:
    program = program_of(None, Scope.EVENTS_READ)
    place.clock.leap_to(place.clock.now() + timedelta(days=3))
    for query in ("", "?after=0"):
        assert program.get(f"/api/v1/events{query}").json["events"] == []


def test_an_event_says_what_happened_in_the_callers_language(program_of: MakeProgram) -> None:
    program = program_of(None, Scope.EVENTS_READ)
    for language, words in (("en-GB,en;q=0.9", "opened the watch"), ("fr", "ouvre la permanence")):
        headers = {"Accept-Language": language}
        told = program.get("/api/v1/events?limit=200", headers=headers).json["events"]
        assert words in {one["text"] for one in told}


def test_the_roll_call_wants_a_reason_and_records_it(place: Any, program_of: MakeProgram) -> None:
    program = program_of("claire", Scope.PEOPLE_READ)
    for query in ("", "?reason=", "?reason=%20%20%20"):
        assert program.get(f"/api/v1/roll-call{query}").status_code == 400
    assert looks(place) == []
    told = program.get("/api/v1/roll-call?reason=fire+drill%0Ain+the+hall").json
    assert looks(place) == [("claire", "roll-call: fire drill in the hall")]
    assert {"bruno", "noor"} <= {one["id"] for one in told["people"]}
    assert len(told["people"]) == told["occupancy"]["members"]


def test_a_look_at_anothers_refusal_is_recorded(place: Any, program_of: MakeProgram) -> None:
    refusal = refusal_of(place)
    program_of("bruno", Scope.PEOPLE_READ).get(f"/api/v1/why/{refusal}")
    assert looks(place) == [("bruno", f"why/{refusal}: refusal")]


def test_the_history_is_given_whole_or_in_steps(program_of: MakeProgram) -> None:
    program = program_of(None, Scope.HISTORY_READ)
    whole = program.get("/api/v1/occupancy/history").json
    assert whole["start"] == "2026-11-23T23:00:00Z"
    assert whole["samples"][-1]["present"] == 22
    assert whole["stand_in"] is False
    hourly = program.get("/api/v1/occupancy/history?step_min=60").json
    assert 5 < len(hourly["samples"]) < 24
    span = "start=2026-11-24T08:00:00Z&end=2026-11-24T10:00:00%2B01:00"
    assert program.get(f"/api/v1/occupancy/history?{span}&step_min=30").json["samples"]


@pytest.mark.parametrize(
    "query",
    [
        "start=2026-11-24T08:00:00Z&end=2026-11-24T08:00:00Z",
        "start=2026-11-24T08:00:00",
        "start=yesterday",
        "start=2026-10-01T00:00:00Z",
        "start=2024-10-01T00:00:00Z&step_min=1440",
        "step_min=0",
    ],
)
def test_a_history_that_makes_no_sense_is_refused(program_of: MakeProgram, query: str) -> None:
    answer = program_of(None, Scope.HISTORY_READ).get(f"/api/v1/occupancy/history?{query}")
    assert answer.status_code == 400, answer.text


def test_the_guardian_on_watch_counts_offers_and_closes(
    place: Any, program_of: MakeProgram
) -> None:
    claire, bruno = program_of("claire"), program_of("bruno")
    told = claire.post("/api/v1/watch/guests", json={"change": 3}).json
    assert told["occupancy"]["guests"] == guests(place) == 7
    told = claire.post("/api/v1/watch/recount", json={"people": 20}).json["occupancy"]
    assert (told["present"], told["margin"]) == (20, 0)
    assert claire.post("/api/v1/watch/offer", json={"to": "bruno"}).json["watch"]["is_offered"]
    assert bruno.post("/api/v1/watch/take").json["watch"]["guardian_id"] == "bruno"
    assert bruno.post("/api/v1/watch/close").json["watch"]["phase"] == "closing"
    assert bruno.post("/api/v1/watch/sign").json["watch"] is None


def test_what_the_desk_refuses_is_told_in_words(program_of: MakeProgram) -> None:
    claire = program_of("claire")
    answer = claire.post("/api/v1/watch/guests", json={"change": -9})
    assert answer.status_code == 409
    assert answer.json["type"] == "urn:gardien:problem:refused"
    assert answer.json["detail"] == "Il n'y a pas autant d'invités à l'intérieur."
    english = {"Accept-Language": "en"}
    answer = claire.post("/api/v1/watch/sign", headers=english)
    assert answer.json["detail"] == "close the watch first, then sign the roll-call"
    answer = claire.post("/api/v1/watch/take", headers=english)
    assert (answer.status_code, answer.json["title"]) == (403, "You may not do that")


@pytest.mark.parametrize("do", ["unlock", "lockdown"])
def test_an_order_to_a_door_goes_to_the_desk(place: Any, program_of: MakeProgram, do: str) -> None:
    program = program_of("salome", Scope.DOORS_WRITE)
    answer = program.post("/api/v1/doors/main/orders", json={"do": do})
    (sent,) = answer.json["orders"]
    assert (answer.status_code, sent["door"], sent["do"]) == (202, "main", do)
    assert sent["expires"] > sent["at"]
    waiting = place.installation.gatehouse.orders(SITE)
    assert [one.id for one in waiting] == [sent["id"]]
    door = program_of("salome").get("/api/v1/doors").json["doors"][0]
    assert (door["order"]["id"], door["order"]["outcome"]) == (sent["id"], None)
    assert door["locked_down"] is (do == "lockdown")
    with place.installation.database.reading() as connection:
        newest = ledger.latest(connection, SITE, 5)
    issued = [one for one in newest if one.kind == "gardien.command.issued"]
    assert [(one.record["data"]["do"], one.record["data"]["by"]) for one in issued] == [
        (do, "salome")
    ]


def test_an_order_to_all_doors_is_one_for_each(program_of: MakeProgram) -> None:
    program = program_of("salome", Scope.DOORS_WRITE)
    answer = program.post("/api/v1/doors/orders", json={"do": "lockdown"})
    assert answer.status_code == 202
    assert [one["door"] for one in answer.json["orders"]] == ["main", "fablab"]
    assert program.post("/api/v1/doors/none/orders", json={"do": "unlock"}).status_code == 404
    assert program.post("/api/v1/doors/main/orders", json={"do": "explode"}).status_code == 400


def test_each_member_reads_their_own_and_nobody_elses(program_of: MakeProgram) -> None:
    noor = program_of("noor", Scope.ME_READ)
    assert noor.get("/api/v1/me").json["name"] == "Noor Haddad"
    (first, second) = noor.get("/api/v1/me/visits").json["visits"]
    assert (first["granted"], second["reason"]) == (True, "no_guardian")
    assert noor.get("/api/v1/me/hours?month=2026-11").json["month"] == "2026-11"
    assert noor.get("/api/v1/me/hours?month=2026-13").status_code == 400
    assert noor.get("/api/v1/me/data").json["data"]["email"] == "noor@example.org"
    assert [one["id"] for one in noor.get("/api/v1/sites").json["sites"]] == ["malakoff"]


def test_an_alert_is_taken_in_charge_once(place: Any, program_of: MakeProgram) -> None:
    claire, number = program_of("claire"), alert_of(place)
    first = claire.get("/api/v1/alerts").json["alerts"][0]
    assert (first["number"], first["kind"]) == (number, "alert.door_held")
    assert (first["door"], first["is_open"]) == ("fablab", True)
    taken = claire.post(f"/api/v1/alerts/{number}/take").json
    assert (taken["is_open"], taken["taken_by_id"]) == (False, "claire")
    assert program_of("salome").post(f"/api/v1/alerts/{number}/take").json == taken
    nameless = program_of("salome", Scope.EVENTS_READ).get("/api/v1/alerts").json["alerts"][0]
    assert (nameless["is_open"], nameless["taken_by_id"]) == (False, None)
    assert claire.post("/api/v1/alerts/999999/take").status_code == 404


def test_a_nomad_spends_what_their_watches_earned_once(place: Any, program_of: MakeProgram) -> None:
    bruno, path = program_of("bruno"), "/api/v1/me/hours/spend"
    body = {"minutes": 60, "month": "2026-11"}
    refused = bruno.post(path, json=body, headers={"Accept-Language": "en"})
    assert refused.status_code == 409
    assert refused.json["detail"] == "That is more than what your time bank holds."
    with place.installation.database.writing() as connection:
        time_bank.correct(
            connection,
            site=SITE,
            member=MemberId("bruno"),
            minutes=90,
            reason="a watch",
            by=MemberId("salome"),
            at=place.clock.now(),
        )
    key = {"Idempotency-Key": "1"}
    answers = [bruno.post(path, json=body, headers=key) for _ in range(2)]
    assert [one.status_code for one in answers] == [200, 200]
    told = bruno.get("/api/v1/me/hours").json
    assert [one["minutes"] for one in told["postings"]] == [90, -60]
    assert told["closing"] == 30
    assert bruno.post(path, json=body | {"month": "2026-13"}).status_code == 400


def test_the_calendars_address_is_made_anew_and_ended(program_of: MakeProgram) -> None:
    noor = program_of("noor", Scope.ME_READ, Scope.ME_WRITE)
    urls = [noor.post("/api/v1/me/calendar").json["addresses"][0]["url"] for _ in range(2)]
    paths = [url.removeprefix("http://localhost") for url in urls]
    stranger = noor.client
    assert [stranger.get(path).status_code for path in paths] == [401, 200]
    assert noor.ask("DELETE", "/api/v1/me/calendar").status_code == 204
    assert stranger.get(paths[1]).status_code == 401
    assert noor.get("/api/v1/me").json["calendar_address_since"] is None


def test_guests_are_counted_once_however_often_they_are_sent(
    place: Any, program_of: MakeProgram
) -> None:
    claire, before = program_of("claire"), guests(place)
    key = {"Idempotency-Key": "7f3c"}
    first = claire.post("/api/v1/watch/guests", json={"change": 2}, headers=key)
    again = claire.post("/api/v1/watch/guests", json={"change": 2}, headers=key)
    assert (first.status_code, guests(place)) == (200, before + 2)
    assert (again.status_code, again.data) == (200, first.data)
    assert again.headers["Idempotency-Replayed"] == "true"
    other = claire.post("/api/v1/watch/guests", json={"change": 3}, headers=key)
    assert (other.status_code, guests(place)) == (422, before + 2)
    theirs = program_of("salome").post("/api/v1/watch/guests", json={"change": 1}, headers=key)
    assert (theirs.status_code, guests(place)) == (200, before + 3)


def test_a_request_that_was_refused_may_be_sent_again_with_its_key(
    place: Any, program_of: MakeProgram
) -> None:
    claire, before = program_of("claire"), guests(place)
    key = {"Idempotency-Key": "k"}
    body = {"change": -before - 1}
    refused = claire.post("/api/v1/watch/guests", json=body, headers=key)
    assert refused.status_code == 409
    assert claire.post("/api/v1/watch/guests", json={"change": 1}).status_code == 200
    assert claire.post("/api/v1/watch/guests", json=body, headers=key).status_code == 200
    assert guests(place) == 0


def test_a_key_is_forgotten_after_a_day(place: Any, program_of: MakeProgram) -> None:
    salome = program_of("salome")
    key = {"Idempotency-Key": "k"}
    salome.post("/api/v1/watch/guests", json={"change": 1}, headers=key)
    place.clock.leap_to(place.clock.now() + timedelta(hours=25))
    again = salome.post("/api/v1/watch/guests", json={"change": 1}, headers=key)
    assert again.status_code == 200
    assert "Idempotency-Replayed" not in again.headers


def test_a_request_that_may_have_been_done_is_not_done_again(
    place: Any, program_of: MakeProgram
) -> None:
    claire, before = program_of("claire"), guests(place)
    path = "/api/v1/watch/guests"
    with place.installation.database.writing() as connection:
        api_requests.claim(
            connection,
            who=f"claire {SITE} POST {path}",
            key="k",
            asked=b'{"change":1}',
            now=place.clock.now(),
        )
    answer = claire.post(
        path,
        data=b'{"change":1}',
        content_type="application/json",
        headers={"Idempotency-Key": "k"},
    )
    assert (answer.status_code, answer.json["type"]) == (409, "urn:gardien:problem:in-doubt")
    assert guests(place) == before


@pytest.mark.parametrize("key", ["", "x" * 129, "é"])
def test_what_is_no_key_is_refused(program_of: MakeProgram, key: str) -> None:
    headers = {"Idempotency-Key": key}
    answer = program_of("salome").post("/api/v1/watch/guests", json={"change": 1}, headers=headers)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"data": b"change=1", "content_type": "application/x-www-form-urlencoded"}, 415),
        ({"data": b"{", "content_type": "application/json"}, 400),
        ({"data": b"\xff", "content_type": "application/json"}, 400),
        ({"data": b"[" * 60_000, "content_type": "application/json"}, 400),
        ({"json": {"change": "1"}}, 400),
        ({"json": {"change": 501}}, 400),
        ({"json": {"change": 0}}, 400),
        ({"json": {"change": 1, "by": "salome"}}, 400),
        ({"json": {"change": 1, "x": "y" * 70_000}}, 413),
    ],
)
def test_what_is_not_of_the_right_form_changes_nothing(
    place: Any, program_of: MakeProgram, sent: Any, status: int
) -> None:
    before = guests(place)
    answer = program_of("claire").post("/api/v1/watch/guests", **sent)
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    assert guests(place) == before


def test_a_no_is_a_problem_in_the_callers_language_that_says_what_to_do(
    program_of: MakeProgram,
) -> None:
    program = program_of(None)
    for path, status, kind in (
        ("/api/v1/nothing", 404, "not-found"),
        ("/api/v2/occupancy", 404, "not-found"),
        ("/api/v1/occupancy?site=nowhere", 404, "not-found"),
        ("/api/v1/roll-call?reason=fire", 403, "insufficient-scope"),
        ("/api/v1/events?limit=0", 400, "bad-request"),
    ):
        for language, title in (("en", KINDS[kind].title.source), ("fr", None)):
            answer = program.get(path, headers={"Accept-Language": language})
            assert answer.mimetype == "application/problem+json"
            told = answer.json
            assert (told["status"], answer.status_code) == (status, status)
            assert told["type"] == f"urn:gardien:problem:{kind}"
            assert told["detail"]
            assert (told["title"] == title) is (language == "en")
    answer = program.post("/api/v1/occupancy")
    assert (answer.status_code, answer.json["status"]) == (405, 405)
    assert "GET" in answer.headers["Allow"]


def test_a_site_tells_the_public_only_if_it_says_so(browser_of: MakeBrowser) -> None:
    browser = browser_of(None)
    told = browser.get("/spaceapi.json").json
    assert told["api_compatibility"] == ["15"]
    assert told["space"] == "L'Atelier, Malakoff"
    assert told["state"] == {"open": True}
    assert told["sensors"]["people_now_present"] == [{"value": 22}]
    assert {"logo", "url", "contact", "location"} <= set(told)
    assert browser.get("/spaceapi.json").headers["Access-Control-Allow-Origin"] == "*"
    assert browser.get("/spaceapi.json?site=annexe").status_code == 404


def test_the_program_says_that_it_is_well(browser_of: MakeBrowser) -> None:
    browser = browser_of(None)
    assert browser.text("/healthz") == "ok\n"
    assert browser.get("/readyz").json["ready"]


NASTY = (
    "after=-1",
    "after=99999999999999999999999",
    "limit=1e9",
    "limit=%00",
    "month=9999-12",
    "month=0000-01",
    "month=0001-01",
    "start=0001-01-01T00:00:00%2B23:59",
    "end=9999-12-31T23:59:59-23:59",
    "start=2026-11-24T08:00:00Z&start=x",
    "step_min=1&start=2026-11-24T08:00:00Z&end=9999-12-31T23:59:59Z",
    "reason=%00%00%00",
    "reason=%F0%9F%94%A5%F0%9F%94%A5%F0%9F%94%A5",
    "reason=%FF%FE%FD",
    "site=%00",
    "site=../..",
)
BODY_PARTS: tuple[Any, ...] = (None, True, -1, 2**70, 1.5, "x" * 100, "\0", "é", [], {}, [[]])


def test_nothing_that_is_sent_makes_a_fault(place: Any, program_of: MakeProgram) -> None:
    program = program_of("salome")
    for one in OPERATIONS:
        told = {str(one.status), *map(str, (400, 403, 404, 409, 415, *one.refusals))}
        path = path_of(one, place).partition("?")[0]
        for query in NASTY:
            answer = program.ask(one.method, f"{path}?{query}", json=BODIES.get(one.name))
            assert str(answer.status_code) in told, (one.name, query, answer.text)
        names = one.body.__struct_fields__ if one.body is not None else ()
        for value in BODY_PARTS if names else ():
            for body in (value, {names[0]: value}, BODIES[one.name] | {names[-1]: value}):
                answer = program.ask(one.method, path, json=body)
                assert str(answer.status_code) in told, (one.name, body, answer.text)
    for path in ("why/99999999999999999999999", "why/-1", "doors/%00/orders", "doors//orders"):
        answer = program.get(f"/api/v1/{path}")
        assert answer.status_code in (308, 404, 405), (path, answer.text)
