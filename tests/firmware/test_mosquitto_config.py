"""The broker as it is shipped, run for real: who gets in, and who may say what."""

import shutil
import socket
import ssl
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime.acl import Client, mosquitto_acl

Wait = Callable[[Callable[[], bool]], bool]
Shipped = Any  # ShippedBroker of tests.shipped_broker
Authority = Any  # likewise

MAIN = "gardien/1/malakoff/main"
LAB = "gardien/1/malakoff/lab"

needs_mosquitto = pytest.mark.skipif(
    shutil.which("mosquitto") is None and not Path("/usr/sbin/mosquitto").exists(),
    reason="mosquitto is not installed (apt install mosquitto)",
)
pytestmark = [pytest.mark.mosquitto, needs_mosquitto]


def test_the_shipped_list_is_what_the_rules_say_for_these_clients(firmware: Path) -> None:
    clients = [
        Client(name="server", role="server", discovery_prefix="homeassistant"),
        Client(name="malakoff.main", role="door", site="malakoff", door="main"),
        Client(name="malakoff.lab", role="door", site="malakoff", door="lab"),
        Client(name="hall", role="screen"),
    ]
    assert (firmware / "mosquitto" / "acl").read_text(encoding="utf-8") == mosquitto_acl(clients)


def test_every_line_of_the_broker_is_explained(firmware: Path) -> None:
    text = (firmware / "mosquitto" / "gardien.conf").read_text(encoding="utf-8")
    assert all(block.lstrip().startswith("#") for block in text.split("\n\n"))


def test_a_door_and_the_server_talk(shipped: Shipped) -> None:
    server, door = shipped.peer("server"), shipped.peer("malakoff.main")
    server.subscribe("gardien/1/+/+/request")
    door.subscribe(f"{MAIN}/decision", "gardien/1/malakoff/policy")
    door.say(f"{MAIN}/request", b"ask")
    server.say(f"{MAIN}/decision", b"answer")
    server.say("gardien/1/malakoff/policy", b"policy", retain=True)
    assert server.has(f"{MAIN}/request", b"ask")
    assert door.has(f"{MAIN}/decision", b"answer")
    assert door.has("gardien/1/malakoff/policy", b"policy")


def test_without_a_certificate_nobody_gets_in(shipped: Shipped) -> None:
    assert not shipped.peer(None).is_in


def test_a_certificate_of_another_authority_does_not_get_in(
    shipped: Shipped, foreign_authority: Authority
) -> None:
    assert not shipped.peer(foreign_authority.issue("server")).is_in


def test_a_certificate_that_has_run_out_does_not_get_in(shipped: Shipped) -> None:
    assert not shipped.peer(shipped.authority.issue("malakoff.main", days=-1)).is_in


def test_a_certificate_that_is_not_valid_yet_does_not_get_in(shipped: Shipped) -> None:
    assert not shipped.peer(shipped.authority.issue("malakoff.main", since=-1)).is_in


def test_a_revoked_certificate_does_not_get_in(shipped: Shipped) -> None:
    stolen = shipped.authority.issue("malakoff.main")
    assert shipped.peer(stolen).is_in
    shipped.stop()
    shipped.revoke(stolen)
    shipped.start()
    assert not shipped.peer(stolen).is_in
    assert shipped.peer("malakoff.main").is_in


def test_a_password_does_not_replace_a_certificate_and_plain_text_is_not_spoken(
    shipped: Shipped,
) -> None:
    connect = b"\x10\x12\x00\x04MQTT\x04\x02\x00\x3c\x00\x06server"
    with socket.create_connection(("127.0.0.1", shipped.port), 10) as plain:
        plain.sendall(connect)
        try:
            answer = plain.recv(4)
        except ConnectionResetError:
            answer = b""
    assert answer[:1] != b"\x20"


def test_nothing_listens_on_the_plain_port(shipped: Shipped, firmware: Path) -> None:
    text = (firmware / "mosquitto" / "gardien.conf").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith(("listener", "port"))] == [
        "listener 8883"
    ]
    listening = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()
    own = [line for line in listening if f":{shipped.port:04X} 00000000:0000 0A" in line]
    assert len(own) == 1


@pytest.mark.parametrize(
    ("version", "spoken"),
    [
        (ssl.TLSVersion.TLSv1, False),
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_is_spoken_from_1_2_on(
    shipped: Shipped, version: ssl.TLSVersion, *, spoken: bool
) -> None:
    context = ssl.create_default_context(cafile=shipped.folder / "ca.crt")
    # Level 0 lets the client itself speak the old versions, so that a refusal is the broker's.
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    identity = shipped.authority.issue("malakoff.main")
    context.load_cert_chain(identity.certificate_file, identity.key_file)
    with socket.create_connection(("127.0.0.1", shipped.port), 10) as raw:
        try:
            with context.wrap_socket(raw, server_hostname="localhost") as wrapped:
                assert (wrapped.version() is not None) is spoken
        except (ssl.SSLError, ConnectionError):
            assert not spoken


def test_a_door_cannot_push_another_off_by_taking_its_client_id(
    shipped: Shipped, wait_for: Wait
) -> None:
    server, main = shipped.peer("server"), shipped.peer("malakoff.main", client_id="malakoff.main")
    main.subscribe(f"{MAIN}/ack")
    thief = shipped.peer("malakoff.lab", client_id="malakoff.main")
    thief.subscribe(f"{LAB}/ack")
    server.say(f"{MAIN}/ack", b"1")
    server.say(f"{LAB}/ack", b"2")
    assert main.has(f"{MAIN}/ack", b"1")
    assert thief.has(f"{LAB}/ack", b"2")
    assert wait_for(lambda: main.is_in and thief.is_in)


def test_a_door_writes_nothing_that_is_anothers(shipped: Shipped) -> None:
    server, main, lab = (shipped.peer(name) for name in ("server", "malakoff.main", "malakoff.lab"))
    server.subscribe("gardien/1/+/+/request", "gardien/1/+/+/journal", "gardien/1/+/+/state")
    lab.subscribe(f"{LAB}/decision", f"{LAB}/ack", f"{LAB}/command", "gardien/1/malakoff/policy")
    for what in ("request", "journal", "state", "decision", "ack", "command"):
        main.say(f"{LAB}/{what}", b"forged")
        main.say(f"{LAB}/{what}", b"forged", retain=True)
    main.say("gardien/1/malakoff/policy", b"forged", retain=True)
    main.say("gardien/1/malakoff/server", b"forged", retain=True)
    main.say(f"{MAIN}/request", b"end")
    server.say(f"{LAB}/ack", b"end")
    assert server.has(f"{MAIN}/request", b"end")
    assert lab.has(f"{LAB}/ack", b"end")
    late = shipped.peer("malakoff.main")
    late.subscribe("gardien/1/malakoff/policy", "gardien/1/malakoff/server", f"{MAIN}/ack")
    server.say(f"{MAIN}/ack", b"end")
    assert late.has(f"{MAIN}/ack", b"end")
    assert {payload for one in (server, lab, late) for _, payload, _ in one.messages} == {b"end"}


def test_a_door_reads_nothing_that_is_anothers(shipped: Shipped) -> None:
    server, main, lab = (shipped.peer(name) for name in ("server", "malakoff.main", "malakoff.lab"))
    main.subscribe("#", "$SYS/#", f"{LAB}/#", f"{LAB}/decision", "gardien/1/+/+/decision")
    main.subscribe("$share/x/gardien/1/+/+/decision", "gardien/1/+/occupancy")
    server.say(f"{LAB}/decision", b"not yours")
    server.say("gardien/1/paris/policy", b"not yours")
    server.say("gardien/1/malakoff/occupancy", b"not yours")
    lab.say(f"{LAB}/request", b"not yours")
    server.say(f"{MAIN}/ack", b"yours")
    assert main.has(f"{MAIN}/ack", b"yours")
    assert {payload for _, payload, _ in main.messages} == {b"yours"}


def test_a_will_in_the_name_of_another_door_is_not_told(shipped: Shipped) -> None:
    server = shipped.peer("server")
    server.subscribe("gardien/1/+/+/state")
    for topic, payload in ((f"{LAB}/state", b"forged"), (f"{MAIN}/state", b"own")):
        peer = shipped.peer("malakoff.main", will=(topic, payload))
        assert peer.is_in
        peer.client.loop_stop()
        peer.client.socket().shutdown(socket.SHUT_RDWR)
        assert payload == b"forged" or server.has(topic, payload)
    assert [payload for _, payload, _ in server.messages] == [b"own"]


def test_who_is_not_on_the_list_may_do_nothing(shipped: Shipped) -> None:
    server, stranger = shipped.peer("server"), shipped.peer("malakoff.cellar")
    server.subscribe("gardien/1/+/+/request")
    stranger.say("gardien/1/malakoff/cellar/request", b"stranger")
    shipped.peer("malakoff.main").say(f"{MAIN}/request", b"end")
    assert server.has(f"{MAIN}/request", b"end")
    assert len(server.messages) == 1


def test_a_huge_message_ends_its_own_connection_only(shipped: Shipped, wait_for: Wait) -> None:
    server, big = shipped.peer("server"), shipped.peer("malakoff.lab")
    server.subscribe("gardien/1/+/+/journal")
    big.client.publish(f"{LAB}/journal", bytes(10_000_000), qos=1)
    assert wait_for(lambda: not big.is_in)
    shipped.peer("malakoff.main").say(f"{MAIN}/journal", b"end")
    assert server.has(f"{MAIN}/journal", b"end")
    assert len(server.messages) == 1


def test_what_is_retained_outlives_a_restart(shipped: Shipped) -> None:
    shipped.peer("server").say("gardien/1/malakoff/policy", b"42", retain=True)
    shipped.stop()
    shipped.start()
    door = shipped.peer("malakoff.main")
    door.subscribe("gardien/1/malakoff/policy")
    assert door.has("gardien/1/malakoff/policy", b"42")


def test_an_answer_does_not_wait_for_nagle(shipped: Shipped) -> None:
    server, door = shipped.peer("server"), shipped.peer("malakoff.main")
    server.subscribe("gardien/1/+/+/request")
    server.client.on_message = lambda client, _, one: client.publish(
        f"{MAIN}/decision", one.payload, qos=1
    )
    door.subscribe(f"{MAIN}/decision")
    times = []
    for number in range(21):
        start = time.perf_counter()
        door.client.publish(f"{MAIN}/request", b"%d" % number, qos=1)
        assert door.has(f"{MAIN}/decision", b"%d" % number)
        times.append(time.perf_counter() - start)
    # Without set_tcp_nodelay the usual answer takes 44 ms.
    assert statistics.median(times) < 0.03
