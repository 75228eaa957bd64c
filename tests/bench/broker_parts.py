"""A mosquitto of our own, bare clients of it, and functions as processes of their own."""

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from runtime.broker import LOOPBACK, find_mosquitto
from tests.torture.place import free_port

PATIENCE_S: Final = 30.0
_INFLIGHT: Final = 200
_CONF: Final = """
user root
listener {port} 127.0.0.1
allow_anonymous true
set_tcp_nodelay {nodelay}
max_inflight_messages {inflight}
max_queued_messages 10000
log_type none
"""


@contextmanager
def mosquitto(folder: Path, *, port: int | None = None, is_prompt: bool = True) -> Iterator[int]:
    """Run a broker that lets everybody in; gives the port.

    Args:
        folder: for its settings.
        port: where it listens; None for a free one.
        is_prompt: whether it sends small packets at once (TCP_NODELAY).
    """
    found = find_mosquitto()
    if found is None:
        raise SystemExit("mosquitto is not installed; install it: apt install mosquitto")
    port = free_port() if port is None else port
    conf = folder / f"mosquitto-{port}.conf"
    nodelay = "true" if is_prompt else "false"
    conf.write_text(_CONF.format(port=port, nodelay=nodelay, inflight=_INFLIGHT))
    with subprocess.Popen([found, "-c", conf], stderr=subprocess.DEVNULL) as broker:
        try:
            wait_for_port(port)
            yield port
        finally:
            broker.terminate()


def wait_for_port(port: int) -> None:
    """Wait until something listens.

    Raises:
        TimeoutError: nothing does, in time.
    """
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((LOOPBACK, port)):
            return
        time.sleep(0.01)
    raise TimeoutError(f"nothing listens on port {port}")


def mosquitto_version() -> dict[str, str]:
    """Give its version, for the machine's description."""
    found = find_mosquitto()
    if found is None:
        return {}
    told = subprocess.run([found, "-h"], capture_output=True, text=True, check=False).stdout
    return {"mosquitto": told.splitlines()[0].removeprefix("mosquitto version ").strip()}


@contextmanager
def process(main: Callable[..., None], *args: object) -> Iterator[int]:
    """Run a function as a process of its own; gives its pid."""
    running = get_context("spawn").Process(target=main, args=args, daemon=True)
    running.start()
    try:
        yield int(running.pid or 0)
    finally:
        running.terminate()
        running.join()


def bare_client(name: str, *, is_prompt: bool = True) -> paho.Client:
    """Make a client that, if `is_prompt`, holds nothing back."""
    client = paho.Client(
        CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5
    )
    client.max_inflight_messages_set(_INFLIGHT)
    if is_prompt:
        client.on_socket_open = at_once
        client.on_publish = lambda sender, *_: at_once(sender, None, sender.socket())
    return client


def at_once(_client: paho.Client, _data: object, sock: object) -> None:
    """Hold nothing back: neither what is sent nor what acknowledges."""
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_QUICKACK"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def connect(client: paho.Client, port: int, *topics: str) -> None:
    """Connect and subscribe; returns when the broker has said yes to both.

    Raises:
        TimeoutError: it did not.
    """
    heard = threading.Event()
    client.on_connect = lambda sender, *_: sender.subscribe([(one, 1) for one in topics])
    client.on_subscribe = lambda *_: heard.set()
    client.connect(LOOPBACK, port)
    client.loop_start()
    if not heard.wait(PATIENCE_S):
        raise TimeoutError(f"the broker did not take the subscription to {', '.join(topics)}")
