"""Whatever becomes of the server's messages on the way to a door.

Nothing that was signed is taken once it was changed; the journal bears any acknowledgement.
"""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from access.ids import BadgeDigest, DoorId, MemberId, SiteId
from access.messages import AccessDecision, Command, Message, ServerState, encode
from access.model import Badge, Door, Member, Plan, Policy
from access.orders import sign_command
from access.snapshot import seal
from access.topics import of_door, of_site
from edge.courier import Courier
from edge.events import CommandReceived, DecisionReceived, ServerSeen
from edge.mailbox import Acknowledged, Mailbox, Snapshot
from edge.outbox import Outbox
from edge.postroom import Postroom
from runtime.clock import SystemClock
from runtime.link import Incoming
from tests.spoilt import spoilt

SITE, DOOR = SiteId("malakoff"), DoorId("main")
NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
REQUEST = "00000000-0000-7000-8000-000000000001"
SAM, BADGE = MemberId("sam"), BadgeDigest("5" * 32)


def sign(body: bytes) -> bytes:
    return hashlib.sha256(b"a key" + body).digest()


def plain(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(encode(message))
    return found


POLICY = Policy(
    version=3,
    site=SITE,
    issued=NOON,
    relies_until=NOON + timedelta(hours=72),
    capacity=9,
    doors={DOOR: Door(id=DOOR, name="Main", plans=frozenset(Plan))},
    members={SAM: Member(id=SAM, plan=Plan.STAFF)},
    badges={BADGE: Badge(digest=BADGE, member=SAM)},
)
COMMAND = sign_command(
    Command(
        id=REQUEST, at=NOON, expires=NOON + timedelta(seconds=9), do="unlock", by="sam", sig=""
    ),
    SITE,
    DOOR,
    sign,
)
DECISION = AccessDecision(
    request=REQUEST, granted=True, reason="staff", unlock_s=5.0, member=SAM, message="", watch=None
)
SENT = st.one_of(
    st.tuples(st.just("decision"), spoilt(plain(DECISION))),
    st.tuples(st.just("ack"), spoilt({"seq": 2})),
    st.tuples(st.just("command"), spoilt(plain(COMMAND))),
    st.tuples(st.just("policy"), spoilt(plain(seal(POLICY, sign)))),
    st.tuples(st.just("server"), spoilt(plain(ServerState(online=True, at=NOON)))),
)


@given(sent=SENT)
def test_what_was_signed_and_then_changed_is_never_taken(sent: tuple[str, bytes]) -> None:
    what, payload = sent
    box = Mailbox(site=SITE, door=DOOR, verify=lambda signature, body: signature == sign(body))
    topic = of_site(SITE, what) if what in {"policy", "server"} else of_door(SITE, DOOR, what)
    mail = box.read(Incoming(topic=topic, payload=payload), 0.0)
    assert (mail is None) == (box.rejected[topic] == 1)
    match mail:
        case CommandReceived():
            said = (mail.id, mail.do, mail.by, mail.at, mail.expires)
            assert said == (COMMAND.id, COMMAND.do, COMMAND.by, COMMAND.at, COMMAND.expires)
        case Snapshot():
            assert mail.event.policy == POLICY
        case DecisionReceived():
            assert isinstance(mail.granted, bool)
            assert isinstance(mail.unlock_s, float)
        case Acknowledged():
            assert isinstance(mail.seq, int)
        case _:
            assert mail is None or isinstance(mail, ServerSeen)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(payloads=[b'{"seq": 9223372036854775807}'])
@example(payloads=[b'{"seq": 9223372036854775808}'])
@given(payloads=st.lists(spoilt({"seq": 2}), min_size=1, max_size=6))
def test_the_journal_goes_on_after_whatever_is_left_of_an_acknowledgement(
    tmp_path: Path, payloads: list[bytes]
) -> None:
    file = tmp_path / "outbox.db"
    for old in tmp_path.glob("outbox.db*"):
        old.unlink()
    box = Mailbox(site=SITE, door=DOOR, verify=lambda *_: False)
    outbox = Outbox(file, site=SITE, door=DOOR)
    try:
        clock = SystemClock()
        postroom = Postroom(
            site=SITE, door=DOOR, outbox=outbox, courier=Courier(acknowledged=0), clock=clock,
            version="1",
        )  # fmt: skip
        for payload in payloads:
            outbox.append("door.opened", NOON, {})
            mail = box.read(Incoming(topic=of_door(SITE, DOOR, "ack"), payload=payload), 0.0)
            if isinstance(mail, Acknowledged):
                postroom.acknowledged(mail.seq)
            before = outbox.head.seq
            assert outbox.append("door.closed", NOON, {}) == before + 1
    finally:
        outbox.close()
