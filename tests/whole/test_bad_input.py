"""Nonsense and malice at the broker: counted, logged once, and nothing changes."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from uuid6 import uuid7

from access.instants import to_rfc3339
from access.messages import Command, encode
from access.orders import sign_command
from edge.simulated.client import DoorRefusedError

if TYPE_CHECKING:
    from tests.whole.conftest import BrokerName, House, NewHouse

pytestmark = pytest.mark.whole

BROKERS = pytest.mark.parametrize(
    "broker", [pytest.param("mosquitto", marks=pytest.mark.mosquitto), "amqtt"]
)
TIMES = 5


def good_request(house: "House", **changes: Any) -> bytes:
    request = {
        "id": str(uuid7()),
        "at": to_rfc3339(house.clock.now()),
        "reader": "in",
        "badge": "00" * 16,
        "token": None,
    }
    return json.dumps(request | changes).encode()


def torn(house: "House") -> bytes:
    return good_request(house)[:-20]


def no_text(_house: "House") -> bytes:
    return b"\xff\xfe\x00" * 40


def three_bytes(house: "House") -> bytes:
    return good_request(house, badge="04a1b2")


def other_reader(house: "House") -> bytes:
    return good_request(house, reader="roof")


def just_too_large(_house: "House") -> bytes:
    return b" " * 1_000_001


def empty_batch(_house: "House") -> bytes:
    return b'{"records": []}'


def nested(_house: "House") -> bytes:
    return b'{"records": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def unknown_state(_house: "House") -> bytes:
    return b'{"online": "perhaps"}'


@BROKERS
def test_what_is_no_message_is_counted_and_logged_once_and_changes_nothing(
    broker: "BrokerName", new_house: "NewHouse"
) -> None:
    house = new_house(broker=broker, more_doors=["attic"])
    house.start("broker")
    remove_attic(house)
    house.start("server", house.main)
    house.open_evening()
    before = snapshot(house)
    bad: dict[str, list[Callable[[House], bytes]]] = {
        "request": [torn, no_text, three_bytes, other_reader, just_too_large],
        "journal": [torn, empty_batch, nested, just_too_large],
        "state": [torn, unknown_state],
    }
    with house.logged_in(f"{house.site}.fablab") as door:
        for what, makers in bad.items():
            for _ in range(TIMES):
                for make in makers:
                    assert door.say(house.door_topic(what, "fablab"), make(house)), make
    with house.logged_in(f"{house.site}.attic") as unknown:
        for _ in range(TIMES):
            assert unknown.say(house.door_topic("request", "attic"), good_request(house))
    house.expect(lambda: "attic/request was dropped" in house.log("server"), "it is logged", 10)
    # A tap gets through behind them: all of it has been looked at.
    assert house.tap(house.members[0]).opened
    house.expect_well()
    for topic in ("fablab/request", "fablab/journal", "fablab/state", "attic/request"):
        lines = re.findall(rf".*{topic} was dropped.*", house.log("server"))
        assert len(lines) == 1, lines
    expect_only_a_tap_since(house, before)


def remove_attic(house: "House") -> None:
    """The operator takes a door away, and leaves the broker running."""
    file = house.path / "gardien.toml"
    head, found, _ = file.read_text().partition('\n[[site.door]]\nid = "attic"')
    assert found
    file.write_text(head)


def snapshot(house: "House") -> tuple[int, object, object]:
    """Give what must not change: the ledger's length, who is inside, and the watch."""
    state = house.state()
    return len(house.entries()), state.presence, state.watch


def expect_only_a_tap_since(house: "House", before: tuple[int, object, object]) -> None:
    """One member has come in since; nothing else has happened."""
    house.expect_whole()
    kinds = sorted(entry.kind.removeprefix("gardien.") for entry in house.entries()[before[0] :])
    usual = {
        "access.decided",
        "access.granted",
        "door.closed",
        "door.opened",
        "lock.locked",
        "lock.unlocked",
        "occupancy.changed",
    }
    assert set(kinds) == usual
    assert kinds.count("access.granted") == 1
    state = house.state()
    assert set(state.presence.inside) == {house.zoe, house.members[0]}
    assert state.watch == before[2]


@BROKERS
def test_the_broker_stops_what_is_not_the_senders_to_say(
    broker: "BrokerName", new_house: "NewHouse"
) -> None:
    house = new_house(broker=broker)
    house.start("broker", "server", house.main)
    house.open_evening()
    before = snapshot(house)
    key = house.inside.read_badge_key(house.site)
    assert key
    forged = good_request(house)
    topics = [
        house.door_topic("request", "main"),  # another door's
        house.door_topic("state", "main"),
        house.door_topic("decision", "fablab"),  # the server's
        house.door_topic("command", "main"),
        f"gardien/1/{house.site}/policy",
        f"gardien/1/{house.site}/occupancy",
        f"gardien/2/{house.site}/fablab/request",  # another version
        "gardien/1/elsewhere/fablab/request",  # another site
    ]
    with house.logged_in("screen") as screen:
        screen.hear("#") if broker == "mosquitto" else screen.hear("gardien/1/+/occupancy")
        for topic in topics:
            # Some brokers hang up on whoever tries, so each gets a connection of its own.
            with house.logged_in(f"{house.site}.fablab") as door:
                door.say(topic, forged, retain=True, wait_s=1)
        with house.logged_in(f"{house.site}.fablab") as door:
            # Ten times what the broker takes: it hangs up, on this one only.
            assert not door.say(house.door_topic("request", "fablab"), b"x" * 10_000_000, wait_s=3)
        assert house.tap(house.members[0]).opened
        house.expect_well()
        assert not any(one.payload == forged for one in screen.heard)
        assert {one.topic for one in screen.heard} <= {f"gardien/1/{house.site}/occupancy"}
    assert "was dropped" not in house.log("server")
    assert "was dropped" not in house.log("main")
    expect_only_a_tap_since(house, before)


@BROKERS
def test_a_wrong_password_lets_nobody_in_and_throws_nobody_out(
    broker: "BrokerName", new_house: "NewHouse"
) -> None:
    house = new_house(broker=broker)
    house.start("broker", "server", house.main)
    house.expect_well()
    up = house.log("server").count("connected to the broker")
    for name in (f"{house.site}.main", "server", "screen"):
        for password in ("wrong", ""):
            with house.logged_in(name, password) as peer:
                assert peer.codes[0].is_failure
    house.leap_to("19:10")
    assert house.tap(house.members[0]).lock == "locked"
    assert house.data("access.decided")[-1]["answer"]["reason"] == "no_guardian"
    assert house.log("server").count("connected to the broker") == up
    assert "out of reach" not in house.log("server")


@BROKERS
def test_a_command_that_the_broker_kept_opens_nothing(
    broker: "BrokerName", new_house: "NewHouse"
) -> None:
    house = new_house(broker=broker)
    house.start("broker", house.main)
    topic = house.door_topic("command")
    house.stop(house.main)
    with house.logged_in("server") as server:
        # Signed with the server's own key, and fresh: only that it was kept speaks against it.
        assert server.say(topic, order(house), retain=True)
        house.start(house.main)
        house.expect(lambda: "kept by the" in house.log(house.main), "the door has refused it", 15)
        look = house.look()
        assert look is not None
        assert look.lock == "locked"
        # The same said now, and not kept, does open it: so it was a good one.
        assert server.say(topic, b"", retain=True)
        assert server.say(topic, order(house))
        house.expect(lambda: is_unlocked(house), "an order that is not kept opens the door", 10)
        # Signed by somebody else it does not.
        house.expect(lambda: not is_unlocked(house), "the door locks again", 15)
        assert server.say(topic, order(house, forged=True))
        assert house.tap(house.stranger).lock == "locked"
    assert len(re.findall(r"kept by the broker", house.log(house.main))) == 1
    house.start("server")
    house.expect_well()
    assert len(house.entries("lock.unlocked")) == 1
    assert house.entries("access.granted") == []


@pytest.mark.mosquitto
def test_a_door_that_gets_nonsense_on_all_that_it_hears_drops_it_and_opens_to_nobody(
    new_house: "NewHouse",
) -> None:
    house = new_house()
    house.start("broker", house.main)
    site = f"gardien/1/{house.site}"
    topics = [*map(house.door_topic, ("decision", "ack", "command")), f"{site}/policy",
              f"{site}/server"]  # fmt: skip
    good = order(house)
    nonsense = [
        b"",
        good[:-20],
        b"\xff\xfe\x00" * 40,
        b"[" * 100_000,
        b'{"seq": 9223372036854775808, "online": "perhaps"}',
        good.replace(b'"unlock"', b'"hold"'),
        b" " * 1_000_000 + b"{",
    ]
    with house.logged_in("server") as server:
        server.hear(house.door_topic("state"))
        house.expect(lambda: any(b"locked" in one.payload for one in server.heard), "it is up", 15)
        for topic in topics:
            for payload in nonsense:
                assert server.say(topic, payload), topic
            # Of another version, or another door's: not even heard.
            assert server.say(topic.replace("gardien/1", "gardien/2"), good)
        for topic in topics:
            house.expect(lambda t=topic: f"{t} was dropped" in house.log(house.main), topic, 15)  # type: ignore[misc]
        look = house.look()
        assert look is not None
        assert look.lock == "locked"
        assert house.tap(house.stranger).lock == "locked"
        # It hears as before: the same order, whole, opens it.
        assert server.say(house.door_topic("command"), good)
        house.expect(lambda: is_unlocked(house), "a good order opens the door", 10)
    for topic in topics:
        assert len(re.findall(rf"{topic} was dropped", house.log(house.main))) == 1, topic
    assert "Traceback" not in house.log(house.main)
    house.start("server")
    house.expect_well()
    assert house.entries("access.granted") == []
    assert len(house.entries("lock.unlocked")) == 1


def order(house: "House", *, forged: bool = False) -> bytes:
    now = house.clock.now()
    command = Command(
        id=str(uuid7()),
        at=now,
        expires=now + timedelta(minutes=5),
        do="unlock",
        by=house.staff,
        sig="",
    )
    signed = sign_command(command, house.site, house.main, house.inside.sign())
    if forged:
        signed = sign_command(command, house.site, house.fablab, house.inside.sign())
    return encode(signed)


def is_unlocked(house: "House") -> bool:
    look = house.look()
    return look is not None and look.lock == "unlocked"


@pytest.mark.mosquitto
def test_a_badge_that_no_card_can_have_is_refused_before_any_door(new_house: "NewHouse") -> None:
    house = new_house()
    house.start("broker", house.main)
    with pytest.raises(DoorRefusedError):
        house.tap(bytes.fromhex("04a1b2"))
    said = house.gardien("tap", "--door", "main", "--badge", "04a1b2")
    assert said.returncode == 2
    assert len(said.stderr.splitlines()) == 1
    look = house.look()
    assert look is not None
    assert look.lock == "locked"
