"""The server's loop: one thread that owns the gates, one bounded queue into it.

What waits in the queue is handled together and committed once, and only then answered.
"""

import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from access import topics
from access.ids import DoorId, SiteId
from access.messages import (
    Acknowledgement,
    Message,
    OccupancyReport,
    ServerState,
    encode,
)
from access.model import Policy
from access.snapshot import Sign, seal
from runtime.clock import Clock
from runtime.link import Incoming, Link, LinkDown, LinkEvent, LinkUp, Outgoing, Wish
from server.database import DatabaseError
from server.effects import Acknowledge, Announce, Answer, Effect
from server.events import Asked, DoorEvent, DoorSaid, Event, LedgerFailed, Reported
from server.gatehouse import TICK, Gatehouse
from server.intake import Intake
from server.meter import Kind, Meter, NoMeter
from server.order_sending import OrderSending
from server.unwritten import Unwritten, UnwrittenNote

_log = logging.getLogger(__name__)

EXPIRY_S: Final = 2
QUEUE_SIZE: Final = 10_000
_BATCH: Final = 200
_TICK_S: Final = 0.25
_BACK_OFF_S: Final = 0.5
ONLINE_EVERY_S: Final = 30.0


def wishes() -> tuple[Wish, ...]:
    """What the server listens to: the work is shared among servers, states go to each."""
    every = f"{topics.ROOT}/+/+"
    return (
        Wish(topic=f"{every}/{topics.REQUEST}", shared_in=topics.SHARED_GROUP),
        Wish(topic=f"{every}/{topics.JOURNAL}", shared_in=topics.SHARED_GROUP),
        Wish(topic=f"{every}/{topics.STATE}"),
    )


def last_will(site: SiteId) -> Outgoing:
    """What the broker tells the doors when the server is gone."""
    return Outgoing(
        topic=topics.of_site(site, topics.SERVER),
        payload=encode(ServerState(online=False)),
        retain=True,
    )


class Inbox:
    """The bounded queue between the link's thread and the loop's.

    When it is full, messages are dropped and counted: nothing is lost by it, since a door decides
    by itself when no answer comes, and sends its journal again until it is acknowledged.
    """

    def __init__(self, size: int = QUEUE_SIZE) -> None:
        self._size = size
        self._fill: Callable[[float], object] | None = None
        self._queue: queue.SimpleQueue[LinkEvent] = queue.SimpleQueue()
        self.dropped = 0

    def fill_by(self, wait: Callable[[float], object]) -> None:
        """Let whoever takes do the link's work first.

        Args:
            wait: does it for up to so many seconds, until something has come: then it has put it.
        """
        self._fill = wait

    @property
    def waiting(self) -> int:
        """How many events wait to be taken."""
        return self._queue.qsize()

    def put(self, event: LinkEvent) -> None:
        """Add an event; does not block. Only one thread may call it."""
        if self._queue.qsize() < self._size:
            self._queue.put(event)
        else:
            self.dropped += 1

    def take(self, wait_s: float) -> list[LinkEvent]:
        """Take all that waits, at most a batch; blocks up to `wait_s` seconds for the first."""
        if self._fill is not None:
            self._fill(wait_s if self._queue.empty() else 0.0)
            wait_s = 0.0
        try:
            taken = [self._queue.get(block=bool(wait_s), timeout=wait_s)]
        except queue.Empty:
            return []
        while len(taken) < _BATCH:
            try:
                taken.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return taken


@dataclass(slots=True, kw_only=True)
class _Said:
    """What was last published of a site on the connection that there is.

    Attributes:
        policy: its version.
        report: the numbers.
        online_again: monotonic time at which to say again that the server is there.
    """

    policy: int | None = None
    report: OccupancyReport | None = None
    online_again: float = 0.0


class Service:
    """Answers doors, keeps what they record, and tells everybody the numbers.

    Args:
        doors: the doors of each site.
        gatehouse: handles and commits.
        policy_of: the policy of a site as it is now.
        sign: signs with the server's key.
        link: to the broker.
        inbox: filled by the link.
        clock: the time.
        on_commit: called after each commit, to wake the followers.
        online_every_s: how often doors are told the time, in seconds.
        meter: counts what is done.
        unwritten: tells others while the ledger can't be written.
    """

    def __init__(
        self,
        *,
        doors: Mapping[SiteId, frozenset[DoorId]],
        gatehouse: Gatehouse,
        policy_of: Callable[[SiteId], Policy],
        sign: Sign,
        link: Link,
        inbox: Inbox,
        clock: Clock,
        on_commit: Callable[[], None],
        online_every_s: float = ONLINE_EVERY_S,
        meter: Meter | None = None,
        unwritten: UnwrittenNote | None = None,
    ) -> None:
        self._sites = tuple(doors)
        self._gatehouse, self._policy_of, self._sign = gatehouse, policy_of, sign
        self._link, self._inbox, self._clock = link, inbox, clock
        self._on_commit = on_commit
        self._online_every_s = online_every_s
        self._orders = OrderSending(sign=sign, link=link, waiting=gatehouse.orders)
        self.intake = Intake(doors)
        self._meter: Meter = NoMeter() if meter is None else meter
        # When the requests of this turn came, in monotonic seconds.
        self._asked_at: dict[str, float] = {}
        self._unwritten = Unwritten(unwritten)
        self._published: dict[SiteId, _Said] = {}
        self._unheard: dict[tuple[SiteId, DoorId], DoorSaid] = {}
        self._next_tick = 0.0

    def run(self, stop: threading.Event, on_turn: Callable[[], None] = lambda: None) -> None:
        """Work until `stop` is set; then tell the doors that the server is going.

        Args:
            stop: set by whoever wants it to end.
            on_turn: called at each turn of the loop, at least four times a second.
        """
        while not stop.is_set():
            self._turn()
            on_turn()
        for site in self._sites:
            self._link.send(last_will(site))

    def _turn(self) -> None:
        batch = self._inbox.take(_TICK_S)
        try:
            self._handle(batch)
            if self._clock.monotonic() >= self._next_tick:
                self._next_tick = self._clock.monotonic() + _TICK_S
                self._tick()
            self._tell_unwritten()
        except DatabaseError as error:
            # Nothing was answered or acknowledged: doors decide alone and send again.
            _log.error("the ledger can't be written now: %s", error)
            self._unwritten.refused(error, self._clock.now(), self._clock.monotonic())
            threading.Event().wait(_BACK_OFF_S)

    def _tell_unwritten(self) -> None:
        """Record that the ledger could not be written, once it can; that itself is the trial."""
        since = self._unwritten.since
        if since is not None and self._unwritten.is_worth_telling():
            for site in self._sites:
                self._commit(site, [LedgerFailed(since=since)])
            self._unwritten.is_over()

    def _handle(self, batch: list[LinkEvent]) -> None:
        by_site: dict[SiteId, list[DoorEvent]] = {}
        self._asked_at.clear()
        for (site, _), said in self._unheard.items():
            by_site.setdefault(site, []).append(said)
        for item in batch:
            match item:
                case Incoming():
                    read = self._read(item)
                    if read is not None:
                        by_site.setdefault(read[0], []).append(read[1])
                case LinkUp():
                    _log.info("connected to the broker")
                    self._meter.link_is(is_up=True)
                    self._published.clear()
                    self._orders.link_is_back()
                case LinkDown():
                    _log.warning("the broker is out of reach: %s", item.why)
                    self._meter.link_is(is_up=False)
        self._take_in(by_site)

    def _read(self, message: Incoming) -> tuple[SiteId, DoorEvent] | None:
        """Read a message and count it; None for what is not valid, or comes too late."""
        read = self.intake.read(message, self._clock.monotonic())
        if read is None:
            self._meter.took_in("invalid")
            return None
        event = read[1]
        if _is_too_late(event):
            self._meter.took_in("late")
            return None
        self._meter.took_in(_KINDS[type(event)])
        if isinstance(event, Asked):
            self._asked_at[event.request.id] = message.arrived
        return read

    def _take_in(self, by_site: Mapping[SiteId, Sequence[DoorEvent]]) -> None:
        """Commit what doors have sent.

        Should that not be possible now, doors ask and report again by themselves; but what a door
        says of its own condition it says once, so that is kept for the next turn.
        """
        said = {(s, e.door): e for s, es in by_site.items() for e in es if isinstance(e, DoorSaid)}
        self._unheard |= said
        for (site, door), event in said.items():
            if event.state.online:
                self._orders.door_is_back(site, door)
        for site, events in by_site.items():
            self._commit(site, events)
        self._unheard.clear()

    def _commit(self, site: SiteId, events: Sequence[Event]) -> None:
        """Handle events together; should that fail by a fault of ours, each on its own."""
        try:
            effects = self._gatehouse.handle(site, events, self._clock.now())
        except DatabaseError:
            raise
        except Exception:  # noqa: BLE001 (one bad message must not stop the server)
            _log.exception("a fault in handling %d events at %s", len(events), site)
            if len(events) > 1:
                for event in events:
                    self._commit(site, [event])
            return
        self._send(site, effects)
        self._on_commit()
        if effects and not self._unwritten.is_worth_telling():
            self._unwritten.is_over()

    def _tick(self) -> None:
        for site in self._sites:
            now = self._clock.now()
            if self._gatehouse.has_due(site, now):
                self._commit(site, TICK)
            self._publish(site)
            self._tell_doors(site)

    def _tell_doors(self, site: SiteId) -> None:
        """Send what the doors are still to be told, and give up what came to nothing."""
        lapsed = self._orders.send(site, self._clock.now())
        if lapsed:
            self._commit(site, lapsed)

    def _publish(self, site: SiteId) -> None:
        """Publish what has changed since it was last published, whoever changed it."""
        if not self._link.is_up:
            return
        policy = self._policy_of(site)
        said = self._published.setdefault(site, _Said())
        self._say_online(site, said)
        if said.policy != policy.version:
            self._say(site, topics.POLICY, seal(policy, self._sign))
            said.policy = policy.version
        self._announce(site, self._gatehouse.look(site).reported)

    def _say_online(self, site: SiteId, said: _Said) -> None:
        """Say now and then that the server is there, and what time it is: doors check theirs."""
        mono = self._clock.monotonic()
        if mono >= said.online_again:
            self._say(site, topics.SERVER, ServerState(online=True, at=self._clock.now()))
            said.online_again = mono + self._online_every_s

    def _announce(self, site: SiteId, report: OccupancyReport | None) -> None:
        said = self._published.get(site)
        if said is not None and report is not None and report != said.report:
            self._say(site, topics.OCCUPANCY, report)
            said.report = report

    def _say(self, site: SiteId, what: str, message: Message) -> None:
        topic = topics.of_site(site, what)
        self._link.send(Outgoing(topic=topic, payload=encode(message), retain=True))

    def _count(self, site: SiteId, answer: Answer) -> None:
        decision = answer.decision
        asked_at = self._asked_at.get(decision.request)
        if asked_at is not None:
            self._meter.decided(
                site,
                is_granted=decision.granted,
                reason=decision.reason,
                took_s=self._clock.monotonic() - asked_at,
            )

    def _send(self, site: SiteId, effects: Sequence[Effect]) -> None:
        """Send what follows: first to the doors, since somebody waits there."""
        for effect in effects:
            if isinstance(effect, Answer):
                self._link.send(_answer(site, effect))
                self._count(site, effect)
            elif isinstance(effect, Acknowledge):
                self._link.send(_acknowledgement(site, effect))
        reports = [effect.report for effect in effects if isinstance(effect, Announce)]
        if reports:
            self._announce(site, reports[-1])


_KINDS: Final[Mapping[type[DoorEvent], Kind]] = {
    Asked: "request",
    Reported: "journal",
    DoorSaid: "state",
}


def _is_too_late(event: DoorEvent) -> bool:
    """Whether the door has long decided by itself, so that to decide again would only mislead."""
    return isinstance(event, Asked) and event.waited_ms > EXPIRY_S * 1000


def _answer(site: SiteId, effect: Answer) -> Outgoing:
    return Outgoing(
        topic=topics.of_door(site, effect.door, topics.DECISION),
        payload=encode(effect.decision),
        expiry_s=EXPIRY_S,
        correlation=effect.correlation,
    )


def _acknowledgement(site: SiteId, effect: Acknowledge) -> Outgoing:
    return Outgoing(
        topic=topics.of_door(site, effect.door, topics.ACK),
        payload=encode(Acknowledgement(seq=effect.seq)),
    )
