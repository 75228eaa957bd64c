"""Which of many spans hold an instant, where they may overlap, without looking at them all."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import accumulate
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Overlaps(Generic[_T]):
    """Half-open spans, each standing for something.

    Args:
        spans: start, end and what it stands for, in any order.
    """

    __slots__ = ("_latest", "_spans", "_starts")

    def __init__(self, spans: Iterable[tuple[datetime, datetime, _T]]) -> None:
        self._spans = sorted(spans, key=lambda span: span[0])
        self._starts = [start for start, _end, _stands_for in self._spans]
        # The latest end among a span and all before it: beyond it none of them reaches.
        self._latest = list(accumulate((end for _start, end, _stands_for in self._spans), max))

    def at(self, moment: datetime) -> Iterator[_T]:
        """Give what the spans that hold `moment` stand for.

        Takes time in the logarithm of the number of spans, and in the number of those that a long
        one still running has seen start.
        """
        index = bisect_right(self._starts, moment)
        while index and self._latest[index - 1] > moment:
            index -= 1
            _start, end, stands_for = self._spans[index]
            if moment < end:
                yield stands_for
