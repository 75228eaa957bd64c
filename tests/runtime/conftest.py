"""What the broker tests share: both brokers, and clients on paho that wait for conditions."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from runtime.broker import Broker, BrokerClient, embedded_broker, find_mosquitto

WAIT_S = 10.0

CLIENTS = (
    BrokerClient(name="server", password="s", role="server", discovery_prefix="homeassistant"),  # noqa: S106
    BrokerClient(name="malakoff.main", password="m", role="door", site="malakoff", door="main"),  # noqa: S106
    BrokerClient(name="malakoff.lab", password="l", role="door", site="malakoff", door="lab"),  # noqa: S106
    BrokerClient(name="paris.main", password="p", role="door", site="paris", door="main"),  # noqa: S106
    BrokerClient(name="hall", password="h", role="screen"),  # noqa: S106
)
PASSWORDS = {client.name: client.password for client in CLIENTS}


def wait_for(condition: Callable[[], bool], wait_s: float = WAIT_S) -> bool:
    """Wait until a condition holds; say whether it did before the deadline."""
    deadline = time.monotonic() + wait_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def _no_delay(_: paho.Client, __: object, sock: object) -> None:
    assert isinstance(sock, socket.socket)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Peer:
    """A paho client that remembers what it received and why it was cut."""

    def __init__(
        self,
        port: int,
        name: str,
        password: str | None = None,
        *,
        client_id: str | None = None,
        clean: bool = True,
        keepalive_s: int = 30,
        will: tuple[str, bytes] | None = None,
    ) -> None:
        self.messages: list[tuple[str, bytes, bool]] = []
        self.codes: list[ReasonCode] = []
        self.drops = 0
        self._subscribed = threading.Event()
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id or name,
            clean_session=clean,
            reconnect_on_failure=False,
        )
        self.client.username_pw_set(name, PASSWORDS.get(name) if password is None else password)
        if will is not None:
            self.client.will_set(will[0], will[1], qos=1, retain=True)
        # As the product's own link does: without it each answer at QoS 1 may take 44 ms more.
        self.client.on_socket_open = _no_delay
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_message = self._on_message
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.connect("127.0.0.1", port, keepalive=keepalive_s)
        self.client.loop_start()
        assert wait_for(lambda: bool(self.codes or self.drops))

    @property
    def is_in(self) -> bool:
        return bool(self.codes) and not self.codes[0].is_failure and self.drops == 0

    def subscribe(self, *filters: str) -> None:
        self._subscribed.clear()
        self.client.subscribe([(one, 1) for one in filters])
        assert self._subscribed.wait(WAIT_S)

    def say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self.client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(WAIT_S)

    def has(self, topic: str, payload: bytes) -> bool:
        return wait_for(lambda: (topic, payload) in [one[:2] for one in self.messages])

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _on_connect(self, *args: object) -> None:
        code = args[3]
        assert isinstance(code, ReasonCode)
        self.codes.append(code)

    def _on_disconnect(self, *_: object) -> None:
        self.drops += 1

    def _on_message(self, _: paho.Client, __: object, message: paho.MQTTMessage) -> None:
        self.messages.append((message.topic, bytes(message.payload), message.retain))


needs_mosquitto = pytest.mark.skipif(
    find_mosquitto() is None, reason="mosquitto is not installed (apt install mosquitto)"
)


@pytest.fixture(
    params=[
        pytest.param("mosquitto", marks=[pytest.mark.mosquitto, needs_mosquitto]),
        "amqtt",
    ]
)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    with embedded_broker(
        clients=CLIENTS, folder=tmp_path / "broker", program=request.param
    ) as running:
        yield running


@pytest.fixture
def peer(broker: Broker) -> Iterator[Callable[..., Peer]]:
    """Connect clients to the broker; they are closed after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda name, **options: stack.enter_context(Peer(broker.port, name, **options))


@pytest.fixture(name="wait_for")
def wait_for_fixture() -> Callable[[Callable[[], bool]], bool]:
    """Give the tests `wait_for`."""
    return wait_for


@pytest.fixture
def broker_clients() -> tuple[BrokerClient, ...]:
    """Give the tests the clients that the broker knows."""
    return CLIENTS
