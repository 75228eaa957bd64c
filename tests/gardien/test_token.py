"""Tokens of the API, as whoever runs the place makes and ends them."""

import json

import pytest

from tests.gardien.conftest import CommandLine


def tokens(house: CommandLine, *options: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(house.done("token", "list", "--json", *options))
    return found


def test_a_token_is_shown_once_and_alone_on_standard_output(house: CommandLine) -> None:
    done = house("token", "create", "hall screen", "--scope", "occupancy:read")
    assert done.status == 0
    secret = done.out.strip()
    assert secret.startswith("gardien_")
    assert len(secret) == len("gardien_") + 43
    assert secret not in done.err
    assert secret not in house.done("token", "list")
    assert secret not in house.done("token", "list", "--json")
    assert secret.encode() not in (house.data / "gardien.db").read_bytes()


def test_a_token_says_what_for_for_whom_and_until_when(house: CommandLine) -> None:
    scopes = ("--scope", "watch:write", "--scope", "watch:read")
    house.done(
        "token", "create", "counter", *scopes, "--member", "sonia@example.org",
        "--site", "malakoff", "--expires", "90d",
    )  # fmt: skip
    (one,) = tokens(house, "--member", "sonia")
    assert one["scopes"] == ["watch:read", "watch:write"]
    assert (one["name"], one["member"], one["site"]) == ("counter", "sonia", "malakoff")
    assert str(one["created"]).startswith("2026-11-24T18:1")
    assert str(one["expires"]).startswith("2027-02-22T18:1")
    assert one["last_used"] is None
    assert tokens(house, "--member", "nora") == []


def test_a_token_is_over_after_a_year_unless_it_is_said_otherwise(house: CommandLine) -> None:
    house.done("token", "create", "one", "--scope", "doors:read")
    house.done("token", "create", "two", "--scope", "doors:read", "--expires", "never")
    ends = {one["name"]: one["expires"] for one in tokens(house)}
    assert str(ends["one"]).startswith("2027-11-24T18:1")
    assert ends["two"] is None


def test_a_revoked_token_leaves_the_list(house: CommandLine) -> None:
    house.done("token", "create", "one", "--scope", "doors:read")
    (one,) = tokens(house)
    assert house.done("token", "revoke", str(one["id"])) == f"{one['id']} (one) is revoked\n"
    assert tokens(house) == []
    assert "revoked 2026-11-24 19:1" in house.done("token", "list", "--all")
    assert house.done("token", "revoke", str(one["id"])).endswith("is revoked\n")
    assert "gardien token create" in house.done("token", "list")


@pytest.mark.parametrize("scope", ["people:read", "watch:write", "doors:write", "me:read"])
def test_somebody_must_answer_for_what_touches_people_or_doors(
    house: CommandLine, scope: str
) -> None:
    done = house("token", "create", "nobody's", "--scope", scope)
    assert done.status == 2
    assert "--member" in done.err
    assert tokens(house) == []


@pytest.mark.parametrize(
    ("args", "status"),
    [
        (("x", "--scope", "everything"), 2),
        (("x",), 2),
        (("x", "--scope", "doors:read", "--expires", "soon"), 2),
        (("x", "--scope", "doors:read", "--expires", "0 d"), 1),
        ((" ", "--scope", "doors:read"), 1),
        (("x", "--scope", "doors:read", "--site", "elsewhere"), 1),
        (("x", "--scope", "doors:read", "--member", "nobody"), 1),
    ],
)
def test_what_can_not_be_a_token_is_refused_in_one_line(
    house: CommandLine, args: tuple[str, ...], status: int
) -> None:
    done = house("token", "create", *args)
    assert (done.status, done.out) == (status, "")
    assert done.err.count("\n") == 1
    assert tokens(house) == []


def test_a_token_that_there_is_not_can_not_be_revoked(house: CommandLine) -> None:
    done = house("token", "revoke", "nothing")
    assert done.status == 1
    assert "gardien token list" in done.err


def test_an_erased_member_takes_their_tokens_with_them(house: CommandLine) -> None:
    house.done("token", "create", "mine", "--scope", "me:read", "--member", "nora")
    held = json.loads(house.done("member", "export", "nora"))
    assert [one["name"] for one in held["api_tokens"]] == ["mine"]
    house.done("member", "erase", "--yes", "nora")
    assert tokens(house, "--all") == []
