"""Writes to an outbox as a door does on a busy evening, and says what is durable; for ever.

Started by the torments of power cuts, as a program: the file, a seed, and how many steps (0: until
it is ended). One write to standard output for each line: `d N`, all records up to N are durable;
`a N`, those up to N are about to be deleted.
"""

import contextlib
import os
import random
import sys
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from access.ids import DoorId, SiteId
from edge.outbox import Entry, Outbox, OutboxError

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
_STARTS = 10
SITE, DOOR = SiteId("malakoff"), DoorId("main")
LAST = "last"
"""Under this key the number of the last record is kept, in the same transaction as the record."""


def say(line: str) -> None:
    """Say a line, in one write."""
    os.write(1, f"{line}\n".encode())


def step(outbox: Outbox, dice: random.Random) -> None:
    """Do one of the things that a door does with its outbox."""
    what, head = dice.random(), outbox.head.seq
    if what < 0.75:
        entries = [
            Entry(kind="door.opened", time=NOON, data={"pad": "x" * dice.randint(0, 700)})
            for _ in range(dice.randint(1, 4))
        ]
        say(f"d {outbox.append_all(entries, {LAST: str(head + len(entries))})}")
    elif what < 0.95:
        seq = head - dice.randint(0, 12)
        say(f"a {seq}")
        outbox.acknowledge(seq)
    elif what < 0.98:
        outbox.keep("policy", "p" * dice.randint(1, 20_000))
    else:
        outbox.close()


def open_patiently(path: Path) -> Outbox:
    """Open the outbox; where that fails, again, as a unit that is started again does."""
    for _ in range(_STARTS):
        with contextlib.suppress(OutboxError):
            return Outbox(path, site=SITE, door=DOOR)
    return Outbox(path, site=SITE, door=DOOR)


def main() -> None:
    """Write until it is enough. What fails is not said to be durable, and the writer goes on."""
    path, seed, steps = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    dice = random.Random(seed)  # noqa: S311 (no secrets)
    with open_patiently(path) as outbox:
        for _ in range(steps) if steps else count():
            with contextlib.suppress(OutboxError):
                step(outbox, dice)


if __name__ == "__main__":
    main()
