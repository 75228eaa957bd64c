"""Looks for the least that still breaks an invariant: the shortest span, the fewest faults, people.

What is left out changes what chance does with the rest, so each try is a simulation of its own; one
counts if the same invariant breaks in it.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from simulation.evening import Plan, Result, simulate

PATIENCE_S: Final = 60.0
"""How long is looked, in seconds."""

_HALVINGS: Final = 6
_AN_HOUR_S: Final = 3600.0


def shrunk(
    result: Result,
    *,
    patience_s: float = PATIENCE_S,
    on_time: Callable[[int], object] = lambda _: None,
    monotonic: Callable[[], float] = time.monotonic,
) -> Result:
    """Find the least that breaks the same invariant; blocks for `patience_s` and one try at most.

    Args:
        result: in which an invariant is broken; another one is given back as it is.
        patience_s: how long is looked.
        on_time: told how many whole seconds more have gone by.
        monotonic: the time that is measured, in seconds.
    """
    if result.violation is None:
        return result
    search = _Search(
        best=result,
        begun=monotonic(),
        patience_s=patience_s,
        on_time=on_time,
        monotonic=monotonic,
    )
    search.end_sooner()
    search.leave_out([name for name in result.has if name not in search.best.plan.without])
    search.leave_out(result.people)
    search.begin_later()
    search.end_sooner()
    return search.best


@dataclass(slots=True, kw_only=True)
class _Search:
    """The least that was found so far."""

    best: Result
    begun: float
    patience_s: float
    on_time: Callable[[int], object]
    monotonic: Callable[[], float]
    _told_s: int = 0

    def end_sooner(self) -> None:
        """Mend all sooner; what broke before that does so again, and need not be tried."""
        plan, at_h = self.best.plan, self._at_s / _AN_HOUR_S
        until_h = plan.hours if plan.until_h is None else plan.until_h
        if at_h < until_h:
            sooner = math.ceil(at_h * 100 + 1) / 100
            self.best = replace(self.best, plan=replace(plan, until_h=min(sooner, until_h)))
            return
        self._halve(plan.from_h, until_h, lambda h: replace(self.best.plan, until_h=h), is_up=False)

    def begin_later(self) -> None:
        """Let nobody come, and nothing go wrong, for as long as possible."""
        plan = self.best.plan
        until_h = plan.hours if plan.until_h is None else plan.until_h
        self._halve(plan.from_h, until_h, lambda h: replace(self.best.plan, from_h=h), is_up=True)

    def leave_out(self, names: Sequence[str]) -> None:
        """Leave out all of these, or halves of them, or each."""
        if not names or self._tries(
            replace(self.best.plan, without=self.best.plan.without | set(names))
        ):
            return
        if len(names) > 1:
            middle = len(names) // 2
            self.leave_out(names[:middle])
            self.leave_out(names[middle:])

    def _halve(
        self, low: float, high: float, plan_at: Callable[[float], Plan], *, is_up: bool
    ) -> None:
        """Look for the highest hour, or the lowest, at which it still breaks."""
        for _ in range(_HALVINGS):
            middle = round((low + high) / 2, 2)
            if self._tries(plan_at(middle)) == is_up:
                low = middle
            else:
                high = middle

    def _tries(self, plan: Plan) -> bool:
        if self.monotonic() - self.begun >= self.patience_s:
            return False
        again = simulate(plan)
        gone_s = int(self.monotonic() - self.begun)
        self.on_time(gone_s - self._told_s)
        self._told_s = gone_s
        known = self.best.violation
        is_same = again.violation and known and again.violation.number == known.number
        if is_same:
            self.best = again
        return bool(is_same)

    @property
    def _at_s(self) -> float:
        return self.best.violation.at_s if self.best.violation is not None else math.inf
