"""What a door unit sends: requests, its journal until it is acknowledged, and its condition."""

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from access import topics
from access.ids import DoorId, SiteId
from access.messages import AccessRequest, DoorState, JournalBatch, JournalCondition, encode
from edge.condition import View
from edge.courier import Courier
from edge.effects import SendRequest
from edge.outbox import Outbox, OutboxError
from runtime.clock import Clock
from runtime.link import Link, Outgoing

_log = logging.getLogger(__name__)

REQUEST_EXPIRY_S: Final = 2
STATE_EVERY_S: Final = 30.0
OFFLINE: Final = b'{"online":false}'


def last_will(site: SiteId, door: DoorId) -> Outgoing:
    """Give what the broker is to say when the unit is gone without a goodbye."""
    return Outgoing(topic=topics.of_door(site, door, topics.STATE), payload=OFFLINE, retain=True)


@dataclass(slots=True, kw_only=True)
class Postroom:
    """The outgoing side of one door's link.

    Attributes:
        outbox: holds the journal.
        courier: says which of it to send when.
        version: of the program.
        journal: how its journal is.
        temperature_c: says how warm the unit is, in degrees Celsius; None where nobody knows.
        link: None until there is one.
        is_state_due: whether the condition has changed since it was last told.
        state_every_s: how often the condition is told when it has not changed, in seconds.
    """

    site: SiteId
    door: DoorId
    outbox: Outbox
    courier: Courier
    clock: Clock
    version: str
    journal: JournalCondition = "ok"
    temperature_c: Callable[[], float | None] = lambda: None
    link: Link | None = None
    is_state_due: bool = True
    state_every_s: float = STATE_EVERY_S
    _state_said_at: float = float("-inf")
    _waiting: int = 0

    def link_changed(self, *, is_up: bool) -> None:
        """The broker came into reach, or went out of it."""
        self.courier.link(is_up=is_up)
        self.is_state_due = True

    def journal_is(self, condition: JournalCondition) -> None:
        """Learn how the journal is; a change of it is told at once."""
        self.is_state_due |= condition != self.journal
        self.journal = condition

    def ask(self, request: SendRequest) -> None:
        """Send a request; if that can't be done, the door decides when its time is up."""
        message = AccessRequest(
            id=request.id,
            at=request.at,
            reader=request.reader.value,
            badge=request.badge,
            token=request.token,
        )
        self._send(
            Outgoing(
                topic=topics.of_door(self.site, self.door, topics.REQUEST),
                payload=encode(message),
                expiry_s=REQUEST_EXPIRY_S,
                response_topic=topics.of_door(self.site, self.door, topics.DECISION),
                correlation=bytes.fromhex(request.id.replace("-", "")),
            )
        )

    def acknowledged(self, seq: int) -> None:
        """The server has all records up to number `seq` for good: they are deleted.

        Raises:
            OutboxError: they could not be.
        """
        if self.courier.is_probing:
            self._settle_chain(seq)
        elif seq > self.outbox.head.seq:
            _log.error("the server has %d records, more than this door made: it goes on there", seq)
            self.outbox.anchor(seq)
            self.courier.start_after(seq)
        elif self.courier.acknowledge(seq, self.clock.monotonic()):
            self.outbox.acknowledge(seq)

    def send_journal(self) -> None:
        """Send what of the journal is to be sent now.

        Raises:
            OutboxError: it could not be read.
        """
        mono = self.clock.monotonic()
        head = self.outbox.head.seq
        while (part := self.courier.next_after(head, mono)) is not None:
            records = self.outbox.after(*part)
            batch = Outgoing(
                topic=topics.of_door(self.site, self.door, topics.JOURNAL),
                payload=encode(JournalBatch(records=records, oldest=self.outbox.acknowledged + 1)),
            )
            if not records or not self._send(batch):
                return
            self.courier.has_sent(int(records[-1]["seq"]), mono)

    def tell_state(self, view: View) -> None:
        """Tell the door's condition when it has changed, and every now and then."""
        mono = self.clock.monotonic()
        if not self.is_state_due and mono < self._state_said_at + self.state_every_s:
            return
        if self._say_state(encode(self._state(view))):
            self.is_state_due, self._state_said_at = False, mono

    def say_goodbye(self) -> None:
        """Say that the unit is about to be gone."""
        self._say_state(OFFLINE)

    def _settle_chain(self, seq: int) -> None:
        """The first word of the server since the chain was lost here: it says what it holds."""
        if seq > 1:
            self.outbox.anchor(seq)
        else:
            self.outbox.settle()
            self.outbox.acknowledge(seq)
        self.courier.start_after(self.outbox.acknowledged)

    def _state(self, view: View) -> DoorState:
        return DoorState(
            online=True,
            at=self.clock.now(),
            lock=view.lock,
            contact=view.contact,
            queue=self._count_waiting(),
            policy=view.policy,
            clock_ms=view.clock_ms,
            unit=self.version,
            readers=dict(view.readers),
            temperature_c=self.temperature_c(),
            fire=view.fire,
            journal=self.journal,
        )

    def _count_waiting(self) -> int:
        """Count what waits; while the journal can't be read, what waited when it last could."""
        with contextlib.suppress(OutboxError):
            self._waiting = len(self.outbox)
        return self._waiting

    def _say_state(self, payload: bytes) -> bool:
        topic = topics.of_door(self.site, self.door, topics.STATE)
        return self._send(Outgoing(topic=topic, payload=payload, retain=True))

    def _send(self, message: Outgoing) -> bool:
        return self.link is not None and self.link.send(message)
