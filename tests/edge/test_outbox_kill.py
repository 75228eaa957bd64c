"""Killed at any moment, the outbox has every record that it said was durable, and its chain holds.

`GARDIEN_KILLS` sets how often; 30 by default.
"""

import os
import random
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from access.ids import DoorId, SiteId
from access.journal import Head, verify
from edge.outbox import Outbox

KILLS = int(os.environ.get("GARDIEN_KILLS", "30"))
NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)

WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from edge.outbox import Entry, Outbox

now = datetime(2026, 3, 3, 12, tzinfo=UTC)
with Outbox(Path(sys.argv[1]), site="malakoff", door="main") as outbox:
    assert outbox.lost is None, outbox.lost
    while True:
        entries = [Entry(kind="door.opened", time=now, data={"pad": "x" * 300}) for _ in range(3)]
        seq = outbox.append_all(entries, {"last": str(outbox.head.seq + 3)})
        print(seq, flush=True)
        if seq % 5 == 0:
            outbox.acknowledge(seq - int(sys.argv[2]))
"""
BEHIND = 40
"""How many of the newest records are never acknowledged."""


def write_until_killed(path: Path, lines: int) -> int:
    """Let a program write, kill it after so many lines; give the last record it said it has."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(BEHIND)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        appended = 0
        for line in writer.stdout:
            appended = int(line)
            lines -= 1
            if lines == 0:
                writer.kill()
        # What stood in the pipe still counts: it was said before the kill.
        return appended


def test_killed_at_any_moment_no_durable_record_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    dice = random.Random(20260303)  # noqa: S311 - a test, repeatable
    for _ in range(KILLS):
        appended = write_until_killed(path, dice.randint(1, 60))
        assert appended > 0
        with Outbox(path, site=SiteId("malakoff"), door=DoorId("main")) as outbox:
            assert outbox.lost is None
            assert outbox.head.seq >= appended
            records = outbox.after(0, 100_000)
            # It says what it has before it acknowledges, so only what is behind that may be gone.
            assert records[0]["seq"] <= max(0, appended - BEHIND) + 1
            assert [r["seq"] for r in records] == list(
                range(records[0]["seq"], outbox.head.seq + 1)
            )
            first = Head(seq=records[0]["seq"] - 1, hash=records[0]["prev"])
            assert verify(records, first) == outbox.head
            assert outbox.kept("last") == str(outbox.head.seq)
