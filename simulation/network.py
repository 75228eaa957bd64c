"""The broker and the links to it, with the vices that real ones were seen to have.

Messages in flight are lost when a connection breaks, or sent again after it is back, however late
(paho does so). Cuts go unnoticed for a while; what was sent in a short one comes after it, as over
TCP. A broker that restarts forgets sessions, queues, and
perhaps what it had retained. Wills come late. A queue has an end.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from runtime.link import Incoming, LinkDown, LinkEvent, LinkUp, Outgoing, Wish
from simulation.world import World

_LATENCY_S: Final = (0.0008, 0.006)
_RETRY_S: Final = (1.0, 8.0)
_KEEPALIVE_S: Final = 15.0
_QUEUE: Final = 1000

Deliver = Callable[[LinkEvent], None]


@dataclass(slots=True, kw_only=True)
class Vices:
    """How bad the network is now; all zero for a good one.

    Attributes:
        drop: the part of messages that the broker drops without a word; never what it retains.
        repeat: the part that comes twice.
        reorder: the part that may overtake others.
        slow_s: up to how much later each comes, in seconds.
        resends: whether clients send again what was in flight when a connection broke.
        late_will_s: up to how long after a connection is over its will is spoken.
        forgets: whether the broker forgets what it retained when it restarts.
    """

    drop: float = 0.0
    repeat: float = 0.0
    reorder: float = 0.0
    slow_s: float = 0.0
    resends: bool = False
    late_will_s: float = 0.0
    forgets: bool = False


@dataclass(slots=True, kw_only=True)
class _Connection:
    """What the broker knows of one client's connection."""

    link: "SimulatedLink"
    is_open: bool = True
    free_at_s: float = 0.0
    waiting: int = 0
    _wanted: dict[str, bool] = field(default_factory=dict)

    def wants(self, topic: str) -> bool:
        """Whether the client has subscribed to a topic."""
        if topic not in self._wanted:
            self._wanted[topic] = any(_matches(wish.topic, topic) for wish in self.link.wishes)
        return self._wanted[topic]


@dataclass(slots=True, kw_only=True)
class Broker:
    """The broker of the site.

    Attributes:
        on_publish: told of each message, by topic and payload.
    """

    world: World
    vices: Vices = field(default_factory=Vices)
    is_up: bool = True
    retained: dict[str, bytes] = field(default_factory=dict)
    planted: dict[str, bytes] = field(default_factory=dict)
    parked: list["SimulatedLink"] = field(default_factory=list)
    on_publish: Callable[[str, bytes], None] = lambda _topic, _payload: None
    _clients: dict[str, _Connection] = field(default_factory=dict)

    def accept(self, link: "SimulatedLink") -> _Connection:
        """Let a client in; a connection that it had before is over."""
        old = self._clients.get(link.client_id)
        if old is not None and old.is_open:
            self.world.count("takeover")
            self.lost(old)
        connection = _Connection(link=link)
        self._clients[link.client_id] = connection
        return connection

    def lost(self, connection: _Connection, *, kindly: bool = False) -> None:
        """A connection is over: speak its will, perhaps late."""
        if not connection.is_open:
            return
        connection.is_open = False
        will = connection.link.will
        if will is None or kindly or not self.is_up:
            return
        late_s = 0.0
        if self.vices.late_will_s and self.world.chance("network").random() < 0.5:  # noqa: PLR2004
            late_s = self.world.chance("network").uniform(0.0, self.vices.late_will_s)
            self.world.count("late_will")
        self.world.after(late_s, lambda: self.publish(will))

    def subscribed(self, connection: _Connection) -> None:
        """Send what is retained to somebody who has just subscribed."""
        for topic, payload in [*self.retained.items(), *self.planted.items()]:
            if connection.wants(topic):
                self._pass_on(connection, topic, payload, None, is_retained=True)

    def publish(self, message: Outgoing) -> None:
        """Pass a message on to all who want it."""
        if not self.is_up:
            return
        self.on_publish(message.topic, message.payload)
        if message.retain:
            self.retained[message.topic] = message.payload
        for connection in list(self._clients.values()):
            if connection.is_open and connection.wants(message.topic):
                self._copies(connection, message)

    def restart(self, away_s: float) -> None:
        """Stop, and start again after some seconds; no will is spoken, no session is kept."""
        self.is_up = False
        for name in sorted(self._clients):
            self._clients[name].is_open = False
            self._clients[name].link.broken("the broker stopped")
        self._clients.clear()
        if self.vices.forgets:
            self.retained.clear()
            self.world.count("broker_forgets")
        self.world.tell("broker", "stops")
        self.world.after(away_s, self.start)

    def start(self) -> None:
        """Start, unless it runs."""
        if not self.is_up:
            self.is_up = True
            self.world.tell("broker", "starts")
            parked, self.parked = self.parked, []
            for link in parked:
                link.retry()

    def _copies(self, connection: _Connection, message: Outgoing) -> None:
        chance = self.world.chance("network")
        if not message.retain and chance.random() < self.vices.drop:
            self.world.count("dropped")
            return
        self._pass_on(connection, message.topic, message.payload, message.correlation)
        if chance.random() < self.vices.repeat:
            self.world.count("repeated")
            self._pass_on(connection, message.topic, message.payload, message.correlation)

    def _pass_on(
        self,
        connection: _Connection,
        topic: str,
        payload: bytes,
        correlation: bytes | None,
        *,
        is_retained: bool = False,
    ) -> None:
        if connection.waiting >= _QUEUE:
            self.world.count("queue_full")
            return
        connection.waiting += 1
        arrives_s = self.world.now_s + delay_s(self)
        if self.world.chance("network").random() < self.vices.reorder:
            self.world.count("reordered")
        else:
            arrives_s = max(arrives_s, connection.free_at_s)
            connection.free_at_s = arrives_s
        event = Incoming(
            topic=topic, payload=payload, is_retained=is_retained, correlation=correlation
        )
        self.world.after(arrives_s - self.world.now_s, lambda: _arrive(connection, event))


def delay_s(broker: Broker) -> float:
    """Give the time that one message takes one way, in seconds."""
    chance = broker.world.chance("network")
    slow_s = chance.random() ** 3 * broker.vices.slow_s
    if slow_s > 1.0:
        broker.world.count("slow")
    return chance.uniform(*_LATENCY_S) + slow_s


def _arrive(connection: _Connection, event: Incoming) -> None:
    connection.waiting -= 1
    if connection.is_open:
        connection.link.hear(event)


def _matches(wanted: str, topic: str) -> bool:
    if wanted == topic:
        return True
    if "+" not in wanted:
        return False
    ours, theirs = wanted.split("/"), topic.split("/")
    if len(ours) != len(theirs):
        return False
    return all(a in {"+", b} for a, b in zip(ours, theirs, strict=True))


@dataclass(slots=True, kw_only=True)
class SimulatedLink:
    """One client's link to the broker; implements `runtime.link.Link`.

    Attributes:
        deliver: takes what comes.
        is_cut: whether nothing passes, in either direction.
    """

    world: World
    broker: Broker
    client_id: str
    wishes: tuple[Wish, ...]
    will: Outgoing | None
    deliver: Deliver
    is_cut: bool = False
    _is_up: bool = False
    _is_closed: bool = False
    _is_parked: bool = False
    _connection: _Connection | None = None
    _held: list[Incoming] = field(default_factory=list)
    _flying: dict[int, Outgoing] = field(default_factory=dict)
    _number: int = 0
    _free_at_s: float = 0.0

    @property
    def is_up(self) -> bool:
        """Whether the broker is in reach, as far as the client knows."""
        return self._is_up

    def start(self) -> None:
        """Begin to connect."""
        self.world.after(delay_s(self.broker), self._try)

    def send(self, message: Outgoing) -> bool:
        """Send a message; does not block."""
        if not self._is_up:
            return False
        self._number += 1
        self._flying[self._number] = message
        self._launch(self._number, message)
        return True

    def hear(self, event: Incoming) -> None:
        """A message has come down the wire."""
        if self._is_closed:
            return
        if self.is_cut:
            self._held.append(event)
        else:
            self.deliver(event)

    def close(self) -> None:
        """Say goodbye and stop. Closing twice is harmless."""
        self._is_closed, self._is_up = True, False
        if self._connection is not None and not self.is_cut:
            self.broker.lost(self._connection, kindly=True)

    def vanish(self) -> None:
        """The machine loses its power: nobody says goodbye; the broker finds out later."""
        self._is_closed, self._is_up = True, False
        self._broker_finds_out()

    def cut(self) -> None:
        """Nothing passes any more, and nobody has noticed yet."""
        self.is_cut = True
        self.world.tell(self.client_id, "cut")
        self._broker_finds_out()
        noticed_s = self.world.chance("network").uniform(1.0, 1.5 * _KEEPALIVE_S)
        connection = self._connection
        self.world.after(noticed_s, lambda: self._notice(connection))

    def heal(self) -> None:
        """Messages pass again."""
        if not self.is_cut:
            return
        self.is_cut = False
        self.world.tell(self.client_id, "heals")
        if self._is_parked:
            self._is_parked = False
            self.retry()
        held, self._held = self._held, []
        if not self._is_up:
            return
        if self._connection is None or not self._connection.is_open:
            self.broken("reset by peer")
            return
        for event in held:
            self.deliver(event)
        for number, message in list(self._flying.items()):
            self._launch(number, message)

    def broken(self, why: str) -> None:
        """The connection is over, and the client knows at once."""
        if self._connection is not None:
            self.broker.lost(self._connection)
        if self._is_up and not self._is_closed:
            self._is_up = False
            if self._held:
                self.world.count("lost_in_cut")
                self._held.clear()
            self._keep_or_lose()
            self.deliver(LinkDown(why=why))
            self.retry()

    def retry(self) -> None:
        """Try to connect again in a while."""
        self.world.after(self.world.chance("network").uniform(*_RETRY_S), self._try)

    def _notice(self, connection: _Connection | None) -> None:
        if self.is_cut and connection is self._connection:
            self.broken("no answer")

    def _broker_finds_out(self) -> None:
        connection = self._connection
        if connection is not None:
            self.world.after(1.5 * _KEEPALIVE_S, lambda: self._is_dead(connection))

    def _is_dead(self, connection: _Connection) -> None:
        if connection.is_open and (self.is_cut or self._is_closed):
            self.broker.lost(connection)

    def _try(self) -> None:
        if self._is_closed or self._is_up:
            return
        # A client that tries in vain changes nothing: it is let try when it can succeed.
        if self.is_cut:
            self._is_parked = True
            return
        if not self.broker.is_up:
            self.broker.parked.append(self)
            return
        self._is_up, self._free_at_s = True, self.world.now_s
        self._connection = self.broker.accept(self)
        self.deliver(LinkUp())
        self.broker.subscribed(self._connection)
        for number, message in list(self._flying.items()):
            self.world.count("resent")
            self._launch(number, message)

    def _keep_or_lose(self) -> None:
        if not self.broker.vices.resends:
            self._flying.clear()

    def _launch(self, number: int, message: Outgoing) -> None:
        arrives_s = max(self.world.now_s + delay_s(self.broker), self._free_at_s)
        self._free_at_s = arrives_s
        connection = self._connection
        self.world.after(
            arrives_s - self.world.now_s, lambda: self._lands(number, message, connection)
        )

    def _lands(self, number: int, message: Outgoing, connection: _Connection | None) -> None:
        is_over = connection is not self._connection or connection is None or not connection.is_open
        if is_over or self.is_cut or not self.broker.is_up or number not in self._flying:
            self.world.count("lost_in_flight")
            return
        self._flying.pop(number, None)
        self.broker.publish(message)
