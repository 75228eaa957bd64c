"""`gardien explain`: each row of the table, on the rows of a real registry and calendar."""

import json
from typing import NamedTuple

import pytest

from access.policy import ROWS
from tests.gardien.conftest import STRANGER, UIDS, CommandLine, open_watch

TUESDAY, THURSDAY = "2026-11-24", "2026-11-26"


class Case(NamedTuple):
    """Who asks where and when, what if, and which row decides."""

    row: str
    reason: str
    who: str
    door: str
    at: str
    what_if: str


CASES = [
    Case("1", "exit", "nora", "main", f"{TUESDAY} 23:30", "--reader out"),
    Case("1", "exit", "stranger", "main", f"{TUESDAY} 23:30", "--reader out --lockdown"),
    Case("2", "unknown_badge", "stranger", "main", f"{TUESDAY} 10:00", ""),
    Case("3", "badge_revoked", "lost", "main", f"{TUESDAY} 10:00", ""),
    Case("5", "member_suspended", "sami", "main", f"{TUESDAY} 10:00", ""),
    Case("5", "membership_ended", "emma", "main", f"{TUESDAY} 10:00", ""),
    Case("6", "lockdown", "nora", "main", f"{TUESDAY} 10:00", "--lockdown"),
    Case("7", "door_not_allowed", "nora", "lab", f"{TUESDAY} 10:00", ""),
    Case("8", "passback", "nora", "main", f"{TUESDAY} 10:00", "--inside hard"),
    Case("8b", "badge_level", "nora", "main", f"{TUESDAY} 19:40", "--watch level"),
    Case("8c", "policy_expired", "nora", "main", f"{TUESDAY} 10:00", "--alone 80h"),
    Case("8c", "policy_expired", "sonia", "main", f"{TUESDAY} 10:00", "--alone 121h"),
    Case("9", "staff", "sonia", "main", f"{TUESDAY} 23:30", ""),
    Case("9", "staff", "sonia", "main", f"{TUESDAY} 10:00", "--alone 80h"),
    Case("9", "staff", "sonia", "main", f"{TUESDAY} 10:00", "--lockdown"),
    Case("10", "site_full", "nora", "main", f"{TUESDAY} 10:00", "--present 60"),
    Case("11", "opening_hours", "nora", "main", f"{TUESDAY} 10:00", ""),
    Case("11", "opening_hours", "nora", "main", f"{TUESDAY} 10:00", "--present 60 --alone 1h"),
    Case("11", "opening_hours", "gaelle", "main", f"{TUESDAY} 10:00", "--present 60"),
    Case("11", "plan_hours", "rene", "main", f"{TUESDAY} 08:00", ""),
    Case("12", "watch", "nora", "main", f"{TUESDAY} 20:00", "--watch"),
    Case("12", "watch", "nora", "main", f"{THURSDAY} 20:00", "--watch"),
    Case("12b", "not_in_audience", "rene", "main", f"{THURSDAY} 20:00", "--watch"),
    Case("12c", "watch_closing", "nora", "main", f"{TUESDAY} 20:00", "--watch --closing"),
    Case("12c", "watch", "ines", "main", f"{TUESDAY} 20:00", "--closing"),
    Case("13", "watch_opened", "gaelle", "main", f"{TUESDAY} 19:15", ""),
    Case("13", "watch_opened", "gaelle", "main", f"{TUESDAY} 19:15", "--alone 80h"),
    Case("13b", "guardian_not_authorized", "ines", "main", f"{TUESDAY} 19:15", ""),
    Case("14", "no_guardian", "nora", "main", f"{TUESDAY} 19:10", ""),
    Case("14", "no_guardian", "nora", "main", "2026-11-24T19:10:00+01:00", "--no-watch"),
]
GRANTED = {"exit", "staff", "opening_hours", "plan_hours", "watch", "watch_opened"}


def house_of(house: CommandLine, words: list[str]) -> list[str]:
    """Take the words out that change the house, and do what they say."""
    for word, old, new in (
        ("hard", "capacity = 60", 'capacity = 60\nanti_passback = "hard"'),
        ("level", "capacity = 60", 'capacity = 60\nlevel_after_hours = "L1"'),
    ):
        if word in words:
            house.settings(lambda text, old=old, new=new: text.replace(old, new))  # type: ignore[misc]
    return [word for word in words if word not in ("hard", "level")]


@pytest.mark.parametrize(
    "case", CASES, ids=[f"{case.row}-{case.who}-{index}" for index, case in enumerate(CASES)]
)
def test_each_row_is_explained(house: CommandLine, case: Case) -> None:
    uid = {"stranger": STRANGER, "lost": UIDS["nora"]}.get(case.who) or UIDS[case.who]
    if case.who == "lost":
        house.done("badge", "lost", "--member", "nora")
    words = house_of(house, case.what_if.split())
    asked = ("explain", "--door", case.door, "--badge", uid, "--at", case.at, "--json", *words)
    done = house(*asked)
    told = json.loads(done.out)
    assert (told["row"], told["reason"]) == (case.row, case.reason)
    is_granted = case.reason in GRANTED
    assert done.status == (0 if is_granted else 1)
    assert told["granted"] is is_granted
    assert told["state"] == "assumed"
    assert told["rows"][-1]["row"] == case.row
    assert [one["matched"] for one in told["rows"]] == [False] * (len(told["rows"]) - 1) + [True]


def test_every_row_has_a_case_but_the_clone_token() -> None:
    assert {case.row for case in CASES} == {row.number for row in ROWS} - {"4"}


def test_for_now_the_state_of_the_site_decides(house: CommandLine) -> None:
    args = ("explain", "--door", "main", "--badge", UIDS["nora"], "--json")
    before = json.loads(house(*args).out)
    open_watch(house)
    after = json.loads(house.done(*args))
    assert (before["state"], before["reason"]) == ("current", "no_guardian")
    assert (after["state"], after["reason"]) == ("current", "watch")
    what_if = json.loads(house(*args, "--no-watch").out)
    assert what_if["reason"] == "no_guardian"


def test_what_was_assumed_is_told_first_and_the_answer_last(house: CommandLine) -> None:
    args = ("explain", "--door", "main", "--badge", UIDS["nora"], "--at", f"{TUESDAY} 20:00")
    english = house(*args, "--language", "en").out.splitlines()
    assert english[0] == "Assumed: nobody inside; no watch"
    assert english[-1].startswith("Refused, row 14: Closed: no guardian is on watch")
    french = house(*args, "--language", "fr", "--watch").out.splitlines()
    assert french[0].startswith("Hypothèse : personne à l'intérieur; une permanence est ouverte")
    assert french[-1].startswith("Accordé, ligne 12 : Bienvenue")


def test_without_an_authorization_a_watch_for_members_is_assumed(house: CommandLine) -> None:
    args = ("explain", "--door", "main", "--badge", UIDS["nora"], "--at", "2026-11-25 22:00")
    assert json.loads(house.done(*args, "--watch", "--json"))["reason"] == "watch"


@pytest.mark.parametrize(
    ("variables", "first"),
    [
        ({"LANG": "en_GB.UTF-8"}, "Assumed"),
        ({"LANG": "en_GB.UTF-8", "LC_ALL": "fr_FR.UTF-8"}, "Hypothèse"),
        ({"LANG": "de_DE.UTF-8"}, "Hypothèse"),
        ({"LANG": "C.UTF-8"}, "Hypothèse"),
        ({}, "Hypothèse"),
    ],
)
def test_the_terminals_language_is_spoken_else_the_installations(
    house: CommandLine, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], first: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    done = house("explain", "--door", "main", "--badge", UIDS["nora"])
    assert done.out.startswith(first)


def test_an_explanation_changes_nothing(house: CommandLine) -> None:
    house("explain", "--door", "main", "--badge", UIDS["gaelle"], "--at", f"{TUESDAY} 19:30")
    assert house.done("verify") == "the ledger is empty\n"
    assert house.done("watch", "list", "--language", "en") == "no watches\n"


def test_a_watch_is_listed_closed_and_signed_off(house: CommandLine) -> None:
    open_watch(house)
    assert "Tuesday talk" in house.done("watch", "list")
    running = json.loads(house.done("watch", "list", "--json"))["running"]
    assert running["tenures"][0]["guardian"] == "gaelle"
    # The door has not told yet that somebody went through, so the watch waits for them to leave.
    assert "the watch is closing" in house.done("watch", "close", "--language", "en")
    signed = house.done("watch", "close", "--roll-call-signed", "--language", "en")
    assert signed == "the watch is over\n"
    closed = json.loads(house.done("watch", "list", "--json"))
    assert closed["running"] is None
    assert [one["why"] for one in closed["closed"]] == ["roll_call_signed"]
    assert "gaelle" in house.done("watch", "list")


def test_whoever_is_on_watch_is_not_erased(house: CommandLine) -> None:
    open_watch(house)
    done = house("member", "erase", "--yes", "gaelle")
    assert done.status == 1
    assert "gardien watch close" in done.err
