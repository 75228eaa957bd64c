#!/usr/bin/env python3
"""How fast a door hands in what it kept while it was alone, by how many records there are.

The programs are those that a user starts: a server, and one door unit after the other on emulated
hardware, each with an outbox that is full of an offline evening. A bare client of the broker stops
the time, from the first batch that is sent until the server has acknowledged the last record: then
the server has it on its disk for good. Each figure is the median of several doors.
"""

import argparse
import statistics
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import uuid4

if (ROOT := str(Path(__file__).parents[2])) not in sys.path:
    sys.path.append(ROOT)

import msgspec
import paho.mqtt.client as paho

from access import topics
from access.ids import DoorId
from access.messages import Acknowledgement
from edge.outbox import Entry, Outbox
from gardien.progress import progress_bar
from tests.bench.broker_parts import bare_client, connect, mosquitto, mosquitto_version
from tests.bench.ledger_filling import opening
from tests.bench.program import Size, run, version_of
from tests.bench.running import has_said, running
from tests.bench.shape import Curve, Found, Line
from tests.torture.place import SITE, Place, wait_for

PATIENCE_S: Final = 120.0
MEMBERS: Final = 40
_BATCH: Final = 1_000


@dataclass(slots=True)
class Watch:
    """Stops the time of doors that hand in their journals.

    Attributes:
        wanted: the number of the last record, by door.
    """

    wanted: dict[DoorId, int]
    _began: dict[DoorId, float] = field(default_factory=dict)
    _done: dict[DoorId, float] = field(default_factory=dict)
    _over: dict[DoorId, threading.Event] = field(init=False)

    def __post_init__(self) -> None:
        """Make what is waited for."""
        self._over = {door: threading.Event() for door in self.wanted}

    def heard(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        """Take note of a message."""
        now = time.perf_counter()
        topic = topics.parse(message.topic)
        door = topic.door
        if door is None or door not in self.wanted:
            return
        if topic.what == topics.JOURNAL:
            self._began.setdefault(door, now)
            return
        acknowledged = msgspec.json.decode(message.payload, type=Acknowledgement).seq
        if acknowledged >= self.wanted[door] and door in self._began:
            self._done.setdefault(door, now)
            self._over[door].set()

    def wait(self, door: DoorId, within_s: float = PATIENCE_S) -> float:
        """Wait until a door has handed in everything; give the seconds that it took.

        Raises:
            TimeoutError: it has not, in time.
        """
        if not self._over[door].wait(within_s):
            raise TimeoutError(f"{door} did not hand in {self.wanted[door]} records")
        return self._done[door] - self._began[door]


def measure(options: argparse.Namespace, folder: Path) -> Found:
    """Let each door hand in its journal."""
    wanted = {
        DoorId(f"d{records}-{turn}"): records
        for turn in range(options.turns)
        for records in options.records
    }
    took: dict[int, list[float]] = {records: [] for records in options.records}
    with ExitStack() as stack:
        place = stack.enter_context(Place(folder / "p", list(wanted)))
        advance = stack.enter_context(progress_bar("outboxes", len(wanted)))
        stack.enter_context(mosquitto(folder, port=place.port))
        stack.enter_context(running(place.path, "server"))
        watch = Watch(wanted)
        listener = bare_client("watch")
        listener.on_message = watch.heard
        every = (topics.of_door(SITE, DoorId("+"), what) for what in (topics.JOURNAL, topics.ACK))
        connect(listener, place.port, *every)
        stack.callback(listener.loop_stop)
        stack.callback(listener.disconnect)
        wait_for(
            lambda: has_said(place.path, "server", "connected to the broker"), "the server runs"
        )
        for door, records in wanted.items():
            fill(place, door, records)
            with running(place.path, "door", "--config", str(place.door_settings(door))):
                took[records].append(watch.wait(door))
            advance(1)
    return found({records: statistics.median(of) for records, of in took.items()})


def fill(place: Place, door: DoorId, records: int) -> None:
    """Fill a door's outbox with people who come in and go out again while it is alone."""
    file, now = place.door_settings(door).with_name("outbox.db"), place.inside.clock.now()
    entries: list[Entry] = []
    passes = 0
    while len(entries) < records:
        reader, number = ("in", "out")[passes % 2], passes // 2 % MEMBERS
        for kind, data in opening(str(uuid4()), reader=reader, number=number):
            entries.append(Entry(kind=kind, time=now, data=data | _alone(kind)))
        passes += 1
    with Outbox(file, site=SITE, door=door) as outbox:
        for first in range(0, records, _BATCH):
            outbox.append_all(entries[:records][first : first + _BATCH])


def _alone(kind: str) -> dict[str, object]:
    return {"offline": True} if kind == "access.granted" else {}


def found(took: dict[int, float]) -> Found:
    """Put what was measured into curves."""
    return Found(
        curves=(
            Curve(
                picture="outbox",
                title="A door's outbox, handed in",
                x="records in the outbox",
                y="seconds",
                lines=(Line(name="first batch to last ack", points=tuple(took.items())),),
            ),
            Curve(
                picture="outbox",
                title="The same, as a rate",
                x="records in the outbox",
                y="records per second",
                lines=(
                    Line(name="records/s", points=tuple((n, n / of) for n, of in took.items())),
                ),
            ),
        )
    )


def main(arguments: list[str]) -> int:
    """Measure and tell."""
    return run(
        __file__,
        __doc__,
        arguments,
        measure,
        parts=version_of("paho-mqtt", "sqlalchemy") | mosquitto_version(),
        records=Size((10, 100, 1_000, 10_000), (10, 200), "in an outbox"),
        turns=Size(5, 1, "doors with as many"),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
