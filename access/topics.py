"""The MQTT topics of `contract.md`: made and taken apart in one place."""

from functools import lru_cache
from typing import Final, NamedTuple

from access.ids import DoorId, SiteId, SlugError, slug

ROOT: Final = "gardien/1"
SHARED_GROUP: Final = "gardien"

REQUEST: Final = "request"
DECISION: Final = "decision"
JOURNAL: Final = "journal"
ACK: Final = "ack"
COMMAND: Final = "command"
STATE: Final = "state"
POLICY: Final = "policy"
SERVER: Final = "server"
OCCUPANCY: Final = "occupancy"

FROM_DOOR: Final = (REQUEST, JOURNAL, STATE)
TO_DOOR: Final = (DECISION, ACK, COMMAND)
OF_SITE: Final = (POLICY, SERVER, OCCUPANCY)

_DOOR_LEVELS: Final = 5
_SITE_LEVELS: Final = 4


class TopicError(ValueError):
    """Not a topic of gardien's."""


class Topic(NamedTuple):
    """A topic taken apart; `door` is None for those of a whole site."""

    site: SiteId
    door: DoorId | None
    what: str


def of_door(site: SiteId, door: DoorId, what: str) -> str:
    """Give the topic of one door."""
    return f"{ROOT}/{site}/{door}/{what}"


def of_site(site: SiteId, what: str) -> str:
    """Give the topic of one site."""
    return f"{ROOT}/{site}/{what}"


@lru_cache(maxsize=1_024)
def parse(topic: str) -> Topic:
    """Take a topic apart; those of the doors that there are come again and again.

    Raises:
        TopicError: it is not one of the contract's.
    """
    levels = topic.split("/")
    if levels[:2] != ROOT.split("/"):
        raise TopicError(f"topic {topic!r} does not begin with {ROOT}")
    try:
        if len(levels) == _DOOR_LEVELS and levels[4] in (*FROM_DOOR, *TO_DOOR):
            door = DoorId(slug(levels[3], "door"))
            return Topic(SiteId(slug(levels[2], "site")), door, levels[4])
        if len(levels) == _SITE_LEVELS and levels[3] in OF_SITE:
            return Topic(SiteId(slug(levels[2], "site")), None, levels[3])
    except SlugError as error:
        raise TopicError(f"topic {topic!r}: {error}") from error
    raise TopicError(f"topic {topic!r} is not one of the contract's")
