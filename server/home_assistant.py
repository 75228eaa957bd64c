"""Discovery by Home Assistant: tells it over MQTT what there is to read of each site and door.

Follows https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery: a retained configuration
for each entity under `<prefix>/<component>/gardien/<object>/config`, and an empty one to take it
back. Entities read topics that hold no name: `occupancy`, `server`, and the doors' `state`.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, delete, insert, select

from access import topics
from access.ids import DoorId, SiteId
from runtime.acl import DISCOVERY_NODE
from runtime.link import Link, LinkEvent, LinkUp, OnLink, Outgoing
from server import schema
from server.database import Database, DatabaseError
from server.settings import DoorSettings, HomeAssistantSettings, SiteSettings

_log = logging.getLogger(__name__)

_RETRY_S: Final = 5.0
_ORIGIN: Final = {"name": "gardien"}
_OPENINGS: Final = ["hours", "watch", "closing", "closed"]
_IS_ONLINE: Final = "{{ 'online' if value_json.online else 'offline' }}"
# A last will says nothing of the contact: then it is not known, which "None" means.
_CONTACT: Final = "{{ {'open': 'ON', 'closed': 'OFF'}.get(value_json.contact, 'None') }}"
_WATCH: Final = "{{ 'ON' if value_json.open in ('watch', 'closing') else 'OFF' }}"

_encode: Final = msgspec.json.Encoder(order="deterministic").encode

_NAMES: Final = {
    "fr": {
        "present": "Présents",
        "margin": "Incertitude",
        "open": "Ouverture",
        "watch": "Permanence",
        "contact": "Ouverte",
        "online": "En ligne",
    },
    "en": {
        "present": "Present",
        "margin": "Margin",
        "open": "Open by",
        "watch": "Watch",
        "contact": "Open",
        "online": "Online",
    },
}


def announcements(
    sites: Sequence[SiteSettings], prefix: str, language: str, version: str
) -> dict[str, bytes]:
    """Write what Home Assistant is told: configurations by topic.

    Args:
        sites: from the settings.
        prefix: of its discovery.
        language: of the entities' names, `fr` or `en`.
        version: of gardien.
    """
    found: dict[str, bytes] = {}
    for site in sites:
        for component, object_id, config in _entities(site, language, version):
            topic = f"{prefix}/{component}/{DISCOVERY_NODE}/{object_id}/config"
            found[topic] = _encode(config)
    return found


class Announcer:
    """Tells Home Assistant at each connection what there is, and takes back what there was.

    What it was told is kept in the database, so that a door that goes, or discovery that is
    switched off, is taken back after a restart too.

    Args:
        settings: of Home Assistant.
        sites: from the settings.
        language: of the names.
        version: of gardien.
        notes: where it is kept; `notifier_queue.prepare` was called.
    """

    def __init__(
        self,
        *,
        settings: HomeAssistantSettings,
        sites: Sequence[SiteSettings],
        language: str,
        version: str,
        notes: Database,
    ) -> None:
        self._wanted = (
            announcements(sites, settings.prefix, language, version) if settings.enabled else {}
        )
        self._notes = notes
        self._news = threading.Event()
        self._is_due = False

    def beside(self, on_event: OnLink) -> OnLink:
        """Give a listener that passes events on and hears of connections; it does not block."""

        def listen(event: LinkEvent) -> None:
            on_event(event)
            if isinstance(event, LinkUp):
                self._is_due = True
                self._news.set()

        return listen

    def wake(self) -> None:
        """End its waiting; does not block."""
        self._news.set()

    def run(self, stop: threading.Event, link: Link) -> None:
        """Announce at each connection until `stop` is set and `wake` is called."""
        while not stop.is_set():
            self._news.wait()
            self._news.clear()
            while self._is_due and not stop.is_set():
                self._is_due = False
                try:
                    is_done = self.announce(link)
                except DatabaseError as error:
                    _log.warning("Home Assistant is told later: %s", error)
                    is_done = False
                if not is_done and link.is_up:
                    self._is_due = True
                    stop.wait(_RETRY_S)

    def announce(self, link: Link) -> bool:
        """Publish all configurations, and empty ones for those that are no more.

        Returns:
            Whether all were handed to the connection.

        Raises:
            DatabaseError: it can't be noted now.
        """
        with self._notes.reading() as connection:
            known = _announced(connection)
        gone = known - set(self._wanted)
        if set(self._wanted) - known:
            # Noted before it is said: what is said and not noted would stay for good.
            with self._notes.writing() as connection:
                rows = [{"topic": topic} for topic in sorted(set(self._wanted) - known)]
                connection.execute(insert(schema.announced), rows)
        messages = [(topic, b"") for topic in sorted(gone)] + sorted(self._wanted.items())
        for topic, payload in messages:
            if not link.send(Outgoing(topic=topic, payload=payload, retain=True)):
                return False
        if gone:
            _log.info("%d entities were taken back from Home Assistant", len(gone))
            with self._notes.writing() as connection:
                for topic in gone:
                    connection.execute(
                        delete(schema.announced).where(schema.announced.c.topic == topic)
                    )
        return True


def _announced(connection: Connection) -> set[str]:
    return set(connection.scalars(select(schema.announced.c.topic)))


def _entities(
    site: SiteSettings, language: str, version: str
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Go through the entities of a site: component, object id and configuration."""
    names = _NAMES["en" if language == "en" else "fr"]
    site_id = SiteId(site.id)
    device = {
        "identifiers": [_device_of(site_id)],
        "name": site.name,
        "manufacturer": "gardien",
        "model": "site",
        "sw_version": version,
    }
    common = {
        "state_topic": topics.of_site(site_id, topics.OCCUPANCY),
        "availability": [_server_there(site_id)],
        "device": device,
        "origin": {**_ORIGIN, "sw_version": version},
    }
    for component, what, more in _OF_SITE:
        object_id = f"{site.id}_{what}"
        config = {**common, **more, "name": names[what], "unique_id": f"gardien-{object_id}"}
        yield component, object_id, config
    for door in site.doors:
        yield from _of_door(site_id, door, names, version)


def _of_door(
    site: SiteId, door: DoorSettings, names: dict[str, str], version: str
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    # "_" is in no slug: a door "a-watch" can't take the name of another entity.
    stem = f"{site}_{door.id}"
    topic = topics.of_door(site, DoorId(door.id), topics.STATE)
    common = {
        "state_topic": topic,
        "device": {
            "identifiers": [f"gardien-{stem}"],
            "name": door.name,
            "manufacturer": "gardien",
            "model": "door",
            "via_device": _device_of(site),
        },
        "origin": {**_ORIGIN, "sw_version": version},
    }
    online = {
        **common,
        "availability": [_server_there(site)],
        "device_class": "connectivity",
        "entity_category": "diagnostic",
        "value_template": "{{ 'ON' if value_json.online else 'OFF' }}",
    }
    yield _named("online", stem, online, names)
    if door.contact:
        contact = {
            **common,
            "availability": [_server_there(site), {"topic": topic, "value_template": _IS_ONLINE}],
            "availability_mode": "all",
            "device_class": "door",
            "value_template": _CONTACT,
        }
        yield _named("contact", stem, contact, names)


def _named(
    what: str, stem: str, config: dict[str, Any], names: dict[str, str]
) -> tuple[str, str, dict[str, Any]]:
    object_id = f"{stem}_{what}"
    unique = {"name": names[what], "unique_id": f"gardien-{object_id}"}
    return "binary_sensor", object_id, {**config, **unique}


def _server_there(site: SiteId) -> dict[str, str]:
    return {"topic": topics.of_site(site, topics.SERVER), "value_template": _IS_ONLINE}


def _device_of(site: SiteId) -> str:
    return f"gardien-{site}"


_OF_SITE: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    (
        "sensor",
        "present",
        {
            "value_template": "{{ value_json.present }}",
            "state_class": "measurement",
            "icon": "mdi:account-group",
        },
    ),
    (
        "sensor",
        "margin",
        {
            "value_template": "{{ value_json.margin }}",
            "state_class": "measurement",
            "icon": "mdi:plus-minus-variant",
        },
    ),
    (
        "sensor",
        "open",
        {
            "value_template": "{{ value_json.open }}",
            "device_class": "enum",
            "options": _OPENINGS,
            "icon": "mdi:store-clock",
        },
    ),
    (
        "binary_sensor",
        "watch",
        {"value_template": _WATCH, "icon": "mdi:shield-account"},
    ),
)
