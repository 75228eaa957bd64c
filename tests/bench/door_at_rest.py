#!/usr/bin/env python3
"""What a door unit costs at rest: SPI transfers, processor time and memory, beside the library's.

In one run, on the same emulated chip and bus: our reader, looked at as the door does, and the loop
of `SimpleMFRC522` that people write. Then a whole `gardien door` at rest, with its emulated chip in
the same process, so its figures are upper bounds. Ends with 1 when it takes more than 2 % of a core
at rest, or 60 MB.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from edge.hardware.reader_mfrc522 import Mfrc522Reader
from edge.reading import DEFAULT_POLL_S
from edge.simulated.bus import detach, install
from edge.simulated.card import VirtualCard
from edge.simulated.chip import Chip
from edge.simulated.clock import RealClock, VirtualClock
from runtime.keys import make_badge_key, make_signing_key

MOST_CPU_PERCENT: float = 2.0
MOST_MB: float = 60.0
UID = bytes.fromhex("04a1b2c3")
SECONDS_PER_HOUR = 3600
SETTLING_S = 3.0
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
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


def transfers(way: str, reads: int) -> dict[str, float]:
    """Count the transfers of a look without a card, and of a read; and the time of the reads."""
    clock = VirtualClock()
    with chip_on(clock) as chip, WAYS[way](clock) as look:
        before = chip.transfers
        for _ in range(100):
            look()
        idle = (chip.transfers - before) / 100
        chip.put(VirtualCard(UID))
        before, began = chip.transfers, time.process_time()
        done = 0
        while done < reads:
            done += look() is not None
        took_s = time.process_time() - began
        return {
            "transfers_per_poll": idle,
            "transfers_per_read": (chip.transfers - before) / reads,
            "cpu_s_per_1000_reads": took_s * 1000 / reads,
        }


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


def whole_door(seconds: float) -> dict[str, float]:
    """Run a whole door unit without a broker, and look at its process after it has settled."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_signing_key(folder / "server.key", folder / "server.pem")
        make_badge_key(folder / "badge.key")
        (folder / "mqtt.password").write_text("none\n")
        (folder / "door.toml").write_text(DOOR_TOML)
        program = "from gardien.main import main; main()"
        command = [sys.executable, "-c", program, "--data", str(folder), "door"]
        with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as process:
            try:
                return _watch(process, folder / "door.sock", seconds)
            finally:
                process.terminate()


def _watch(process: "subprocess.Popen[bytes]", socket: Path, seconds: float) -> dict[str, float]:
    deadline = time.monotonic() + 30.0
    while not socket.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the door unit did not start")
        time.sleep(0.05)
    time.sleep(SETTLING_S)
    before = _cpu_s(process.pid)
    time.sleep(seconds)
    used_s = _cpu_s(process.pid) - before
    resident = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return {"cpu_percent": used_s / seconds * 100, "resident_mb": resident * PAGE_BYTES / 1e6}


def _cpu_s(pid: int) -> float:
    # Fields 14 and 15 of proc(5), counted after the name, which may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def measure(reads: int, seconds: float) -> dict[str, dict[str, float]]:
    """Measure all of it, in turn."""
    found = {way: transfers(way, reads) | {"cpu_s_per_hour": at_rest(way, seconds)} for way in WAYS}
    return found | {"door": whole_door(seconds)}


def main(arguments: list[str]) -> int:
    """Measure, tell, and say by the exit status whether the promise is kept."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reads", type=int, default=1_000, help="of a card (default 1000)")
    parser.add_argument("--seconds", type=float, default=10.0, help="at rest (default 10)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args(arguments)
    found = measure(options.reads, options.seconds)
    rows = {
        "SPI transfers per poll, no card": "transfers_per_poll",
        "SPI transfers per read": "transfers_per_read",
        "CPU seconds per 1,000 reads": "cpu_s_per_1000_reads",
        "CPU seconds per hour without a card": "cpu_s_per_hour",
    }
    lines = [f"{'reader':<38}{'ours':>10}{'SimpleMFRC522':>16}"]
    lines += [
        f"{title:<38}{found['ours'][key]:>10.1f}{found['library'][key]:>16.1f}"
        for title, key in rows.items()
    ]
    door = found["door"]
    lines.append(
        f"a whole door unit at rest: {door['cpu_percent']:.2f} % of a core "
        f"(at most {MOST_CPU_PERCENT:.0f}), {door['resident_mb']:.1f} MB resident "
        f"(at most {MOST_MB:.0f})"
    )
    sys.stdout.write("\n".join(lines) + "\n")
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    is_kept = door["cpu_percent"] <= MOST_CPU_PERCENT and door["resident_mb"] <= MOST_MB
    return 0 if is_kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
