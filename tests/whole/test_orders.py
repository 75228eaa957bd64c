"""Orders from the web and the command line to the doors, through everything.

Orders that are forged, meant for another door or kept by the broker: see `test_bad_input`; those
that are played back: `tests/edge/test_door.py` and the simulation.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from access.model import Audience
from server import schema
from server.desk import DeskError
from server.events import CloseAsked, DoorOrdered

if TYPE_CHECKING:
    from tests.whole.conftest import House, NewHouse

pytestmark = [pytest.mark.whole, pytest.mark.mosquitto]

SOON_S = 1.0
"""From the click to the lock; what is measured is told when it took longer."""


def make_public(house: "House") -> None:
    """Let the talk of the evening be for everybody."""
    with house.inside.database.writing() as connection:
        connection.execute(update(schema.authorization).values(audience=Audience.PUBLIC.value))


def lock_of(house: "House", door: str = "main") -> str:
    look = house.look(house.main if door == "main" else house.fablab)
    return "" if look is None else str(look.lock)


def measured(is_so: Callable[[], bool]) -> float:
    """Wait until it is so; give the seconds that it took."""
    start = time.monotonic()
    while not is_so():
        assert time.monotonic() < start + 15, "it did not happen within 15 s"
        time.sleep(0.01)
    return time.monotonic() - start


def outcome(house: "House", door: str = "main") -> str | None:
    order = house.state().doors[house.main if door == "main" else house.fablab].order
    return None if order is None else order.outcome


@pytest.fixture
def house(new_house: "NewHouse") -> "House":
    found = new_house()
    make_public(found)
    found.start_all()
    return found


@contextmanager
def alone(house: "House") -> Iterator[None]:
    """Let the doors be without a server."""
    house.stop("server")
    yield
    house.start("server")


def test_an_unlock_from_the_web_opens_the_door_within_a_second_and_both_say_so(
    house: "House",
) -> None:
    house.start("dashboard")
    house.open_evening()
    web = house.browse(house.zoe)
    assert lock_of(house) == "locked"
    page = web.post("/doors/main/order", do="unlock")
    took_s = measured(lambda: lock_of(house) == "unlocked")
    assert "Sent: the door unlocks" in page
    assert took_s < SOON_S, f"from the click to the lock: {took_s:.2f} s"
    house.expect(lambda: outcome(house) == "done", "the door's journal names the order", 10)
    assert "the door did it" in web.get("/watch")
    [issued], [done] = house.data("command.issued"), house.data("lock.unlocked")[-1:]
    assert (issued["by"], issued["door"], issued["do"]) == (house.zoe, "main", "unlock")
    assert done["command"] == issued["command"]
    assert house.inside.gatehouse.orders(house.site) == []
    house.expect_well()
    house.expect_whole()


def test_a_lockdown_keeps_members_out_at_the_server_and_at_a_door_on_its_own(
    house: "House",
) -> None:
    assert house.tap(house.members[0]).opened is False
    house.open_evening()
    assert house.tap(house.members[0]).opened
    done = house.gardien("door", "lockdown", "--language", "en")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == ["main: done (lockdown)", "fablab: done (lockdown)"]
    assert not house.tap(house.members[1]).opened
    assert house.data("access.decided")[-1]["row"] == "6"
    assert house.tap(house.staff).opened
    with alone(house):
        assert not house.tap(house.members[1]).opened
        assert not house.tap(house.members[1], door=house.fablab).opened
        assert house.tap(house.staff).opened
        assert house.tap(house.members[0], "out").opened
    house.expect_well()
    assert house.data("access.denied")[-1]["reason"] == "lockdown"
    # Who ordered it is gone, and so is the server's memory: what is so is in the database.
    assert house.state().locked_down == {house.main, house.fablab}
    assert not house.tap(house.members[1]).opened
    assert house.gardien("door", "lift").returncode == 0
    assert house.tap(house.members[1]).opened
    house.expect_well()
    house.expect_whole()


def test_a_lockdown_reaches_a_door_that_was_away_whichever_server_ordered_it(
    house: "House",
) -> None:
    house.open_evening()
    house.stop(house.fablab)
    house.expect(lambda: not house.state().door(house.fablab).is_online, "it is away", 15)
    said = house.gardien("door", "lockdown", "--language", "en")
    assert said.returncode == 1
    assert "main: done (lockdown)" in said.stdout
    assert "fablab: ordered (lockdown), but the door has not done it yet" in said.stdout
    house.stop("server")
    house.start("server", house.fablab)
    house.expect(lambda: outcome(house, "fablab") == "done", "the door has heard of it", 15)
    with alone(house):
        assert not house.tap(house.members[1], door=house.fablab).opened
        assert house.tap(house.staff, door=house.fablab).opened


def test_an_unlock_for_a_door_that_was_away_never_opens_it(house: "House") -> None:
    house.open_evening()
    house.stop(house.main)
    said = house.gardien("door", "unlock", "--door", "main", "--language", "en")
    assert said.returncode == 1
    assert "has not done it yet" in said.stdout
    house.clock.leap_to(house.moment("19:50"))
    house.start(house.main)
    house.expect(lambda: house.entries("command.expired"), "the order is given up", 15)
    house.expect_well()
    assert [one.get("command") for one in house.data("lock.unlocked")] == [None]
    assert outcome(house) == "expired"


def test_a_door_is_held_only_for_the_public_and_no_longer_than_the_watch(house: "House") -> None:
    with pytest.raises(DeskError):
        house.at_desk(DoorOrdered(by=house.staff, doors=(house.fablab,), do="hold"))
    refused = house.gardien("door", "hold", "--door", "fablab")
    assert refused.returncode == 1
    assert "open to the public" in refused.stderr
    house.open_evening()
    held = house.gardien("door", "hold", "--door", "fablab", "--language", "en")
    assert (held.returncode, held.stdout) == (0, "fablab: done (hold)\n"), held.stderr
    assert lock_of(house, "fablab") == "unlocked"
    assert house.state().doors[house.fablab].is_held
    house.at_desk(CloseAsked(by=house.zoe))
    house.expect(lambda: lock_of(house, "fablab") == "locked", "the passage is over", 10)
    house.expect(lambda: outcome(house, "fablab") == "done", "the door says so", 10)
    assert house.data("command.issued")[-1]["why"] == "passage_over"
    house.expect_well()
    house.expect_whole()
