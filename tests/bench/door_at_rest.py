#!/usr/bin/env python3
"""What a door unit costs at rest: SPI transfers, processor time and memory, beside the library's.

In one run, on the same emulated chip and bus: our reader, looked at as the door does, and the loop
of `SimpleMFRC522` that people write. Then a whole `gardien door` at rest, with its emulated chip in
the same process, so its figures are upper bounds. Readers take turns; each figure is a median.

Promised: the door takes at most 2 % of a core at rest, and 60 MB.
"""

import argparse
import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

if (ROOT := str(Path(__file__).parents[2])) not in sys.path:
    sys.path.append(ROOT)

from edge.hardware.reader_mfrc522 import Mfrc522Reader
from edge.reading import DEFAULT_POLL_S
from edge.simulated.bus import detach, install
from edge.simulated.card import VirtualCard
from edge.simulated.chip import Chip
from edge.simulated.clock import RealClock, VirtualClock
from gardien.progress import progress_bar
from runtime.keys import make_badge_key, make_signing_key
from tests.bench.beside import cpu_s, resident_mb
from tests.bench.medians import middle
from tests.bench.program import Size, run, version_of
from tests.bench.running import running
from tests.bench.shape import Found, Promise, Row, Table

MOST_PERCENT: float = 2.0
MOST_MB: float = 60.0
UID = bytes.fromhex("04a1b2c3")
SECONDS_PER_HOUR = 3600
POLLS = 100
SETTLING_S = 3.0
DOOR_TOML = """
site = "bench"
door = "main"
server_key_file = "server.pem"
badge_key_file = "badge.key"
outbox = "outbox.db"
[mqtt]
host = "127.0.0.1"
port = 1
username = "bench.main"
password_file = "mqtt.password"
[hardware]
backend = "simulated"
simulated = { socket = "door.sock" }
lock = { pin = 17, active_high = true, fail = "safe", kind = "magnet", release_in_hardware = true }
contact = { pin = 27, active = "high" }
exit_button = { pin = 22, active = "low" }
light = { red = 5, green = 6, blue = 13 }
buzzer = { pin = 12 }
[[hardware.reader]]
id = "in"
driver = "mfrc522"
bus = 0
device = 0
"""

Look = Callable[[], object]


@contextlib.contextmanager
def chip_on(clock: VirtualClock | RealClock) -> Iterator[Chip]:
    """Put an emulated chip on the bus."""
    chip = Chip(clock=clock)
    install({(0, 0): chip})
    try:
        yield chip
    finally:
        detach(0, 0)


@contextlib.contextmanager
def ours(clock: VirtualClock | None = None) -> Iterator[Look]:
    """Give one look of our reader, in virtual time or in real time."""
    with (
        Mfrc522Reader(bus=0, device=0)
        if clock is None
        else Mfrc522Reader(bus=0, device=0, monotonic=clock.monotonic, sleep=clock.sleep)
    ) as reader:
        reader.poll()
        yield reader.poll


@contextlib.contextmanager
def library(_clock: VirtualClock | None = None) -> Iterator[Look]:
    """Give one look of the library's own reader."""
    from mfrc522 import SimpleMFRC522  # noqa: PLC0415 - after the emulated bus is there

    reader = SimpleMFRC522()
    reader.read_id_no_block()
    yield reader.read_id_no_block


WAYS = {"ours": ours, "library": library}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a reader costs.

    Attributes:
        per_poll: SPI transfers of a look without a card.
        per_read: SPI transfers of a read.
        read_ms: milliseconds of the processor that a read takes.
        idle_s: seconds of the processor that an hour without a card takes.
    """

    per_poll: float
    per_read: float
    read_ms: float
    idle_s: float


def measure_reader(way: str, reads: int, seconds: float) -> Reading:
    """Measure one reader."""
    clock = VirtualClock()
    with chip_on(clock) as chip, WAYS[way](clock) as look:
        before = chip.transfers
        for _ in range(POLLS):
            look()
        idle = (chip.transfers - before) / POLLS
        chip.put(VirtualCard(UID))
        before, began = chip.transfers, time.process_time()
        done = 0
        while done < reads:
            done += look() is not None
        read_ms = (time.process_time() - began) * 1000 / reads
        per_read = (chip.transfers - before) / reads
    return Reading(per_poll=idle, per_read=per_read, read_ms=read_ms, idle_s=at_rest(way, seconds))


def at_rest(way: str, seconds: float) -> float:
    """Give the processor seconds that an hour without a card takes, from some seconds of it."""
    pause_s = DEFAULT_POLL_S if way == "ours" else 0.0
    with chip_on(RealClock()), WAYS[way]() as look:
        end, began = time.monotonic() + seconds, time.process_time()
        while time.monotonic() < end:
            next_s = time.monotonic() + pause_s
            look()
            time.sleep(max(next_s - time.monotonic(), 0.0))
        return (time.process_time() - began) / seconds * SECONDS_PER_HOUR


def whole_door(folder: Path, seconds: float) -> tuple[float, float]:
    """Run a whole door unit without a broker; give its share of a core, in %, and megabytes."""
    folder.mkdir()
    make_signing_key(folder / "server.key", folder / "server.pem")
    make_badge_key(folder / "badge.key")
    (folder / "mqtt.password").write_text("none\n")
    (folder / "door.toml").write_text(DOOR_TOML)
    with running(folder, "door") as process:
        return watch(process, folder / "door.sock", seconds)


def watch(process: "subprocess.Popen[bytes]", socket: Path, seconds: float) -> tuple[float, float]:
    """Look at a door's process after it has settled.

    Raises:
        RuntimeError: it did not start.
    """
    deadline = time.monotonic() + 30.0
    while not socket.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the door unit did not start")
        time.sleep(0.05)
    time.sleep(SETTLING_S)
    before = cpu_s(process.pid)
    time.sleep(seconds)
    used_s = cpu_s(process.pid) - before
    return used_s / seconds * 100, resident_mb(process.pid)


def measure(options: argparse.Namespace, folder: Path) -> Found:
    """Measure all of it, in turn."""
    readings: dict[str, list[Reading]] = {way: [] for way in WAYS}
    with progress_bar("readers", options.turns + 1) as advance:
        for _ in range(options.turns):
            for way, several in readings.items():
                several.append(measure_reader(way, options.reads, options.seconds))
            advance(1)
        percent, megabytes = whole_door(folder / "door", options.seconds)
    return found(middle(readings["ours"]), middle(readings["library"]), percent, megabytes)


def found(ours: Reading, library: Reading, percent: float, megabytes: float) -> Found:
    """Put what was measured into a table."""
    rows = {
        "SPI transfers per poll, no card": (ours.per_poll, library.per_poll),
        "SPI transfers per read": (ours.per_read, library.per_read),
        "processor, ms per read": (ours.read_ms, library.read_ms),
        "processor, s per hour without a card": (ours.idle_s, library.idle_s),
    }
    return Found(
        tables=(
            Table(
                title="reader",
                columns=("ours", "SimpleMFRC522", "library / ours"),
                rows=tuple(
                    Row(name=name, values=(one, other, other / one))
                    for name, (one, other) in rows.items()
                ),
            ),
        ),
        promises=(
            Promise(what="a whole door at rest, % of a core", value=percent, limit=MOST_PERCENT),
            Promise(what="a whole door at rest, MB", value=megabytes, limit=MOST_MB),
        ),
    )


def main(arguments: list[str]) -> int:
    """Measure and tell."""
    return run(
        __file__,
        __doc__,
        arguments,
        measure,
        parts=version_of("mfrc522", "gpiozero"),
        reads=Size(400, 10, "of a card in a turn"),
        seconds=Size(4.0, 1.0, "at rest in a turn"),
        turns=Size(3, 1, "of each reader"),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
