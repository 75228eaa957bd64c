"""A disk that refuses what is written, at a door or under the server: staff see it on the board.

The kernel refuses: the programs may write no file beyond its first page any more.
"""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.whole.conftest import House, NewHouse

pytestmark = [pytest.mark.whole, pytest.mark.mosquitto]

PAGE = 4096


@contextmanager
def refused(house: "House", name: str) -> Iterator[None]:
    """Let the kernel refuse what a program writes, for the length of the block."""
    pid = house.running[name].pid
    _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (PAGE, most))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))


def test_staff_see_on_the_board_that_a_door_or_the_server_cant_write(
    new_house: "NewHouse",
) -> None:
    house = new_house()
    house.start("broker", "server", house.main, "dashboard")
    house.open_evening()
    browser = house.browse(house.staff)

    def board() -> str:
        return unescape(browser.get("/"))

    assert "can't record" not in board()

    with refused(house, house.main):
        house.tap(house.members[0])
        house.expect(lambda: house.entries("alert.journal_failing"), "the alert is recorded", 20)
        page = board()
        assert "can't record: lets nobody in" in page
        assert "The door can't record anything: nobody is let in" in page
    house.expect_well()
    house.expect(lambda: "lets nobody in" not in board(), "the door's card is well", 20)

    with refused(house, "server"):
        house.tap(house.members[1])
        banner = "The server can't record anything now"
        house.expect(lambda: banner in board(), "the board says so", 20)
        assert not house.entries("alert.ledger_failed")
        begun = time.monotonic()
    house.expect(lambda: house.entries("alert.ledger_failed"), "it is recorded afterwards", 20)
    house.expect(lambda: banner not in board(), "the board says it no more", 20)
    assert "The server could not record anything for a while" in board()
    house.expect_well()
    house.expect_whole()
    assert time.monotonic() - begun < 30
