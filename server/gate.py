"""The gate of one site: a state machine without I/O.

It takes what happened and the time, changes the site's state, and returns what to keep and what to
send. Whoever runs it commits first and sends afterwards.
"""

import dataclasses
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from access.ids import BadgeDigest, DoorId, RequestId
from access.journal import NO_HASH, TYPES, ChainError, Head, check
from access.messages import AccessDecision, InvalidMessageError, Record, to_record
from access.model import Policy, Reader
from access.policy import Decision, Reason, Request, State, Token, UnknownDoorError, decide
from access.wording import DEFAULT_LANGUAGE, message
from server import copies, desk, fires, health, lateness, ordering, passages, silence, watching
from server.effects import Acknowledge, Answer, Effect, Keep, SetAside
from server.events import (
    Asked,
    CalendarFailed,
    DoorSaid,
    Event,
    LedgerFailed,
    OrderLapsed,
    Reported,
    Ticked,
)
from server.state import SiteState
from server.turn import Turn

_MOMENT: Final = timedelta(microseconds=1)

DECISION: Final = "access.decided"
SET_ASIDE: Final = "record_set_aside"
MISSING: Final = "records_missing"


class Gate:
    """Decides, remembers and counts for one site.

    Args:
        policy: the rules as they stand; set anew whenever they change.
        state: what is so; changed in place.
        tokens: what was seen of the badges that `copies.badges_with_tokens` names; changed in
            place.
        patience: how long doors may be silent; None for ever.
    """

    def __init__(
        self,
        policy: Policy,
        state: SiteState,
        tokens: copies.Tokens | None = None,
        *,
        patience: silence.Patience | None = None,
    ) -> None:
        self.policy = policy
        self._patience = patience
        self.state = state
        self._tokens: copies.Tokens = {} if tokens is None else tokens

    def handle(self, event: Event, now: datetime) -> list[Effect]:
        """Take what happened and say what follows.

        Args:
            event: from a door, from the desk, or time going by.
            now: the server's time, which is what hours are measured by.

        Returns:
            What to keep, in order, and what to send once it is kept.

        Raises:
            DeskError: somebody at the desk asked for what can't be done; nothing has changed.
            UnknownDoorError: it is from a door that the site does not have; nothing has changed.
        """
        self._must_have_door(event)
        turn = Turn(policy=self.policy, state=self.state, now=now)
        turn.state.presence.set_back_to(now)
        passages.advance(turn)
        watching.advance(turn)
        happened = now
        match event:
            case Asked():
                self._decide(turn, event)
            case Reported():
                happened = self._follow(turn, event)
            case DoorSaid():
                self._listen(turn, event)
            case CalendarFailed():
                turn.alert("calendar_failed", now, dataclasses.asdict(event))
            case LedgerFailed():
                turn.alert("ledger_failed", now, dataclasses.asdict(event))
            case OrderLapsed():
                ordering.lapse(turn, event)
            case Ticked():
                pass
            case _:
                desk.act(turn, event)
        watching.advance(turn)
        ordering.advance(turn)
        silence.advance(turn, self._patience)
        turn.count(happened)
        # A badge that was suspended by this is so for what comes next.
        self.policy = turn.policy
        return turn.effects

    def has_due(self, now: datetime) -> bool:
        """Whether a `Ticked` at `now` would change anything; cheap, and changes nothing itself."""
        turn = Turn(policy=self.policy, state=self.state, now=now)
        last = self.state.reported
        return (
            last is None
            or last.open != turn.opening()
            or passages.is_due(turn)
            or watching.is_due(turn)
            or ordering.is_due(turn)
            or silence.is_due(turn, self._patience)
        )

    def _must_have_door(self, event: Event) -> None:
        if isinstance(event, Asked | Reported | DoorSaid) and event.door not in self.policy.doors:
            raise UnknownDoorError(f"site {self.policy.site} has no door {event.door!r}")

    def _decide(self, turn: Turn, event: Asked) -> None:
        request = event.request
        if lateness.is_late(turn, event):
            return
        judged = copies.judge(turn, self._tokens, event)
        asked = _to_request(event, turn.now, judged.token)
        decision = decide(turn.policy, self._situation(), asked)
        watch = turn.state.watch
        if decision.opens_under is not None:
            watch = watching.begin(
                turn, RequestId(request.id), decision.opens_under, event.door, turn.now
            )
        answer = self._answer(event, decision, watch.id if watch is not None else None)
        turn.note(
            DECISION,
            turn.now,
            {
                "door": event.door,
                "reader": request.reader,
                "badge": request.badge,
                "row": decision.row,
                "passback": decision.is_passback,
                "asked": request.at,
                "decide_ms": event.waited_ms,
                "answer": msgspec.structs.asdict(answer),
            }
            | ({} if request.token is None else {"proof": judged.token.value}),
            member=decision.member,
            request=RequestId(request.id),
        )
        self._alert(turn, event, decision, is_suspended=judged.is_suspended)
        turn.effects.append(Answer(door=event.door, decision=answer, correlation=event.correlation))

    def _alert(self, turn: Turn, event: Asked, decision: Decision, *, is_suspended: bool) -> None:
        badge = turn.policy.badges.get(BadgeDigest(event.request.badge))
        is_cloned = decision.reason is Reason.BADGE_CLONED
        if badge is not None and (is_suspended or is_cloned):
            copies.alert(turn, event.door, badge, turn.now, is_suspended=is_suspended)
        elif decision.raises_alert:
            turn.alert(
                decision.reason.value,
                turn.now,
                {"door": event.door, "badge": event.request.badge},
                member=decision.member,
            )

    def _situation(self) -> State:
        presence = self.state.presence
        return State(
            watch=self.state.watch,
            inside=presence.inside,
            present=presence.present,
            locked_down=self.state.locked_down,
        )

    def _answer(self, event: Asked, decision: Decision, watch: str | None) -> AccessDecision:
        member = self.policy.members.get(decision.member) if decision.member else None
        language = member.language if member is not None else DEFAULT_LANGUAGE
        return AccessDecision(
            request=event.request.id,
            granted=decision.granted,
            reason=decision.reason.value,
            unlock_s=self.policy.doors[event.door].unlock_s if decision.granted else 0.0,
            member=decision.member,
            message=message(decision.reason, language),
            watch=watch if decision.granted else None,
        )

    def _follow(self, turn: Turn, event: Reported) -> datetime:
        """Take in records, each once and in order, and acknowledge what is held then."""
        track = turn.state.door(event.door)
        happened = turn.now
        self._pass_over(turn, event)
        for raw in event.records:
            seq = raw.get("seq")
            # Not isinstance: true is an int to Python, and would be written into the state.
            if type(seq) is not int or seq <= track.head.seq:
                continue
            if seq > track.head.seq + 1:
                break
            try:
                record = _placed(_of_a_door(to_record(raw)), track.last_at, turn.now)
                track.head = check(track.head, raw)
            except (InvalidMessageError, ChainError) as error:
                # What the next record of the door has to name, if it can be named at all.
                track.head = Head(seq=seq, hash=_hash_in(raw.get("hash")))
                self._put_aside(turn, event.door, raw, str(error))
                continue
            self._keep(turn, event.door, raw, record)
            track.last_at = happened = record.time
        turn.effects.append(Acknowledge(door=event.door, seq=track.head.seq))
        return happened

    def _pass_over(self, turn: Turn, event: Reported) -> None:
        """Go on after records that the door does not hold any more.

        It deleted them, since they were acknowledged; and they are gone here, as after the restore
        of a backup. Asked for again and again they would never come, nor what follows them.
        """
        track, oldest = turn.state.door(event.door), event.oldest
        first = track.head.seq + 1
        if oldest is None or oldest <= first or event.records[0].get("seq") != oldest:
            return
        track.head = Head(seq=oldest - 1, hash=_hash_in(event.records[0].get("prev")))
        turn.alert(
            MISSING,
            turn.now,
            {"door": event.door, "first": first, "last": oldest - 1, "hash": track.head.hash},
        )

    def _keep(self, turn: Turn, door: DoorId, raw: dict[str, Any], record: Record) -> None:
        turn.effects.append(
            Keep(
                source=door,
                record=raw,
                time=record.time,
                member=passages.member_of(turn, record),
            )
        )
        passages.apply(turn, door, record)
        copies.hear(turn, self._tokens, door, record)
        ordering.follow(turn, door, record)
        fires.follow(turn, door, record)

    def _put_aside(self, turn: Turn, door: DoorId, raw: dict[str, Any], why: str) -> None:
        """Keep a record apart; the server's own chain vouches for the hole that it leaves."""
        head = turn.state.door(door).head
        turn.effects.append(SetAside(door=door, record=raw, why=why))
        turn.alert(
            SET_ASIDE, turn.now, {"door": door, "why": why, "seq": head.seq, "hash": head.hash}
        )

    def _listen(self, turn: Turn, event: DoorSaid) -> None:
        track = turn.state.door(event.door)
        was_online = track.is_online
        health.follow(turn, event.door, track.state, event.state)
        fires.hear(turn, event.door, event.state)
        if not event.state.online and track.state is not None:
            # A last will says nothing but that the door is gone: what it said before still stands.
            track.state = msgspec.structs.replace(track.state, online=False)
        else:
            track.state = event.state
        track.heard_at = turn.now
        if was_online != track.is_online:
            what = "door.online" if track.is_online else "door.offline"
            turn.note(what, turn.now, {"door": event.door})


def _to_request(event: Asked, now: datetime, token: Token) -> Request:
    return Request(
        at=now,
        door=event.door,
        reader=Reader(event.request.reader),
        badge=BadgeDigest(event.request.badge),
        token=token,
    )


def _of_a_door(record: Record) -> Record:
    """Make sure that a record is of a type that doors have: others are the server's to write.

    Raises:
        InvalidMessageError: it is not.
    """
    if record.type not in TYPES:
        raise InvalidMessageError(f"no record of a door has the type {record.type[:80]!r}")
    return record


def _placed(record: Record, last: datetime | None, now: datetime) -> Record:
    """Give a record a time that can be: not after now, nor before the record that it follows.

    A door's clock may be wrong, the order of its records is not: who comes in by a door whose clock
    has gone back is inside, and one that is ahead must not make all that comes later look old.
    """
    at = min(record.time, now)
    if last is not None and (at < last or (at == last and at < record.time)):
        at = last + _MOMENT
    return record if at == record.time else msgspec.structs.replace(record, time=at)


def _hash_in(claimed: object) -> str:
    """Give what a door's record says is a hash, if it can be one at all."""
    return claimed if isinstance(claimed, str) and len(claimed) == len(NO_HASH) else NO_HASH
