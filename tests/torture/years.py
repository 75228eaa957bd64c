"""A simulated year of one site: what grows, drifts or stays known too long shows at last."""

from collections.abc import Iterator
from typing import Final

from simulation.story import command_of
from simulation.year import DAYS, Night, simulate_year
from tests.torture.report import Outcome, Run, Torment

SETTLED: Final = 100
"""After so many days the ledger is as long as it gets, but for what names nobody."""

MOST_GROWTH: Final = 1.1
"""How much more memory there may be at the end than after `SETTLED` days."""


def simulate_days(run: Run) -> Outcome:
    """Simulate one site for so many days, with few faults."""
    result, year, problems = simulate_year(
        run.seed, run.count, run.folder, on_night=lambda: run.done(1)
    )
    outcome = Outcome(
        rounds=len(year.nights),
        facts={"steps": result.steps, **_facts(year.nights), **dict(sorted(result.counts.items()))},
    )
    violation = result.violation
    if violation is not None:
        outcome.failures.append(
            f"after {violation.at_s / 86_400:.1f} days invariant {violation.number} does not hold: "
            f"{violation.text}; {command_of(result.plan)}\n{result.tail()}"
        )
    outcome.failures += [f"the ledger is not whole: {problem}" for problem in problems]
    _check_memory(outcome, year.nights)
    return outcome


def _facts(nights: list[Night]) -> dict[str, int | float | str]:
    """Give the most there was of each in any night, and all that was forgotten."""
    return {
        "entries forgotten": sum(night.forgotten for night in nights),
        "members forgotten or erased": nights[-1].gone,
        "MB at the first night": round(nights[0].resident_mb, 1),
        "MB at the last night": round(nights[-1].resident_mb, 1),
        "most bytes of state": max(night.body for night in nights),
        "most records at a door": max(night.queued for night in nights),
        "most bytes kept by a door": max(night.kept for night in nights),
        "most messages kept by the broker": max(night.retained for night in nights),
        "most people at night": max(night.present for night in nights),
    }


def _check_memory(outcome: Outcome, nights: list[Night]) -> None:
    if len(nights) <= SETTLED:
        return
    before, after = nights[SETTLED].resident_mb, nights[-1].resident_mb
    outcome.check(
        "memory",
        f"{before:.0f} MB after {SETTLED} days, {after:.0f} MB after {len(nights)}",
        is_so=after <= before * MOST_GROWTH,
    )
    outcome.check("forgetting", "nothing was forgotten", is_so=any(n.forgotten for n in nights))


YEAR: Final = Torment(
    name="simulated-year",
    faults=("F1", "F2", "F3", "F4", "F7", "F22", "F29"),
    says="in a year of one site nothing grows, drifts, or is known for longer than it may be",
    full=DAYS,
    few=10,
    run=simulate_days,
)


def every() -> Iterator[Torment]:
    """Give the torment of this module."""
    yield YEAR
