"""From MQTT messages to events: decoded at the border; what is not valid is counted and dropped."""

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Final

from access.ids import DoorId, SiteId
from access.messages import (
    AccessRequest,
    DoorState,
    InvalidMessageError,
    JournalBatch,
    decode,
)
from access.topics import JOURNAL, REQUEST, STATE, TopicError, parse
from runtime.link import Incoming
from server.events import Asked, DoorEvent, DoorSaid, Reported

_log = logging.getLogger(__name__)

MAX_BYTES: Final = 1_000_000
"""The largest message that is looked at: 100 records of 10 kB."""

_LOG_EVERY_S: Final = 60.0
_MOST_TOPICS: Final = 1_000

OTHERS: Final = "others"
"""What the count of invalid messages calls all topics after the first 1,000."""


class UnknownSenderError(ValueError):
    """A message comes from a door that the settings don't have."""


class Intake:
    """Turns messages into events, and keeps count of those that are none.

    Args:
        doors: the doors of each site.

    Attributes:
        invalid: how many messages were dropped, by topic.
    """

    def __init__(self, doors: Mapping[SiteId, frozenset[DoorId]]) -> None:
        self._doors = doors
        self._logged: dict[str, float] = {}
        self.invalid: Counter[str] = Counter()

    def read(self, message: Incoming, mono: float) -> tuple[SiteId, DoorEvent] | None:
        """Read one message.

        Args:
            message: as it came.
            mono: monotonic seconds, to log at most once a minute a sender.

        Returns:
            The site and the event, or None where the message is not valid.
        """
        try:
            return self._read(message, mono)
        except (TopicError, InvalidMessageError, UnknownSenderError) as error:
            self._count(message.topic, error, mono)
            return None

    def _read(self, message: Incoming, mono: float) -> tuple[SiteId, DoorEvent]:
        if len(message.payload) > MAX_BYTES:
            raise InvalidMessageError(
                f"{len(message.payload):,} bytes; a message may have {MAX_BYTES:,}"
            )
        topic = parse(message.topic)
        if topic.door is None or topic.door not in self._doors.get(topic.site, frozenset()):
            raise UnknownSenderError(f"no door {topic.door!r} at site {topic.site!r} is configured")
        return topic.site, _event(topic.door, topic.what, message, mono)

    def _count(self, sent_on: str, error: Exception, mono: float) -> None:
        is_known = sent_on in self.invalid or len(self.invalid) < _MOST_TOPICS
        topic = sent_on if is_known else OTHERS
        self.invalid[topic] += 1
        if mono - self._logged.get(topic, -_LOG_EVERY_S) >= _LOG_EVERY_S:
            self._logged[topic] = mono
            _log.warning(
                "a message on %s was dropped (%d so far): %s",
                topic[:80],
                self.invalid[topic],
                str(error)[:200],
                extra={"topic": topic[:80], "dropped": self.invalid[topic]},
            )


def _event(door: DoorId, what: str, message: Incoming, mono: float) -> DoorEvent:
    if what == REQUEST and not message.is_retained:
        request = decode(message.payload, AccessRequest)
        waited_ms = round((mono - message.arrived) * 1000, 3)
        return Asked(
            door=door, request=request, correlation=message.correlation, waited_ms=waited_ms
        )
    if what == JOURNAL:
        batch = decode(message.payload, JournalBatch)
        return Reported(door=door, records=tuple(batch.records), oldest=batch.oldest)
    if what == STATE:
        return DoorSaid(door=door, state=decode(message.payload, DoorState))
    raise InvalidMessageError(f"nothing is expected on this topic: {what}")
