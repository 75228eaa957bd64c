"""Requests that come when nobody waits at the door any more open no watch."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from access.messages import DoorState
from server.database import Database
from server.events import Asked, DoorSaid
from tests.server.test_watches import (
    ANNA,
    CARL,
    MAIN,
    SITE,
    House,
    at,
    badge_of,
    request_id,
)
from tests.server.test_watches import asked as asks


@dataclass
class Late(House):
    """A house with a door that decided by itself, and whose request comes afterwards."""

    def tells(self, kind: str, clock: str, **more: Any) -> None:
        """Let the door tell what it did by itself with the request."""
        self.journals[MAIN].add(
            kind,
            at(clock),
            request=request_id(1),
            reader="in",
            badge=badge_of(ANNA),
            member=ANNA,
            offline=True,
            **more,
        )
        self.report(MAIN, clock)

    def says_clock(self, clock_ms: int | None, clock: str) -> None:
        """Let the door say how far its clock is ahead."""
        state = DoorState(online=True, at=at(clock), queue=0, clock_ms=clock_ms)
        self.tell(DoorSaid(door=MAIN, state=state), clock)


@pytest.fixture
def house(database: Database) -> Late:
    return Late(database)


def shown(request: Asked, off: timedelta) -> Asked:
    """A request of a door whose clock is so far ahead."""
    moved = msgspec.structs.replace(request.request, at=request.request.at + off)
    return replace(request, request=moved)


def test_a_request_whose_watch_is_over_by_what_the_door_told_opens_no_second_one(
    house: Late,
) -> None:
    """Seed 451 of the simulated weeks: the door told all of a watch before its request arrived."""
    house.tells("watch.opened", "18:15", guardian=ANNA)
    house.tells("access.granted", "18:15")
    house.journals[MAIN].add("door.opened", at("18:15"))
    house.leave(ANNA, "18:20")
    house.tick("18:36")
    assert house.kinds().count("watch.closed") == 1
    assert house.tell(asks(ANNA, "18:15", 1), "18:40") == []
    assert house.kinds().count("watch.opened") == 1


def test_a_request_that_the_door_has_refused_by_itself_opens_no_watch(house: Late) -> None:
    """Seeds 310 and 498: it was cut off, refused the guardian, and sent the request afterwards."""
    house.tells("access.denied", "18:15", reason="lockdown")
    assert house.tell(asks(ANNA, "18:15", 1), "18:16") == []
    assert house.watch is None
    house.tell(asks(ANNA, "18:16", 2), "18:16")
    assert house.watch is not None


def test_a_watch_whose_request_the_door_has_refused_by_itself_never_was(house: Late) -> None:
    house.tell(asks(ANNA, "18:15", 1), "18:15")
    assert house.watch is not None
    house.tells("access.denied", "18:15", reason="lockdown")
    assert house.watch is None
    assert house.kinds() == ["watch.opened", "watch.lapsed"]


@pytest.mark.parametrize("clock_ms", [0, -3_600_000, 86_400_000, -1_773_417_032_261])
def test_a_request_that_is_long_ago_by_the_doors_clock_opens_no_watch(
    house: Late, clock_ms: int
) -> None:
    off = timedelta(milliseconds=clock_ms)
    house.says_clock(clock_ms, "18:10")
    assert house.tell(shown(asks(ANNA, "18:15", 1), off), "18:16") == []
    assert house.watch is None
    house.tell(shown(asks(ANNA, "18:16", 2), off), "18:16")
    assert house.watch is not None


def test_without_knowing_its_clock_a_doors_time_counts_for_nothing(house: Late) -> None:
    house.says_clock(None, "18:10")
    house.tell(asks(ANNA, "12:00", 1), "18:16")
    assert house.watch is not None


def test_a_clock_that_cannot_be_is_no_fault(house: Late) -> None:
    house.says_clock(2**62, "18:10")
    assert house.tell(asks(ANNA, "18:16", 1), "18:16") == []


def test_what_opens_no_watch_is_answered_however_old(house: Late) -> None:
    house.says_clock(0, "18:10")
    [answer] = house.tell(asks(CARL, "12:00", 1), "18:16")
    assert answer.decision.reason == "no_guardian"


def test_a_repeated_request_has_its_first_answer_also_when_the_door_settled_it(
    house: Late,
) -> None:
    [first, *_] = house.tell(asks(ANNA, "18:15", 1), "18:15")
    house.tells("access.granted", "18:15")
    [again] = house.tell(asks(ANNA, "18:15", 1), "18:16")
    assert again.decision == first.decision


def test_only_the_last_requests_are_remembered(house: Late) -> None:
    for number in range(40):
        house.journals[MAIN].add(
            "access.denied", at("18:15"), request=request_id(number), reader="in",
            badge=badge_of(ANNA), offline=True,
        )  # fmt: skip
    house.report(MAIN, "18:15")
    settled = house.gatehouse.look(SITE).doors[MAIN].settled
    assert settled == tuple(request_id(number) for number in range(24, 40))
