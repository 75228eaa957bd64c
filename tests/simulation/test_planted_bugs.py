# ruff: noqa: SLF001 (a bug is planted where it would be made: inside)
"""The simulation is tested by bugs that are planted into the product: each is caught.

Each bug is a few lines, kept here beside the number of the invariant that catches it.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

import access.badge
import access.calendar
import access.policy
import access.tokens
import edge.badges.counters
import edge.badges.visit
import edge.mailbox
import edge.obedience
import edge.unit
import server.copies
import server.fires
import server.gate
import server.watching
import simulation.rulebook
from access.ids import BadgeDigest, DoorId
from access.instants import Span
from access.journal import Head
from access.messages import DoorState, to_record
from access.model import Policy
from access.policy import Decision, Reason, Token
from access.presence import Presence
from access.tokens import CardToken, SeenTokens, counter_of
from access.watch import close
from edge import lonely
from edge.badges.counters import Counters
from edge.badges.keys import SectorKeys
from edge.badges.session import CardSession
from edge.badges.token import TokenBlock, make_token
from edge.courier import Courier
from edge.door import Door
from edge.effects import Effect, Unlock, note
from edge.entrance import Entrance
from edge.events import DecisionReceived, LinkChanged, Moment, PolicyReceived, Started
from edge.fire import FirePanel
from edge.hands import Hands
from edge.knowledge import WatchKnowledge
from edge.latch import Latch
from edge.obedience import Orders
from edge.postroom import Postroom
from edge.verdict import from_server
from runtime.link import LinkEvent
from server.database import DatabaseError
from server.effects import Acknowledge, Answer, Credit
from server.events import Reported
from server.gate import Gate
from server.turn import Turn
from simulation.cards import KEYS
from simulation.discretion import person_of
from simulation.disk import SimulatedOutbox
from simulation.evening import Plan, simulate
from simulation.rulebook import Rulebook
from simulation.servers import Books, SimulatedGatehouse, SimulatedService

MOST_SEEDS = 60
"""A bug that is not seen in so many evenings counts as missed."""

Plant = Callable[[pytest.MonkeyPatch], None]


def journal_cleared_on_send(patch: pytest.MonkeyPatch) -> None:
    real = Postroom.send_journal

    def send(self: Postroom) -> None:
        real(self)
        if self.courier.is_up and self.courier.sent > self.courier.acknowledged:
            self.outbox.acknowledge(self.courier.sent)
            self.courier.acknowledged = self.courier.sent

    patch.setattr(Postroom, "send_journal", send)


def one_record_too_many_is_deleted(patch: pytest.MonkeyPatch) -> None:
    real = SimulatedOutbox.acknowledge
    patch.setattr(SimulatedOutbox, "acknowledge", lambda self, seq: real(self, seq + 1))


def _kept_or_not(patch: pytest.MonkeyPatch, sent: type) -> None:
    """Send effects of one kind although they were not committed."""
    real = SimulatedGatehouse.handle
    made: list[Any] = []
    commit = Books.commit

    def keep(self: Books, effects: Sequence[Any], *rest: Any) -> None:
        made[:] = effects
        commit(self, effects, *rest)

    def handle(self: SimulatedGatehouse, *args: Any) -> list[Any]:
        try:
            return real(self, *args)
        except DatabaseError:
            return [effect for effect in made if isinstance(effect, sent)]

    patch.setattr(Books, "commit", keep)
    patch.setattr(SimulatedGatehouse, "handle", handle)


def answered_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    _kept_or_not(patch, Answer)


def acknowledged_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    _kept_or_not(patch, Acknowledge)


def late_answer_is_taken(patch: pytest.MonkeyPatch) -> None:
    late: dict[str, Any] = {}

    def give_up(self: Any, now: Moment) -> Iterator[Effect]:
        for asked in [a for a in self._waiting.values() if now.mono >= a.deadline]:
            late[asked.id] = self._waiting.pop(asked.id)
            yield from self._decide(asked, now)

    def answered(self: Any, event: DecisionReceived, now: Moment) -> Iterator[Effect]:
        asked = self._waiting.pop(event.request, None) or late.pop(event.request, None)
        if asked is not None:
            yield from self._conclude(from_server(asked, event), now)

    patch.setattr(Door, "_give_up_waiting", give_up)
    patch.setattr(Door, "_answered", answered)


def repeated_records_are_kept_again(patch: pytest.MonkeyPatch) -> None:
    def follow(self: Any, turn: Turn, event: Reported) -> datetime:
        track = turn.state.door(event.door)
        for raw in event.records:
            track.head = Head(seq=raw["seq"], hash=raw["hash"])
            self._keep(turn, event.door, raw, to_record(raw))
        turn.effects.append(Acknowledge(door=event.door, seq=track.head.seq))
        return turn.now

    patch.setattr(Gate, "_follow", follow)
    patch.setattr(Books, "_check", lambda _self, _effects: None)


def gaps_are_skipped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(server.gate, "check", lambda _, raw: Head(seq=raw["seq"], hash=raw["hash"]))
    real = Gate._follow

    def follow(self: Any, turn: Turn, event: Reported) -> datetime:
        track = turn.state.door(event.door)
        first = event.records[0]["seq"] - 1
        if first > track.head.seq:
            track.head = Head(seq=first, hash=event.records[0]["prev"])
        return real(self, turn, event)

    patch.setattr(Gate, "_follow", follow)


def watch_credits_twice(patch: pytest.MonkeyPatch) -> None:
    real = server.watching.end

    def end(turn: Turn, *args: Any, **kwargs: Any) -> None:
        real(turn, *args, **kwargs)
        turn.effects += [effect for effect in turn.effects if isinstance(effect, Credit)]

    patch.setattr(server.watching, "end", end)


def watch_closes_twice(patch: pytest.MonkeyPatch) -> None:
    real = server.watching.end

    def end(turn: Turn, at: datetime, *args: Any, **kwargs: Any) -> None:
        watch = turn.state.watch
        real(turn, at, *args, **kwargs)
        if watch is not None and turn.state.peak % 2:
            turn.state.peak, turn.state.watch = 0, close(watch, at)

    patch.setattr(server.watching, "end", end)


def guests_go_below_none(patch: pytest.MonkeyPatch) -> None:
    def change(self: Presence, by: int) -> None:
        self.guests += by

    patch.setattr(Presence, "change_guests", change)


def lock_opens_when_the_link_is_back(patch: pytest.MonkeyPatch) -> None:
    real = Door._news

    def news(self: Any, event: Any, now: Moment) -> Iterator[Effect]:
        yield from real(self, event, now)
        if isinstance(event, LinkChanged) and event.is_up:
            self._entrance.latch.release(now.mono, 5.0)
            yield note("lock.unlocked", now)
            yield Unlock()

    patch.setattr(Door, "_news", news)


def lock_moves_before_its_record(patch: pytest.MonkeyPatch) -> None:
    real = Hands._unlock

    def unlock(self: Any, durable: Any, mono: float, *, is_exit: bool) -> None:
        self.lock.unlock()
        real(self, durable, mono, is_exit=is_exit)

    patch.setattr(Hands, "_unlock", unlock)


def lock_stays_released(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Latch, "is_over", lambda _self, _mono: False)


def hours_ignore_summer_time(patch: pytest.MonkeyPatch) -> None:
    real = access.calendar.opening_spans

    def spans(*args: Any) -> tuple[Span, ...]:
        later = timedelta(hours=1)
        found = real(*args)
        return tuple(Span(start=one.start + later, end=one.end + later) for one in found)

    patch.setattr(simulation.rulebook, "opening_spans", spans)


def alone_a_door_admits_any_member(patch: pytest.MonkeyPatch) -> None:
    real = lonely._decision

    def decision(*args: Any) -> Decision:
        found = real(*args)
        if found.reason is Reason.NO_GUARDIAN:
            return replace(found, granted=True, reason=Reason.OPENING_HOURS)
        return found

    patch.setattr(lonely, "_decision", decision)


def old_command_that_the_broker_kept_is_obeyed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(edge.mailbox, "_NEVER_KEPT", frozenset())
    patch.setattr(edge.obedience, "_is_in_time", lambda *_: True)


def command_is_obeyed_twice(patch: pytest.MonkeyPatch) -> None:
    real = Orders.obey

    def obey(self: Orders, *args: Any) -> Iterator[Effect]:
        self.done.clear()
        yield from real(self, *args)

    patch.setattr(Orders, "obey", obey)


def command_for_another_door_is_obeyed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(edge.mailbox, "check_command", lambda *_: None)


def new_policy_is_not_learnt(patch: pytest.MonkeyPatch) -> None:
    real = Door._learn_policy

    def learn(self: Any, event: PolicyReceived, now: Moment) -> Iterator[Effect]:
        if self.policy is None:
            yield from real(self, event, now)

    patch.setattr(Door, "_learn_policy", learn)


def unanswered_records_are_not_sent_again(patch: pytest.MonkeyPatch) -> None:
    def has_sent(self: Courier, up_to: int, mono: float) -> None:
        del mono
        self.sent = self.acknowledged = max(self.acknowledged, up_to)

    patch.setattr(Courier, "has_sent", has_sent)


def watch_outlives_a_clock_that_is_set_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WatchKnowledge, "in_doubt", lambda self, now: self.at(now.at))


def watch_has_no_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(server.watching, "_close_by_time", lambda _turn: None)
    patch.setattr(server.watching, "_end_by_hours", lambda _turn: None)


def request_decided_before_is_decided_anew(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SimulatedGatehouse, "_earlier", lambda _self, _events: {})
    patch.setattr(Books, "_check", lambda _self, _effects: None)


def copies_of_badges_are_not_noticed(patch: pytest.MonkeyPatch) -> None:
    def verdict(token: CardToken | None, *_: Any, **__: Any) -> Token:
        return Token.NONE if token is None else Token.FITS

    patch.setattr(access.tokens, "verdict", verdict)
    patch.setattr(edge.badges.counters, "verdict", verdict)


def alone_a_door_does_not_notice_copies(patch: pytest.MonkeyPatch) -> None:
    def judge(_self: Counters, _badge: BadgeDigest, token: CardToken | None) -> Token:
        return Token.NONE if token is None else Token.FITS

    patch.setattr(Counters, "judge", judge)


def copied_badge_is_not_suspended(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(server.copies, "_suspend", lambda _turn, _badge: False)


def copied_badge_is_suspended_without_an_alert(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(server.copies, "alert", lambda *_, **__: None)


def visits_told_late_are_taken_for_copies(patch: pytest.MonkeyPatch) -> None:
    real = SeenTokens.contradicts

    def contradicts(self: SeenTokens, token: CardToken) -> bool:
        return real(self, token) or counter_of(token) < self.newest

    patch.setattr(SeenTokens, "contradicts", contradicts)


def newest_token_of_a_card_is_written_over(patch: pytest.MonkeyPatch) -> None:
    real = edge.badges.visit._write

    def write(
        session: CardSession, target: SectorKeys, token: TokenBlock, *, is_open: bool
    ) -> TokenBlock:
        keys = KEYS.of(session.uid)
        other = next(sector for sector in keys.sectors if sector != target)
        same = make_token(keys, other.number, token.counter, token.raw[4:8])
        return real(session, other, same, is_open=not is_open)

    patch.setattr(edge.badges.visit, "_write", write)


def after_hours_any_badge_will_do(patch: pytest.MonkeyPatch) -> None:
    rows = tuple(row for row in access.policy.ROWS if row.number != "8b")
    patch.setattr(access.policy, "ROWS", rows)


def door_locks_itself_again_in_a_fire(patch: pytest.MonkeyPatch) -> None:
    real = Entrance.pass_time

    def pass_time(self: Entrance, now: Moment) -> Iterator[Effect]:
        self.fire.is_on = False
        yield from real(self, now)

    patch.setattr(Entrance, "pass_time", pass_time)


def fire_is_forgotten_in_a_power_cut(patch: pytest.MonkeyPatch) -> None:
    real = Door._start

    def start(self: Any, event: Started, now: Moment) -> Iterator[Effect]:
        yield from real(self, replace(event, is_fire=False), now)

    patch.setattr(Door, "_start", start)


def lock_is_released_by_software_in_a_fire(patch: pytest.MonkeyPatch) -> None:
    real = Entrance.fire_panel

    def fire_panel(self: Entrance, now: Moment, *, is_on: bool) -> Iterator[Effect]:
        yield from real(self, now, is_on=is_on)
        if is_on:
            yield Unlock()

    patch.setattr(Entrance, "fire_panel", fire_panel)


def who_flees_is_taken_for_a_burglar(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FirePanel, "cause_of", lambda _self, cause: cause)


def nobody_is_told_of_a_fire(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(server.fires, "hear", lambda *_: None)
    patch.setattr(server.fires, "follow", lambda *_: None)


def fire_is_told_with_every_word_of_the_door(patch: pytest.MonkeyPatch) -> None:
    real = server.fires.hear

    def hear(turn: Turn, door: DoorId, said: DoorState) -> None:
        turn.state.door(door).is_fire = False
        real(turn, door, said)

    patch.setattr(server.fires, "hear", hear)


def uid_goes_further_than_the_door(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(edge.unit, "digest", lambda uid, _key: BadgeDigest(uid.hex()))


def member_goes_by_their_name(patch: pytest.MonkeyPatch) -> None:
    real = Rulebook._compile

    def compile_(self: Rulebook, now: datetime) -> Policy:
        policy = real(self, now)
        named = {
            of: tuple(replace(one, title=f"watched by {self.persons[of].name}") for one in theirs)
            for of, theirs in policy.authorizations.items()
        }
        return replace(policy, authorizations=named)

    patch.setattr(Rulebook, "_compile", compile_)


def log_says_who_came(patch: pytest.MonkeyPatch) -> None:
    real = SimulatedService._handle

    def handle(self: SimulatedService, batch: list[LinkEvent]) -> None:
        logging.getLogger("server.service").debug("%d of %s", len(batch), person_of(3).name)
        real(self, batch)

    patch.setattr(SimulatedService, "_handle", handle)


def log_says_which_badge_was_read(patch: pytest.MonkeyPatch) -> None:
    real = access.badge.digest

    def digest(uid: bytes, key: bytes) -> BadgeDigest:
        badge = real(uid, key)
        logging.getLogger("edge.unit").info("a badge was read", extra={"badge": badge})
        return badge

    patch.setattr(edge.unit, "digest", digest)


PLANTED: list[tuple[Plant, frozenset[int]]] = [
    (journal_cleared_on_send, frozenset({4, 9, 12})),
    (one_record_too_many_is_deleted, frozenset({4, 12})),
    (answered_before_the_commit, frozenset({6})),
    (acknowledged_before_the_commit, frozenset({4, 12})),
    (late_answer_is_taken, frozenset({6})),
    (repeated_records_are_kept_again, frozenset({4, 9})),
    (gaps_are_skipped, frozenset({4, 9})),
    (watch_credits_twice, frozenset({10})),
    (watch_closes_twice, frozenset({4})),
    (guests_go_below_none, frozenset({10})),
    (lock_opens_when_the_link_is_back, frozenset({5})),
    (lock_moves_before_its_record, frozenset({2})),
    (lock_stays_released, frozenset({12})),
    (hours_ignore_summer_time, frozenset({3})),
    (alone_a_door_admits_any_member, frozenset({3})),
    (old_command_that_the_broker_kept_is_obeyed, frozenset({6})),
    (command_is_obeyed_twice, frozenset({6})),
    (command_for_another_door_is_obeyed, frozenset({6})),
    (new_policy_is_not_learnt, frozenset({7, 12})),
    (unanswered_records_are_not_sent_again, frozenset({4, 9, 12})),
    (watch_outlives_a_clock_that_is_set_back, frozenset({3})),
    (watch_has_no_end, frozenset({4})),
    (request_decided_before_is_decided_anew, frozenset({4, 10})),
    (copies_of_badges_are_not_noticed, frozenset({8})),
    (alone_a_door_does_not_notice_copies, frozenset({8})),
    (copied_badge_is_not_suspended, frozenset({8})),
    (copied_badge_is_suspended_without_an_alert, frozenset({8})),
    (visits_told_late_are_taken_for_copies, frozenset({8})),
    (newest_token_of_a_card_is_written_over, frozenset({8})),
    (after_hours_any_badge_will_do, frozenset({3})),
    (uid_goes_further_than_the_door, frozenset({11})),
    (member_goes_by_their_name, frozenset({11})),
    (log_says_who_came, frozenset({11})),
    (log_says_which_badge_was_read, frozenset({11})),
    (door_locks_itself_again_in_a_fire, frozenset({1})),
    (fire_is_forgotten_in_a_power_cut, frozenset({1})),
    (lock_is_released_by_software_in_a_fire, frozenset({2, 5})),
    (who_flees_is_taken_for_a_burglar, frozenset({1})),
    (nobody_is_told_of_a_fire, frozenset({1})),
    (fire_is_told_with_every_word_of_the_door, frozenset({1})),
]


@pytest.mark.parametrize(
    ("plant", "caught_by"), PLANTED, ids=[plant.__name__ for plant, _ in PLANTED]
)
def test_a_planted_bug_is_caught(
    plant: Plant,
    caught_by: frozenset[int],
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    plant(monkeypatch)
    for seed in range(MOST_SEEDS):
        violation = simulate(Plan(seed=seed)).violation
        if violation is not None:
            record_property("caught", f"seed {seed}, invariant {violation.number}")
            assert violation.number in caught_by, violation
            return
    pytest.fail(f"not caught in {MOST_SEEDS} simulated evenings")
