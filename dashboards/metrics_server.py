"""What the server's program tells of itself: read from the file that it writes, for `/metrics`."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from server.meter_prometheus import EVERY_S, LINK_UP, PREFIX, WRITTEN

FRESH_S: Final = 3 * EVERY_S
"""A file that is older is of a server that has stopped."""


class ServerReport:
    """The server's file; safe to use from several threads.

    Args:
        path: where the server writes it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[Metric]:
        """Give what the server told last; nothing if it does not run. Blocks for the disk."""
        try:
            found = list(text_string_to_metric_families(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return []
        found = [one for one in found if one.name.startswith(PREFIX)]
        written = _value(found, WRITTEN)
        return found if written is not None and time.time() - written < FRESH_S else []

    def is_linked(self) -> bool:
        """Whether the server runs, and is connected to the broker. Blocks for the disk."""
        return _value(self.read(), LINK_UP) == 1.0


class ServerCollector(Collector):
    """Tells what the server's file says, and whether the server runs at all."""

    def __init__(self, report: ServerReport) -> None:
        self._report = report

    def collect(self) -> Iterator[Metric]:
        """Read the file."""
        found = self._report.read()
        up = GaugeMetricFamily(
            "gardien_server_up", "Whether the server's program runs, by what it wrote last."
        )
        up.add_metric((), float(bool(found)))
        yield from (up, *found)


def _value(families: list[Metric], name: str) -> float | None:
    samples = (one for family in families for one in family.samples)
    return next((one.value for one in samples if one.name == name), None)
