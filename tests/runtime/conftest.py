"""What the broker tests share: both brokers, and clients on paho that wait for conditions."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from runtime.broker import Broker, BrokerClient, embedded_broker, find_mosquitto
from tests.mqtt_peer import MqttPeer, wait_for

CLIENTS = (
    BrokerClient(name="server", password="s", role="server", discovery_prefix="homeassistant"),  # noqa: S106
    BrokerClient(name="malakoff.main", password="m", role="door", site="malakoff", door="main"),  # noqa: S106
    BrokerClient(name="malakoff.lab", password="l", role="door", site="malakoff", door="lab"),  # noqa: S106
    BrokerClient(name="paris.main", password="p", role="door", site="paris", door="main"),  # noqa: S106
    BrokerClient(name="hall", password="h", role="screen"),  # noqa: S106
)
PASSWORDS = {client.name: client.password for client in CLIENTS}


class Peer(MqttPeer):
    """A client that logs in by a name and its password."""

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
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id or name,
            clean_session=clean,
            reconnect_on_failure=False,
        )
        client.username_pw_set(name, PASSWORDS.get(name) if password is None else password)
        super().__init__(client, "127.0.0.1", port, keepalive_s=keepalive_s, will=will)


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
