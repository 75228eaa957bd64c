"""What moves at the door: the lock, the leaf, the exit button, and what is shown.

Who may pass is decided elsewhere (`edge.door`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from access.ids import MemberId, RequestId
from access.model import Policy, Reader
from edge.contact import Leaf
from edge.effects import Effect, Keep, PublishState, Relock, Show, Unlock, Value, note
from edge.events import Moment
from edge.face import ANSWER_S, Face
from edge.fire import FirePanel
from edge.knowledge import WatchKnowledge, request_of
from edge.latch import Latch
from edge.passage import KEPT_AS, Passage, begin
from edge.passes import FORCED, Passes
from edge.ports import Signal
from edge.verdict import Verdict


@dataclass(slots=True, kw_only=True)
class Entrance:
    """The moving parts of one door.

    Attributes:
        leaf: where the leaf is.
        knowledge: the watch, which an opening confirms.
        has_contact: whether the leaf is seen at all.
        exit_stuck_s: how long the exit button may be down, in seconds.
        exit_since: since when it is down; None while it is up, or known to be stuck.
        is_case_open: whether the unit's case stands open.
    """

    leaf: Leaf
    knowledge: WatchKnowledge
    has_contact: bool
    exit_stuck_s: float
    latch: Latch = field(default_factory=Latch)
    passes: Passes = field(default_factory=Passes)
    face: Face = field(default_factory=Face)
    fire: FirePanel = field(default_factory=FirePanel)
    passage: Passage | None = None
    exit_since: float | None = None
    is_case_open: bool = False

    @property
    def due(self) -> float | None:
        """The next monotonic time at which something happens by itself."""
        stuck = self.exit_since + self.exit_stuck_s if self.exit_since is not None else None
        ends = self.passage.until_mono if self.passage is not None else None
        dues = (
            self.latch.until,
            self.leaf.due,
            self.passes.due,
            self.face.until,
            stuck,
            ends,
        )
        return min((due for due in dues if due is not None), default=None)

    @property
    def lasting(self) -> Signal:
        """What is shown while nobody stands before the door."""
        if self.is_case_open or self.fire.is_on:
            return Signal.ALARM
        if self.latch.is_held and not self.leaf.is_forced:
            return Signal.GRANTED
        return self.leaf.signal

    def pass_time(self, now: Moment) -> Iterator[Effect]:
        """Do all that time alone brings about."""
        if self.latch.is_over(now.mono):
            yield from self.relock(now, cause="opened" if self.latch.is_used else "time")
        if self.passage is not None:
            cause = self.passage.end_cause(self.knowledge, now)
            if cause is not None:
                yield from self.end_passage(now, cause=cause)
        for unused in self.passes.expire(now.mono):
            watch = request_of(self.knowledge.watch, unused.request)
            if watch is not None:
                yield from self.knowledge.lapse(watch, now)
        yield from self.leaf.pass_time(now)
        yield from self._exit_stuck(now)

    def admit(self, verdict: Verdict, now: Moment) -> Iterator[Effect]:
        """Let through whoever was granted."""
        is_exit = verdict.reader is Reader.OUT
        cause = "exit" if is_exit else "grant"
        yield from self._release(
            now, verdict.unlock_s, cause, request=verdict.request, is_exit=is_exit
        )
        if self.leaf.is_open or not self.has_contact:
            yield from self._confirm(verdict.request)
        yield self._green(now, verdict.message)

    def order_unlock(
        self, now: Moment, seconds: float, command: str, by: MemberId
    ) -> Iterator[Effect]:
        """Unlock once, as ordered."""
        was_unlocked = self.latch.is_unlocked
        yield from self._release(now, seconds, "command", command=command, by=by)
        if was_unlocked:
            yield note("lock.unlocked", now, command=command, by=by, is_again=True)
        yield self._green(now)

    def order_passage(
        self, now: Moment, policy: Policy | None, command: str, by: MemberId
    ) -> Iterator[Effect]:
        """Hold the lock released, as ordered; say so as well where it is held already."""
        if self.passage is not None:
            watch = self.passage.watch
            yield note("passage.started", now, watch=watch, is_again=True, command=command, by=by)
        else:
            yield from self.start_passage(now, policy, command=command, by=by)

    def order_release(self, now: Moment, command: str, by: MemberId) -> Iterator[Effect]:
        """Hold the lock no more, as ordered; say so as well where it is not held."""
        if self.passage is None:
            yield note("passage.ended", now, watch=None, cause="not_held", command=command, by=by)
        else:
            yield from self.end_passage(now, cause="command", command=command, by=by)

    def relock(self, now: Moment, *, cause: str, **why: Value) -> Iterator[Effect]:
        """Lock, if the lock is not locked."""
        if self.latch.lock():
            self.passes.locked(now.mono)
            self.face.end_granted(now.mono)
            yield Relock()
            yield note("lock.locked", now, cause=cause, **why)
            yield PublishState()

    def start_passage(self, now: Moment, policy: Policy | None, **why: Value) -> Iterator[Effect]:
        """Hold the lock released for everybody."""
        if self.passage is not None:
            return
        self.passage = begin(self.knowledge, policy, now)
        yield Keep(key=KEPT_AS, value="on")
        yield note("passage.started", now, watch=self.passage.watch, **why)
        if self.latch.hold():
            yield note("lock.unlocked", now, **why)
            yield Unlock()
        self.passes.revoke()
        yield from self.leaf.excuse(now, counts=False)
        yield self.face.answer(Signal.GRANTED, "", now.mono)
        yield PublishState()

    def end_passage(self, now: Moment, *, cause: str, **why: Value) -> Iterator[Effect]:
        """Hold the lock no more."""
        if self.passage is None:
            return
        watch, self.passage = self.passage.watch, None
        yield Keep(key=KEPT_AS, value=None)
        yield note("passage.ended", now, watch=watch, cause=cause, **why)
        yield from self.relock(now, cause="passage")
        yield from self.leaf.excuse(now, counts=self._counts)

    def passage_was_cut(self, now: Moment) -> Iterator[Effect]:
        """Passage mode was on when the unit stopped without a goodbye; the lock is locked now."""
        yield Keep(key=KEPT_AS, value=None)
        yield note("passage.ended", now, cause="restart")
        yield note("lock.locked", now, cause="restart")

    def lock_down(self, now: Moment, **why: Value) -> Iterator[Effect]:
        """Lock at once, and take back every right to open."""
        yield from self.order_lock(now, cause="lockdown", **why)
        yield from self.take_back(now)
        yield PublishState()

    def order_lock(self, now: Moment, *, cause: str, **why: Value) -> Iterator[Effect]:
        """Lock at once, held or not; say so as well where it is locked already."""
        was_unlocked = self.latch.is_unlocked
        yield from self.end_passage(now, cause=cause, **why)
        yield from self.relock(now, cause=cause, **why)
        if not was_unlocked:
            yield note("lock.locked", now, cause=cause, **why)

    def take_back(self, now: Moment) -> Iterator[Effect]:
        """Take back every right to open; a watch whose guardian has not come in never was."""
        for given in self.passes.given:
            watch = request_of(self.knowledge.watch, given.request)
            if watch is not None and not given.is_used:
                yield from self.knowledge.lapse(watch, now)
        self.passes.revoke()

    def contact(self, now: Moment, *, is_open: bool) -> Iterator[Effect]:
        """The door was opened or closed."""
        if is_open == self.leaf.is_open:
            return
        yield from self._opened(now) if is_open else self._closed(now)
        yield PublishState()

    def exit_button(self, now: Moment, *, is_pressed: bool) -> Iterator[Effect]:
        """The exit button was pressed, which frees the lock by wiring, or let go of."""
        self.passes.exit_button(is_pressed=is_pressed, mono=now.mono)
        self.exit_since = now.mono if is_pressed else None
        if is_pressed:
            yield note("exit.requested", now)
            yield from self.leaf.excuse(now, counts=self._counts)
            yield self.face.answer(Signal.GRANTED, "", now.mono)

    def tamper(self, now: Moment, *, is_open: bool) -> Iterator[Effect]:
        """The unit's case was opened or closed."""
        if is_open and not self.is_case_open:
            yield note("unit.tampered", now, part="case")
        self.is_case_open = is_open

    def fire_panel(self, now: Moment, *, is_on: bool) -> Iterator[Effect]:
        """The fire panel has cut the lock's power, or gives it back."""
        yield from self.fire.changed(
            self.leaf, now, is_on=is_on, is_released=self.latch.is_unlocked
        )

    @property
    def _counts(self) -> bool:
        """Whether the time that the door stands open counts now."""
        return not (self.latch.is_held or self.fire.is_on)

    def _release(
        self,
        now: Moment,
        seconds: float,
        cause: str,
        *,
        request: RequestId | None = None,
        is_exit: bool = False,
        **why: Value,
    ) -> Iterator[Effect]:
        if not (self.latch.is_held and self.leaf.is_open):
            self.passes.give(cause, request, is_used=self.leaf.is_open)
        yield from self.leaf.excuse(now, counts=self._counts)
        if self.latch.release(now.mono, seconds):
            told: dict[str, Value] = why if request is None else {"request": request}
            yield note("lock.unlocked", now, **told)
            yield Unlock(is_exit=is_exit)
            yield PublishState()

    def _green(self, now: Moment, words: str = "") -> Show:
        """Show that the door may be opened, for as long as the lock is released."""
        until = self.latch.until
        seconds = ANSWER_S if until is None else until - now.mono
        return self.face.answer(Signal.GRANTED, words, now.mono, seconds)

    def _opened(self, now: Moment) -> Iterator[Effect]:
        is_held = self.latch.is_held
        opening = self.passes.opened(now.mono, is_held=is_held)
        cause = self.fire.cause_of(opening.cause)
        is_forced = cause == FORCED
        self.leaf.opened(now, is_forced=is_forced, counts=self._counts)
        self.latch.opened(now.mono)
        yield note("door.opened", now, request=opening.request, cause=cause)
        if is_forced:
            yield note("door.forced", now)
        for request in opening.admits:
            yield from self._confirm(request)

    def _closed(self, now: Moment) -> Iterator[Effect]:
        yield from self.leaf.closed(now)
        self.latch.closed(now.mono)
        if self.latch.is_over(now.mono):
            yield from self.relock(now, cause="closed")

    def _confirm(self, request: RequestId) -> Iterator[Effect]:
        watch = request_of(self.knowledge.watch, request)
        if watch is not None:
            yield from self.knowledge.confirm(watch)

    def _exit_stuck(self, now: Moment) -> Iterator[Effect]:
        if self.exit_since is not None and now.mono >= self.exit_since + self.exit_stuck_s:
            self.exit_since = None
            yield note("unit.tampered", now, part="exit_button", cause="stuck")
