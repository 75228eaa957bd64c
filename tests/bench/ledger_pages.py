"""How long pages take at the server, over a ledger of a known length."""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from flask.testing import FlaskClient

from tests.bench.ledger_place import Place, browser


@dataclass(frozen=True, kw_only=True)
class Page:
    """How long a page takes, in milliseconds: when all is read from disk, the middle, and p95.

    Attributes:
        busy_ms: of the middle one, how long the processor was at work for it.
    """

    name: str
    busy_ms: float
    from_disk_ms: float
    p50_ms: float
    p95_ms: float
    kilobytes: float


def look(place: Place, looks: int) -> Iterator[Page]:
    """Look at each page so many times, logged in, through the whole application."""
    month = place.installation.clock.now().strftime("%Y-%m")
    paths = {
        "a member's page": "/me",
        "the live board": "/",
        "the last events, by the API": "/api/v1/events",
        "a month's curve, drawn": f"/curve.svg?month={month}",
        "a month's curve, as a table": f"/curve?month={month}",
    }
    with browser(place) as client:
        for name, path in paths.items():
            yield timed(name, place, looks, partial(whole, client, path))
        yield timed("what /live sends", place, looks, partial(first_mark, client))


def whole(client: FlaskClient, path: str) -> bytes:
    """Open a page.

    Raises:
        RuntimeError: it is not shown.
    """
    answer = client.get(path)
    if answer.status_code != HTTPStatus.OK:
        raise RuntimeError(f"{path} answers {answer.status}")
    return answer.get_data()


def first_mark(client: FlaskClient) -> bytes:
    """Open the stream of the board, and read on until it says how the board stands."""
    with client.get("/live", buffered=False) as answer:
        found = b""
        for chunk in answer.iter_encoded():
            found += chunk
            if b"data:" in found:
                break
    return found


def forget(place: Place) -> None:
    """Let the database and the system forget what they hold of the files in memory."""
    for database in (place.database, place.cursors):
        database.checkpoint()
        file = os.open(str(database.engine.url.database), os.O_RDONLY)
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)
        database.engine.dispose()


def timed(name: str, place: Place, looks: int, get: Callable[[], bytes]) -> Page:
    """Time how long something takes that gives bytes: first when nothing of it is in memory."""
    times, busy, size = [], [], 0
    get()
    forget(place)
    for _ in range(looks + 1):
        start, busy_at = time.perf_counter(), time.process_time()
        size = len(get())
        times.append((time.perf_counter() - start) * 1e3)
        busy.append((time.process_time() - busy_at) * 1e3)
    first, *others = times
    return Page(
        name=name,
        busy_ms=statistics.median(busy[1:]),
        from_disk_ms=first,
        p50_ms=statistics.median(others),
        p95_ms=statistics.quantiles(others, n=20)[18],
        kilobytes=size / 1e3,
    )
