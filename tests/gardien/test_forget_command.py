"""`gardien forget`: what it forgets, and what it says."""

import json
from datetime import timedelta

from runtime.clock import DemoClock
from tests.gardien.conftest import TUESDAY_1910, CommandLine, open_watch


def leap(house: CommandLine, days: int) -> None:
    with DemoClock(house.data / "clock") as clock:
        clock.leap_to(TUESDAY_1910 + timedelta(days=days))


def test_nothing_is_old_enough_on_the_first_day(house: CommandLine) -> None:
    open_watch(house)
    assert house.done("forget") == "there is nothing to forget: nothing is old enough\n"


def test_after_91_days_the_ledger_names_nobody_and_is_whole(house: CommandLine) -> None:
    open_watch(house)
    leap(house, 91)
    told = house.done("forget", "--dry-run")
    assert "would be rid of whom they named" in told
    dry = json.loads(house.done("forget", "--dry-run", "--json"))
    assert dry["entries"] == 2
    done = json.loads(house.done("forget", "--thorough", "--json"))
    assert done["entries"] == 2
    assert "whole" in house.done("verify")
    assert "nothing to forget" in house.done("forget")


def test_a_watch_whose_guardian_is_forgotten_is_still_listed(house: CommandLine) -> None:
    open_watch(house)
    house.done("watch", "close")
    house.done("watch", "close", "--roll-call-signed")
    leap(house, 91)
    house.done("forget")
    listed = house.done("watch", "list", "--language", "en")
    assert "Tuesday talk" in listed
    assert "gaelle" not in listed


def test_more_than_90_days_are_refused_with_the_reason(house: CommandLine) -> None:
    house.settings(lambda text: text.replace("capacity = 60", "capacity = 60\nkeep_days = 91"))
    done = house("forget")
    assert done.status == 1
    assert "2006-102" in done.err
    assert done.err.count("\n") == 1
