"""The gatehouse: one transaction round the gate.

Whatever comes in together is handled together and committed once; only then may its effects be
sent. The state is remembered between transactions, and several processes may act on one site, each
in turn: what is remembered is checked against the version in the database, at the latest when the
next one is written.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import Connection

from access.ids import DoorId, RequestId, SiteId
from access.messages import AccessDecision
from access.model import Policy
from access.policy import UnknownDoorError
from server import badge_tokens, ledger, orders, registry
from server.copies import badges_with_tokens
from server.database import ConflictError, Database
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
from server.events import Asked, Event, OrderLapsed, Ticked
from server.gate import Gate
from server.silence import Patience
from server.state import SiteState, from_json, to_json

_log = logging.getLogger(__name__)

_TRIES: Final = 20
"""How often a turn is done anew when another process was faster: with two at once, five ran out."""

_KEPT: Final = Keep | SetAside | Credit | KeepToken | SuspendBadge | DropOrder

PolicyOf = Callable[[SiteId], Policy]


@dataclass(slots=True, kw_only=True)
class _Remembered:
    """What was so after the transaction that made `version`.

    Attributes:
        state: changed in place by the gate while a transaction runs.
        body: the state as it is committed.
        policy: the rules, as they were when the database was last looked at.
    """

    state: SiteState
    version: int
    body: str
    policy: Policy | None = None


class Gatehouse:
    """Runs the gates of all sites on one database.

    Args:
        database: where ledger and states are kept.
        policy_of: gives the policy of a site as it is now.
        patience: how long doors may be silent before it is told; None for ever.
    """

    def __init__(
        self, *, database: Database, policy_of: PolicyOf, patience: Patience | None = None
    ) -> None:
        self._database = database
        self._patience = patience
        self._policy_of = policy_of
        self._remembered: dict[SiteId, _Remembered] = {}
        self._lock: Final = threading.Lock()

    def handle(self, site: SiteId, events: Sequence[Event], now: datetime) -> list[Effect]:
        """Handle events in order, in one transaction; blocks until it is committed.

        A request that has been decided before is answered as it was then.

        Args:
            site: whose gate.
            events: what happened, in order.
            now: the time of the server.

        Returns:
            What to send; all that had to be kept is committed.

        Raises:
            DeskError: somebody at the desk asked for what can't be done; nothing has changed.
            DatabaseError: it can't be kept now; nothing has changed, and nothing may be sent.
        """
        with self._lock:
            for _ in range(_TRIES - 1):
                # What was remembered is outdated, or a request has been decided before: look again.
                with suppress(ConflictError):
                    return self._handle_or_forget(site, events, now)
            return self._handle_or_forget(site, events, now)

    def look(self, site: SiteId) -> SiteState:
        """Give a copy of the state of a site as it is committed."""
        with self._lock, self._database.reading() as connection:
            body = self._recall(connection, site).body
        return from_json(body)

    def orders(self, site: SiteId) -> list[WaitingOrder]:
        """Give what the doors of a site are still to be told, as it is committed, oldest first."""
        with self._database.reading() as connection:
            return orders.waiting(connection, site)

    def has_due(self, site: SiteId, now: datetime) -> bool:
        """Whether the clock alone would change anything at a site.

        To be asked some times a second: requests are decided by the rules as they were then.
        """
        policy = self._policy_of(site)
        with self._lock, self._database.reading() as connection:
            remembered = self._recall(connection, site)
            remembered.policy = policy
            return Gate(policy, remembered.state, patience=self._patience).has_due(now)

    def _handle_or_forget(
        self, site: SiteId, events: Sequence[Event], now: datetime
    ) -> list[Effect]:
        try:
            return self._handle(site, events, now)
        except BaseException:
            # The gate in memory may have gone ahead of what is committed.
            self._remembered.pop(site, None)
            raise

    def _handle(self, site: SiteId, events: Sequence[Event], now: datetime) -> list[Effect]:
        believed = self._believe(site, events)
        policy = believed.policy if believed is not None else None
        if policy is None:
            policy = self._policy_of(site)
        with self._database.writing() as connection:
            answers: dict[str, Answer] = {}
            if believed is None:
                events = _without_settled(connection, site, events)
                answers = _earlier_answers(connection, site, events)
            remembered = believed or self._recall(connection, site)
            tokens = badge_tokens.load(connection, badges_with_tokens(events, policy))
            gate = Gate(policy, remembered.state, tokens, patience=self._patience)
            effects = _handled(gate, events, answers, now)
            # Rules that a copied badge has changed are compiled anew for the next turn.
            remembered.policy = policy if gate.policy is policy else None
            # The state comes first: where another process was faster, it is its row that says so.
            _save(connection, site, remembered)
            _keep(connection, site, effects, now)
            _keep_badges(connection, effects)
        return [e for e in effects if not isinstance(e, _KEPT)]

    def _believe(self, site: SiteId, events: Sequence[Event]) -> _Remembered | None:
        """Give what is remembered where it need not be compared with the database first.

        That is where all that happens are requests. Each decision writes the state and its
        request's id: the first fails if the state is outdated, the second if it has been decided
        before. So a request takes two statements and no reading. Of one that its door has settled
        by itself, the database says whether it was decided as well.
        """
        remembered = self._remembered.get(site)
        if remembered is None:
            return None
        doors = remembered.state.doors
        is_new = all(
            isinstance(event, Asked)
            and (event.door not in doors or event.request.id not in doors[event.door].settled)
            for event in events
        )
        return remembered if is_new else None

    def _recall(self, connection: Connection, site: SiteId) -> _Remembered:
        """Give what is remembered, read anew if another process has acted since."""
        remembered = self._remembered.get(site)
        if remembered is None or remembered.version != ledger.state_version(connection, site):
            version, body = ledger.load_state(connection, site) or (0, to_json(SiteState()))
            remembered = _Remembered(state=from_json(body), version=version, body=body)
            self._remembered[site] = remembered
        return remembered


def _handled(
    gate: Gate, events: Sequence[Event], answers: dict[str, Answer], now: datetime
) -> list[Effect]:
    """Handle each event, or give the answer that its request has had before."""
    effects: list[Effect] = []
    for event in events:
        earlier = _answered(event, answers)
        done = [earlier] if earlier is not None else _tried(gate, event, now)
        answers |= {e.decision.request: e for e in done if isinstance(e, Answer)}
        effects += done
    return effects


def _save(connection: Connection, site: SiteId, remembered: _Remembered) -> None:
    body = to_json(remembered.state)
    if body != remembered.body:
        remembered.version += 1
        remembered.body = body
        ledger.save_state(connection, site, remembered.version, body)


def _keep(connection: Connection, site: SiteId, effects: Sequence[Effect], now: datetime) -> None:
    kept = [_entry(site, effect, now) for effect in effects if isinstance(effect, Keep)]
    if kept:
        ledger.append(connection, kept)
    for effect in effects:
        if isinstance(effect, SetAside):
            ledger.set_aside(
                connection,
                site=site,
                door=effect.door,
                received=now,
                why=effect.why,
                body=msgspec.json.encode(effect.record).decode(),
            )
        elif isinstance(effect, Credit):
            ledger.credit(
                connection,
                site=site,
                member=effect.member,
                minutes=effect.minutes,
                watch=effect.watch,
                at=effect.at,
            )
        elif isinstance(effect, SendOrder):
            orders.add(connection, site, effect)
        elif isinstance(effect, DropOrder):
            orders.drop(connection, site, effect)


def _without_settled(
    connection: Connection, site: SiteId, events: Sequence[Event]
) -> Sequence[Event]:
    """Leave out orders that lapsed where another server, or the door, was faster."""
    lapsed = frozenset(event.id for event in events if isinstance(event, OrderLapsed))
    if not lapsed:
        return events
    waiting = orders.still_waiting(connection, site, lapsed)
    return [e for e in events if not isinstance(e, OrderLapsed) or e.id in waiting]


def _keep_badges(connection: Connection, effects: Sequence[Effect]) -> None:
    """Keep what badges have shown, and suspend those of which there is a copy."""
    for effect in effects:
        if isinstance(effect, KeepToken):
            badge_tokens.keep(connection, effect.badge, effect.seen, effect.floor)
        elif isinstance(effect, SuspendBadge):
            registry.suspend_badge(connection, effect.badge)


def _entry(site: SiteId, effect: Keep, now: datetime) -> ledger.Entry:
    return ledger.Entry(
        site=site,
        source=effect.source,
        seq=effect.record["seq"],
        kind=effect.record["type"],
        time=effect.time,
        received=now,
        member=effect.member,
        request=effect.request,
        record=effect.record,
    )


def _tried(gate: Gate, event: Event, now: datetime) -> list[Effect]:
    try:
        return gate.handle(event, now)
    except UnknownDoorError as error:
        _log.warning("a message was dropped: %s", error)
        return []


def _earlier_answers(
    connection: Connection, site: SiteId, events: Sequence[Event]
) -> dict[str, Answer]:
    """Give the answers that requests have had before, so that a repeated one gets the same."""
    asked = [RequestId(event.request.id) for event in events if isinstance(event, Asked)]
    decided = ledger.decision_of(connection, site, asked)
    return {
        request: Answer(
            door=DoorId(record["data"]["door"]),
            decision=msgspec.convert(record["data"]["answer"], AccessDecision),
        )
        for request, record in decided.items()
    }


def _answered(event: Event, answers: dict[str, Answer]) -> Answer | None:
    if not isinstance(event, Asked):
        return None
    earlier = answers.get(event.request.id)
    # The answer goes to the door that asked first: an id that another door repeats opens nothing.
    return replace(earlier, correlation=event.correlation) if earlier is not None else None


TICK: Final = (Ticked(),)
"""The events of a turn in which nothing but time has passed."""
