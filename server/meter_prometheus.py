"""The server's own numbers, in a file in Prometheus' format: so that it opens no port.

The dashboard's `/metrics` tells what is in the file; so can a node exporter's textfile collector
(https://github.com/prometheus/node_exporter#textfile-collector). Nobody's name, id or badge is in
it.
"""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    write_to_textfile,
)

from access.ids import SiteId
from server.meter import Kind

_log = logging.getLogger(__name__)

EVERY_S: Final = 10.0
"""How often the file is written anew, in seconds."""

PREFIX: Final = "gardien_server"
"""What each name in the file begins with."""

WRITTEN: Final = f"{PREFIX}_written_timestamp_seconds"
"""When the file was written: by its age it is told whether the server runs."""

LINK_UP: Final = f"{PREFIX}_link_up"
"""Whether the server is connected to the broker."""

_BUCKETS_S: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 1.0, 2.0)
"""0.4 s is how long a door waits before it decides by itself."""

_FOLDER_MODE: Final = 0o700


class PrometheusMeter:
    """Counts for Prometheus, and writes what it counted.

    Args:
        waiting: how many messages wait for the loop now.
        dropped: how many were dropped, as too many waited.
    """

    def __init__(self, *, waiting: Callable[[], float], dropped: Callable[[], float]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        ProcessCollector(namespace=PREFIX, registry=self._registry)
        self._taken_in = Counter(
            f"{PREFIX}_messages",
            "Messages that came over the broker, by what they are; invalid and late ones are "
            "not looked at.",
            labelnames=("kind",),
            registry=self._registry,
        )
        self._decisions = Counter(
            f"{PREFIX}_decisions",
            "Badges that this program decided on, by reason.",
            labelnames=("site", "granted", "reason"),
            registry=self._registry,
        )
        self._times = Histogram(
            f"{PREFIX}_decision_seconds",
            "Time from when a request came until its answer was committed and sent.",
            labelnames=("site",),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._link = Gauge(
            LINK_UP, "Whether the server is connected to the broker.", registry=self._registry
        )
        self._losses = Counter(
            f"{PREFIX}_link_losses",
            "How often the connection to the broker was lost.",
            registry=self._registry,
        )
        self._written = Gauge(WRITTEN, "When these numbers were written.", registry=self._registry)
        for name, words, of in (
            ("inbox_messages", "Messages that wait for the server's loop.", waiting),
            ("inbox_dropped", "Messages that were dropped, as too many waited.", dropped),
        ):
            Gauge(f"{PREFIX}_{name}", words, registry=self._registry).set_function(of)

    def took_in(self, kind: Kind) -> None:
        """Count a message that came."""
        self._taken_in.labels(kind).inc()

    def decided(self, site: SiteId, *, is_granted: bool, reason: str, took_s: float) -> None:
        """Count a decision: see `Meter.decided`."""
        self._decisions.labels(site, str(is_granted).lower(), reason).inc()
        self._times.labels(site).observe(took_s)

    def link_is(self, *, is_up: bool) -> None:
        """Note that the broker has been reached, or is out of reach."""
        self._link.set(is_up)
        if not is_up:
            self._losses.inc()

    def write(self, path: Path) -> None:
        """Write all numbers as they are now; whoever reads sees the old file or the new one.

        Raises:
            OSError: it can't be written.
        """
        self._written.set(time.time())
        write_to_textfile(str(path), self._registry)

    def run(self, stop: threading.Event, path: Path) -> None:
        """Write a file now and then until `stop` is set; then take it away.

        What can't be written is logged, once until it can.
        """
        is_failing = False
        while True:
            try:
                path.parent.mkdir(mode=_FOLDER_MODE, exist_ok=True)
                self.write(path)
                is_failing = False
            except OSError as error:
                if not is_failing:
                    _log.warning("the server's own numbers can't be written: %s", error)
                is_failing = True
            if stop.wait(EVERY_S):
                break
        path.unlink(missing_ok=True)
