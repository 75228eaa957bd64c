"""Programs killed with -9 in the middle of the evening: nothing lost, nothing twice, doors go on.

`GARDIEN_ROUNDS` sets how often the server and the broker are killed in each test; 2 by default.
`GARDIEN_SEED` sets when; 1 by default.
"""

import os
import random
import threading
import time
from typing import TYPE_CHECKING, Self

import pytest

from access.ids import MemberId

if TYPE_CHECKING:
    from tests.whole.conftest import BrokerName, House, NewHouse

pytestmark = pytest.mark.whole

ROUNDS = int(os.environ.get("GARDIEN_ROUNDS", "2"))
SEED = int(os.environ.get("GARDIEN_SEED", "1"))


class Crowd:
    """Members who come and go by the main door, whatever happens, until they are told to stop.

    Attributes:
        taps: how many badges were presented.
        entries: how many of them to go in.
        is_inside: who went in last, or out, as the people at the door saw it.
    """

    def __init__(self, house: "House") -> None:
        self._house, self._stop = house, threading.Event()
        self.taps, self.entries = 0, 0
        self.is_inside = dict.fromkeys(house.members, False)
        self.strange: list[str] = []
        self._thread = threading.Thread(target=self._come_and_go)

    def _come_and_go(self) -> None:
        dice = random.Random(SEED)  # noqa: S311 (moments, not secrets)
        while not self._stop.is_set():
            member = dice.choice(self._house.members)
            way = "out" if self.is_inside[member] else "in"
            answer = self._house.tap(member, way)
            self.taps += 1
            self.entries += way == "in"
            if answer.opened:
                self.is_inside[member] = way == "in"
            else:
                self.strange.append(f"{member} {way}: {answer}")

    def wait_for_taps(self, more: int) -> None:
        enough = self.taps + more
        self._house.expect(
            lambda: self.taps >= enough or not self._thread.is_alive(), f"{more} more taps", 30
        )
        assert self._thread.is_alive()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def expect_nothing_lost(house: "House", crowd: Crowd) -> None:
    """All that the door did is in the ledger once, and who is inside is who went in."""
    house.expect_well()
    house.expect_whole()
    # Each passage is there: one record of a grant and one of an opening for each tap.
    passages = [one for one in house.data("access.granted") if one["member"] in set(house.members)]
    assert len(passages) == len({one["request"] for one in passages}) == crowd.taps
    openings = house.data("door.opened")
    assert len(openings) == crowd.taps + 1  # and Zoe's
    entered = [one["request"] for one in openings if one["cause"] == "grant"]
    assert len(entered) == len(set(entered)) == crowd.entries + 1
    assert {one["cause"] for one in openings} <= {"grant", "exit"}
    inside = {member for member, is_inside in crowd.is_inside.items() if is_inside}
    assert set(house.state().presence.inside) == inside | {house.zoe}
    assert crowd.strange == []
    # One watch, which nobody opened or closed a second time.
    assert [len(house.entries(f"watch.{what}")) for what in ("opened", "confirmed")] == [1, 1]
    assert house.entries("watch.closed", "watch.lapsed") == []


@pytest.mark.parametrize(
    ("broker", "victim"),
    [
        pytest.param("mosquitto", "server", marks=pytest.mark.mosquitto),
        pytest.param("mosquitto", "broker", marks=pytest.mark.mosquitto),
        pytest.param("amqtt", "broker"),
    ],
)
def test_killing_server_or_broker_loses_and_doubles_no_record_and_doors_go_on(
    broker: "BrokerName", victim: str, new_house: "NewHouse"
) -> None:
    house = new_house(broker=broker)
    house.start_all()
    house.open_evening()
    dice = random.Random(SEED)  # noqa: S311 (moments, not secrets)
    with Crowd(house) as crowd:
        for _ in range(ROUNDS):
            crowd.wait_for_taps(1)
            time.sleep(dice.uniform(0, 0.7))  # at any moment of a passage
            house.kill(victim)
            # The watch that the door knows of goes on, and so does the way out.
            crowd.wait_for_taps(3)
            house.start(victim)
            crowd.wait_for_taps(1)
    expect_nothing_lost(house, crowd)
    offline = [one["reason"] for one in house.data("access.granted") if one["offline"]]
    assert len(offline) >= ROUNDS
    assert set(offline) <= {"watch", "exit"}
    house.expect(lambda: expect_online_again(house), "the server decides again", 20)


def expect_online_again(house: "House") -> bool:
    """Whether the server decides on a badge again, after all that has happened."""
    before = len(house.entries("access.decided"))
    house.tap(house.partner, push=False)
    return len(house.entries("access.decided")) > before


@pytest.mark.mosquitto
def test_a_door_killed_while_unlocked_is_locked_after_its_restart_and_its_records_are_whole(
    new_house: "NewHouse",
) -> None:
    house = new_house()
    house.start_all()
    house.open_evening()
    for number in range(ROUNDS):
        member = house.members[number % len(house.members)]
        killed_while_unlocked(house, member)
        look = house.look()
        assert look is not None
        assert look.lock == "locked"
        house.expect_well()
        assert len(house.entries("unit.started")) == number + 3
        state = house.state()
        assert (told := state.doors[house.main].state) is not None
        assert told.lock == "locked"
        # They were admitted and never went in.
        assert set(state.presence.inside) == {house.zoe}
        granted = house.data("access.granted")[-1]
        assert (granted["member"], granted["granted"]) == (member, True)
        assert house.data("lock.unlocked")[-1]["request"] == granted["request"]
        house.expect_whole()
    assert house.tap(house.members[0]).opened


def killed_while_unlocked(house: "House", member: MemberId) -> None:
    """Unlock the main door, kill its unit while it is, and start it again."""
    unlocked = house.tap(member, push=False)
    assert unlocked.lock == "unlocked", unlocked
    look = house.look()
    assert look is not None
    assert look.lock == "unlocked"
    house.kill(house.main)
    assert house.look() is None
    house.start(house.main)


@pytest.mark.mosquitto
def test_without_a_server_a_door_lets_a_guardian_open_and_everybody_leave(
    new_house: "NewHouse",
) -> None:
    house = new_house()
    house.wire_fire_panel()
    house.start_all()
    house.kill("server")
    house.leap_to("19:15")
    assert not house.tap(house.members[0]).opened
    assert house.tap(house.zoe).opened
    assert house.tap(house.members[0]).opened
    assert house.tap(house.members[0], "out").opened
    assert house.tap(house.stranger, "out").opened
    assert house.tap(house.stranger).lock == "locked"
    house.burn(is_on=True)
    house.burn(is_on=False)
    house.start("server")
    house.expect_well()
    house.expect_whole()
    state = house.state()
    assert set(state.presence.inside) == {house.zoe}
    assert state.watch is not None
    assert state.watch.guardian == house.zoe
    reasons = [
        (one["reason"], one["offline"]) for one in house.data("access.granted", "access.denied")
    ]
    assert reasons == [
        ("no_guardian", True),
        ("watch_opened", True),
        ("watch", True),
        ("exit", True),
        ("exit", True),
        ("unknown_badge", True),
    ]
    told = ["alert.fire_alarm", "fire.ended"]
    assert [one.kind.removeprefix("gardien.") for one in house.entries(*told)] == told
    house.burn(is_on=True)
    house.expect(lambda: len(house.entries(*told)) == 3, "the next fire raises an alert too", 10)
    house.expect_well()
    assert house.state().doors[house.main].is_fire
