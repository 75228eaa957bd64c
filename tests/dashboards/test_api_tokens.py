"""The life of a token: from its making until it counts no more, and what is told of it."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from access.ids import MemberId
from access.model import Status
from server import api_tokens, registry
from server.api_tokens import KEPT, ApiTokenError, Scope

MakeProgram = Callable[..., Any]
DOORS = "/api/v1/doors"


def state_of(place: Any) -> api_tokens.ApiToken:
    with place.installation.database.reading() as connection:
        (found,) = api_tokens.list_tokens(connection)
    return found


def test_a_token_counts_from_its_making_until_its_end(place: Any, program_of: MakeProgram) -> None:
    program = program_of(None, expires=place.clock.now() + timedelta(days=1))
    assert program.get(DOORS).status_code == 200
    place.clock.leap_to(place.clock.now() + timedelta(days=1))
    answer = program.get(DOORS)
    assert (answer.status_code, answer.json["type"]) == (401, "urn:gardien:problem:invalid-token")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="gardien", error="invalid_token"'


def test_a_token_without_an_end_counts_for_years(place: Any, program_of: MakeProgram) -> None:
    program = program_of(None)
    place.clock.leap_to(place.clock.now() + timedelta(days=4000))
    assert program.get(DOORS).status_code == 200


def test_a_revoked_token_is_out_at_once(place: Any, program_of: MakeProgram) -> None:
    program = program_of(None)
    assert program.get(DOORS).status_code == 200
    with place.installation.database.writing() as connection:
        api_tokens.revoke(connection, state_of(place).id, place.clock.now())
    assert program.get(DOORS).status_code == 401
    assert program.get("/live").status_code == 401


def test_a_token_is_out_when_its_member_leaves(place: Any, program_of: MakeProgram) -> None:
    program = program_of("salome")
    with place.installation.database.writing() as connection:
        registry.change_status(connection, MemberId("salome"), Status.ENDED)
    assert program.get("/api/v1/me").status_code == 401


@pytest.mark.parametrize(
    ("given", "status", "error"),
    [
        ("Bearer gardien_" + "A" * 43, 401, "invalid_token"),
        ("Bearer gardien_", 401, "invalid_token"),
        ("Bearer something else", 401, "invalid_token"),
        ("bearer \u00e9", 401, "invalid_token"),
        ("Bearer ", 400, "invalid_request"),
        ("Bearer", 400, "invalid_request"),
        ("Basic c2Fsb21lOng=", 401, None),
        ("", 401, None),
    ],
)
def test_what_is_no_token_is_refused_as_rfc_6750_says(
    program_of: MakeProgram, given: str, status: int, error: str | None
) -> None:
    program = program_of(None)
    program.token = None
    answer = program.get(DOORS, headers={"Authorization": given})
    assert answer.status_code == status
    told = answer.headers["WWW-Authenticate"]
    assert told.startswith('Bearer realm="gardien"')
    assert ("error" in told) is (error is not None)
    assert error is None or f'error="{error}"' in told


def test_a_token_in_the_address_is_nothing(program_of: MakeProgram) -> None:
    program = program_of(None)
    token, program.token = program.token, None
    assert program.get(f"{DOORS}?access_token={token}").status_code == 401


def test_wrong_tokens_can_be_tried_a_few_times_only_and_right_ones_still_count(
    program_of: MakeProgram,
) -> None:
    right, wrong = program_of(None), program_of(None)
    wrong.token = "gardien_" + "B" * 43
    answers = [wrong.get(DOORS if n % 2 else "/live").status_code for n in range(23)]
    assert answers == [401] * 20 + [429] * 3
    refused = wrong.get(DOORS)
    assert refused.json["type"] == "urn:gardien:problem:too-many"
    assert right.get(DOORS).status_code == 200


def test_the_last_use_is_noted_now_and_then(place: Any, program_of: MakeProgram) -> None:
    program = program_of(None)
    assert state_of(place).last_used is None
    program.get(DOORS)
    first = state_of(place).last_used
    assert first is not None
    program.get(DOORS)
    assert state_of(place).last_used == first
    place.clock.leap_to(place.clock.now() + timedelta(minutes=6))
    program.get(DOORS)
    used = state_of(place).last_used
    assert used is not None
    assert used > first


def test_neither_the_database_nor_the_log_holds_a_token(
    place: Any, program_of: MakeProgram, caplog: pytest.LogCaptureFixture
) -> None:
    program, wrong = program_of("salome"), program_of(None)
    wrong.token = "gardien_" + "C" * 43
    with caplog.at_level(logging.DEBUG):
        for one in (program, wrong):
            one.get(DOORS)
            one.get("/api/v1/nothing")
            one.post("/api/v1/watch/guests", json={"change": 0})
    assert caplog.text
    for secret in (program.token, wrong.token):
        assert secret not in caplog.text
    with place.installation.database.reading() as connection:
        held = str(connection.execute(text("SELECT * FROM api_token")).all())
    assert "a program" in held
    assert program.token not in held
    assert program.token not in repr(state_of_all(place))


def state_of_all(place: Any) -> list[api_tokens.ApiToken]:
    with place.installation.database.reading() as connection:
        return api_tokens.list_tokens(connection)


def test_tokens_that_have_long_been_over_are_forgotten(place: Any, program_of: MakeProgram) -> None:
    program_of(None, expires=place.clock.now() + timedelta(days=1))
    place.clock.leap_to(place.clock.now() + KEPT)
    program_of(None)
    assert [one.expires is None for one in state_of_all(place)] == [False, True]
    place.clock.leap_to(place.clock.now() + timedelta(days=1))
    program_of(None)
    assert [one.expires is None for one in state_of_all(place)] == [True, True]


@pytest.mark.parametrize("scope", sorted(api_tokens.OF_MEMBERS, key=str), ids=str)
def test_nobody_can_make_a_token_for_which_nobody_answers(place: Any, scope: Scope) -> None:
    with (
        pytest.raises(ApiTokenError, match="answer for"),
        place.installation.database.writing() as connection,
    ):
        api_tokens.make(connection, name="x", scopes=[scope], now=place.clock.now())
    assert state_of_all(place) == []


def test_a_token_for_a_member_is_of_their_sites(program_of: MakeProgram) -> None:
    with pytest.raises(ApiTokenError, match="does not belong"):
        program_of("noor", site="annexe")
