"""The properties of a message: as paho's own class writes them."""

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from runtime.link import Outgoing
from runtime.message_properties import MessageProperties

NAMES = {
    "expiry_s": "MessageExpiryInterval",
    "response_topic": "ResponseTopic",
    "correlation": "CorrelationData",
}


@pytest.mark.parametrize("expiry_s", [None, 0, 2, 2**32 - 1])
@pytest.mark.parametrize("response_topic", [None, "gardien/1/malakoff/main/decision", "entrée"])
@pytest.mark.parametrize("correlation", [None, b"", b"0199aabb-0000", bytes(range(256)) * 100])
def test_they_are_written_as_paho_writes_them(
    expiry_s: int | None, response_topic: str | None, correlation: bytes | None
) -> None:
    message = Outgoing(
        topic="any",
        payload=b"",
        expiry_s=expiry_s,
        response_topic=response_topic,
        correlation=correlation,
    )
    theirs = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    for ours, name in NAMES.items():
        if getattr(message, ours) is not None:
            setattr(theirs, name, getattr(message, ours))
    assert MessageProperties(message).pack() == theirs.pack()  # type: ignore[no-untyped-call]
