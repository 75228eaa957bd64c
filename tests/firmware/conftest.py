"""A real mosquitto with the configuration that goes onto the broker, and certificates made here."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.mqtt_peer import wait_for
from tests.shipped_broker import FIRMWARE, Authority, ShippedBroker


@pytest.fixture
def shipped(tmp_path: Path) -> Iterator[ShippedBroker]:
    """Run the broker as it is shipped."""
    broker = ShippedBroker(tmp_path)
    try:
        yield broker
    finally:
        broker.close()


@pytest.fixture
def foreign_authority(tmp_path: Path) -> Authority:
    """Make an authority that the broker does not know."""
    return Authority(tmp_path, "foreign")


@pytest.fixture(name="wait_for")
def wait_for_fixture() -> Callable[[Callable[[], bool]], bool]:
    """Give the tests `wait_for`."""
    return wait_for


@pytest.fixture
def firmware() -> Path:
    """Give the folder of what goes onto the machines."""
    return FIRMWARE
