"""What comes over MQTT is checked at the border: what is not right is counted and dropped."""

import hashlib
import logging
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.ids import DoorId, SiteId
from access.messages import AccessDecision, Acknowledgement, Command, ServerState, encode
from access.model import Policy
from access.orders import sign_command
from access.snapshot import seal
from access.topics import of_door, of_site
from edge.events import CommandReceived, DecisionReceived, ServerSeen
from edge.mailbox import Acknowledged, Mailbox, Snapshot
from runtime.link import Incoming

SITE, DOOR = SiteId("malakoff"), DoorId("main")
NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
REQUEST = "00000000-0000-7000-8000-000000000001"
GOOD = AccessDecision(
    request=REQUEST,
    granted=True,
    reason="staff",
    unlock_s=5.0,
    member="sam",
    message="Bonjour !",
    watch=None,
)


def sign(body: bytes) -> bytes:
    return hashlib.sha256(b"a key" + body).digest()


def mailbox() -> Mailbox:
    return Mailbox(site=SITE, door=DOOR, verify=lambda signature, body: signature == sign(body))


def at_door(what: str, payload: bytes, *, is_retained: bool = False) -> Incoming:
    return Incoming(topic=of_door(SITE, DOOR, what), payload=payload, is_retained=is_retained)


def command() -> Command:
    unsigned = Command(
        id=REQUEST, at=NOON, expires=NOON + timedelta(seconds=9), do="unlock", by="sam", sig=""
    )
    return sign_command(unsigned, SITE, DOOR, sign)


def test_each_message_becomes_what_it_says() -> None:
    box = mailbox()
    decision = box.read(at_door("decision", encode(GOOD)), 0.0)
    assert isinstance(decision, DecisionReceived)
    assert (decision.request, decision.unlock_s) == (REQUEST, 5.0)
    ack = box.read(at_door("ack", encode(Acknowledgement(seq=7))), 0.0)
    assert ack == Acknowledged(seq=7)
    ordered = box.read(at_door("command", encode(command())), 0.0)
    assert isinstance(ordered, CommandReceived)
    assert ordered.do == "unlock"
    seen = box.read(
        Incoming(topic=of_site(SITE, "server"), payload=encode(ServerState(online=True, at=NOON))),
        0.0,
    )
    assert seen == ServerSeen(is_online=True, at=NOON, is_fresh=True)
    assert not box.rejected


def test_a_policy_is_taken_when_the_server_signed_it() -> None:
    policy = Policy(version=3, site=SITE, issued=NOON, relies_until=NOON, capacity=1, doors={})
    topic = of_site(SITE, "policy")
    good = Incoming(topic=topic, payload=encode(seal(policy, sign)), is_retained=True)
    box = mailbox()
    read = box.read(good, 0.0)
    assert isinstance(read, Snapshot)
    assert (read.event.policy, read.event.is_fresh) == (policy, False)
    forged = Incoming(topic=topic, payload=encode(seal(policy, lambda _: b"x")))
    assert box.read(forged, 0.0) is None


@pytest.mark.parametrize("what", ["decision", "ack", "command"])
def test_what_opens_or_deletes_is_never_taken_from_the_brokers_memory(what: str) -> None:
    payload = {"decision": encode(GOOD), "ack": b'{"seq":1}', "command": encode(command())}[what]
    box = mailbox()
    assert box.read(at_door(what, payload), 0.0) is not None
    assert box.read(at_door(what, payload, is_retained=True), 0.0) is None
    assert sum(box.rejected.values()) == 1


@pytest.mark.parametrize(
    "topic",
    [
        "gardien/1/malakoff/lab/decision",
        "gardien/1/paris/main/decision",
        "gardien/2/malakoff/main/decision",
        "gardien/1/malakoff/main/request",
        "gardien/1/malakoff/occupancy",
        "other",
    ],
)
def test_a_message_for_others_is_dropped(topic: str) -> None:
    assert mailbox().read(Incoming(topic=topic, payload=encode(GOOD)), 0.0) is None


def test_a_command_for_another_door_or_changed_on_the_way_is_dropped() -> None:
    box = mailbox()
    lab = Mailbox(site=SITE, door=DoorId("lab"), verify=box.verify)
    payload = encode(command())
    topic = of_door(SITE, DoorId("lab"), "command")
    assert lab.read(Incoming(topic=topic, payload=payload), 0.0) is None
    assert box.read(at_door("command", payload.replace(b'"sig":"', b'"sig":"A')), 0.0) is None
    assert box.read(at_door("command", payload.replace(b'"sig":"', b'"sig":"!')), 0.0) is None


def test_a_message_of_ten_megabytes_is_dropped() -> None:
    assert mailbox().read(at_door("decision", b" " * 10_000_000 + encode(GOOD)), 0.0) is None


def test_bad_messages_are_counted_each_and_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    box = mailbox()
    with caplog.at_level(logging.WARNING):
        for mono in (0.0, 1.0, 59.0, 61.0):
            box.read(at_door("decision", b"{"), mono)
    assert len(caplog.records) == 2
    assert box.rejected == {of_door(SITE, DOOR, "decision"): 4}


@given(
    what=st.sampled_from(["decision", "ack", "command", "policy", "server"]),
    payload=st.binary(max_size=300) | st.text(max_size=100).map(str.encode),
)
def test_no_bytes_whatever_stop_the_mailbox(what: str, payload: bytes) -> None:
    box = mailbox()
    is_of_site = what in {"policy", "server"}
    topic = of_site(SITE, what) if is_of_site else of_door(SITE, DOOR, what)
    box.read(Incoming(topic=topic, payload=payload), 0.0)
