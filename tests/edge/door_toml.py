"""The `door.toml` of a door that is simulated, for tests that start a whole door unit."""

from collections.abc import Sequence

_HEAD = """
site = "malakoff"
door = "main"
keeps_time = true
server_key_file = "server.pem"
badge_key_file = "badge.key"
outbox = "outbox.db"
[mqtt]
host = "127.0.0.1"
port = {port}
username = "malakoff.main"
password_file = "mqtt.password"
"""
_HARDWARE = """
[hardware]
backend = "simulated"
[hardware.simulated]
socket = "door.sock"
[hardware.lock]
pin = 17
active_high = true
fail = "secure"
kind = "strike"
release_in_hardware = true
[hardware.contact]
pin = 27
active = "high"
[hardware.light]
red = 22
green = 23
blue = 24
"""
_READER = """
[[hardware.reader]]
id = "{id}"
driver = "mfrc522"
bus = 0
device = {device}
"""
NOBODY_LISTENS = 9
"""A port where no broker is."""


def door_toml(
    *, port: int = NOBODY_LISTENS, readers: Sequence[str] = ("in",), more: str = ""
) -> str:
    """Write the settings of a simulated door; `more` are further tables."""
    told = "".join(_READER.format(id=one, device=number) for number, one in enumerate(readers))
    return _HEAD.format(port=port) + _HARDWARE + told + more
