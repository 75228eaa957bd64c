"""Reads the history for people who look: where it is away or slow, the embedded store stands in."""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from access.ids import SiteId
from server.history import History, HistoryUnavailable, Retention, Sample

_log = logging.getLogger(__name__)

AWAY_S: Final = 10.0
"""So long a history that was away is not asked again: nobody else waits for it in vain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read.

    Attributes:
        samples: in order of time.
        is_stand_in: whether it is the embedded store's, since the history was away. It may lack
            what happened before that store was begun.
    """

    samples: list[Sample]
    is_stand_in: bool = False


class HistoryReader:
    """Reads from one history, and from another while that is away. Safe for several threads.

    Args:
        history: what is asked first.
        stand_in: what answers in its place; None for nothing.
    """

    def __init__(self, history: History, stand_in: History | None = None) -> None:
        self._history, self._stand_in = history, stand_in
        self._away_until = float("-inf")

    def occupancy(
        self,
        site: SiteId,
        *,
        start: datetime,
        end: datetime,
        step: timedelta | None = None,
        retention: Retention = Retention.RAW,
    ) -> Reading:
        """Read how many were inside: see `History.occupancy`, also for what is raised.

        Blocks for the history's budget of time at most, and for the stand-in's.
        """

        def read(history: History) -> list[Sample]:
            return history.occupancy(site, start=start, end=end, step=step, retention=retention)

        if self._stand_in is None:
            return Reading(samples=read(self._history))
        if time.monotonic() >= self._away_until:
            try:
                return Reading(samples=read(self._history))
            except HistoryUnavailable as error:
                self._away_until = time.monotonic() + AWAY_S
                _log.warning("the embedded store stands in for the history: %s", error)
        return Reading(samples=read(self._stand_in), is_stand_in=True)
