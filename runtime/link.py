"""What a program needs of MQTT, as a port: publish, and be told of what comes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkUp:
    """The broker has been reached, and what was asked for is subscribed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkDown:
    """The broker is out of reach; the link goes on trying by itself."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A message has come.

    Attributes:
        is_retained: whether the broker had kept it from before, so that it may be old.
        correlation: what the answer has to carry back (MQTT 5, 4.10), if anything.
        arrived: when it came, in seconds of the monotonic clock.
    """

    topic: str
    payload: bytes
    is_retained: bool = False
    correlation: bytes | None = None
    arrived: float = 0.0


LinkEvent = LinkUp | LinkDown | Incoming
OnLink = Callable[[LinkEvent], None]
"""Called from the link's own thread: it must only put the event on a queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message to send with QoS 1.

    Attributes:
        expiry_s: how long it is of use; the broker drops it then, where it speaks MQTT 5.
        response_topic: where the answer is expected (MQTT 5, 4.10).
        correlation: what the answer carries back (MQTT 5, 4.10).
    """

    topic: str
    payload: bytes
    retain: bool = False
    expiry_s: int | None = None
    response_topic: str | None = None
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a link subscribes to.

    Attributes:
        topic: a topic filter.
        shared_in: the group of a shared subscription (MQTT 5, 4.8.2), where the broker has them.
    """

    topic: str
    shared_in: str | None = None


class Link(Protocol):
    """A connection to the broker that mends itself."""

    @property
    def is_up(self) -> bool:
        """Whether the broker is in reach."""

    def send(self, message: Outgoing) -> bool:
        """Send a message; does not block.

        Returns:
            Whether it was handed to the connection. It is not kept for later if there is none: what
            must arrive is kept by the sender until it is acknowledged.
        """

    def close(self) -> None:
        """Say goodbye and stop. Closing twice is harmless."""
