"""The embedded broker: one behaviour, whichever program runs it."""

import contextlib
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from runtime.broker import (
    MOST_PACKET_BYTES,
    Broker,
    BrokerClient,
    BrokerError,
    choose_broker,
    embedded_broker,
    find_mosquitto,
)

MAIN = "gardien/1/malakoff/main"
LAB = "gardien/1/malakoff/lab"
WRONG = "hunter2"

Peers = Callable[..., Any]
Wait = Callable[[Callable[[], bool]], bool]


@pytest.mark.parametrize(
    ("name", "password"),
    [("malakoff.main", "wrong"), ("malakoff.main", ""), ("nobody", "m"), ("server", "m")],
)
def test_a_wrong_name_or_password_is_refused(peer: Peers, name: str, password: str) -> None:
    refused = peer(name, password=password)
    assert not refused.is_in
    assert refused.codes[0].is_failure


def test_nobody_gets_in_without_a_name(broker: Broker) -> None:
    with socket.create_connection(("127.0.0.1", broker.port), 10) as raw:
        raw.sendall(connect_packet("ghost", b""))
        answer = raw.recv(4)
    assert answer == b"" or answer[3] != 0


def test_a_wrong_password_does_not_disturb_who_is_in(peer: Peers, wait_for: Wait) -> None:
    server, door = peer("server"), peer("malakoff.main", clean=False)
    door.subscribe(f"{MAIN}/decision")
    for clean in (True, False):
        assert not peer("malakoff.main", password=WRONG, clean=clean).is_in
    server.say(f"{MAIN}/decision", b"{}")
    assert door.has(f"{MAIN}/decision", b"{}")
    assert wait_for(lambda: door.is_in)


def test_a_message_goes_both_ways_at_least_once(peer: Peers) -> None:
    server, door = peer("server"), peer("malakoff.main")
    server.subscribe("gardien/1/+/+/request")
    door.subscribe(f"{MAIN}/decision")
    for number in range(50):
        door.say(f"{MAIN}/request", b"%d" % number)
        server.say(f"{MAIN}/decision", b"%d" % number)
    assert server.has(f"{MAIN}/request", b"49")
    assert door.has(f"{MAIN}/decision", b"49")
    assert len(server.messages) == len(door.messages) == 50


def test_an_answer_does_not_wait_for_nagle(peer: Peers) -> None:
    server, door = peer("server"), peer("malakoff.main")
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
    # With Nagle's algorithm at work on either side, the usual answer takes 44 ms.
    assert statistics.median(times) < 0.03


def test_a_door_hears_only_what_is_for_it(peer: Peers) -> None:
    server, main, lab = peer("server"), peer("malakoff.main"), peer("malakoff.lab")
    main.subscribe("#", "gardien/1/#", f"{LAB}/decision", f"{LAB}/#", f"{LAB}/request")
    main.subscribe(f"{MAIN}/decision", "gardien/1/malakoff/policy")
    server.say(f"{LAB}/decision", b"not yours")
    lab.say(f"{LAB}/request", b"not yours")
    server.say("gardien/1/malakoff/policy", b"yours")
    server.say(f"{MAIN}/decision", b"yours")
    assert main.has(f"{MAIN}/decision", b"yours")
    assert main.has("gardien/1/malakoff/policy", b"yours")
    assert {payload for _, payload, _ in main.messages} == {b"yours"}


def test_a_door_says_only_what_is_its_own(peer: Peers) -> None:
    server, main, lab = peer("server"), peer("malakoff.main"), peer("malakoff.lab")
    server.subscribe("gardien/1/+/+/request", "gardien/1/+/+/state")
    lab.subscribe(f"{LAB}/decision", f"{LAB}/command", "gardien/1/malakoff/policy")
    for topic in (f"{LAB}/request", f"{LAB}/state", f"{LAB}/decision", f"{LAB}/command"):
        main.say(topic, b"forged", retain=True)
    main.say("gardien/1/malakoff/policy", b"forged", retain=True)
    main.say(f"{MAIN}/request", b"end")
    assert server.has(f"{MAIN}/request", b"end")
    server.say(f"{LAB}/decision", b"end")
    assert lab.has(f"{LAB}/decision", b"end")
    assert b"forged" not in [one[1] for one in (*server.messages, *lab.messages)]


def test_a_forged_retained_message_is_not_kept(peer: Peers) -> None:
    server, main = peer("server"), peer("malakoff.main")
    main.say(f"{LAB}/command", b"forged", retain=True)
    lab = peer("malakoff.lab")
    lab.subscribe(f"{LAB}/command", f"{LAB}/ack")
    server.say(f"{LAB}/ack", b"end")
    assert lab.has(f"{LAB}/ack", b"end")
    assert len(lab.messages) == 1


def test_a_screen_sees_the_numbers_only(peer: Peers) -> None:
    server, screen = peer("server"), peer("hall")
    screen.subscribe("#", "gardien/1/+/+/state", "gardien/1/+/occupancy")
    server.say("gardien/1/malakoff/policy", b"secret", retain=True)
    server.say("gardien/1/malakoff/occupancy", b"23", retain=True)
    assert screen.has("gardien/1/malakoff/occupancy", b"23")
    assert len(screen.messages) == 1


def test_a_retained_message_reaches_who_comes_later_and_can_be_taken_back(peer: Peers) -> None:
    server = peer("server")
    server.say("gardien/1/malakoff/policy", b"41", retain=True)
    server.say("gardien/1/malakoff/policy", b"42", retain=True)
    door = peer("malakoff.main")
    door.subscribe("gardien/1/malakoff/policy")
    assert door.has("gardien/1/malakoff/policy", b"42")
    assert door.messages == [("gardien/1/malakoff/policy", b"42", True)]
    server.say("gardien/1/malakoff/policy", b"", retain=True)
    other = peer("malakoff.lab")
    other.subscribe("gardien/1/malakoff/policy", f"{LAB}/ack")
    server.say(f"{LAB}/ack", b"end")
    assert other.has(f"{LAB}/ack", b"end")
    assert len(other.messages) == 1


def test_nobody_is_sent_what_he_did_not_ask_for(peer: Peers) -> None:
    server, door = peer("server"), peer("malakoff.main")
    server.subscribe("gardien/1/+/+/state")
    door.say(f"{MAIN}/state", b"{}", retain=True)
    assert server.has(f"{MAIN}/state", b"{}")
    screen = peer("hall")
    screen.subscribe("gardien/1/+/occupancy")
    server.say("gardien/1/malakoff/occupancy", b"1")
    assert screen.has("gardien/1/malakoff/occupancy", b"1")
    assert len(screen.messages) == 1


def test_what_was_sent_to_an_absent_client_waits_for_it(peer: Peers) -> None:
    server, door = peer("server"), peer("malakoff.main", clean=False)
    door.subscribe(f"{MAIN}/ack")
    door.close()
    for number in range(20):
        server.say(f"{MAIN}/ack", b"%d" % number)
    back = peer("malakoff.main", clean=False)
    assert back.has(f"{MAIN}/ack", b"19")
    assert back.messages == [(f"{MAIN}/ack", b"%d" % number, False) for number in range(20)]


def test_a_peer_that_falls_silent_is_given_up_and_its_will_is_told(
    broker: Broker, peer: Peers
) -> None:
    server = peer("server")
    server.subscribe("gardien/1/+/+/state")
    with silent_door(broker.port, will=(f"{MAIN}/state", b"gone")):
        assert server.has(f"{MAIN}/state", b"gone")
    late = peer("server")
    late.subscribe("gardien/1/+/+/state")
    assert late.has(f"{MAIN}/state", b"gone")


def test_a_peer_that_is_cut_in_the_middle_of_a_message_is_given_up(
    broker: Broker, peer: Peers
) -> None:
    server = peer("server")
    server.subscribe("gardien/1/+/+/state")
    with silent_door(broker.port, will=(f"{MAIN}/state", b"gone")) as raw:
        raw.sendall(b"\x30\x7f\x00\x05gar")
        assert server.has(f"{MAIN}/state", b"gone")


@pytest.mark.parametrize("topic", [b"gardien/#", b"$SYS/broker/uptime"])
def test_a_peer_that_breaks_the_protocol_harms_only_itself(
    broker: Broker, peer: Peers, topic: bytes
) -> None:
    server = peer("server")
    server.subscribe("gardien/1/+/+/state")
    publish = b"\x30" + bytes([2 + len(topic)]) + len(topic).to_bytes(2, "big") + topic
    with silent_door(broker.port, will=(f"{MAIN}/state", b"gone"), keepalive_s=600) as raw:
        raw.sendall(publish)
    assert server.has(f"{MAIN}/state", b"gone")
    door = peer("malakoff.main")
    door.say(f"{MAIN}/state", b"back")
    assert server.has(f"{MAIN}/state", b"back")


def test_amqtt_gives_up_a_peer_that_does_not_introduce_itself(
    broker_clients: Sequence[BrokerClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.broker_amqtt._FIRST_PACKET_S", 0.2)
    with (
        embedded_broker(clients=broker_clients, folder=tmp_path, program="amqtt") as broker,
        socket.create_connection(("127.0.0.1", broker.port), 10) as raw,
    ):
        raw.sendall(b"\x10")
        assert raw.recv(1) == b""


def test_a_dropped_socket_tells_the_will_at_once(broker: Broker, peer: Peers) -> None:
    server = peer("server")
    server.subscribe("gardien/1/+/+/state")
    silent_door(broker.port, will=(f"{MAIN}/state", b"gone"), keepalive_s=600).close()
    assert server.has(f"{MAIN}/state", b"gone")


def test_a_clean_good_bye_tells_no_will(peer: Peers) -> None:
    server = peer("server")
    server.subscribe("gardien/1/+/+/state", "gardien/1/+/+/request")
    peer("malakoff.main", will=(f"{MAIN}/state", b"gone")).close()
    peer("malakoff.lab").say(f"{LAB}/request", b"end")
    assert server.has(f"{LAB}/request", b"end")
    assert len(server.messages) == 1


def test_a_will_in_the_name_of_another_door_is_not_told(broker: Broker, peer: Peers) -> None:
    server = peer("server")
    server.subscribe("gardien/1/+/+/state", "gardien/1/+/+/request")
    silent_door(broker.port, will=(f"{LAB}/state", b"forged"), keepalive_s=600).close()
    silent_door(broker.port, will=(f"{MAIN}/state", b"own"), keepalive_s=600).close()
    assert server.has(f"{MAIN}/state", b"own")
    assert b"forged" not in [one[1] for one in server.messages]


def test_a_peer_that_pings_in_time_stays(peer: Peers, wait_for: Wait) -> None:
    door = peer("malakoff.main", keepalive_s=2)
    silence = threading.Event()
    assert not silence.wait(5)  # more than two keep-alives: what is awaited is that nothing happens
    assert door.is_in
    assert wait_for(door.client.is_connected)


def test_no_door_can_push_another_off_by_taking_its_client_id(peer: Peers, wait_for: Wait) -> None:
    server, main = peer("server"), peer("malakoff.main")
    main.subscribe(f"{MAIN}/ack")
    thief = peer("malakoff.lab", client_id="malakoff.main")
    thief.subscribe(f"{MAIN}/ack", f"{LAB}/ack")
    server.say(f"{MAIN}/ack", b"1")
    server.say(f"{LAB}/ack", b"2")
    assert main.has(f"{MAIN}/ack", b"1")
    assert thief.has(f"{LAB}/ack", b"2")
    assert len(thief.messages) == 1
    assert wait_for(lambda: main.is_in)


@pytest.mark.parametrize("clean", [True, False])
def test_the_same_client_again_takes_the_place_of_its_old_connection(
    peer: Peers, wait_for: Wait, *, clean: bool
) -> None:
    server = peer("server")
    for _ in range(3):
        old = peer("malakoff.main", clean=clean)
        new = peer("malakoff.main", clean=clean)
        assert wait_for(lambda old=old: not old.is_in)  # type: ignore[misc]
        new.subscribe(f"{MAIN}/ack")
        server.say(f"{MAIN}/ack", b"1")
        assert new.has(f"{MAIN}/ack", b"1")


def test_a_message_of_10_mb_harms_nobody(broker: Broker, peer: Peers, wait_for: Wait) -> None:
    server, lab = peer("server"), peer("malakoff.lab")
    server.subscribe("gardien/1/+/+/journal")
    big = peer("malakoff.main")
    big.client.publish(f"{MAIN}/journal", bytes(10_000_000), qos=1)
    assert wait_for(lambda: not big.is_in)
    lab.say(f"{LAB}/journal", bytes(MOST_PACKET_BYTES - 100))
    assert server.has(f"{LAB}/journal", bytes(MOST_PACKET_BYTES - 100))
    assert [one[0] for one in server.messages] == [f"{LAB}/journal"]
    assert broker.is_running


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x10\xff\xff\xff\xff\xff",
        b"\x10\xff\xff\xff\x7f",
        b"\x10\x02\x00\x04",
        b"\x00" * 64,
        b"\x10\x10\x00\x04MQTT\x04\xc2\x00\x3c\x00\xff\xff\xfe\xfd\xfc",
    ],
)
def test_nonsense_ends_its_own_connection_only(broker: Broker, peer: Peers, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", broker.port), 10) as nonsense:
        nonsense.sendall(raw)
        with contextlib.suppress(OSError):  # the broker may have hung up already
            nonsense.shutdown(socket.SHUT_WR)
        nonsense.settimeout(10)
        while True:
            try:
                if not nonsense.recv(100):
                    break
            except ConnectionResetError:
                break
    server = peer("server")
    server.subscribe("gardien/1/+/+/request")
    peer("malakoff.main").say(f"{MAIN}/request", b"{}")
    assert server.has(f"{MAIN}/request", b"{}")


def test_it_listens_on_this_machine_only(broker: Broker) -> None:
    text = Path("/proc/net/tcp").read_text(encoding="ascii")
    port = f"{broker.port:04X}"
    listening = re.findall(rf"^ *\d+: ([0-9A-F]+):{port} 0+:0000 0A", text, re.MULTILINE)
    assert listening == ["0100007F"]


def test_closing_frees_the_port_and_closing_twice_is_harmless(
    broker: Broker, peer: Peers, wait_for: Wait
) -> None:
    door = peer("malakoff.main")
    broker.close()
    assert not broker.is_running
    assert wait_for(lambda: not door.is_in)
    socket.create_server(("127.0.0.1", broker.port)).close()
    broker.close()


def test_a_taken_port_is_refused_with_a_way_out(
    broker: Broker, broker_clients: Sequence[BrokerClient], tmp_path: Path
) -> None:
    with pytest.raises(BrokerError, match=f"port {broker.port}.*choose another port"):
        embedded_broker(
            clients=broker_clients, folder=tmp_path / "b", port=broker.port, program="amqtt"
        )


def test_clients_need_names_of_their_own_and_passwords(
    broker_clients: Sequence[BrokerClient], tmp_path: Path
) -> None:
    for clients in ([], [*broker_clients, broker_clients[0]]):
        with pytest.raises(ValueError, match="names of their own"):
            embedded_broker(clients=clients, folder=tmp_path)
    with pytest.raises(ValueError, match="no password"):
        BrokerClient(name="server", password="", role="server")
    assert WRONG not in repr(BrokerClient(name="a", password=WRONG, role="screen"))


def test_without_mosquitto_amqtt_is_taken_and_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.broker.find_mosquitto", lambda: None)
    assert choose_broker("auto").program == "amqtt"
    assert choose_broker("auto").why == "amqtt, since mosquitto is not installed"
    with pytest.raises(BrokerError, match="apt install mosquitto"):
        choose_broker("mosquitto")


@pytest.mark.mosquitto
@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
def test_mosquitto_is_taken_where_it_is_installed() -> None:
    assert choose_broker("auto").program == "mosquitto"
    assert "found at" in choose_broker("auto").why


@pytest.mark.mosquitto
@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
def test_mosquitto_goes_when_we_are_killed(
    broker_clients: Sequence[BrokerClient], tmp_path: Path, wait_for: Wait
) -> None:
    script = (
        "import sys, time, pathlib\n"
        "from runtime.broker import BrokerClient, embedded_broker\n"
        "client = BrokerClient(name='server', password='s', role='server')\n"
        "broker = embedded_broker(clients=[client], folder=pathlib.Path(sys.argv[1]))\n"
        "print(broker.port, flush=True)\n"
        "time.sleep(60)\n"
    )
    del broker_clients
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        port = int(owner.stdout.readline())
        socket.create_connection(("127.0.0.1", port), 10).close()
        os.kill(owner.pid, signal.SIGKILL)
    assert wait_for(lambda: not processes_with(str(tmp_path)))


@pytest.mark.mosquitto
@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
def test_the_folder_may_have_any_name(
    broker_clients: Sequence[BrokerClient], tmp_path: Path
) -> None:
    folder = tmp_path / "chez nous, l'été"
    with embedded_broker(clients=broker_clients, folder=folder, program="mosquitto") as broker:
        assert broker.is_running
    assert (folder / "mosquitto.db").exists()


@pytest.mark.mosquitto
@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
def test_secrets_are_not_on_the_command_line_and_their_files_are_private(
    broker_clients: Sequence[BrokerClient], tmp_path: Path
) -> None:
    folder = tmp_path / "broker"
    with embedded_broker(clients=broker_clients, folder=folder, program="mosquitto"):
        assert processes_with(str(folder))
        for name in ("passwords", "acl", "mosquitto.conf"):
            assert (folder / name).stat().st_mode & 0o077 == 0
        assert ":m\n" not in (folder / "passwords").read_text(encoding="ascii")
    assert not processes_with(str(folder))


def processes_with(text: str) -> list[str]:
    """List the command lines of other processes that hold a text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if text in line and path.parent.name != str(os.getpid()):
            found.append(line)
    return found


def silent_door(port: int, will: tuple[str, bytes], keepalive_s: int = 1) -> socket.socket:
    """Log the door `malakoff.main` in by hand, so that nothing ever pings."""
    raw = socket.create_connection(("127.0.0.1", port), 10)
    fields = [b"malakoff.main", will[0].encode(), will[1], b"malakoff.main", b"m"]
    body = b"".join(len(one).to_bytes(2, "big") + one for one in fields)
    # Flags: user name, password, retained will at QoS 1, clean session (MQTT 3.1.1, 3.1.2.3).
    head = b"\x00\x04MQTT\x04\xee" + keepalive_s.to_bytes(2, "big")
    raw.sendall(b"\x10" + bytes([len(head + body)]) + head + body)
    assert raw.recv(4) == b"\x20\x02\x00\x00"
    return raw


def connect_packet(client_id: str, rest: bytes) -> bytes:
    """Write a CONNECT without name and password."""
    body = b"\x00\x04MQTT\x04\x02\x00\x3c" + len(client_id).to_bytes(2, "big") + client_id.encode()
    return b"\x10" + bytes([len(body + rest)]) + body + rest
