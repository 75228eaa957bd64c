"""What operators watch, in Prometheus' format.

Names follow https://prometheus.io/docs/practices/naming/. No name, member or badge is in them.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection

from access.ids import MemberId, SiteId
from access.policy import Reason
from dashboards.metrics_senders import FollowersReader
from dashboards.metrics_server import ServerCollector, ServerReport
from runtime.clock import Clock
from server import ledger
from server.board import Contact, DoorView, Occupancy, Person
from server.board_events import is_line, to_happening
from server.board_reader import BoardReader
from server.database import Database
from server.forgetting import last_run
from server.settings import SiteSettings

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

_OPEN: Final = ("hours", "watch", "closing", "closed")
_DECISIONS: Final = (
    "gardien.access.decided",
    "gardien.access.granted",
    "gardien.access.denied",
)
_REASONS: Final = frozenset(reason.value for reason in Reason)
_OF_FOLLOWERS: Final = (
    (
        "gardien_follower_lag_entries",
        "Entries of the ledger that a follower has still to do.",
        "lag",
    ),
    ("gardien_follower_lag_seconds", "Age of the first entry that it has still to do.", "lag_s"),
    ("gardien_follower_waiting", "What waits to be sent by itself.", "waiting"),
    ("gardien_follower_dead", "What could not be sent and was given up.", "dead"),
    ("gardien_follower_failing", "Whether its last attempt to send failed.", "is_failing"),
)
_BATCH: Final = 1_000
_MOST_BATCHES: Final = 50
"""A scrape reads so many batches at the most; what is left, the next one reads."""


class Metrics:
    """What is told to Prometheus; safe to use from several threads.

    Args:
        database: where the ledger is.
        reader: reads what the pages show.
        sites: from the settings.
        clock: the time.
        followers: how the ledger's followers stand; None to leave that out.
        report: what the server's program tells of itself; None to leave that out.
    """

    def __init__(
        self,
        *,
        database: Database,
        reader: BoardReader,
        sites: Sequence[SiteSettings],
        clock: Clock,
        followers: FollowersReader | None = None,
        report: ServerReport | None = None,
    ) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Sites(reader, sites, clock))
        self._registry.register(_Decisions(database))
        self._registry.register(_Forgetting(database))
        if report is not None:
            self._registry.register(ServerCollector(report))
        if followers is not None:
            self._registry.register(_Followers(followers))

    def scrape(self) -> bytes:
        """Write all metrics as they are now. Blocks for the database.

        Raises:
            DatabaseError: not now.
        """
        return generate_latest(self._registry)


class _Sites(Collector):
    """The numbers of each site and the condition of each door."""

    def __init__(self, reader: BoardReader, sites: Sequence[SiteSettings], clock: Clock) -> None:
        self._reader, self._sites, self._clock = reader, sites, clock

    def collect(self) -> Iterator[Metric]:
        ids = [SiteId(site.id) for site in self._sites]
        yield from _numbers({one: self._reader.occupancy(one) for one in ids})
        doors = {one: self._reader.doors(one) for one in ids}
        yield from _doors(doors, self._clock.now())


class _Decisions(Collector):
    """How often each reason was given, counted on from entry to entry of the ledger.

    It counts from the first scrape on, as a counter begins again with its program.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock: Final = threading.Lock()
        self._done: int | None = None
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            with self._database.reading() as connection:
                self._count(connection)
            counts = dict(self._counts)
        family = CounterMetricFamily(
            "gardien_decisions",
            "Badges that were decided on, by reason, since the first scrape of this program.",
            labels=("site", "granted", "reason"),
        )
        for labels, count in sorted(counts.items()):
            family.add_metric(labels, count)
        yield family

    def _count(self, connection: Connection) -> None:
        end = ledger.last_id(connection)
        done = end if self._done is None else self._done
        for _ in range(_MOST_BATCHES):
            found = ledger.read(connection, after_id=done, limit=_BATCH, kinds=_DECISIONS)
            self._counts.update(filter(None, map(_labels, found)))
            # Noted at once: should the next batch fail, this one must not count again.
            self._done = done = end if len(found) < _BATCH else found[-1].id
            if done >= end:
                return


class _Forgetting(Collector):
    """When what has been kept for long enough was last forgotten."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[Metric]:
        run = last_run(self._database)
        family = GaugeMetricFamily(
            "gardien_forget_timestamp_seconds",
            "When all that has been kept for long enough was last forgotten; 0 for never.",
        )
        family.add_metric((), 0.0 if run is None else run.timestamp())
        yield family


class _Followers(Collector):
    """How far followers are behind the ledger, and what they could not send on."""

    def __init__(self, reader: FollowersReader) -> None:
        self._reader = reader

    def collect(self) -> Iterator[Metric]:
        found = self._reader.read()
        for name, words, attribute in _OF_FOLLOWERS:
            family = GaugeMetricFamily(name, words, labels=("follower",))
            for one in found:
                family.add_metric((one.name,), float(getattr(one, attribute)))
            yield family


def _numbers(seen: Mapping[SiteId, Occupancy]) -> Iterator[Metric]:
    values = {
        "present": ("People likely inside.", "present"),
        "margin": ("How far the count may be out: this many more may be inside.", "margin"),
        "members": ("Members inside at the most.", "members"),
        "guests": ("Guests inside.", "guests"),
        "capacity": ("The most people that the site may hold.", "capacity"),
    }
    for name, (words, attribute) in values.items():
        family = GaugeMetricFamily(f"gardien_{name}", words, labels=("site",))
        for site, numbers in seen.items():
            family.add_metric((site,), getattr(numbers, attribute))
        yield family
    family = GaugeMetricFamily(
        "gardien_open", "What keeps the site open: 1 for the one that does.", labels=("site", "by")
    )
    for site, numbers in seen.items():
        for by in _OPEN:
            family.add_metric((site, by), float(numbers.open == by))
    yield family


def _doors(seen: Mapping[SiteId, Sequence[DoorView]], now: datetime) -> Iterator[Metric]:
    labels = ("site", "door")
    online = GaugeMetricFamily(
        "gardien_door_online", "Whether the door is in reach, and has been heard of.", labels=labels
    )
    queue = GaugeMetricFamily(
        "gardien_door_queue", "Records that the door has still to hand in.", labels=labels
    )
    age = GaugeMetricFamily(
        "gardien_door_news_age_seconds", "Time since the door was last heard of.", labels=labels
    )
    for site, doors in seen.items():
        for door in doors:
            key = (str(site), str(door.id))
            online.add_metric(key, float(door.contact is Contact.ONLINE))
            if door.queue is not None:
                queue.add_metric(key, door.queue)
            if door.heard_at is not None:
                age.add_metric(key, max(0.0, (now - door.heard_at).total_seconds()))
    yield from (online, queue, age)


def _labels(entry: ledger.StoredEntry) -> tuple[str, str, str] | None:
    """Give the labels of a decision; None for an entry that tells of one a second time."""
    if not is_line(entry):
        return None
    line = to_happening(entry, _nobody, {})
    if line.is_granted is None:
        return None
    # A door may say what it likes: of its words no label is made.
    reason = line.reason if str(line.reason) in _REASONS else "other"
    return str(entry.site), str(line.is_granted).lower(), str(reason)


def _nobody(member: MemberId) -> Person:
    return Person(id=member, name="")
