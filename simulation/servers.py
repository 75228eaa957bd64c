"""The server of the simulation: the real service and gate on a simulated database."""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import msgspec

from access.ids import BadgeDigest, DoorId, MemberId, RequestId, SiteId, WatchId
from access.messages import AccessDecision
from access.model import Policy
from access.policy import UnknownDoorError
from access.snapshot import Sign
from access.tokens import CardToken, SeenToken, SeenTokens, counter_of
from runtime.link import Incoming, LinkEvent
from server.copies import badges_with_tokens
from server.database import ConflictError, DatabaseError
from server.desk import DeskError
from server.effects import (
    Answer,
    Credit,
    DropOrder,
    Effect,
    Keep,
    KeepToken,
    SendOrder,
    SetAside,
    SuspendBadge,
    WaitingOrder,
)
from server.events import Asked, DeskEvent, DoorSaid, Event, OrderLapsed
from server.gate import Gate
from server.gatehouse import Gatehouse
from server.service import ONLINE_EVERY_S, QUEUE_SIZE, Inbox, Service, last_will, wishes
from server.state import SiteState, from_json, to_json
from simulation.clocks import NodeClock
from simulation.invariants import Witness
from simulation.network import Broker, SimulatedLink
from simulation.world import World

IDLE_S: Final = 600.0
"""How long the server's loop sleeps when nothing happens; a real one wakes four times a second."""

WATCHED_S: Final = 20.0
"""How long it does while a watch runs."""

_TICK_S: Final = 0.25
_BACK_OFF_S: Final = 0.5
_BATCH: Final = 200
_CLIENT: Final = "server"
_KEPT: Final = Keep | SetAside | Credit | KeepToken | SuspendBadge | DropOrder

PolicyOf = Callable[[SiteId], Policy]


class ServerDiedError(BaseException):
    """The server's process is killed in the middle of a commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One entry of the ledger, as it was committed."""

    source: str
    record: dict[str, Any]
    time: datetime
    member: MemberId | None
    request: RequestId | None
    received: datetime


@dataclass(slots=True, kw_only=True)
class Books:
    """The database: what is committed stays, what is not never was.

    Attributes:
        is_refusing: whether transactions fail now: locked, full, unreachable.
        dies: `before` or `after` the next commit the process is killed; empty: it is not.
    """

    witness: Witness
    entries: list[Kept] = field(default_factory=list)
    numbers: set[tuple[str, int]] = field(default_factory=set)
    decisions: dict[str, dict[str, Any]] = field(default_factory=dict)
    credits: dict[tuple[WatchId, MemberId], int] = field(default_factory=dict)
    aside: list[SetAside] = field(default_factory=list)
    orders: dict[str, WaitingOrder] = field(default_factory=dict)
    tokens: dict[BadgeDigest, dict[int, SeenToken]] = field(default_factory=dict)
    version: int = 0
    body: str = field(default_factory=lambda: to_json(SiteState()))
    is_watched: bool = False
    is_refusing: bool = False
    dies: str = ""

    def commit(self, effects: Sequence[Effect], state: SiteState, now: datetime) -> None:
        """Keep all of it, or nothing.

        Raises:
            DatabaseError: not now.
            ConflictError: a record or a decision is there already.
            ServerDiedError: the process is killed before, or after.
        """
        if self.is_refusing:
            raise DatabaseError("the database is locked")
        if self.dies == "before":
            self.dies = ""
            raise ServerDiedError
        self._check(effects)
        for effect in effects:
            self._keep(effect, now)
        body = to_json(state)
        if body != self.body:
            self.version, self.body = self.version + 1, body
        self.is_watched = state.watch is not None
        self.witness.committed(effects, state)
        if self.dies == "after":
            self.dies = ""
            raise ServerDiedError

    def _check(self, effects: Sequence[Effect]) -> None:
        fresh = [e for e in effects if isinstance(e, Keep)]
        asked = [e.request for e in fresh if e.request is not None]
        numbers = [(e.source, int(e.record["seq"])) for e in fresh]
        known = any(n in self.numbers for n in numbers) or any(a in self.decisions for a in asked)
        if known or len(set(numbers)) < len(numbers) or len(set(asked)) < len(asked):
            raise ConflictError("it is there already")
        shown = [(e.badge, e.seen.counter) for e in effects if isinstance(e, KeepToken)]
        if len(set(shown)) < len(shown) or any(n in self.tokens.get(b, {}) for b, n in shown):
            raise ConflictError("a counter is there already")

    def _keep(self, effect: Effect, now: datetime) -> None:
        if isinstance(effect, Keep):
            record = effect.record
            self.numbers.add((effect.source, int(record["seq"])))
            self.entries.append(
                Kept(
                    source=effect.source,
                    record=record,
                    time=effect.time,
                    member=effect.member,
                    request=effect.request,
                    received=now,
                )
            )
            if effect.request is not None:
                self.decisions[effect.request] = record
        elif isinstance(effect, SetAside):
            self.aside.append(effect)
        elif isinstance(effect, Credit):
            self.credits.setdefault((effect.watch, effect.member), effect.minutes)
        elif isinstance(effect, KeepToken):
            seen = self.tokens.setdefault(effect.badge, {})
            seen[effect.seen.counter] = effect.seen
            for counter in [counter for counter in seen if counter <= effect.floor]:
                del seen[counter]
        elif isinstance(effect, SuspendBadge):
            self.witness.rules.suspend_badge(effect.badge)
        elif isinstance(effect, SendOrder):
            self._order(effect)
        elif isinstance(effect, DropOrder):
            self.orders.pop(effect.id, None)

    def enrol(self, badge: BadgeDigest, token: CardToken, at: datetime) -> None:
        """Remember what a card has shown when it was enrolled, as `badge_tokens.restart` does."""
        seen = SeenToken(counter=counter_of(token), token=token, request=None, at=at)
        self.tokens[badge] = {seen.counter: seen}

    def seen(self, badges: Collection[BadgeDigest]) -> dict[BadgeDigest, SeenTokens]:
        """Give what is remembered of some badges, as `badge_tokens.load` does."""
        return {badge: SeenTokens(self.tokens.get(badge, {}).values()) for badge in badges}

    def _order(self, effect: SendOrder) -> None:
        door = effect.order.door
        kept = self.orders.values()
        rest = [o for o in kept if o.door != door or o.do not in effect.replaces]
        self.orders = {order.id: order for order in (*rest, effect.order)}


class SimulatedGatehouse(Gatehouse):
    """The transaction round the real gate, on simulated books.

    Args:
        books: what is committed.
        policy_of: the policy of the site as it is now.
    """

    def __init__(self, *, books: Books, policy_of: PolicyOf) -> None:
        # The base wants a database; the books stand for it.
        self._books, self._policy_of = books, policy_of
        self._version = -1
        self._state = SiteState()
        self._policy: Policy | None = None

    def handle(self, site: SiteId, events: Sequence[Event], now: datetime) -> list[Effect]:
        """Handle events in order, in one transaction, as the real one does."""
        try:
            effects = self._handle(site, events, now)
        except BaseException:
            self._version = -1
            raise
        return [e for e in effects if not isinstance(e, _KEPT)]

    def look(self, site: SiteId) -> SiteState:
        """Give the state as it is committed."""
        del site
        return self._state_now()

    def orders(self, site: SiteId) -> list[WaitingOrder]:
        """Give what the doors are still to be told."""
        del site
        return list(self._books.orders.values())

    def has_due(self, site: SiteId, now: datetime) -> bool:
        """Whether the clock alone would change anything; looks at the rules anew."""
        self._policy = self._policy_of(site)
        return Gate(self._policy, self._state_now()).has_due(now)

    def _handle(self, site: SiteId, events: Sequence[Event], now: datetime) -> list[Effect]:
        if self._policy is None or not all(isinstance(event, Asked) for event in events):
            self._policy = self._policy_of(site)
        if self._books.is_refusing and all(isinstance(event, DoorSaid) for event in events):
            # What is tried again each half second, in vain, need not be worked out each time.
            self._books.commit((), self._state, now)
        tokens = self._books.seen(badges_with_tokens(events, self._policy))
        gate = Gate(self._policy, self._state_now(), tokens)
        answers = self._earlier(events)
        effects: list[Effect] = []
        for event in events:
            if isinstance(event, OrderLapsed) and event.id not in self._books.orders:
                continue
            done = _answered(event, answers) or _tried(gate, event, now)
            answers |= {e.decision.request: e for e in done if isinstance(e, Answer)}
            effects += done
        self._books.commit(effects, gate.state, now)
        self._version = self._books.version
        if gate.policy is not self._policy:
            # Rules that a copied badge has changed are compiled anew for the next turn.
            self._policy = None
        return effects

    def _state_now(self) -> SiteState:
        if self._version != self._books.version:
            self._state, self._version = from_json(self._books.body), self._books.version
        return self._state

    def _earlier(self, events: Sequence[Event]) -> dict[str, Answer]:
        asked = [RequestId(e.request.id) for e in events if isinstance(e, Asked)]
        known = {one: self._books.decisions[one] for one in asked if one in self._books.decisions}
        return {
            one: Answer(
                door=DoorId(record["data"]["door"]),
                decision=msgspec.convert(record["data"]["answer"], AccessDecision),
            )
            for one, record in known.items()
        }


def _answered(event: Event, answers: Mapping[str, Answer]) -> list[Effect]:
    """Give the answer that a request had before; nothing for what is new."""
    earlier = answers.get(event.request.id) if isinstance(event, Asked) else None
    return [] if earlier is None else [earlier]


def _tried(gate: Gate, event: Event, now: datetime) -> list[Effect]:
    try:
        return gate.handle(event, now)
    except UnknownDoorError:
        return []


class SimulatedService(Service):
    """The real loop's parts, run by the world instead of by a thread of its own."""

    def turn(self, batch: list[LinkEvent]) -> None:
        """Do one turn.

        Raises:
            DatabaseError: nothing can be kept now.
        """
        self._handle(batch)
        self._tick()

    def talk_every(self, seconds: float) -> None:
        """Tell doors the time as often as a loop that wakes so often does, in seconds."""
        self._online_every_s = max(seconds, ONLINE_EVERY_S)
        for said in self._published.values():
            said.online_again = 0.0

    def goodbye(self) -> None:
        """Tell the doors that the server is going."""
        for site in self._sites:
            self._link.send(last_will(site))


class SimulatedInbox(Inbox):
    """The queue between link and loop, without a thread on either side."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: deque[LinkEvent] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, event: LinkEvent) -> None:
        """Add an event, unless too many wait."""
        if len(self) < QUEUE_SIZE:
            self._waiting.append(event)
        else:
            self.dropped += 1

    def take(self, wait_s: float) -> list[LinkEvent]:
        """Take all that waits, at most a batch; never waits."""
        del wait_s
        return [self._waiting.popleft() for _ in range(min(len(self), _BATCH))]


@dataclass(slots=True, kw_only=True)
class ServerNode:
    """The server's machine, its process, and the desk beside it.

    Attributes:
        stalled_until_s: until when its process hangs, in true seconds.
        idle_s: how long its loop sleeps when nothing happens.
    """

    world: World
    witness: Witness
    broker: Broker
    site: SiteId
    doors: frozenset[DoorId]
    policy_of: PolicyOf
    sign: Sign
    clock: NodeClock
    books: Books
    link: SimulatedLink | None = None
    service: SimulatedService | None = None
    stalled_until_s: float = 0.0
    idle_s: float = IDLE_S
    _inbox: SimulatedInbox = field(default_factory=SimulatedInbox)
    _desk: SimulatedGatehouse | None = None
    _wake: int = 0
    _starts: int = 0
    _is_soon: bool = False

    def start(self) -> None:
        """Start the process."""
        if self.service is not None:
            return
        self._starts += 1
        starts = self._starts
        was_cut = self.link is not None and self.link.is_cut
        self._inbox = SimulatedInbox()
        self.link = SimulatedLink(
            world=self.world,
            broker=self.broker,
            client_id=_CLIENT,
            wishes=wishes(),
            will=last_will(self.site),
            deliver=lambda event: self._deliver(event) if starts == self._starts else None,
            is_cut=was_cut,
        )
        self.service = SimulatedService(
            doors={self.site: self.doors},
            gatehouse=SimulatedGatehouse(books=self.books, policy_of=self.policy_of),
            policy_of=self.policy_of,
            sign=self.sign,
            link=self.link,
            inbox=self._inbox,
            clock=self.clock,
            on_commit=lambda: None,
            online_every_s=max(self.idle_s, ONLINE_EVERY_S),
        )
        self.world.tell("server", "starts")
        self.link.start()
        self._wake_in(_TICK_S)

    def wake_every(self, seconds: float) -> None:
        """Let its loop wake, and tell doors the time, so often."""
        self.idle_s = seconds
        if self.service is not None:
            self.service.talk_every(seconds)
        self.rules_changed()

    def kill(self) -> None:
        """Kill the process: what is committed stays, all else is gone."""
        if self.service is None or self.link is None:
            return
        self.world.count("server_killed")
        self.world.tell("server", "is killed")
        self.service = None
        # The machine's own kernel closes the connection of a process that is gone.
        if not self.link.is_cut:
            self.link.broken("killed")
        self.link.vanish()

    def stall(self, seconds: float) -> None:
        """The process hangs for a while, and its connection does not know."""
        self.stalled_until_s = max(self.stalled_until_s, self.world.now_s + seconds)
        self.world.tell("server", "hangs", f"{seconds:.1f} s")

    def at_desk(self, event: DeskEvent) -> bool:
        """Somebody does something on a page, which is a process of its own on the same books.

        Returns:
            Whether it could be done.
        """
        desk = self._desk = self._desk or SimulatedGatehouse(
            books=self.books, policy_of=self.policy_of
        )
        try:
            desk.handle(self.site, [event], self.clock.now())
        except (DeskError, DatabaseError) as error:
            self.world.tell("desk", "is refused", f"{type(event).__name__}: {error}")
            return False
        except ServerDiedError:
            return False
        self.world.tell("desk", "does", type(event).__name__)
        self.rules_changed()
        return True

    def rules_changed(self) -> None:
        """Something changed that the next tick will see."""
        self._wake_in(_TICK_S)

    def _deliver(self, event: LinkEvent) -> None:
        if isinstance(event, Incoming):
            event = replace(event, arrived=self.clock.monotonic())
        self._inbox.put(event)
        if not self._is_soon:
            self._is_soon = True
            self.world.after(self.world.chance("server").uniform(0.0003, 0.003), self._turn)

    def _turn(self) -> None:
        self._is_soon = False
        service = self.service
        if service is None:
            return
        if self.world.now_s < self.stalled_until_s:
            self._wake_in(self.stalled_until_s - self.world.now_s + 0.001)
            return
        batch = self._inbox.take(0.0)
        wait_s = self._rest_s(has_worked=bool(batch))
        try:
            service.turn(batch)
        except DatabaseError:
            self.world.count("ledger_refused")
            self.stalled_until_s = self.world.now_s + _BACK_OFF_S
            wait_s = _BACK_OFF_S
        except ServerDiedError:
            self.world.count("server_died_in_commit")
            self.kill()
            self.world.after(self.world.chance("server").uniform(1.0, 60.0), self.start)
            return
        self._wake_in(0.001 if len(self._inbox) else wait_s)

    def _rest_s(self, *, has_worked: bool) -> float:
        if has_worked:
            return _TICK_S
        return min(self.idle_s, WATCHED_S) if self.books.is_watched else self.idle_s

    def _wake_in(self, seconds: float) -> None:
        self._wake += 1
        number = self._wake
        self.world.after(seconds, lambda: self._turn() if number == self._wake else None)
