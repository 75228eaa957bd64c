"""The shell of a door unit: one thread that owns the door, and one bounded queue into it.

It carries out what the door wants, in order: records are durable before the lock is released, and
the lock is locked before anything else is tried.
"""

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from access import topics
from access.badge import UidError, digest
from access.ids import DoorId, SiteId
from access.messages import AccessRequest, DoorState, JournalBatch, encode
from access.model import Reader
from edge.courier import Courier
from edge.door import Door
from edge.effects import (
    Effect,
    Keep,
    PublishState,
    Record,
    Relock,
    Restart,
    SendRequest,
    Show,
    Unlock,
)
from edge.events import (
    BadgeRead,
    BadgeUnreadable,
    Event,
    Faulted,
    LinkChanged,
    Moment,
    OutboxFilling,
    ReaderHealth,
    Started,
    Stopping,
    Tick,
)
from edge.mailbox import Acknowledged, Mailbox, Snapshot
from edge.memory import keep_policy
from edge.outbox import Entry, Outbox, OutboxError
from edge.ports import Lock, Signals
from edge.presentation import CardRead, ReaderEvent, ReaderFailed, ReaderRecovered
from runtime.clock import Clock
from runtime.link import Incoming, Link, LinkDown, LinkEvent, LinkUp, Outgoing, Wish

_log = logging.getLogger(__name__)

REQUEST_EXPIRY_S: Final = 2
STATE_EVERY_S: Final = 30.0
OFFLINE: Final = b'{"online":false}'

_ROOM: Final = 1000
_LONGEST_SLEEP_S: Final = 0.5
_SAVE_AGAIN_S: Final = 1.0
_RENEW_HOLD_S: Final = 10.0
_MOST_UNSAVED: Final = 1000

Happening = Event | LinkEvent | ReaderEvent
"""What may be put on the unit's queue."""


def last_will(site: SiteId, door: DoorId) -> Outgoing:
    """Give what the broker is to say when the unit is gone without a goodbye."""
    return Outgoing(topic=topics.of_door(site, door, topics.STATE), payload=OFFLINE, retain=True)


@dataclass(slots=True, kw_only=True)
class _Durable:
    """What is to be on disk before the lock is released."""

    entries: list[Entry] = field(default_factory=list)
    keep: dict[str, str | None] = field(default_factory=dict)


class DoorUnit:
    """Runs one door.

    Args:
        door: the rules; owned by the loop.
        outbox: the journal; likewise.
        lock: starts locked.
        signals: light and sound.
        mailbox: reads what comes over MQTT.
        badge_key: the site's badge key, 32 bytes.
        clock: what time it is.
        version: of the program.
        on_turn: called from the loop at each turn, at least twice a second, for a watchdog.
    """

    def __init__(
        self,
        *,
        door: Door,
        outbox: Outbox,
        lock: Lock,
        signals: Signals,
        mailbox: Mailbox,
        badge_key: bytes,
        clock: Clock,
        version: str,
        on_turn: Callable[[], None],
    ) -> None:
        self._door, self._outbox = door, outbox
        self._lock, self._signals = lock, signals
        self._mailbox, self._badge_key = mailbox, badge_key
        self._clock, self._version, self._on_turn = clock, version, on_turn
        self._site, self._door_id = mailbox.site, mailbox.door
        self._queue: queue.Queue[Happening] = queue.Queue(maxsize=_ROOM)
        self._is_over = threading.Event()
        self._link: Link | None = None
        self._courier = Courier(
            acknowledged=outbox.acknowledged, is_probing=outbox.lost is not None
        )
        self._unsaved: list[Entry] = []
        self._save_at = float("-inf")
        self._is_nearly_full = False
        self._is_state_due = True
        self._state_said_at = float("-inf")
        self._state_old_at = datetime.min.replace(tzinfo=UTC)
        self._held_at = float("-inf")
        self._wants_restart = False

    def post(self, happening: Happening) -> None:
        """Tell the unit what happened, from any thread.

        Blocks while the queue is full, so that whoever floods it is slowed down; returns at once
        when the unit has ended.
        """
        while not self._is_over.is_set():
            try:
                self._queue.put(happening, timeout=_LONGEST_SLEEP_S)
            except queue.Full:
                continue
            return

    @property
    def lost_outbox(self) -> str | None:
        """The name of an outbox that was set aside, if its records are lost to the chain."""
        return self._outbox.lost

    def wishes(self) -> tuple[Wish, ...]:
        """Say what the link is to subscribe to."""
        return self._mailbox.wishes()

    def connect(self, link: Link) -> None:
        """Give the unit its link, which posts its events here. Before `run`."""
        self._link = link

    def run(self, stop: threading.Event, started: Started) -> bool:
        """Run until `stop` is set or a restart is ordered; blocks. The lock is locked at the end.

        Args:
            stop: ends the loop within half a second.
            started: what the wires said at the start.

        Returns:
            Whether a restart was ordered.
        """
        try:
            self._handle(started)
            while not (stop.is_set() or self._wants_restart):
                self._turn()
            self._handle(Stopping())
            self._send(topics.STATE, OFFLINE, retain=True)
        finally:
            self._is_over.set()
            self._lock.lock()
        return self._wants_restart

    def _turn(self) -> None:
        """Wait for one thing to happen, or for the time at which something is due."""
        happening = self._next()
        try:
            self._take(happening)
            self._tend()
        except Exception:  # noqa: BLE001 - one bad event must not leave the door without its loop
            _log.exception("%s was not handled; the lock is locked", type(happening).__name__)
            self._recover()
        self._on_turn()

    def _next(self) -> Happening:
        dues = [due for due in (self._door.due, self._courier.due) if due is not None]
        sleep_s = min(dues, default=float("inf")) - self._clock.monotonic()
        if self._door.due is not None and self._door.due <= self._clock.monotonic():
            return Tick()
        try:
            return self._queue.get(timeout=min(max(sleep_s, 0.001), _LONGEST_SLEEP_S))
        except queue.Empty:
            return Tick()

    def _take(self, happening: Happening) -> None:
        match happening:
            case Incoming():
                self._take_mail(happening)
            case LinkUp() | LinkDown():
                self._take_link(is_up=isinstance(happening, LinkUp))
            case CardRead():
                self._handle(self._badge(happening))
            case ReaderFailed() | ReaderRecovered():
                self._take_health(happening)
            case _:
                self._handle(happening)

    def _take_mail(self, message: Incoming) -> None:
        mail = self._mailbox.read(message, self._clock.monotonic())
        match mail:
            case None:
                return
            case Acknowledged(seq=seq):
                self._acknowledged(seq)
            case Snapshot(event=event, payload=payload):
                self._handle(event)
                if self._door.policy is event.policy:
                    keep_policy(self._outbox, payload)
            case _:
                self._handle(mail)

    def _take_link(self, *, is_up: bool) -> None:
        self._courier.link(is_up=is_up)
        self._is_state_due = True
        self._handle(LinkChanged(is_up=is_up))

    def _take_health(self, event: ReaderFailed | ReaderRecovered) -> None:
        is_ok = isinstance(event, ReaderRecovered)
        if isinstance(event, ReaderFailed):
            _log.error("reader %s is out of order: %s", event.reader, event.error)
        self._handle(ReaderHealth(reader=Reader(event.reader), is_ok=is_ok))

    def _badge(self, read: CardRead) -> Event:
        try:
            badge = digest(read.uid, self._badge_key)
        except UidError as error:
            _log.warning("reader %s: %s", read.reader, error)
            return BadgeUnreadable(reader=Reader(read.reader))
        return BadgeRead(reader=Reader(read.reader), badge=badge)

    def _handle(self, event: Event) -> None:
        now = Moment(at=self._clock.now(), mono=self._clock.monotonic())
        self._carry_out(self._door.handle(event, now))

    def _carry_out(self, effects: list[Effect]) -> None:
        durable = _Durable()
        for effect in effects:
            match effect:
                case Relock():
                    self._lock.lock()
                case Unlock():
                    self._unlock(durable, is_exit=effect.is_exit)
                    durable = _Durable()
                case Record():
                    durable.entries.append(
                        Entry(kind=effect.kind, time=effect.at, data=effect.data)
                    )
                case Keep():
                    durable.keep[effect.key] = effect.value
                case _:
                    self._do(effect)
        self._save(durable)

    def _do(self, effect: SendRequest | Show | PublishState | Restart) -> None:
        match effect:
            case SendRequest():
                self._ask(effect)
            case Show():
                self._signals.show(effect.signal)
            case PublishState():
                self._is_state_due = True
            case Restart():
                self._wants_restart = True

    def _unlock(self, durable: _Durable, *, is_exit: bool) -> None:
        """Release the lock once the records are on disk; the way out needs none."""
        if is_exit:
            self._save(durable)
        else:
            self._commit(durable)
        self._lock.unlock()
        self._held_at = self._clock.monotonic()

    def _commit(self, durable: _Durable) -> None:
        if durable.entries or durable.keep or self._unsaved:
            self._outbox.append_all([*self._unsaved, *durable.entries], durable.keep)
            self._unsaved.clear()

    def _save(self, durable: _Durable) -> None:
        """Commit; what can't be written now is tried again at each turn."""
        try:
            self._commit(durable)
        except OutboxError:
            if not self._unsaved:
                _log.exception("records wait in memory: the outbox can't be written")
            room = _MOST_UNSAVED - len(self._unsaved)
            self._unsaved.extend(durable.entries[: max(room, 0)])

    def _save_again(self) -> None:
        mono = self._clock.monotonic()
        if self._unsaved and mono >= self._save_at:
            self._save_at = mono + _SAVE_AGAIN_S
            self._save(_Durable())

    def _recover(self) -> None:
        """Lock, and let the door know; whatever fails now, the loop goes on."""
        try:
            self._lock.lock()
            self._handle(Faulted())
        except Exception:  # noqa: BLE001 - likewise
            _log.exception("the door could not be told of the fault")

    def _tend(self) -> None:
        """Do what each turn of the loop does."""
        self._save_again()
        self._watch_outbox()
        self._renew_hold()
        self._send_journal()
        self._tell_state()

    def _watch_outbox(self) -> None:
        if self._outbox.lost is not None and not self._courier.is_probing:
            _log.error("the outbox was set aside: the unit starts anew, and says so")
            self._wants_restart = True
        is_nearly_full = self._outbox.is_nearly_full or bool(self._unsaved)
        if is_nearly_full != self._is_nearly_full:
            self._is_nearly_full = is_nearly_full
            _log.log(
                logging.ERROR if is_nearly_full else logging.INFO,
                "the outbox holds %d records%s",
                len(self._outbox),
                ": ordinary entries wait until the server takes them" if is_nearly_full else "",
            )
            self._handle(OutboxFilling(is_nearly_full=is_nearly_full))

    def _renew_hold(self) -> None:
        """A lock may lock itself when it is forgotten: while it is held, say so now and then."""
        mono = self._clock.monotonic()
        if self._door.is_held and mono >= self._held_at + _RENEW_HOLD_S:
            self._held_at = mono
            self._lock.unlock()

    def _acknowledged(self, seq: int) -> None:
        mono = self._clock.monotonic()
        if self._courier.is_probing:
            self._settle_chain(seq)
        elif seq > self._outbox.head.seq:
            _log.error("the server has %d records, more than this door made: it goes on there", seq)
            self._outbox.anchor(seq)
            self._courier.start_after(seq)
        elif self._courier.acknowledge(seq, mono):
            self._outbox.acknowledge(seq)

    def _settle_chain(self, seq: int) -> None:
        """The first word of the server since the chain was lost here: it says what it holds."""
        if seq > 1:
            self._outbox.anchor(seq)
        else:
            self._outbox.settle()
            self._outbox.acknowledge(seq)
        self._courier.start_after(max(seq, self._outbox.acknowledged))

    def _send_journal(self) -> None:
        mono = self._clock.monotonic()
        head = self._outbox.head.seq
        while (part := self._courier.next_after(head, mono)) is not None:
            after, count = part
            records = self._outbox.after(after, count)
            if not records or not self._send(topics.JOURNAL, encode(JournalBatch(records=records))):
                return
            self._courier.has_sent(int(records[-1]["seq"]), mono)

    def _tell_state(self) -> None:
        mono, at = self._clock.monotonic(), self._clock.now()
        # By the time of day too: a clock that leaps must not make the door look silent.
        is_old = mono >= self._state_said_at + STATE_EVERY_S or at >= self._state_old_at
        if not (self._is_state_due or is_old):
            return
        if self._send(topics.STATE, encode(self._state()), retain=True):
            self._is_state_due, self._state_said_at = False, mono
            self._state_old_at = at + timedelta(seconds=STATE_EVERY_S)

    def _state(self) -> DoorState:
        view = self._door.view
        return DoorState(
            online=True,
            at=self._clock.now(),
            lock=view.lock,
            contact=view.contact,
            queue=len(self._outbox),
            policy=view.policy,
            clock_ms=view.clock_ms,
            unit=self._version,
            readers=dict(view.readers),
        )

    def _ask(self, request: SendRequest) -> None:
        message = AccessRequest(
            id=request.id,
            at=request.at,
            reader=request.reader.value,
            badge=request.badge,
        )
        if self._link is not None:
            self._link.send(
                Outgoing(
                    topic=topics.of_door(self._site, self._door_id, topics.REQUEST),
                    payload=encode(message),
                    expiry_s=REQUEST_EXPIRY_S,
                    response_topic=topics.of_door(self._site, self._door_id, topics.DECISION),
                    correlation=bytes.fromhex(request.id.replace("-", "")),
                )
            )

    def _send(self, what: str, payload: bytes, *, retain: bool = False) -> bool:
        if self._link is None:
            return False
        topic = topics.of_door(self._site, self._door_id, what)
        return self._link.send(Outgoing(topic=topic, payload=payload, retain=retain))
