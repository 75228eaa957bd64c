"""A door unit killed in the midst of things: no lock was ever released without its record.

`GARDIEN_KILLS` sets how often; 6 by default.
"""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from access.badge import digest
from access.ids import DoorId, MemberId, SiteId
from access.instants import Span
from access.journal import Head, verify
from access.messages import encode
from access.model import Badge, Member, Plan, Policy
from access.model import Door as DoorModel
from access.snapshot import seal
from edge.memory import keep_policy
from edge.outbox import Outbox
from edge.simulated.client import NoSuchDoorError, ask, tap
from edge.simulated.messages import Look
from runtime.keys import make_badge_key, make_signing_key, read_badge_key, signer
from tests.edge.door_toml import door_toml

KILLS = int(os.environ.get("GARDIEN_KILLS", "6"))
SITE, DOOR, SAM = SiteId("malakoff"), DoorId("main"), bytes.fromhex("0a0b0c0d")
WaitUntil = Callable[[Callable[[], bool]], None]

PROGRAM = """
import sys, threading
from pathlib import Path
from edge.program import run
from edge.settings import load_door_settings

run(load_door_settings(Path(sys.argv[1])), threading.Event())
"""


def install(folder: Path) -> None:
    """Keys, settings, and a policy that admits Sam, as if the server had sent it."""
    make_signing_key(folder / "server.key", folder / "server.pem")
    make_badge_key(folder / "badge.key")
    (folder / "mqtt.password").write_text("m\n")
    (folder / "door.toml").write_text(door_toml(more='[timing]\nrearm = "100 ms"\n'))
    now = datetime.now(UTC)
    badge = digest(SAM, read_badge_key(folder / "badge.key"))
    policy = Policy(
        version=1,
        site=SITE,
        issued=now,
        relies_until=now + timedelta(days=1),
        capacity=5,
        doors={DOOR: DoorModel(id=DOOR, name="Main", plans=frozenset(Plan), unlock_s=1.0)},
        members={MemberId("sam"): Member(id=MemberId("sam"), plan=Plan.STAFF)},
        badges={badge: Badge(digest=badge, member=MemberId("sam"))},
        opening=(Span(start=now, end=now + timedelta(days=1)),),
    )
    with open_outbox(folder) as outbox:
        keep_policy(outbox, encode(seal(policy, signer(folder / "server.key"))))


def open_outbox(folder: Path) -> Outbox:
    return Outbox(folder / "outbox.db", site=SITE, door=DOOR)


def come_and_go(socket: Path, unlocked: list[float]) -> None:
    """Present a badge again and again until the door is gone; note each release that was seen."""
    while True:
        try:
            if ask(socket, Look()).lock == "unlocked":
                continue  # still released for the one before
            answer = tap(socket, uid=SAM, open_ms=20, timeout_s=10)
        except NoSuchDoorError:
            return
        if answer.lock == "unlocked":
            unlocked.append(time.monotonic())


def test_killed_in_the_midst_of_things_every_release_has_its_record(
    tmp_path: Path, wait_until: WaitUntil
) -> None:
    install(tmp_path)
    socket = tmp_path / "door.sock"
    dice = random.Random(4)  # noqa: S311 - a test, repeatable
    seen = 0
    for number in range(1, KILLS + 1):
        socket.unlink(missing_ok=True)
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "door.toml")],
            stderr=subprocess.DEVNULL,
        ) as program:
            wait_until(socket.exists)
            unlocked: list[float] = []
            people = threading.Thread(target=come_and_go, args=(socket, unlocked))
            people.start()
            time.sleep(dice.uniform(0.3, 1.5))
            program.kill()
            people.join(15)
            assert not people.is_alive()
        seen += len(unlocked)
        with open_outbox(tmp_path) as outbox:
            assert outbox.lost is None
            records = outbox.after(0, 100_000)
            verify(records, Head())
            kinds = [record["type"] for record in records]
            assert kinds.count("gardien.unit.started") == number
            assert kinds.count("gardien.lock.unlocked") >= seen
            assert kinds.count("gardien.access.granted") >= kinds.count("gardien.lock.unlocked")
    assert seen >= KILLS // 2
