"""Who may say what on the broker: the contract's topics, per client, and nothing else.

The topics are those of docs/protocol.md. Doors write only what is theirs and read only what is
addressed to them, so that one stolen unit can neither speak for another door nor listen to it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from access.ids import DoorId, SiteId, slug
from access.topics import (
    FROM_DOOR,
    OCCUPANCY,
    OF_SITE,
    POLICY,
    SERVER,
    STATE,
    TO_DOOR,
    of_door,
    of_site,
)

Role = Literal["server", "door", "screen", "home"]

DISCOVERY_COMPONENTS: Final = ("sensor", "binary_sensor")
"""What the server announces to Home Assistant: things to read, never things to do."""

DISCOVERY_NODE: Final = "gardien"
"""The level of Home Assistant's discovery topics under which all of ours are."""

# A name becomes a client id and a line of a file, so it holds nothing that means something there.
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,79}", re.ASCII)
_PREFIX = re.compile(r"([A-Za-z0-9_-]{1,64})?", re.ASCII)

# One level of a topic, whatever it is (MQTT 3.1.1, 4.7.1.3).
_ANY_SITE: Final = SiteId("+")
_ANY_DOOR: Final = DoorId("+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One client of the broker.

    Attributes:
        name: its user name, which is its client id and its certificate's common name as well.
            A door's is `<site>.<door>`.
        role: what it is.
        site: the slug of a door's site; None for the others.
        door: the slug of the door; None for the others.
        discovery_prefix: where a server may announce itself to Home Assistant, and where a home
            automation listens for it; empty is nowhere.
    """

    name: str
    role: Role
    site: str | None = None
    door: str | None = None
    discovery_prefix: str = ""

    def __post_init__(self) -> None:
        """Refuse what could reach beyond its line or its topics.

        Raises:
            ValueError: a name, slug or prefix is not one, or a door is not named for itself.
        """
        if _NAME.fullmatch(self.name) is None:
            raise ValueError(f"{self.name!r} is no client name; use a-z, 0-9, . and - (80 at most)")
        if _PREFIX.fullmatch(self.discovery_prefix) is None:
            raise ValueError(f"{self.discovery_prefix!r} is no discovery prefix; use one word")
        if self.role == "door":
            self._check_door()

    def _check_door(self) -> None:
        for part, what in ((self.site, "site"), (self.door, "door")):
            slug(part or "", what)
        if self.name != f"{self.site}.{self.door}":
            raise ValueError(f"the door's name is {self.name!r}; use {self.site}.{self.door}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """What one client may do, as topic filters.

    Attributes:
        publish: topics that it may write.
        receive: topics that reach it.
    """

    publish: tuple[str, ...]
    receive: tuple[str, ...]


def grants_of(client: Client) -> Grants:
    """Give the topics of a client, in the order of the contract."""
    if client.role == "door":
        return _door_grants(SiteId(client.site or ""), DoorId(client.door or ""))
    if client.role == "server":
        return _server_grants(client.discovery_prefix)
    if client.role == "home":
        return _home_grants(client.discovery_prefix)
    return Grants(publish=(), receive=(of_site(_ANY_SITE, OCCUPANCY),))


def may_publish(client: Client, topic: str) -> bool:
    """Say whether the client may publish on a topic. A topic with wildcards is none."""
    return _is_topic(topic) and any(covers(one, topic) for one in grants_of(client).publish)


def may_receive(client: Client, topic: str) -> bool:
    """Say whether a message on this topic may reach the client."""
    return _is_topic(topic) and any(covers(one, topic) for one in grants_of(client).receive)


def may_subscribe(client: Client, topic_filter: str) -> bool:
    """Say whether all that a filter can match may reach the client.

    Args:
        client: who asks.
        topic_filter: with or without wildcards, or shared ("$share/<group>/<filter>").
    """
    asked = topic_filter
    if topic_filter.startswith("$share/"):
        _, _, asked = topic_filter.removeprefix("$share/").partition("/")
    return bool(asked) and any(covers(one, asked) for one in grants_of(client).receive)


def covers(granted: str, asked: str) -> bool:
    """Say whether a filter covers each topic that another filter, or a topic, can match.

    Follows MQTT 3.1.1, section 4.7: "+" is one level, a last "#" is the rest and its parent.
    """
    have, want = granted.split("/"), asked.split("/")
    for place, level in enumerate(have):
        if level == "#":
            return not asked.startswith("$")
        if place >= len(want) or want[place] == "#":
            return False
        if level not in ("+", want[place]):
            return False
    return len(have) == len(want)


def mosquitto_acl(clients: Iterable[Client]) -> str:
    """Write the `acl_file` of mosquitto for these clients.

    Each has a `user` section; whoever is not listed, and whatever is not listed, is denied. The
    file is never empty, since some versions of mosquitto take an empty one as "allow all".
    """
    sections = [_HEADER]
    for client in sorted(clients, key=lambda one: one.name):
        granted = grants_of(client)
        lines = [f"user {client.name}"]
        lines += [f"topic write {topic}" for topic in granted.publish]
        lines += [f"topic read {topic}" for topic in granted.receive]
        sections.append("\n".join(lines) + "\n")
    return "\n".join(sections)


_HEADER = """\
# Who may say what: one section for each client, and nothing for anybody else.
# A door's name is <site>.<door>; it is also its client id and its certificate's common name.
# After a change: systemctl reload mosquitto
"""


def _door_grants(site: SiteId, door: DoorId) -> Grants:
    return Grants(
        publish=tuple(of_door(site, door, what) for what in FROM_DOOR),
        receive=(
            *(of_door(site, door, what) for what in TO_DOOR),
            of_site(site, POLICY),
            of_site(site, SERVER),
        ),
    )


def _server_grants(discovery_prefix: str) -> Grants:
    return Grants(
        publish=(
            *(of_door(_ANY_SITE, _ANY_DOOR, what) for what in TO_DOOR),
            *(of_site(_ANY_SITE, what) for what in OF_SITE),
            *_discovery(discovery_prefix),
        ),
        receive=tuple(of_door(_ANY_SITE, _ANY_DOOR, what) for what in FROM_DOOR),
    )


def _home_grants(discovery_prefix: str) -> Grants:
    """What a home automation reads: numbers and conditions, on no topic that holds a name."""
    return Grants(
        # Home Assistant says there that it has started.
        publish=(f"{discovery_prefix}/status",) if discovery_prefix else (),
        receive=(
            # It subscribes to all that is announced under its prefix, by whomever.
            *((f"{discovery_prefix}/#",) if discovery_prefix else ()),
            of_site(_ANY_SITE, OCCUPANCY),
            of_site(_ANY_SITE, SERVER),
            of_door(_ANY_SITE, _ANY_DOOR, STATE),
        ),
    )


def _discovery(prefix: str) -> tuple[str, ...]:
    if not prefix:
        return ()
    return tuple(f"{prefix}/{what}/{DISCOVERY_NODE}/+/config" for what in DISCOVERY_COMPONENTS)


def _is_topic(topic: str) -> bool:
    return bool(topic) and not set("+#\0") & set(topic)
