"""`gardien door unlock` and its like, with a door that answers, refuses, or is away."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from access.ids import DoorId, SiteId
from access.journal import Head, chained
from gardien.commands import door_order
from server.database import DatabaseError
from server.effects import WaitingOrder
from server.events import Reported
from server.installation import Installation, open_installation
from tests.gardien.conftest import CommandLine

SITE, MAIN = SiteId("malakoff"), DoorId("main")
ANSWERS = {"unlock": "lock.unlocked", "release": "passage.ended", "lockdown": "lock.locked"}


@contextmanager
def doors_that_answer(house: CommandLine, *, but: str = "") -> Iterator[None]:
    """Let all doors but one record that they did what they are told, as their units would."""
    stop, heads = threading.Event(), dict[DoorId, Head]()

    def answer(installation: Installation, order: WaitingOrder) -> None:
        now = installation.clock.now()
        record, heads[order.door] = chained(
            heads.get(order.door, Head()),
            site=SITE,
            source=order.door,
            kind=ANSWERS.get(order.do, "lock.locked"),
            time=now,
            data={"command": order.id, "by": order.by},
        )
        installation.gatehouse.handle(SITE, [Reported(door=order.door, records=(record,))], now)

    def run() -> None:
        with open_installation(house.data) as installation:
            while not stop.wait(0.02):
                with suppress(DatabaseError):
                    for order in installation.gatehouse.orders(SITE):
                        if order.door != but:
                            answer(installation, order)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_order, "WAIT_S", 1.5)


@pytest.mark.parametrize("do", ["unlock", "release", "restart"])
def test_a_door_that_does_it_is_told_of_and_the_status_is_0(house: CommandLine, do: str) -> None:
    with doors_that_answer(house):
        done = house("door", do, "--door", "main", "--language", "en")
    assert (done.status, done.out, done.err) == (0, f"main: done ({do})\n", "")


def test_it_waits_no_longer_than_the_door_takes(
    house: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door_order, "WAIT_S", 60.0)
    with doors_that_answer(house):
        began = time.monotonic()
        assert house("door", "unlock", "--door", "main").status == 0
    assert time.monotonic() - began < 30


def test_a_lockdown_without_a_door_is_for_all_and_lift_too(house: CommandLine) -> None:
    with doors_that_answer(house):
        for do in ("lockdown", "lift"):
            told = house.done("door", do, "--language", "en").splitlines()
            assert f"main: done ({do})" in told
            assert len(told) == 2


def test_a_door_that_is_away_is_told_of_and_the_status_is_1(house: CommandLine) -> None:
    with doors_that_answer(house, but="main"):
        done = house("door", "lockdown", "--language", "fr")
    assert done.status == 1
    assert "main : ordre donné (lockdown), mais la porte ne l'a pas encore exécuté" in done.out
    assert len(done.out.splitlines()) == 2
    with open_installation(house.data) as installation:
        assert [one.door for one in installation.gatehouse.orders(SITE)] == [MAIN]


def test_a_hold_without_a_public_watch_is_refused_in_one_line(house: CommandLine) -> None:
    done = house("door", "hold", "--door", "main")
    assert (done.status, done.out) == (1, "")
    assert "a door is held only while a watch that is open to the public runs" in done.err
    assert len(done.err.splitlines()) == 1


def test_a_door_that_is_not_there_is_named(house: CommandLine) -> None:
    done = house("door", "unlock", "--door", "attic")
    assert done.status == 1
    assert "no such door: attic" in done.err


@pytest.mark.parametrize("do", ["unlock", "hold", "release", "restart"])
def test_what_concerns_one_door_must_name_it(house: CommandLine, do: str) -> None:
    assert house("door", do).status == 2
