"""The properties of a message that is sent by MQTT 5, written straight.

paho's own class looks through all 27 names that there are for each that is set, and once more to
write them: on the way of a badge that takes as long as to decide it.
"""

import struct
from typing import Final

from paho.mqtt.properties import Properties, VariableByteIntegers

from runtime.link import Outgoing

_EXPIRY: Final = struct.Struct(">BI")
_TEXT: Final = struct.Struct(">BH")
_EXPIRY_ID: Final = 0x02
_RESPONSE_ID: Final = 0x08
_CORRELATION_ID: Final = 0x09


class MessageProperties(Properties):
    """What paho puts into the packet of a message: its expiry, response topic and correlation.

    The form is that of MQTT 5, 2.2.2 and 3.3.2.3:
    https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html

    Args:
        message: whose properties.
    """

    _written: bytes

    def __init__(self, message: Outgoing) -> None:
        # Not the base's, which makes tables of all properties; nor its way of setting attributes.
        object.__setattr__(self, "_written", _write(message))

    def pack(self) -> bytes:
        """Give them as they stand in the packet, with their length before them."""
        return self._written


def _write(message: Outgoing) -> bytes:
    parts = b""
    if message.expiry_s is not None:
        parts += _EXPIRY.pack(_EXPIRY_ID, message.expiry_s)
    if message.response_topic is not None:
        topic = message.response_topic.encode()
        parts += _TEXT.pack(_RESPONSE_ID, len(topic)) + topic
    if message.correlation is not None:
        parts += _TEXT.pack(_CORRELATION_ID, len(message.correlation)) + message.correlation
    length: bytes = VariableByteIntegers.encode(len(parts))  # type: ignore[no-untyped-call]
    return length + parts
