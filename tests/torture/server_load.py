"""Doors as far as a server sees them.

Each speaks the protocol, keeps a journal and a log of what it was told, and sends now and then
twice, or in the wrong order.
"""

import queue
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from access import topics
from access.badge import digest
from access.ids import DoorId, MemberId
from access.journal import Head, chained
from access.messages import (
    AccessDecision,
    AccessRequest,
    Acknowledgement,
    DoorState,
    JournalBatch,
    decode,
    encode,
)
from edge.courier import Courier
from gardien.founding import password_file
from runtime.link import Incoming, LinkDown, LinkEvent, LinkUp, Outgoing, Wish
from runtime.link_paho import Login, PahoLink
from tests.torture.place import GUARDIAN, SITE, NotSoError, Place, people_of, uid_of, wait_for

_TURN_S: Final = 0.01
_PATIENCE_S: Final = 2.0
_TWICE: Final = 0.1
"""How often something is sent again, or before what comes first."""


@dataclass(slots=True, kw_only=True)
class Log:
    """What a door was told, whatever it made of it.

    Attributes:
        acknowledged: the highest number.
        answers: what came for each request, each time it came.
        late: how many answers came after the door had decided by itself.
        alone: how often it decided by itself.
        visits: how many came in or went out.
        longest_s: the longest that somebody waited.
        strange: what should never have come.
    """

    acknowledged: int = 0
    answers: dict[str, list[AccessDecision]] = field(default_factory=dict)
    late: int = 0
    alone: int = 0
    visits: int = 0
    longest_s: float = 0.0
    strange: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Visit:
    """Somebody who stands at the door since some moment, monotonic."""

    request: AccessRequest
    member: MemberId
    since: float


class LoadDoor:
    """One door, in a thread of its own, until it is closed.

    Args:
        place: where it is; its registry says who comes.
        id_: the door's.
        dice: chooses who comes, and what is sent twice.
        port: of the broker, or of what stands before it.
        patience_s: after which it decides by itself.
        is_wild: whether it sends twice and in the wrong order.
    """

    def __init__(
        self,
        place: Place,
        id_: DoorId,
        dice: random.Random,
        *,
        port: int | None = None,
        patience_s: float = _PATIENCE_S,
        is_wild: bool = True,
    ) -> None:
        self.id, self.log = id_, Log()
        self.journal: list[dict[str, Any]] = []
        self.inside: set[MemberId] = set()
        self._place, self._dice = place, dice
        self._patience_s, self._twice = patience_s, _TWICE if is_wild else 0.0
        self._key = place.inside.read_badge_key(SITE)
        self._people = people_of(id_)
        self._events: queue.SimpleQueue[LinkEvent] = queue.SimpleQueue()
        self._head, self._courier = Head(), Courier(acknowledged=0)
        self._visit: _Visit | None = None
        self._watch: str | None = None
        self._is_open, self._is_over = threading.Event(), threading.Event()
        self._guardian_comes = threading.Event()
        self._fill = 0
        self._link = self._connect(port or place.port)
        self._thread = threading.Thread(target=self._run, name=f"door {id_}")
        self._thread.start()

    def __str__(self) -> str:
        return f"{self._courier.acknowledged} of {self._head.seq} records, {self.log.strange}"

    def _connect(self, port: int) -> PahoLink:
        name = f"{SITE}.{self.id}"
        return PahoLink(
            host="127.0.0.1",
            port=port,
            client_id=name,
            login=Login(
                username=name, password=password_file(self._place.path, name).read_text().strip()
            ),
            wishes=[Wish(topic=self._topic(what)) for what in (topics.DECISION, topics.ACK)],
            will=Outgoing(
                topic=self._topic(topics.STATE),
                payload=encode(DoorState(online=False)),
                retain=True,
            ),
            on_event=self._events.put,
        )

    def _topic(self, what: str) -> str:
        return topics.of_door(SITE, self.id, what)

    # From outside.

    def work(self) -> None:
        """Let people come and go."""
        self._is_open.set()

    def rest(self) -> None:
        """Let nobody come any more; what is recorded is still handed in."""
        self._is_open.clear()

    def open_watch(self) -> None:
        """Let the guardian open the evening; blocks until the server has confirmed it.

        Raises:
            NotSoError: it has not in time; the text says how many answers came too late.
        """
        self._guardian_comes.set()

        def is_confirmed() -> bool:
            watch = self._place.inside.gatehouse.look(SITE).watch
            return watch is not None and watch.is_confirmed

        try:
            wait_for(is_confirmed, "the guardian opens the watch")
        except NotSoError as error:
            raise NotSoError(
                f"{error}; {self.log.late} answers came after {self._patience_s} s, the patience "
                f"of {self.id}, and the longest visit lasted {self.log.longest_s:.1f} s"
            ) from error

    def learn_watch(self, other: "LoadDoor") -> None:
        """Know of the watch that another door knows of, as by the occupancy."""
        self._watch = other._watch  # noqa: SLF001 (of the same kind)

    def record_many(self, number: int) -> None:
        """Record so many requests to exit at once, as a button does that hangs."""
        self._fill += number

    @property
    def is_home(self) -> bool:
        """Whether nobody stands at the door, and all that it recorded is acknowledged."""
        return (
            self._visit is None
            and not self._fill
            and not self._is_open.is_set()
            and self._courier.acknowledged == self._head.seq
        )

    def close(self) -> None:
        """End the thread and the connection. Closing twice is harmless."""
        self._is_over.set()
        self._thread.join()
        self._link.close()

    # The loop.

    def _run(self) -> None:
        while not self._is_over.is_set():
            self._hear()
            self._fill_up()
            if self._visit is None:
                self._next_visit()
            elif time.monotonic() > self._visit.since + self._patience_s:
                self._decide_alone(self._visit)
            self._send_journal()

    def _hear(self) -> None:
        """Wait a moment for news, and take all that there are."""
        try:
            event = self._events.get(timeout=_TURN_S)
            while True:
                self._take(event)
                event = self._events.get_nowait()
        except queue.Empty:
            return

    def _take(self, event: LinkEvent) -> None:
        match event:
            case LinkUp():
                self._courier.link(is_up=True)
                state = DoorState(online=True, at=self._now(), lock="locked", contact="closed",
                                  queue=self._head.seq - self._courier.acknowledged)  # fmt: skip
                self._say(topics.STATE, encode(state), retain=True)
            case LinkDown():
                self._courier.link(is_up=False)
            case Incoming() if event.topic == self._topic(topics.ACK):
                self._take_ack(decode(event.payload, Acknowledgement).seq)
            case Incoming():
                self._take_answer(decode(event.payload, AccessDecision))

    def _take_ack(self, seq: int) -> None:
        if seq > self._head.seq:
            self.log.strange.append(f"{seq} acknowledged of {self._head.seq}")
            return
        self.log.acknowledged = max(self.log.acknowledged, seq)
        self._courier.acknowledge(seq, time.monotonic())

    def _take_answer(self, answer: AccessDecision) -> None:
        self.log.answers.setdefault(answer.request, []).append(answer)
        visit = self._visit
        if visit is None or answer.request != visit.request.id:
            self.log.late += 1
            return
        self._visit = None
        self._end(visit)
        self._watch = answer.watch or self._watch
        self._pass(visit, is_in=answer.granted, reason=answer.reason, is_alone=False)

    # People.

    def _next_visit(self) -> None:
        if self._guardian_comes.is_set():
            self._ask(GUARDIAN)
            return
        if not self._is_open.is_set():
            return
        member = self._dice.choice(self._people)
        if member in self.inside:
            self._go_out(member)
        else:
            self._ask(member)

    def _ask(self, member: MemberId) -> None:
        request = AccessRequest(
            id=self._new_id(), at=self._now(), reader="in", badge=self._badge(member)
        )
        self._visit = _Visit(request=request, member=member, since=time.monotonic())
        for _ in range(2 if self._dice.random() < self._twice else 1):
            self._link.send(
                Outgoing(
                    topic=self._topic(topics.REQUEST),
                    payload=encode(request),
                    expiry_s=2,
                    correlation=UUID(request.id).bytes,
                )
            )

    def _decide_alone(self, visit: _Visit) -> None:
        """As a door does that knows of the watch."""
        self._visit = None
        self._end(visit)
        if visit.member == GUARDIAN:
            return  # and comes again
        self.log.alone += 1
        reason = "watch" if self._watch is not None else "no_guardian"
        self._pass(visit, is_in=self._watch is not None, reason=reason, is_alone=True)

    def _end(self, visit: _Visit) -> None:
        self.log.longest_s = max(self.log.longest_s, time.monotonic() - visit.since)

    def _pass(self, visit: _Visit, *, is_in: bool, reason: str, is_alone: bool) -> None:
        request = visit.request
        data = {
            "request": request.id,
            "reader": "in",
            "badge": request.badge,
            "member": visit.member,
            "reason": reason,
            "granted": is_in,
            "offline": is_alone,
            "passback": False,
            "watch": self._watch if is_in else None,
        }
        self._record("access.granted" if is_in else "access.denied", data)
        self.log.visits += 1
        if not is_in:
            return
        self._open(request.id)
        if visit.member == GUARDIAN:
            self._guardian_comes.clear()
        self.inside.add(visit.member)

    def _go_out(self, member: MemberId) -> None:
        request = self._new_id()
        data = {
            "request": request,
            "reader": "out",
            "badge": self._badge(member),
            "member": member,
            "reason": "exit",
            "granted": True,
            "offline": False,
            "passback": False,
            "watch": None,
        }
        self._record("access.granted", data)
        self.log.visits += 1
        self._open(request)
        self.inside.discard(member)

    def _open(self, request: str) -> None:
        self._record("lock.unlocked", {"request": request})
        self._record("door.opened", {"request": request, "cause": "grant"})
        self._record("door.closed", {"open_s": 0.1})
        self._record("lock.locked", {"cause": "closed"})

    def _fill_up(self) -> None:
        while self._fill > 0:
            self._fill -= 1
            self._record("exit.requested", {})

    # The journal.

    def _record(self, kind: str, data: dict[str, Any]) -> None:
        record, self._head = chained(
            self._head, site=SITE, source=self.id, kind=kind, time=self._now(), data=data
        )
        self.journal.append(record)

    def _send_journal(self) -> None:
        batches = list(self._batches())
        if self._dice.random() < self._twice and batches:
            batches.append(self._dice.choice(batches))
            self._dice.shuffle(batches)
        for batch in batches:
            self._say(topics.JOURNAL, batch)

    def _batches(self) -> Iterator[bytes]:
        mono = time.monotonic()
        while (part := self._courier.next_after(self._head.seq, mono)) is not None:
            after, count = part
            yield encode(JournalBatch(records=self.journal[after : after + count]))
            self._courier.has_sent(after + count, mono)

    def _say(self, what: str, payload: bytes, *, retain: bool = False) -> None:
        self._link.send(Outgoing(topic=self._topic(what), payload=payload, retain=retain))

    def _new_id(self) -> str:
        return str(UUID(int=self._dice.getrandbits(128), version=4))

    def _badge(self, member: MemberId) -> str:
        return digest(uid_of(member), self._key)

    def _now(self) -> datetime:
        return self._place.inside.clock.now()


@contextmanager
def crowd(
    place: Place,
    dice: Sequence[random.Random],
    *,
    ids: Sequence[DoorId] | None = None,
    **how: Any,
) -> Iterator[list[LoadDoor]]:
    """Bring a place's doors to life, open a watch by the first, and let people come and go.

    Args:
        place: whose broker and server run.
        dice: of each door.
        ids: of the doors; None for all of the place.
        how: for each `LoadDoor`.
    """
    with ExitStack() as stack:
        doors = []
        for id_, choice in zip(place.doors if ids is None else ids, dice, strict=True):
            doors.append(LoadDoor(place, id_, choice, **how))
            stack.callback(doors[-1].close)
        doors[0].open_watch()
        for door in doors:
            door.learn_watch(doors[0])
            door.work()
        yield doors


def same(one: AccessDecision, other: object) -> bool:
    """Whether an answer is what the ledger says was answered."""
    return bool(msgspec.to_builtins(one) == other)
