"""The link that works in the thread of whoever waits: the server's."""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from runtime.broker import Broker
from runtime.broker_amqtt import AmqttBroker
from runtime.link import Incoming, LinkDown, LinkEvent, LinkUp, Outgoing, Wish
from runtime.link_paho import Login
from runtime.link_paho_driven import DrivenPahoLink
from tests.mqtt_peer import MqttPeer, wait_for
from tests.runtime.conftest import PASSWORDS

STATE = "gardien/1/malakoff/main/state"
SERVER = "gardien/1/malakoff/server"


class WatchedLink(DrivenPahoLink):
    """A link that says what it has not read yet."""

    def has_more(self, within_s: float) -> bool:
        """Whether something comes from the broker within so many seconds."""
        sock = self._client.socket()
        assert isinstance(sock, socket.socket)
        return bool(select.select([sock], [], [], within_s)[0])


class Loop:
    """A link, and what it has told."""

    def __init__(self, port: int) -> None:
        self.events: list[LinkEvent] = []
        self.link = WatchedLink(
            host="127.0.0.1",
            port=port,
            client_id="server",
            login=Login(username="server", password=PASSWORDS["server"]),
            wishes=[Wish(topic="gardien/1/+/+/state")],
            will=None,
            on_event=self.events.append,
        )

    def until(self, is_so: Callable[[], bool]) -> None:
        """Let it work until something is so."""
        deadline = time.monotonic() + 15.0
        while not is_so():
            assert time.monotonic() < deadline, self.events
            self.link.wait(0.05)

    def has_heard(self, payload: bytes) -> bool:
        return any(isinstance(one, Incoming) and one.payload == payload for one in self.events)


@pytest.fixture
def loop(broker: Broker) -> Iterator[Loop]:
    loop = Loop(broker.port)
    with contextlib.closing(loop.link):
        yield loop


def test_nothing_happens_by_itself_and_all_of_it_while_it_is_waited(
    loop: Loop, peer: Callable[..., MqttPeer]
) -> None:
    assert not loop.link.send(Outgoing(topic=SERVER, payload=b"too early"))
    loop.until(lambda: loop.link.is_up)
    assert loop.events == [LinkUp()]
    door = peer("malakoff.main")
    door.client.publish(STATE, b"one", qos=1).wait_for_publish(10.0)
    time.sleep(0.2)
    assert loop.events == [LinkUp()]
    loop.until(lambda: loop.has_heard(b"one"))


def test_what_another_thread_sends_goes_out_with_the_next_turn(
    loop: Loop, peer: Callable[..., MqttPeer]
) -> None:
    loop.until(lambda: loop.link.is_up)
    door = peer("malakoff.main")
    door.subscribe(SERVER)
    said: list[bool] = []
    message = Outgoing(topic=SERVER, payload=b"from beside")
    other = threading.Thread(target=lambda: said.append(loop.link.send(message)))
    other.start()
    other.join()
    assert said == [True]
    loop.until(lambda: (SERVER, b"from beside", False) in door.messages)


def test_hundreds_of_messages_come_in_order(loop: Loop, peer: Callable[..., MqttPeer]) -> None:
    loop.until(lambda: loop.link.is_up)
    door = peer("malakoff.main")
    wanted = [b"%d" % number for number in range(500)]
    for payload in wanted:
        door.client.publish(STATE, payload, qos=1)
    loop.until(lambda: loop.has_heard(wanted[-1]))
    heard = [one.payload for one in loop.events if isinstance(one, Incoming)]
    assert heard == wanted


def test_what_has_come_is_acknowledged_at_the_next_turn_when_it_is_done_with(
    loop: Loop, peer: Callable[..., MqttPeer], broker: Broker
) -> None:
    if isinstance(broker, AmqttBroker):
        pytest.skip("only mosquitto waits for acknowledgements, once 200 are due")
    loop.until(lambda: loop.link.is_up)
    door = peer("malakoff.main")
    for number in range(201):
        door.client.publish(STATE, b"%d" % number, qos=1).wait_for_publish(10.0)
    loop.link.wait(1.0)
    assert len(loop.events) == 201  # that the link is up, and as much as may be due
    assert not loop.link.has_more(within_s=0.3)
    loop.until(lambda: loop.has_heard(b"200"))


def test_a_broker_that_is_gone_is_told_and_looked_for_again(loop: Loop, broker: Broker) -> None:
    loop.until(lambda: loop.link.is_up)
    broker.close()
    loop.until(lambda: not loop.link.is_up)
    assert isinstance(loop.events[-1], LinkDown)
    begun = time.monotonic()
    loop.link.wait(0.1)
    loop.link.wait(0.1)
    assert time.monotonic() - begun < 5.0


def test_a_broker_that_says_nothing_holds_the_loop_up_for_seconds_at_most() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as silent:
        loop = Loop(silent.getsockname()[1])
        with contextlib.closing(loop.link):
            begun = time.monotonic()
            loop.link.wait(0.1)
            loop.link.wait(0.1)
            assert time.monotonic() - begun < loop.link.connect_s + 1.0
            assert not loop.link.is_up


def test_closing_twice_is_harmless_and_says_goodbye(
    loop: Loop, peer: Callable[..., MqttPeer]
) -> None:
    loop.until(lambda: loop.link.is_up)
    door = peer("malakoff.main")
    door.subscribe(SERVER)
    assert loop.link.send(Outgoing(topic=SERVER, payload=b"the last word"))
    loop.link.close()
    loop.link.close()
    assert wait_for(lambda: (SERVER, b"the last word", False) in door.messages)
