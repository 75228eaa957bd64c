"""What an explanation tells, to people and to machines."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

import pytest

from access.explain import explain, to_builtins, to_text
from access.explain_facts import FactName, facts_of
from access.explain_wording import FACTS, QUESTIONS, VALUES
from access.ids import BadgeDigest, DoorId, MemberId, SiteId, WatchId
from access.instants import Span
from access.model import (
    AntiPassback,
    Audience,
    Authorization,
    Badge,
    BadgeStatus,
    Door,
    Member,
    Plan,
    Policy,
    Reader,
    Status,
    Validity,
)
from access.policy import ROWS, Reliance, Request, State, Token, UnknownBadgeError, case_of
from access.watch import Phase, open_watch

PARIS = ZoneInfo("Europe/Paris")
MAIN, NORA, GAELLE = DoorId("main"), MemberId("nora"), MemberId("gaelle")
NORAS, GAELLES = BadgeDigest("a" * 32), BadgeDigest("b" * 32)
EVENING = datetime(2026, 11, 24, 18, 45, tzinfo=UTC)
TALK = Authorization(
    id="talk",
    guardian=GAELLE,
    span=Span(start=EVENING + timedelta(hours=1), end=EVENING + timedelta(hours=3)),
    title="Talk",
)
POLICY = Policy(
    version=1,
    site=SiteId("malakoff"),
    issued=EVENING,
    relies_until=EVENING,
    capacity=60,
    doors={MAIN: Door(id=MAIN, name="Main", plans=frozenset({Plan.STAFF, Plan.NOMAD}))},
    members={
        NORA: Member(id=NORA, plan=Plan.NOMAD, validity=Validity(since=EVENING)),
        GAELLE: Member(id=GAELLE, plan=Plan.NOMAD, is_guardian=True),
    },
    badges={
        NORAS: Badge(digest=NORAS, member=NORA),
        GAELLES: Badge(digest=GAELLES, member=GAELLE),
    },
    opening=(Span(start=EVENING + timedelta(hours=14), end=EVENING + timedelta(hours=18)),),
    authorizations={GAELLE: (TALK,)},
)
WATCH = open_watch(WatchId("w"), TALK, MAIN, EVENING, POLICY.closing_delay)
ASKED = Request(at=EVENING, door=MAIN, reader=Reader.IN, badge=NORAS)
BY_GAELLE = replace(ASKED, badge=GAELLES)


def lines(request: Request, language: str, state: State | None = None) -> list[str]:
    return to_text(explain(POLICY, state or State(), request), language, PARIS)


def test_a_refusal_is_told_row_by_row_in_french() -> None:
    told = lines(ASKED, "fr")
    assert told[0] == "  1  Est-ce une sortie ? non (lecteur : entrée)"
    assert told[4] == (
        "  5  L'adhésion est-elle suspendue, terminée ou hors de ses dates ? non "
        "(adhésion : en cours; valable dès : 2026-11-24 19:45:00+01:00; valable jusqu'à : —)"
    )
    assert told[-2] == " 14  Tous les autres cas. oui (gardien : non)"
    assert told[-1] == (
        "Refusé, ligne 14 : Fermé : aucun gardien n'est de permanence [no_guardian]"
    )


def test_a_refusal_is_told_row_by_row_in_english() -> None:
    told = lines(ASKED, "en")
    assert told[6] == (
        "  7  Is the door outside the member's plan? no "
        "(plan: nomad; plans that may use this door: nomad, staff)"
    )
    assert told[11] == (
        " 10  Is the site full, for somebody who is not a guardian? no "
        "(present: none; capacity: 60; door on its own: no; guardian: no)"
    )
    assert told[12] == (
        " 11  Is it within opening hours, or the hours of the plan? no (clock trusted: yes; "
        "opening hours: no; opens next: 2026-11-25 09:45:00+01:00; hours of the plan: no)"
    )
    assert told[-1] == "Refused, row 14: Closed: no guardian is on watch [no_guardian]"


def test_a_grant_is_told_as_one() -> None:
    opened = lines(replace(BY_GAELLE, at=TALK.span.start), "en")
    assert opened[-1] == "Granted, row 13: Watch opened: thank you! [watch_opened]"
    assert opened[-2].endswith(
        "yes (guardian: yes; authorization for this instant: yes; for: Talk; "
        "may open from: 2026-11-24 20:15:00+01:00; may open until: 2026-11-24 22:45:00+01:00)"
    )


def test_a_guardian_who_is_too_early_is_told_from_when_they_may_open() -> None:
    told = lines(BY_GAELLE, "en")
    assert told[-2].endswith("(guardian: yes; may open from: 2026-11-24 20:15:00+01:00)")
    too_late = lines(replace(BY_GAELLE, at=TALK.span.end), "en")
    assert too_late[-2].endswith("(guardian: yes; may open from: none)")
    just_now = lines(replace(BY_GAELLE, at=TALK.span.start - TALK.lead), "en")
    assert just_now[-1].startswith("Granted, row 13:")


def test_within_opening_hours_it_is_told_until_when() -> None:
    opening = POLICY.opening[0]
    told = lines(replace(ASKED, at=opening.start), "en")
    assert "open until: 2026-11-25 13:45:00+01:00" in told[-2]
    assert "opens next: none" in lines(replace(ASKED, at=opening.end), "en")[12]


def test_a_watch_is_told_with_who_holds_it_and_when_it_ends() -> None:
    state = State(watch=WATCH)
    assert lines(ASKED, "en", state)[-2].endswith(
        "yes (watch: open; held by: gaelle; for: Talk; audience: members; "
        "the member belongs to it: yes)"
    )
    closing = lines(replace(ASKED, at=WATCH.over_by), "fr", state)
    assert closing[-2].endswith(
        "oui (permanence : se termine; se termine dès : 2026-11-24 23:15:00+01:00; "
        "fermée au plus tard : 2026-11-24 23:30:00+01:00; gardien : non)"
    )


def test_without_a_watch_there_is_nothing_to_tell_of_it() -> None:
    assert lines(ASKED, "en")[13].endswith("no (watch: none)")
    assert lines(ASKED, "en")[15].endswith("no (watch: none; guardian: no)")


def test_an_unknown_badge_ends_the_explanation_at_the_second_row() -> None:
    told = lines(replace(ASKED, badge=BadgeDigest("f" * 32)), "en")
    assert told[1:] == [
        "  2  Is the badge unknown? yes (badge known: no; member: none)",
        "Refused, row 2: Unknown badge: please see the desk [unknown_badge]",
    ]


def test_any_other_language_is_told_in_french() -> None:
    assert lines(ASKED, "de") == lines(ASKED, "fr")


def test_machines_read_the_same_rows_as_json() -> None:
    told = to_builtins(explain(POLICY, State(), ASKED))
    assert json.loads(json.dumps(told)) == told
    assert {key: value for key, value in told.items() if key != "rows"} == {
        "at": "2026-11-24T18:45:00Z",
        "door": "main",
        "reader": "in",
        "member": "nora",
        "granted": False,
        "reason": "no_guardian",
        "row": "14",
        "passback": False,
    }
    assert told["rows"][6] == {
        "row": "7",
        "asks": "Is the door outside the member's plan?",
        "facts": {"plan": "nomad", "door_plans": ["nomad", "staff"]},
        "matched": False,
        "granted": None,
        "reason": None,
    }
    assert told["rows"][12]["facts"]["opens_next"] == "2026-11-25T08:45:00Z"
    assert told["rows"][-1]["matched"] is True
    assert told["rows"][-1]["granted"] is False
    assert told["rows"][-1]["reason"] == "no_guardian"


def test_the_questions_are_told_to_machines_in_the_language_asked_for() -> None:
    told = to_builtins(explain(POLICY, State(), ASKED), "fr")
    assert told["rows"][0]["asks"] == "Est-ce une sortie ?"


def test_each_row_fact_and_value_has_words_in_both_languages() -> None:
    assert list(QUESTIONS) == [row.number for row in ROWS]
    assert set(FACTS) == set(FactName)
    told = (Reader, BadgeStatus, Token, Status, Plan, AntiPassback, Reliance, Phase, Audience)
    values: set[Enum] = {value for kind in told for value in kind}
    assert set(VALUES) == values
    words = [*QUESTIONS.values(), *FACTS.values(), *VALUES.values()]
    assert all(french.strip() and english.strip() for french, english in words)


def test_each_row_has_facts_to_tell() -> None:
    case = case_of(POLICY, State(watch=WATCH), ASKED)
    assert all(facts_of(row.number, case) for row in ROWS)


def test_rows_after_the_second_tell_nothing_of_a_badge_that_nobody_has() -> None:
    case = case_of(POLICY, State(), replace(ASKED, badge=BadgeDigest("f" * 32)))
    with pytest.raises(UnknownBadgeError):
        facts_of("3", case)
