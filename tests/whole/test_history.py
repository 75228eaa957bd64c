"""The history written again from the ledger is the same, in each store."""

from typing import TYPE_CHECKING

import pytest

from server.events import CloseAsked, GuestsChanged
from server.history import DecisionCount, Sample
from server.installation import open_installation

if TYPE_CHECKING:
    from tests.whole.conftest import House, NewHouse

pytestmark = pytest.mark.whole

Series = tuple[list[Sample], list[DecisionCount]]


@pytest.mark.mosquitto
@pytest.mark.influxdb
def test_a_history_rebuilt_from_nothing_is_the_same_in_influxdb_and_in_the_embedded_store(
    new_house: "NewHouse", request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("influxd").url
    house = new_house(history_url=url)
    a_short_evening(house)
    changes = len(house.entries("occupancy.changed"))
    decisions = len(house.entries("access.decided"))

    def is_followed() -> bool:
        samples, counts = read(house)
        exits = sum(one.count for one in counts if one.reason == "exit")
        return len(samples) == changes and sum(one.count for one in counts) == decisions + exits

    house.expect(is_followed, f"{changes} numbers and {decisions} decisions are followed", 20)
    house.stop("server")
    first = read(house)
    assert {one.reason for one in first[1]} >= {"no_guardian", "watch", "watch_opened", "exit"}

    rebuild(house)  # over what is there: nothing changes
    assert read(house) == first
    settings = (house.path / "gardien.toml").read_text()
    place, _, history = settings.partition("\n[history]\n")
    name = history.partition('database = "')[2].partition('"')[0]

    house.change_settings(name, f"{name}-2")  # a database where nothing is
    rebuild(house)
    assert read(house) == first

    house.change_settings(f'url = "{url}"', 'url = "http://127.0.0.1:1"')  # where nobody is
    refused = house.gardien("history", "rebuild")
    assert refused.returncode == 1
    assert "try again when it is there" in refused.stderr

    (house.path / "gardien.toml").write_text(place)  # the embedded store, kept all the while
    assert read(house) == first
    rebuild(house)
    assert read(house) == first


def a_short_evening(house: "House") -> None:
    house.start("broker", "server", house.main)
    house.expect_well()
    house.leap_to("19:10")
    assert house.tap(house.members[0]).lock == "locked"
    house.open_evening()
    for member in house.members[:3]:
        assert house.tap(member).opened
    house.at_desk(GuestsChanged(by=house.zoe, change=2))
    house.leap_to("21:30")
    assert house.tap(house.members[0], "out").opened
    house.press_exit()
    house.expect_well()
    house.at_desk(GuestsChanged(by=house.zoe, change=-2))
    house.at_desk(CloseAsked(by=house.zoe))
    assert house.tap(house.members[1], "out").opened
    assert house.tap(house.members[2], "out").opened
    assert house.tap(house.zoe, "out").opened
    house.expect_well()


def rebuild(house: "House") -> None:
    done = house.gardien("history", "rebuild")
    assert done.returncode == 0, done.stderr
    assert f"{len(house.entries())} entries of the ledger" in done.stdout


def read(house: "House") -> Series:
    """Read all that the history has, as the settings say now."""
    start, end = house.moment("00:00"), house.moment("23:59")
    with (
        open_installation(house.path) as installation,
        installation.open_history() as (history, _),
    ):
        history.prepare()
        return (
            history.occupancy(house.site, start=start, end=end),
            history.decisions(house.site, start=start, end=end),
        )
