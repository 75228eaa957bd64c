"""What a member is given of the ledger: each record that names them, and nobody else in it."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from access.ids import BadgeDigest, MemberId
from access.model import Status
from server import ledger, registry
from server.holdings import Holdings, holdings_of
from server.own_records import names, only_of
from tests.server import test_forgetting
from tests.server.test_forgetting import (
    CARDS,
    EVENING,
    FRONT,
    GUARDIAN,
    LYON,
    UNKNOWN,
    VISITOR,
    Place,
)

place = test_forgetting.place


def held(place: Place, member: MemberId = VISITOR) -> Holdings:
    with place.database.reading() as connection:
        return holdings_of(connection, member)


def saying(place: Place, *who: str) -> set[str]:
    """Give the records of the ledger in which one of these words stands."""
    return {
        entry.record["id"]
        for entry in place.entries()
        if any(f'"{one}"' in json.dumps(entry.record) for one in who)
    }


def ids_of(records: tuple[Mapping[str, Any], ...]) -> set[str]:
    return {record["id"] for record in records}


@pytest.mark.parametrize("member", [GUARDIAN, VISITOR])
def test_each_record_that_names_a_member_is_given_to_them(place: Place, member: MemberId) -> None:
    place.evening()
    found = held(place, member).records
    under = {entry.record["id"] for entry in place.entries() if entry.member == member}
    said = saying(place, member, CARDS[member])
    assert said - under, "some name them in their body alone"
    assert ids_of(found) == said | under


def test_nobody_else_is_named_in_what_a_member_is_given(place: Place) -> None:
    place.evening()
    given = json.dumps(msgspec.to_builtins(held(place)))
    for who in (GUARDIAN, CARDS[GUARDIAN], UNKNOWN):
        assert who not in given
    of_the_guardian = json.dumps(msgspec.to_builtins(held(place, GUARDIAN)))
    for who in (VISITOR, CARDS[VISITOR], UNKNOWN):
        assert who not in of_the_guardian


def test_what_was_set_aside_is_given_too(place: Place) -> None:
    said = {"data": {"member": VISITOR, "by": GUARDIAN}}
    with place.database.writing() as connection:
        for body in (json.dumps(said), f'"{VISITOR}" and no JSON', '{"data": {"member": "x"}}'):
            ledger.set_aside(
                connection, site=LYON, door=FRONT, received=EVENING, why="no fit", body=body
            )
    found = held(place).set_aside
    assert [one.record for one in found] == [None, {"data": {"member": VISITOR, "by": None}}]
    assert {one.why for one in found} == {"no fit"}


def test_where_they_are_now_is_given(place: Place) -> None:
    assert held(place).inside == ()
    place.visit(GUARDIAN)
    place.visit(VISITOR)
    (inside,) = held(place).inside
    assert (inside.site, inside.door) == (LYON, FRONT)


def test_authorizations_of_a_site_they_left_are_given(place: Place) -> None:
    with place.database.writing() as connection:
        person = registry.find_member(connection, GUARDIAN)
        assert person.status is Status.ACTIVE
        registry.change_member(
            connection, registry.Person(id=person.id, name=person.name, is_guardian=True)
        )
    assert [one.title for one in held(place, GUARDIAN).authorizations] == ["Talk"]


def test_after_91_days_there_is_no_record_left_to_give(place: Place) -> None:
    place.evening()
    with place.database.writing() as connection:
        for member in CARDS:
            person = registry.find_member(connection, member)
            registry.change_member(
                connection, registry.Person(id=person.id, name=person.name, is_guardian=True)
            )
    place.clock.at = EVENING + timedelta(days=91)
    place.forget()
    assert held(place).records == ()


@pytest.mark.parametrize(
    ("data", "left"),
    [
        ({"guardian": "me", "by": "she"}, {"guardian": "me", "by": None}),
        ({"from": "she", "to": "me"}, {"from": None, "to": "me"}),
        ({"inside": ["he", "me", "she"]}, {"inside": [None, "me", None]}),
        ({"minutes": {"me": 15, "she": 30}}, {"minutes": {"me": 15}}),
        ({"tenures": [{"guardian": "me"}]}, {"tenures": [{"guardian": "me"}]}),
        ({"badge": "d1", "why": "x"}, {"badge": "d1", "why": "x"}),
        ({"answer": {"member": "me", "is": True}}, {"answer": {"member": "me", "is": True}}),
    ],
)
def test_a_record_names_a_member_where_it_says_who(
    data: dict[str, Any], left: dict[str, Any]
) -> None:
    me, badges = MemberId("me"), [BadgeDigest("d1")]
    assert names({"data": data}, me, badges)
    assert only_of({"data": data}, me, badges) == {"data": left}


@pytest.mark.parametrize(
    ("data", "left"),
    [
        ({"minutes": {"she": 30}}, {"minutes": {}}),
        ({"badge": "d2", "token": "t"}, {"badge": None, "token": None}),
        ({"door": "me", "why": "me", "members": 3}, {"door": "me", "why": "me", "members": 3}),
    ],
)
def test_the_same_word_for_something_else_names_nobody(
    data: dict[str, Any], left: dict[str, Any]
) -> None:
    me, badges = MemberId("me"), [BadgeDigest("d1")]
    assert not names({"data": data}, me, badges)
    assert only_of({"data": data}, me, badges) == {"data": left}


def test_the_badge_of_a_record_about_them_is_theirs_though_it_was_replaced() -> None:
    record = {"data": {"member": "me", "badge": "old", "token": "t", "by": "she"}}
    given = only_of(record, MemberId("me"), [], is_theirs=True)
    assert given == {"data": {"member": "me", "badge": "old", "token": "t", "by": None}}
