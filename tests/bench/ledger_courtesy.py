"""How long a decision takes while a follower catches up in the same process, as in the server."""

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Final
from uuid import UUID

from access.messages import AccessRequest
from server.events import Asked
from server.follower import Follower
from tests.bench.ledger_filling import badge_of
from tests.bench.ledger_place import DOORS, SITE, Place

_EVERY_S: Final = 0.02
"""Between two badges: many more than ever come at once."""

_numbers = count(1)


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """How long decisions took, in milliseconds, and all of them together, in seconds."""

    p50_ms: float
    p95_ms: float
    taken_s: float


def decide(place: Place, decisions: int, follower: Follower | None = None) -> Decisions:
    """Time decisions, each alone and committed, as the server's loop takes them.

    Args:
        place: whose gate decides.
        decisions: how many; two or more.
        follower: runs in a thread of its own, and is woken after each commit; it must have enough
            to do for all that time.
    """
    times, start = [], time.perf_counter()
    with _running(follower):
        for _ in range(decisions):
            time.sleep(_EVERY_S)
            times.append(decide_once(place))
            if follower is not None:
                follower.wake()
    return Decisions(
        p50_ms=statistics.median(times) * 1e3,
        p95_ms=statistics.quantiles(times, n=20)[18] * 1e3,
        taken_s=time.perf_counter() - start,
    )


def decide_once(place: Place) -> float:
    """Have one request decided and committed; give the seconds that it took."""
    now = place.installation.clock.now()
    number = next(_numbers)
    id_ = str(UUID(int=(int(now.timestamp() * 1000) << 80) | 7 << 76 | 2 << 62 | number))
    request = AccessRequest(id=id_, at=now, reader="in", badge=badge_of(number % 50))
    start = time.perf_counter()
    place.installation.gatehouse.handle(SITE, [Asked(door=DOORS[0], request=request)], now)
    return time.perf_counter() - start


@contextmanager
def _running(follower: Follower | None) -> Iterator[None]:
    if follower is None:
        yield
        return
    stop = threading.Event()
    thread = threading.Thread(target=follower.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        follower.wake()
        thread.join()
