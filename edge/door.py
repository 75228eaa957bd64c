"""One door: what happened and the time go in, what to do comes out.

A state machine without I/O, thread, clock or randomness. Losing the link, the server or a policy,
or getting them back, never moves the lock.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final, Literal

from access.ids import BadgeDigest, RequestId
from access.model import Policy, Reader
from edge import timekeeping
from edge.badges.counters import Counters, is_provable
from edge.badges.enrolling import Enrolling
from edge.badges.wish import Want, Wish
from edge.condition import Kept, Rules, View
from edge.contact import Leaf
from edge.effects import Effect, Keep, PublishState, SendRequest, note
from edge.entrance import Entrance
from edge.events import (
    BadgeRead,
    BadgeUnreadable,
    CommandReceived,
    ContactChanged,
    DecisionReceived,
    Event,
    ExitButton,
    Faulted,
    FireChanged,
    LinkChanged,
    Moment,
    OutboxFilling,
    PolicyReceived,
    ReaderHealth,
    ServerSeen,
    Started,
    Stopping,
    TamperChanged,
    Tick,
)
from edge.knowledge import WatchKnowledge
from edge.lonely import Circumstances, decide_alone, language_of, member_of
from edge.obedience import Orders
from edge.passage import Gesture
from edge.ports import Signal
from edge.timekeeping import Timekeeping
from edge.verdict import Asked, Verdict, from_server, to_record
from edge.wording import notice

MOST_WAITING: Final = 8
"""How many requests may wait for the server at a time; about the next one the door decides."""


class Door:
    """One door.

    Args:
        rules: what is set for it.
        new_id: makes the id of a request, a UUID version 7.
        kept: what it remembers.
    """

    def __init__(
        self, *, rules: Rules, new_id: Callable[[], RequestId], kept: Kept | None = None
    ) -> None:
        kept = kept or Kept()
        self._rules, self._new_id = rules, new_id
        self._policy = kept.policy
        self._knowledge = WatchKnowledge(watch=kept.watch)
        self._entrance = Entrance(
            leaf=Leaf(held_after_s=rules.held_after_s),
            knowledge=self._knowledge,
            has_contact=rules.has_contact,
            exit_stuck_s=rules.exit_stuck_s,
        )
        self._orders = Orders(
            door=rules.door,
            is_locked_down=kept.is_locked_down,
            done=dict(kept.done),
            ruled_at=kept.ruled_at,
        )
        self._time = Timekeeping(
            may_leap=rules.clock_may_leap,
            floor=kept.last_at,
            doubt=kept.clock_doubt if rules.clock_is_kept else timekeeping.UNSET,
        )
        self._told_doubt: str | None = None
        self._counters = Counters(newest=dict(kept.counters))
        self._gesture = Gesture()
        self._waiting: dict[RequestId, Asked] = {}
        self._readers = {reader.value: "ok" for reader in rules.readers}
        self._was_held = kept.was_held
        self._is_link_up = False
        self._is_server_online = True
        self._is_nearly_full = False
        if kept.policy is not None:
            self._time.raise_floor(kept.policy.issued)

    @property
    def policy(self) -> Policy | None:
        """The policy that it decides by when it is alone."""
        return self._policy

    @property
    def is_held(self) -> bool:
        """Whether the lock is held released on purpose."""
        return self._entrance.latch.is_held

    @property
    def is_unlocked(self) -> bool:
        """Whether the lock is to be released now."""
        return self._entrance.latch.is_unlocked

    @property
    def due(self) -> float | None:
        """The monotonic time at which it wants a `Tick`, in seconds; None if it wants none."""
        dues = [asked.deadline for asked in self._waiting.values()]
        dues += [due for due in (self._entrance.due, self._enrolling.due) if due is not None]
        return min(dues, default=None)

    @property
    def view(self) -> View:
        """Its condition."""
        latch, leaf = self._entrance.latch, self._entrance.leaf
        is_fire = self._entrance.fire.is_on
        is_free = latch.is_unlocked or is_fire
        unlocked: Literal["unlocked", "locked"] = "unlocked" if is_free else "locked"
        contact: Literal["open", "closed"] = "open" if leaf.is_open else "closed"
        return View(
            lock="held" if latch.is_held else unlocked,
            contact=contact if self._rules.has_contact else "none",
            policy=self._policy.version if self._policy is not None else None,
            clock_ms=self._time.ahead_ms,
            readers=dict(self._readers),
            fire=is_fire,
        )

    def wish(self, reader: Reader, badge: BadgeDigest, mono: float) -> Wish:
        """Say what is wanted of a card, by what is known now. From any thread; changes nothing.

        Nothing but its UID on the way out: a card that is not read well must keep nobody in.
        """
        enrolment = self._enrolling.now
        if reader is Reader.OUT:
            return Want.UID
        if enrolment is not None and mono < enrolment.until:
            return enrolment
        return Want.PROOF if is_provable(self._policy, badge) else Want.UID

    def handle(self, event: Event, now: Moment) -> list[Effect]:
        """Take what happened and say what to do.

        Args:
            event: what happened.
            now: when; its monotonic time never goes back.

        Returns:
            What to do, in order. Records are to be durable before the lock is released; the lock is
            to be locked at once.
        """
        return list(self._handle(event, now))

    def _handle(self, event: Event, now: Moment) -> Iterator[Effect]:
        self._time.observe(now)
        yield from self._tell_doubt(now)
        yield from self._entrance.pass_time(now)
        yield from self._knowledge.forget_if_over(now)
        self._enrolling.pass_time(now, is_clock_trusted=self._time.is_trusted)
        match event:
            case BadgeRead() | BadgeUnreadable() | DecisionReceived() | Tick():
                yield from self._badges(event, now)
            case ContactChanged() | ExitButton() | TamperChanged() | FireChanged():
                yield from self._wires(event, now)
            case LinkChanged() | ServerSeen() | PolicyReceived():
                yield from self._news(event, now)
            case CommandReceived():
                yield from self._orders.obey(event, self._entrance, self._policy, self._time, now)
            case _:
                yield from self._unit(event, now)
        yield from self._tell_doubt(now)
        lasting = self._lasting()
        yield from self._entrance.face.settle(lasting, now.mono, self._words(lasting))

    def _tell_doubt(self, now: Moment) -> Iterator[Effect]:
        """Record that the clock is in doubt, once, and keep so until it is not."""
        doubt = self._time.doubt
        if doubt == self._told_doubt:
            return
        if self._told_doubt is None:
            yield note("clock.untrusted", now, cause=doubt)
        yield Keep(key=timekeeping.KEPT_AS, value=doubt)
        self._told_doubt = doubt

    def _badges(
        self, event: BadgeRead | BadgeUnreadable | DecisionReceived | Tick, now: Moment
    ) -> Iterator[Effect]:
        match event:
            case BadgeRead():
                yield from self._read(event, now)
            case BadgeUnreadable():
                words = notice(event.why, self._language(event))
                yield self._entrance.face.answer(Signal.REFUSED, words, now.mono)
            case DecisionReceived():
                yield from self._answered(event, now)
            case Tick():
                yield from self._give_up_waiting(now)

    def _wires(
        self, event: ContactChanged | ExitButton | TamperChanged | FireChanged, now: Moment
    ) -> Iterator[Effect]:
        match event:
            case ContactChanged(is_open=is_open):
                yield from self._entrance.contact(now, is_open=is_open)
            case ExitButton(is_pressed=is_pressed):
                yield from self._entrance.exit_button(now, is_pressed=is_pressed)
            case TamperChanged(is_open=is_open):
                yield from self._entrance.tamper(now, is_open=is_open)
            case FireChanged(is_on=is_on):
                yield from self._entrance.fire_panel(now, is_on=is_on)

    def _news(
        self, event: LinkChanged | ServerSeen | PolicyReceived, now: Moment
    ) -> Iterator[Effect]:
        """Learn of the world outside; nothing here may move the lock."""
        match event:
            case LinkChanged(is_up=is_up):
                # The server's own word is on its way, kept by the broker: until then, ask it.
                self._is_link_up, self._is_server_online = is_up, True
            case ServerSeen():
                self._is_server_online = event.is_online
                if event.at is not None:
                    self._learn_time(event.at, now, is_fresh=event.is_fresh)
            case PolicyReceived():
                yield from self._learn_policy(event, now)

    def _unit(
        self, event: Started | Stopping | Faulted | ReaderHealth | OutboxFilling, now: Moment
    ) -> Iterator[Effect]:
        match event:
            case Started():
                yield from self._start(event, now)
            case Stopping():
                yield from self._entrance.end_passage(now, cause="stopped")
                yield from self._entrance.relock(now, cause="stopped")
            case Faulted():
                yield from self._entrance.end_passage(now, cause="fault")
                yield from self._entrance.relock(now, cause="fault")
                yield from self._entrance.take_back(now)
                yield self._entrance.face.answer(Signal.ALARM, "", now.mono)
            case ReaderHealth():
                self._readers[event.reader.value] = "ok" if event.is_ok else "failed"
                yield PublishState()
            case OutboxFilling():
                self._is_nearly_full = event.is_nearly_full

    def _start(self, event: Started, now: Moment) -> Iterator[Effect]:
        lost = {"lost_outbox": event.lost_outbox} if event.lost_outbox is not None else {}
        yield note("unit.started", now, version=event.version, **lost)
        if self._policy is not None:
            self._time.read(self._policy.issued, now)
        if self._was_held:
            yield from self._entrance.passage_was_cut(now)
        if event.is_open:
            self._entrance.leaf.opened(now, is_forced=False, counts=True)
        if event.is_fire:
            yield from self._entrance.fire_panel(now, is_on=True)
        if event.is_case_open:
            yield from self._entrance.tamper(now, is_open=True)
        if event.is_exit_pressed:
            yield from self._entrance.exit_button(now, is_pressed=True)
        yield PublishState()

    def _read(self, event: BadgeRead, now: Moment) -> Iterator[Effect]:
        asked = self._asked(event, now)
        if event.reader is Reader.OUT:
            yield from self._decide(asked, now)
        elif self._is_passage_gesture(asked, now):
            yield from self._counters.learn(event.badge, event.token)
            yield from self._toggle_passage(now)
        elif self._is_awaited(asked):
            yield from self._counters.learn(event.badge, event.token)
        elif self._is_alone or len(self._waiting) >= MOST_WAITING:
            yield from self._decide(asked, now)
        else:
            self._waiting[asked.id] = asked
            yield SendRequest(
                id=asked.id, at=now.at, reader=asked.reader, badge=asked.badge, token=asked.token
            )

    def _is_awaited(self, asked: Asked) -> bool:
        """Whether an answer for this very badge is on its way; a card just enrolled asks anew."""
        is_same = any(other.badge == asked.badge for other in self._waiting.values())
        return is_same and asked.enrolled is None

    def _answered(self, event: DecisionReceived, now: Moment) -> Iterator[Effect]:
        """Take the server's answer, if it is for a request that still waits."""
        asked = self._waiting.get(event.request)
        if asked is None or now.mono >= asked.deadline:
            return
        del self._waiting[asked.id]
        yield from self._conclude(from_server(asked, event), now)

    def _give_up_waiting(self, now: Moment) -> Iterator[Effect]:
        for asked in [a for a in self._waiting.values() if now.mono >= a.deadline]:
            del self._waiting[asked.id]
            yield from self._decide(asked, now)

    def _decide(self, asked: Asked, now: Moment) -> Iterator[Effect]:
        verdict = decide_alone(
            self._policy,
            self._rules.door,
            asked,
            Circumstances(
                at=now.at,
                not_before=self._time.latest(now.at),
                watch=self._knowledge.at(now.at)
                if self._time.is_trusted
                else self._knowledge.in_doubt(now),
                is_locked_down=self._orders.is_locked_down,
                is_clock_trusted=self._time.is_trusted,
                is_nearly_full=self._is_nearly_full,
                is_offline=self._is_alone or asked.reader is Reader.IN,
            ),
        )
        yield from self._conclude(verdict, now)

    def _conclude(self, verdict: Verdict, now: Moment) -> Iterator[Effect]:
        yield to_record(verdict, now)
        yield from self._counters.learn(verdict.badge, verdict.token)
        if verdict.reader is Reader.IN:
            yield from self._knowledge.learn(
                verdict,
                self._policy,
                self._rules.door,
                now,
                is_clock_trusted=self._time.is_trusted,
            )
        else:
            yield from self._knowledge.left(verdict.member, now)
        if not verdict.granted:
            yield self._refusal(verdict, now)
            return
        yield from self._entrance.admit(verdict, now)
        if verdict.reader is Reader.IN:
            is_proven = verdict.token is not None
            self._gesture.granted(verdict.badge, verdict.member, now.mono, is_proven=is_proven)

    def _refusal(self, verdict: Verdict, now: Moment) -> Effect:
        """Show that a badge was refused; of one that was just enrolled, that it was enrolled."""
        face = self._entrance.face
        if verdict.enrolled is None:
            return face.answer(Signal.REFUSED, verdict.message, now.mono)
        words = notice("enrolled", self._enrolling.language)
        return face.answer(Signal.ENROL, words, now.mono)

    def _is_passage_gesture(self, asked: Asked, now: Moment) -> bool:
        is_blocked = self._orders.is_locked_down or asked.enrolled is not None
        if is_blocked or not self._gesture.completed_by(asked.badge, asked.proof, now.mono):
            return False
        if not self._time.is_trusted:
            return self._entrance.passage is not None
        return self._knowledge.is_public_under(self._gesture.member, now.at)

    def _toggle_passage(self, now: Moment) -> Iterator[Effect]:
        by = self._gesture.member
        self._gesture.clear()
        if self._entrance.passage is not None:
            yield from self._entrance.end_passage(now, cause="gesture", by=by)
        else:
            yield from self._entrance.start_passage(now, self._policy, by=by)

    def _learn_policy(self, event: PolicyReceived, now: Moment) -> Iterator[Effect]:
        policy, current = event.policy, self._policy
        if policy.site != self._rules.site:
            return
        is_older = current is not None and policy.issued < current.issued
        if is_older and not self._rules.clock_may_leap:
            return
        self._policy = policy
        yield from self._counters.forget_others(policy)
        self._time.raise_floor(policy.issued)
        self._learn_time(policy.issued, now, is_fresh=event.is_fresh)
        yield PublishState()

    def _learn_time(self, server_at: datetime, now: Moment, *, is_fresh: bool) -> None:
        if is_fresh:
            self._time.hear(server_at, now)
        else:
            self._time.read(server_at, now)

    def _asked(self, event: BadgeRead, now: Moment) -> Asked:
        is_enrolled = self._enrolling.is_for(event.enrolled) and event.enrolled is not None
        if is_enrolled:
            self._enrolling.end()
        return Asked(
            id=self._new_id(),
            reader=event.reader,
            badge=event.badge,
            deadline=now.mono + self._rules.decision_timeout_s,
            token=event.token,
            proof=self._counters.judge(event.badge, event.token),
            enrolled=event.enrolled if is_enrolled else None,
        )

    def _lasting(self) -> Signal:
        lasting = self._entrance.lasting
        if lasting is Signal.ALARM:
            return lasting
        if self._waiting:
            return Signal.WAIT
        return Signal.ENROL if self._enrolling.now is not None else lasting

    def _words(self, lasting: Signal) -> str:
        """What is said with what lasts."""
        if self._entrance.fire.is_on:
            return notice("fire")
        if lasting is Signal.ENROL:
            return notice("enrol", self._enrolling.language)
        return ""

    def _language(self, event: BadgeUnreadable) -> str:
        """In which language to speak to whoever holds a card."""
        if self._enrolling.now is not None or event.badge is None:
            return self._enrolling.language
        return language_of(self._policy, member_of(self._policy, event.badge))

    @property
    def _enrolling(self) -> Enrolling:
        return self._orders.enrolling

    @property
    def _is_alone(self) -> bool:
        return not (self._is_link_up and self._is_server_online)
