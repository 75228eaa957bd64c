"""Many simulations, shared among all processors."""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, as_completed, wait
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context

from simulation.evening import Plan, Result, simulate


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
    """Run a simulation for each seed; blocks until all are done, or it is interrupted (SIGINT).

    Args:
        seeds: what each is made of.
        hours: how long each lasts.
        on_done: is told how many more are done; what it raises ends all.
        without: faults and habits that none of them shall have.
        niceness: by how much they give way to what else runs here, 0 to 19 (nice(2)).

    Returns:
        What those that are done came to: fewer than there are seeds where it was interrupted.
    """
    tally = Tally()
    plans = (Plan(seed=seed, hours=hours, without=without) for seed in seeds)
    # Not forked: whoever calls this may have threads.
    with (
        suppress(KeyboardInterrupt),
        ProcessPoolExecutor(
            os.cpu_count(),
            mp_context=get_context("spawn"),
            initializer=_begin,
            initargs=(niceness,),
        ) as pool,
    ):
        for one in _as_they_end(pool, plans):
            tally.add(one)
            on_done(one.number)
    tally.failed.sort(key=lambda result: result.plan.seed)
    return tally


def _as_they_end(pool: ProcessPoolExecutor, plans: Iterable[Plan]) -> Iterator[Tally]:
    """Run them, few at a time: an interruption waits for those that run, and there are no more."""
    running: set[Future[Tally]] = set()
    for plan in plans:
        running.add(pool.submit(_tallied, plan))
        if len(running) >= 2 * (os.cpu_count() or 1):
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (each.result() for each in done)
    yield from (each.result() for each in as_completed(running))


def _begin(niceness: int) -> None:
    os.nice(niceness)
    # A terminal interrupts these processes as well: they end what they are at, and get no more.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


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
