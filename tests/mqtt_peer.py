"""A client on paho for tests of brokers: it waits for conditions, and remembers why it was cut."""

import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import paho.mqtt.client as paho
from paho.mqtt.reasoncodes import ReasonCode

WAIT_S = 10.0


def wait_for(condition: Callable[[], bool], wait_s: float = WAIT_S) -> bool:
    """Wait until a condition holds; say whether it did before the deadline."""
    deadline = time.monotonic() + wait_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


class MqttPeer:
    """A paho client that remembers what it received and why it was cut; `is_in` once connected.

    Args:
        client: with its login or its certificates, not connected yet.
        host: of the broker.
        port: of the broker.
        keepalive_s: for which the broker waits half as long again.
        will: topic and payload of its last will, retained.
    """

    def __init__(
        self,
        client: paho.Client,
        host: str,
        port: int,
        *,
        keepalive_s: int = 30,
        will: tuple[str, bytes] | None = None,
    ) -> None:
        self.messages: list[tuple[str, bytes, bool]] = []
        self.codes: list[ReasonCode] = []
        self.drops = 0
        self._subscribed = threading.Event()
        self.client = client
        if will is not None:
            client.will_set(*will, qos=1, retain=True)
        # As the product's own link does: without it each answer at QoS 1 may take 44 ms more.
        client.on_socket_open = _no_delay
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_subscribe = lambda *_: self._subscribed.set()
        try:
            client.connect(host, port, keepalive=keepalive_s)
        except OSError:
            self.drops += 1
        else:
            client.loop_start()
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


def _no_delay(_: paho.Client, __: object, sock: object) -> None:
    assert isinstance(sock, socket.socket)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
