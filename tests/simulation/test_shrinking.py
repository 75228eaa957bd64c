"""What breaks an invariant is made small: fewer faults and people, a shorter span, in time."""

import itertools

import pytest

from edge.latch import Latch
from simulation.evening import Plan, Result, simulate
from simulation.shrinking import shrunk
from simulation.story import command_of, failure
from tests.simulation.test_planted_bugs import acknowledged_before_the_commit

HOURS = 6.0
PATIENCE_S = 40.0


def first_broken() -> Result:
    """Give the first evening in which the bug that was planted is seen."""
    results = (simulate(Plan(seed=seed, hours=HOURS)) for seed in itertools.count())
    return next(result for result in results if result.violation is not None)


def test_little_is_left_of_a_failure_and_it_still_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Latch, "is_over", lambda _self, _mono: False)
    broken = first_broken()
    least = shrunk(broken, patience_s=PATIENCE_S)
    assert broken.violation is not None
    assert least.violation is not None
    assert least.violation.number == broken.violation.number
    assert len(least.has) < len(broken.has)
    assert len(least.people) <= 2
    assert least.plan.until_h is not None
    assert least.plan.until_h - least.plan.from_h < HOURS / 2
    assert len(least.trace) < len(broken.trace)
    again = simulate(least.plan)
    assert again.violation == least.violation


def test_a_failure_that_is_found_at_the_end_is_made_small_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    acknowledged_before_the_commit(monkeypatch)
    broken = first_broken()
    least = shrunk(broken, patience_s=PATIENCE_S)
    assert least.violation is not None
    assert len(least.has) < len(broken.has)
    assert least.plan.until_h is not None
    assert least.plan.until_h < HOURS


def test_it_takes_no_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Latch, "is_over", lambda _self, _mono: False)
    broken = first_broken()
    clock = itertools.count(step=4.0)
    told: list[int] = []
    least = shrunk(broken, patience_s=10.0, on_time=told.append, monotonic=lambda: next(clock))
    assert least.violation is not None
    assert told == [8]


def test_what_holds_is_given_back_as_it_is() -> None:
    fine = simulate(Plan(seed=1, hours=0.1))
    assert shrunk(fine) is fine
    assert failure(fine) == "seed 1: every invariant held"


def test_a_plan_is_told_as_the_command_that_simulates_it() -> None:
    plan = Plan(seed=7, hours=6, from_h=1.5, until_h=2, without=frozenset({"fire", "cut"}))
    words = "gardien simulate --seed 7 --hours 6 --from 1.5 --until 2 --without cut --without fire"
    assert command_of(plan) == words
