"""Many simulations, shared among all processors."""

import os
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Final

from simulation.evening import Plan, Result, simulate

_SHARE: Final = 4
"""So many are handed to a process at a time: few enough that all end at about the same time."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What many simulations came to.

    Attributes:
        number: how many there were.
        steps: how many steps in all.
        failed: those in which an invariant was broken, in the order of their seeds.
        counts: how often what happened, in all of them.
        had: how many had which fault or habit.
    """

    number: int = 0
    steps: int = 0
    failed: list[Result] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    had: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        """Add what others came to."""
        self.number += other.number
        self.steps += other.steps
        self.failed += other.failed
        self.counts += other.counts
        self.had += other.had


def simulate_many(
    seeds: Iterable[int],
    hours: float,
    on_done: Callable[[int], object] = lambda _: None,
    *,
    without: frozenset[str] = frozenset(),
    niceness: int = 0,
) -> Tally:
    """Run a simulation for each seed; blocks until all are done.

    Args:
        seeds: what each is made of.
        hours: how long each lasts.
        on_done: is told how many more are done; what it raises ends all.
        without: faults and habits that none of them shall have.
        niceness: by how much they give way to what else runs here, 0 to 19 (nice(2)).
    """
    tally = Tally()
    plans = [Plan(seed=seed, hours=hours, without=without) for seed in seeds]
    # Not forked: whoever calls this may have threads.
    with ProcessPoolExecutor(
        os.cpu_count(),
        mp_context=get_context("spawn"),
        initializer=os.nice,
        initargs=(niceness,),
    ) as pool:
        for one in pool.map(_tallied, plans, chunksize=_SHARE):
            tally.add(one)
            on_done(one.number)
    return tally


def _tallied(plan: Plan) -> Tally:
    """Run one; only of one that failed is more kept than its counts."""
    result = simulate(plan)
    return Tally(
        number=1,
        steps=result.steps,
        failed=[] if result.violation is None else [result],
        counts=result.counts,
        had=Counter(result.has),
    )
