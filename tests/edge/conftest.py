"""Parts that the tests of the door unit share."""

import time
from collections.abc import Callable, Iterator

import pytest

from edge.simulated.bench import Bench, workbench
from edge.simulated.pins import SimulatedPins


@pytest.fixture
def bench() -> Iterator[Bench]:
    """An emulated chip and the real reader over it."""
    with workbench() as bench:
        yield bench


@pytest.fixture
def pins() -> Iterator[SimulatedPins]:
    """The emulated pins of one Raspberry Pi."""
    factory = SimulatedPins()
    yield factory
    factory.close()


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Wait for a condition with a deadline, and fail if it does not come about."""

    def wait(condition: Callable[[], bool]) -> None:
        end_s = time.monotonic() + 5.0
        while not condition():
            assert time.monotonic() < end_s, "it did not come about within 5 s"
            time.sleep(0.002)

    return wait
