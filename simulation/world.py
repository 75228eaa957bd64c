"""The world of one simulation: its time, its chance, its trace. The same seed gives the same world.

Nothing here reads a clock, iterates over a set, or draws from a source that is not the seed's.
"""

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from access.instants import to_rfc3339


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One line of the trace.

    Attributes:
        at_s: true seconds since the start.
        who: a door, the server, the broker, a person.
        what: a word for it.
        detail: the rest, in words.
    """

    at_s: float
    who: str
    what: str
    detail: str = ""


class World:
    """One heap of what is to come, one seed, one trace.

    Args:
        seed: decides everything that chance decides.
        start: the true time at which it begins, UTC.
    """

    def __init__(self, seed: int, start: datetime) -> None:
        self.seed, self.start = seed, start
        self.now_s = 0.0
        self._shown_s, self._shown = 0.0, start
        self.trace: list[Happened] = []
        self.counts: Counter[str] = Counter()
        self.steps = 0
        self._heap: list[tuple[float, int, Callable[[], object]]] = []
        self._number = 0
        self._chances: dict[str, Random] = {}

    @property
    def now(self) -> datetime:
        """The true time, UTC."""
        if self._shown_s != self.now_s:
            self._shown_s, self._shown = self.now_s, self.start + timedelta(seconds=self.now_s)
        return self._shown

    def chance(self, name: str) -> Random:
        """Give a stream of chance of its own, so that one part does not disturb another."""
        if name not in self._chances:
            self._chances[name] = Random(f"{self.seed}/{name}")  # noqa: S311 (no secret hangs on it)
        return self._chances[name]

    def after(self, delay_s: float, what: Callable[[], object]) -> None:
        """Do something later; what is due at the same time is done in the order of asking."""
        self._number += 1
        heapq.heappush(self._heap, (self.now_s + max(delay_s, 0.0), self._number, what))

    def run_until(self, end_s: float, is_over: Callable[[], bool]) -> None:
        """Let time pass up to `end_s`, or until `is_over` says so after a step."""
        while self._heap and self._heap[0][0] <= end_s:
            self.now_s, _, what = heapq.heappop(self._heap)
            self.steps += 1
            what()
            if is_over():
                return
        self.now_s = end_s

    def tell(self, who: str, what: str, detail: str = "") -> None:
        """Add a line to the trace."""
        self.trace.append(Happened(at_s=self.now_s, who=who, what=what, detail=detail))

    def count(self, what: str) -> None:
        """Note that something which only happens sometimes has happened."""
        self.counts[what] += 1

    def line(self, one: Happened) -> str:
        """Write one line of the trace."""
        moment = to_rfc3339(self.start + timedelta(seconds=round(one.at_s, 3)))
        return f"{moment} {one.who:10} {one.what:18} {one.detail}".rstrip()

    def digest(self) -> str:
        """Give the SHA-256 of the whole trace, in hex: the same for the same seed."""
        text = "\n".join(map(self.line, self.trace))
        return hashlib.sha256(text.encode()).hexdigest()
