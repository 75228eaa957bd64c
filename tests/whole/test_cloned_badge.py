"""A badge of level L1 from its enrolment at a door to its copy: both refused, everywhere."""

import subprocess
import threading
from typing import Any

import pytest

from access.ids import DoorId
from access.model import BadgeLevel, BadgeStatus
from edge.simulated.client import tap
from edge.simulated.messages import Answer
from server import registry
from tests.whole.conftest import House, NewHouse

pytestmark = [pytest.mark.whole, pytest.mark.mosquitto]

CARD = bytes.fromhex("a1c0ffee")
MAIN, FABLAB = DoorId("main"), DoorId("fablab")
# The card is away for longer than the door takes two looks at it for one presentation.
STILL_MS, WAIT_MS = 1_000, 2_000
TOLD_S = 10.0


def present(house: House, door: DoorId = MAIN, copy: str = "", **how: Any) -> Answer:
    """Hold the card, or a copy of it, still at a door, and walk in if it unlocks."""
    socket = house.door_socket(door)
    return tap(socket, uid=CARD, hold_ms=STILL_MS, wait_ms=WAIT_MS, copy=copy, **how)


def enrol(house: House) -> None:
    """Give a new card to a member at the main door, as somebody at the desk does."""
    done: list[subprocess.CompletedProcess[str]] = []
    words = ("badge", "enrol", house.members[0], "--door", MAIN, "--label", "new")
    thread = threading.Thread(target=lambda: done.append(house.gardien(*words)))
    thread.start()
    house.expect(lambda: house.entries("command.issued"), "the door is told")
    house.expect(lambda: _is_done(house, thread), "the card is written and given")
    thread.join()
    assert done[0].returncode == 0, done[0].stderr


def _is_done(house: House, thread: threading.Thread) -> bool:
    if thread.is_alive() and not any(one.get("enrolled") for one in house.data("access.denied")):
        present(house, push=False)
    return not thread.is_alive()


def badge(house: House) -> registry.BadgeRecord:
    with house.inside.database.reading() as connection:
        badges = registry.list_badges(connection, house.members[0])
    return next(one for one in badges if one.label == "new")


def rules(house: House) -> list[int]:
    """Give the version of the rules that each door has."""
    held = [house.state().doors[door].state for door in (MAIN, FABLAB)]
    return [one.policy or 0 for one in held if one is not None]


def expect_newer(house: House, before: list[int]) -> None:
    """Wait until both doors have newer rules, in the few seconds that are promised."""
    house.expect(lambda: min(rules(house)) > max(before), "both doors have new rules", TOLD_S)


def test_a_copy_gets_one_entry_at_most_and_then_neither_card_opens_any_door(
    new_house: NewHouse,
) -> None:
    house = new_house(starts="14:00")
    house.start_all()
    before = rules(house)
    enrol(house)
    assert (badge(house).level, badge(house).status) == (BadgeLevel.L1, BadgeStatus.ACTIVE)
    expect_newer(house, before)
    before = rules(house)
    assert present(house).opened
    assert house.data("access.decided")[-1]["proof"] == "fits"

    # The copy is made now, and used first; then the owner comes.
    assert present(house, copy="thief").opened
    assert not present(house).opened
    assert badge(house).status is BadgeStatus.SUSPENDED
    (alert,) = house.data("alert.badge_cloned")
    assert (alert["door"], alert["suspended"]) == (MAIN, True)

    # The other door knows it too, with the server or without.
    assert not present(house, FABLAB, copy="thief").opened
    expect_newer(house, before)
    house.stop("server")
    assert not present(house, FABLAB).opened
    assert not present(house, copy="thief").opened
    house.start("server")
    house.expect_well()
    alone = [one for one in house.data("access.denied") if one["offline"]]
    assert {one["reason"] for one in alone} == {"badge_cloned"}
    assert len(alone) == 2
    house.expect_whole()


def test_a_card_that_only_has_the_number_of_a_badge_is_found_at_once(new_house: NewHouse) -> None:
    house = new_house(starts="14:00")
    house.start_all()
    before = rules(house)
    enrol(house)
    expect_newer(house, before)
    assert present(house).opened
    assert not present(house, FABLAB, copy="magic", uid_only=True).opened
    assert badge(house).status is BadgeStatus.SUSPENDED
    assert not present(house).opened
