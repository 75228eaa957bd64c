"""The shell of a door unit: one thread that owns the door, and one bounded queue into it."""

import logging
import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final

from access.badge import UidError, digest
from access.model import Reader
from edge.badges.wish import Want, Wish
from edge.courier import Courier
from edge.door import Door
from edge.effects import PublishState, Restart, SendRequest
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
from edge.hands import Hands, Message
from edge.mailbox import Acknowledged, Mailbox, Snapshot
from edge.memory import keep_policy
from edge.outbox import Outbox, OutboxError
from edge.ports import Display, Lock, Signals
from edge.postroom import Postroom
from edge.presentation import CardRead, CardUnreadable, ReaderEvent, ReaderFailed, ReaderRecovered
from edge.tidying import Tidying
from runtime.clock import Clock
from runtime.link import Incoming, Link, LinkDown, LinkEvent, LinkUp

_log = logging.getLogger(__name__)

_ROOM: Final = 1000
_LONGEST_SLEEP_S: Final = 0.5
_SHORTEST_SLEEP_S: Final = 0.001
_LOG_EVERY_S: Final = 60.0

Happening = Event | LinkEvent | ReaderEvent
"""What may be put on the unit's queue."""


class _Patience:
    """Bears with a journal that can't be used now, where the lock does not depend on it.

    What failed is tried again at a later turn; it is logged once a minute.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock, self._logged_at = clock, float("-inf")

    def __enter__(self) -> None:
        """Begin what may fail."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> bool:
        if not isinstance(error, OutboxError):
            return False
        if self._clock.monotonic() >= self._logged_at + _LOG_EVERY_S:
            self._logged_at = self._clock.monotonic()
            _log.error("the journal can't be used now: %s", error)
        return True


class DoorUnit:
    """Runs one door.

    Args:
        door: the rules; owned by the loop.
        outbox: the journal; likewise.
        lock: starts locked.
        signals: light and sound.
        display: for a few words, where there is one.
        temperature_c: says how warm the unit is, in degrees Celsius.
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
        display: Display | None = None,
        temperature_c: Callable[[], float | None] = lambda: None,
        on_turn: Callable[[], None],
    ) -> None:
        self._door, self._outbox, self._lock = door, outbox, lock
        self._mailbox, self._badge_key = mailbox, badge_key
        self._clock, self._on_turn = clock, on_turn
        self._hands = Hands(outbox=outbox, lock=lock, signals=signals, display=display)
        self._postroom = Postroom(
            site=mailbox.site,
            door=mailbox.door,
            outbox=outbox,
            courier=Courier(acknowledged=outbox.acknowledged, is_probing=outbox.lost is not None),
            clock=clock,
            version=version,
            temperature_c=temperature_c,
        )
        self._tidying = Tidying(outbox=outbox, clock=clock)
        self._patience = _Patience(clock)
        self._queue: queue.Queue[Happening] = queue.Queue(maxsize=_ROOM)
        self._is_over = threading.Event()
        self._is_nearly_full = False
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

    def wish(self, reader: str, uid: bytes) -> Wish:
        """Say what the door wants of a card that is presented; from any thread, at once."""
        try:
            badge = digest(uid, self._badge_key)
        except UidError:
            return Want.UID
        return self._door.wish(Reader(reader), badge, self._clock.monotonic())

    def connect(self, link: Link) -> None:
        """Give the unit its link, which posts its events here. Before `run`."""
        self._postroom.link = link

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
            self._postroom.say_goodbye()
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
            if isinstance(happening, Tick) and not self._door.is_unlocked:
                with self._patience:
                    self._tidying.tend()
        except Exception:  # noqa: BLE001 - one bad event must not leave the door without its loop
            _log.exception("%s was not handled; the lock is locked", type(happening).__name__)
            self._recover()
        self._on_turn()

    def _next(self) -> Happening:
        mono, due = self._clock.monotonic(), self._door.due
        if due is not None and due <= mono:
            return Tick()
        dues = [each for each in (due, self._postroom.courier.due) if each is not None]
        sleep_s = min([_LONGEST_SLEEP_S, *(each - mono for each in dues)])
        try:
            return self._queue.get(timeout=max(sleep_s, _SHORTEST_SLEEP_S))
        except queue.Empty:
            return Tick()

    def _take(self, happening: Happening) -> None:
        match happening:
            case Incoming():
                self._take_mail(happening)
            case LinkUp() | LinkDown():
                is_up = isinstance(happening, LinkUp)
                self._postroom.link_changed(is_up=is_up)
                self._handle(LinkChanged(is_up=is_up))
            case CardRead():
                self._handle(self._badge(happening))
            case CardUnreadable():
                self._handle(self._unreadable(happening))
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
                with self._patience:
                    self._postroom.acknowledged(seq)
            case Snapshot(event=event, payload=payload):
                self._handle(event)
                if self._door.policy is event.policy:
                    with self._patience:
                        keep_policy(self._outbox, payload)
            case _:
                self._handle(mail)

    def _take_health(self, event: ReaderFailed | ReaderRecovered) -> None:
        is_ok = isinstance(event, ReaderRecovered)
        if isinstance(event, ReaderFailed):
            _log.error("reader %s is out of order: %s", event.reader, event.error)
        self._handle(ReaderHealth(reader=Reader(event.reader), is_ok=is_ok))

    def _badge(self, read: CardRead) -> Event:
        """Turn the UID into its digest: it goes no further than here."""
        try:
            badge = digest(read.uid, self._badge_key)
        except UidError as error:
            _log.warning("reader %s: %s", read.reader, error)
            return BadgeUnreadable(reader=Reader(read.reader))
        return BadgeRead(
            reader=Reader(read.reader), badge=badge, token=read.token, enrolled=read.enrolled
        )

    def _unreadable(self, card: CardUnreadable) -> Event:
        badge = None if card.uid is None else digest(card.uid, self._badge_key)
        return BadgeUnreadable(reader=Reader(card.reader), why=card.why, badge=badge)

    def _handle(self, event: Event) -> None:
        now = Moment(at=self._clock.now(), mono=self._clock.monotonic())
        for message in self._hands.carry_out(self._door.handle(event, now), now.mono):
            self._pass_on(message)

    def _pass_on(self, message: Message) -> None:
        match message:
            case SendRequest():
                self._postroom.ask(message)
            case PublishState():
                self._postroom.is_state_due = True
            case Restart():
                self._wants_restart = True

    def _recover(self) -> None:
        """Lock, and let the door know; whatever fails now, the loop goes on."""
        try:
            self._hands.lock_now()
            self._handle(Faulted())
        except Exception:  # noqa: BLE001 - likewise
            _log.exception("the door could not be told of the fault")

    def _tend(self) -> None:
        """Do what each turn of the loop does."""
        self._hands.tend(self._clock.monotonic(), is_unlocked=self._door.is_unlocked)
        with self._patience:
            self._watch_outbox()
            self._postroom.send_journal()
        # Whatever the journal does: that it fails is what staff must hear of.
        self._postroom.tell_state(self._door.view)

    def _watch_outbox(self) -> None:
        is_failing = bool(self._hands.unsaved)
        if is_failing:
            # Said before the file is asked for anything: it may not even be readable.
            self._postroom.journal_is("failing")
        if self._outbox.lost is not None and not self._postroom.courier.is_probing:
            _log.error("the outbox was set aside: the unit starts anew, and says so")
            self._wants_restart = True
        is_full = self._outbox.is_nearly_full
        self._postroom.journal_is("failing" if is_failing else "full" if is_full else "ok")
        is_nearly_full = is_full or is_failing
        if is_nearly_full == self._is_nearly_full:
            return
        self._is_nearly_full = is_nearly_full
        if is_nearly_full:
            _log.error(
                "%d records wait on disk and %d in memory: only staff and guardians come in",
                len(self._outbox),
                len(self._hands.unsaved),
            )
        self._handle(OutboxFilling(is_nearly_full=is_nearly_full))
