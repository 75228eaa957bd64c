"""A door that has its server's rules and no server: what it does, it does by itself, at once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from access.badge import digest
from access.ids import DoorId, MemberId, SiteId
from access.instants import Span
from access.journal import Head, verify
from access.messages import encode
from access.model import Audience, Authorization, Badge, Member, Plan, Policy
from access.model import Door as DoorModel
from access.snapshot import seal
from edge.memory import keep_policy
from edge.outbox import Outbox
from edge.simulated.client import DoorSilentError, NoSuchDoorError, tap
from edge.simulated.messages import Answer
from runtime.keys import make_badge_key, make_signing_key, read_badge_key, signer
from tests.torture.door_process import UNLOCKED, DoorProcess
from tests.torture.report import Outcome

SITE: Final = SiteId("malakoff")
DOOR: Final = DoorId("main")
MEMBER: Final = bytes.fromhex("0a0b0c0d")
GUARDIAN: Final = bytes.fromhex("04aabbccddeeff")

_ALL: Final = 1_000_000
_TOML: Final = """
site = "malakoff"
door = "main"
keeps_time = true
server_key_file = "server.pem"
badge_key_file = "badge.key"
outbox = "disk/outbox.db"
[mqtt]
host = "127.0.0.1"
port = 9
username = "malakoff.main"
password_file = "mqtt.password"
[timing]
rearm = "100 ms"
[hardware]
backend = "simulated"
[hardware.simulated]
socket = "door.sock"
[hardware.lock]
pin = 17
active_high = true
fail = "secure"
kind = "strike"
release_in_hardware = true
[[hardware.reader]]
id = "in"
driver = "mfrc522"
bus = 0
device = 0
[[hardware.reader]]
id = "out"
driver = "mfrc522"
bus = 0
device = 1
[hardware.contact]
pin = 27
active = "high"
[hardware.light]
red = 22
green = 23
blue = 24
"""


def install(folder: Path) -> DoorProcess:
    """Make keys and settings; the outbox is to be in `disk`, which is made if need be."""
    make_signing_key(folder / "server.key", folder / "server.pem")
    make_badge_key(folder / "badge.key")
    (folder / "mqtt.password").write_text("m\n")
    (folder / "door.toml").write_text(_TOML)
    (folder / "disk").mkdir(exist_ok=True)
    return DoorProcess(folder / "door.toml")


def teach(door: DoorProcess) -> None:
    """Give the outbox the rules, as if the server had sent them: open for a day."""
    folder, now = door.config.parent, datetime.now(UTC)
    key = read_badge_key(folder / "badge.key")
    uids = {MemberId("sam"): MEMBER, MemberId("zoe"): GUARDIAN}
    badges = [Badge(digest=digest(uid, key), member=member) for member, uid in uids.items()]
    policy = Policy(
        version=1,
        site=SITE,
        issued=now,
        relies_until=now + timedelta(days=1),
        capacity=5,
        doors={DOOR: DoorModel(id=DOOR, name="Main", plans=frozenset(Plan), unlock_s=1.0)},
        members={
            member: Member(id=member, plan=Plan.RESIDENT, is_guardian=member == "zoe")
            for member in uids
        },
        badges={badge.digest: badge for badge in badges},
        opening=(Span(start=now, end=now + timedelta(days=1)),),
        authorizations={MemberId("zoe"): (_evening(now),)},
    )
    with open_outbox(door) as outbox:
        keep_policy(outbox, encode(seal(policy, signer(folder / "server.key"))))


def _evening(now: datetime) -> Authorization:
    """Give the guardian the evening, so that the door may rely on them on a full disk too."""
    return Authorization(
        id="talk",
        guardian=MemberId("zoe"),
        span=Span(start=now, end=now + timedelta(hours=4)),
        lead=timedelta(minutes=30),
        grace=timedelta(minutes=30),
        title="The talk",
        audience=Audience.MEMBERS,
    )


def open_outbox(door: DoorProcess) -> Outbox:
    """Open its outbox, while it does not run."""
    return Outbox(door.settings.outbox, site=SITE, door=DOOR)


def present(door: DoorProcess, uid: bytes, reader: str = "in") -> Answer | None:
    """Present a badge and walk through; None if the door is gone or silent."""
    try:
        return tap(door.socket, uid=uid, reader=reader, open_ms=120, wait_ms=2000, timeout_s=20)
    except (NoSuchDoorError, DoorSilentError):
        return None


def records_of(door: DoorProcess, where: str, outcome: Outcome) -> list[dict[str, Any]]:
    """Read all that was recorded since the beginning, and check that it is whole."""
    with open_outbox(door) as outbox:
        outcome.check(where, f"set aside as {outbox.lost}", is_so=outbox.lost is None)
        records = outbox.after(0, _ALL)
        is_whole = verify(records, Head()) == outbox.head
        outcome.check(where, "the chain is broken", is_so=is_whole)
    return records


class PinWatch:
    """Checks that each release had a record of its own, committed before it."""

    def __init__(self, door: DoorProcess, outcome: Outcome) -> None:
        self._door, self._outcome = door, outcome
        self._checked, self.last = 0, 0
        self.released: set[int] = set()

    def check(self, where: str, *, is_exit: bool = False) -> None:
        """Look at what is new; on the way out a release may come without."""
        changes = self._door.changes()
        for change in changes[self._checked :]:
            if change.level != UNLOCKED:
                continue
            self._outcome.count("releases")
            has_record = change.last_unlocked > self.last
            self._outcome.check(where, "a release without its record", is_so=has_record or is_exit)
            if has_record:
                self.released.add(change.last_unlocked)
            self.last = max(self.last, change.last_unlocked)
        self._checked = len(changes)

    def compare(self, records: list[dict[str, Any]], where: str) -> None:
        """Every record that was there before a release is there still."""
        unlocked = {r["seq"] for r in records if r["type"] == "gardien.lock.unlocked"}
        self._outcome.check(where, "a record is lost", is_so=self.released <= unlocked)


def is_opened(answer: Answer | None) -> bool:
    """Whether somebody got through."""
    return answer is not None and answer.opened is True
