"""A bare client in the part of many doors: asks with so many requests in flight, and times."""

import queue
import statistics
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Final

import paho.mqtt.client as paho
import uuid6
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.bench.broker_parts import PATIENCE_S, bare_client, connect

_MOST_S: Final = 0.1
"""How long one answer may take, on average, before all is given up."""

_BLOCK: Final = 8
"""How many requests there are in a block, for each that is in flight."""

Body = Callable[[str, int], bytes]
"""Writes a request: from its id, and its number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Where to ask, and where answers come.

    Attributes:
        id_of: finds in an answer which request it is for; "" if it does not say, so that requests
            are taken to be answered in order.
    """

    request: str
    answer: str
    body: Body
    id_of: Callable[[paho.MQTTMessage], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """How long each of some answers took, and all of them together, in seconds."""

    each_s: list[float]
    whole_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How long answers take, in milliseconds, and how many come in a second."""

    p50: float
    p95: float
    p99: float
    per_s: float

    @classmethod
    def of(cls, blocks: list[Took]) -> "Spread":
        """Make it of several blocks of answers, taken as one."""
        every = [one for block in blocks for one in block.each_s]
        cuts = statistics.quantiles(every, n=100, method="inclusive")
        return cls(
            p50=statistics.median(every) * 1e3,
            p95=cuts[94] * 1e3,
            p99=cuts[98] * 1e3,
            per_s=len(every) / sum(block.whole_s for block in blocks),
        )


class Asker:
    """Asks on one way.

    Args:
        port: the broker's.
        way: where and what.
        is_prompt: whether small packets are sent at once (TCP_NODELAY).
    """

    def __init__(self, port: int, way: Way, *, is_prompt: bool = True) -> None:
        self._way = way
        self._numbers = count()
        self._asked: dict[str, float] = {}
        self._client = bare_client(f"asker-{way.request.replace('/', '-')}", is_prompt=is_prompt)
        self._on_answer: Callable[[paho.MQTTMessage], None] = lambda _: None
        self._client.on_message = lambda _c, _d, message: self._on_answer(message)
        connect(self._client, port, way.answer)

    def until_answered(self) -> None:
        """Ask until somebody answers, which takes as long as the other end needs to start.

        Raises:
            TimeoutError: nobody does.
        """
        answered = threading.Event()
        self._on_answer = lambda _: answered.set()
        deadline = time.monotonic() + PATIENCE_S
        while not answered.is_set():
            if time.monotonic() > deadline:
                raise TimeoutError(f"nobody answers on {self._way.answer}")
            self._ask()
            answered.wait(0.5)
        time.sleep(0.5)  # for answers to what was asked before the other end was there

    def ask(self, rounds: int, in_flight: int = 1) -> Took:
        """Ask so often, keeping so many in flight: a new one goes out at each answer.

        Raises:
            TimeoutError: not all were answered.
        """
        took: list[float] = []
        left: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(max(0, rounds - in_flight)):
            left.put(None)
        done = threading.Event()

        def on_answer(message: paho.MQTTMessage) -> None:
            now = time.perf_counter()
            request = self._way.id_of(message) or next(iter(self._asked), "")
            asked_at = self._asked.pop(request, None)
            if asked_at is None:
                return
            took.append(now - asked_at)
            if len(took) == rounds:
                done.set()
            with suppress(queue.Empty):
                left.get_nowait()
                self._ask()

        self._asked.clear()
        self._on_answer = on_answer
        started = time.perf_counter()
        for _ in range(min(in_flight, rounds)):
            self._ask()
        if not done.wait(PATIENCE_S + rounds * _MOST_S):
            raise TimeoutError(f"only {len(took)} of {rounds} answers on {self._way.answer}")
        return Took(each_s=took, whole_s=time.perf_counter() - started)

    def close(self) -> None:
        """Leave. Closing twice is harmless."""
        self._client.disconnect()
        self._client.loop_stop()

    def _ask(self) -> None:
        number = next(self._numbers)
        request = str(uuid6.uuid7())  # as doors name theirs
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic = self._way.answer
        properties.CorrelationData = request.encode()
        properties.MessageExpiryInterval = 2
        body = self._way.body(request, number)
        self._asked[request] = time.perf_counter()
        self._client.publish(self._way.request, body, qos=1, properties=properties)


def take_turns(askers: Mapping[str, Asker], rounds: int, in_flight: int) -> dict[str, Spread]:
    """Let several ask in turn, in blocks as short as can be, so that a disturbance hits all.

    Args:
        askers: who asks, by name.
        rounds: how many requests of each.
        in_flight: how many at a time.
    """
    block = min(rounds, _BLOCK * in_flight)
    sizes = [block] * (rounds // block) + ([rounds % block] if rounds % block else [])
    took: dict[str, list[Took]] = {name: [] for name in askers}
    for size in sizes:
        for name, asker in askers.items():
            took[name].append(asker.ask(size, in_flight))
    return {name: Spread.of(blocks) for name, blocks in took.items()}
