"""Writes to a ledger as a server does, says what is durable, and dies now and then.

Started by the torments of power cuts, as a program: the file, a seed, and how many steps. One line
to standard output, in one write, for each commit: `d N`, all records up to N are durable.
"""

import contextlib
import os
import random
import sys
from datetime import UTC, datetime
from typing import Final

from access.ids import DoorId, SiteId
from access.journal import chained
from server import ledger
from server.database import Database, DatabaseError, open_database
from server.upgrade import upgrade

NOON: Final = datetime(2026, 3, 3, 12, tzinfo=UTC)
SITE, DOOR = SiteId("malakoff"), DoorId("main")

_DIES: Final = 0.05
_STARTS: Final = 20


def take_in(database: Database, dice: random.Random) -> int:
    """Commit some records and a state that follows from them; give the number of the last one."""
    with database.writing() as connection:
        head = ledger.head(connection, SITE, DOOR)
        entries = []
        for _ in range(dice.randint(1, 4)):
            data = {"pad": "x" * dice.randint(0, 700)}
            record, head = chained(
                head, site=SITE, source=DOOR, kind="exit.requested", time=NOON, data=data
            )
            entries.append(
                ledger.Entry(site=SITE, source=DOOR, seq=head.seq, kind=record["type"], time=NOON,
                             received=NOON, record=record)
            )  # fmt: skip
        ledger.append(connection, entries)
        version = ledger.state_version(connection, SITE)
        ledger.save_state(connection, SITE, version + 1, str(head.seq))
    return head.seq


def work(url: str, dice: random.Random, steps: int) -> int:
    """Write until it is enough, or until this process is to die; say how many steps are left."""
    with open_database(url) as database:
        upgrade(database)
        while steps:
            steps -= 1
            with contextlib.suppress(DatabaseError):
                os.write(1, f"d {take_in(database, dice)}\n".encode())
            if dice.random() < _DIES:
                os._exit(min(steps, 255))
    return 0


def main() -> None:
    """Start a process to write, and another one when it has died."""
    url, seed, steps = f"sqlite:///{sys.argv[1]}", sys.argv[2], int(sys.argv[3])
    for start in range(_STARTS):
        if not (child := os.fork()):
            left = 255
            with contextlib.suppress(DatabaseError):
                left = work(url, random.Random(f"{seed}/{start}"), steps)  # noqa: S311 (no secrets)
            os._exit(left)
        _, status = os.waitpid(child, 0)
        steps = min(steps, os.waitstatus_to_exitcode(status))
        if not steps:
            return


if __name__ == "__main__":
    main()
