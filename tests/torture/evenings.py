"""Simulated weeks of a site with faults, by the thousands."""

from collections.abc import Iterator
from typing import Final

from simulation.many import simulate_many
from simulation.story import failure
from tests.torture.report import Outcome, Run, Torment

HOURS: Final = 7 * 24.0


def simulate_weeks(run: Run) -> Outcome:
    """Simulate a week for each of so many seeds."""
    seeds = range(run.seed, run.seed + run.count)
    tally = simulate_many(seeds, HOURS, run.done)
    return Outcome(
        rounds=tally.number,
        facts={"steps": tally.steps, **dict(sorted(tally.counts.items()))},
        failures=[failure(result) for result in tally.failed],
        is_interrupted=tally.number < run.count,
    )


WEEKS: Final = Torment(
    name="simulated-weeks",
    faults=("F1", "F2", "F3", "F4", "F7", "F10", "F11", "F22", "F25"),
    says="no invariant is broken in any simulated week with faults, whatever the seed",
    full=20_000,
    few=4,
    run=simulate_weeks,
)


def every() -> Iterator[Torment]:
    """Give the torment of this module."""
    yield WEEKS
