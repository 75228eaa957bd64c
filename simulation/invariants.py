"""The invariants, checked at each step where that is possible: a witness that trusts nobody.

They have the numbers of the house's list: 1 free exit, 2 no unlock without a record, 3 nobody
after hours without a watch, 4 each record exactly once, 5 no release by a failure, 6 no stale or
borrowed grant, 7 revocation holds, 8 copies of badges (`copies`), 9 the ledger can be verified, 10
the count follows from the ledger, 11 nobody is named (`discretion`), 12 everything is bounded and
live. What is checked at the end is in `verdicts`. The witness has the rules in words of its own; it
never asks `decide`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from access.badge import digest
from access.ids import BadgeDigest, DoorId, MemberId
from access.instants import Span, from_rfc3339
from access.model import Authorization, BadgeLevel, Member, Plan, Policy, Reader, Status
from access.tokens import UNPROVEN, CardToken
from edge.door import Door
from edge.events import FireChanged, Started, Tick
from edge.fire import CAUSE as FIRE
from edge.ports import Signal
from edge.presentation import CardRead, CardUnreadable
from edge.unit import Happening
from runtime.link import Incoming, LinkUp
from server.effects import Credit, Effect, Keep
from server.state import SiteState
from simulation.copies import CopiesSeen
from simulation.discretion import Discretion
from simulation.rulebook import BADGE_KEY, Card, Rulebook
from simulation.world import World

ANSWER_S: Final = 3.0
"""How long somebody may stand before a door without an answer (12)."""

REVOKED_WITHIN_S: Final = 5.0
"""How soon a revocation holds where the server is in reach (7)."""

WAITS_S: Final = 0.4
"""How long the answer of the server may be used (6)."""

LONGEST_UNLOCK_S: Final = 70.0
"""How long a lock may stay released, but for passage mode and for people who come one by one."""

_CLOCKS_DIFFER: Final = timedelta(minutes=2)
_REMEMBERED_S: Final = 2.0
_FRESH_S: Final = 15.0
_KEPT_S: Final = 1800.0
_ANSWERS: Final = frozenset({Signal.GRANTED, Signal.REFUSED, Signal.ALARM})
_BREAK_INS: Final = frozenset({"gardien.door.forced", "gardien.door.held"})
_MOVERS: Final = ("/decision", "/command")


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """An invariant that did not hold.

    Attributes:
        number: of the invariant.
        at_s: when, in true seconds since the start.
        text: what was seen.
    """

    number: int
    at_s: float
    text: str


@dataclass(slots=True, kw_only=True)
class Tap:
    """A badge that was presented.

    Attributes:
        taken_s: when the unit took it up; None before.
        is_answered: whether something was shown for it.
        boots: how often the unit had been started then.
        token: what its card has shown.
    """

    at_s: float
    reader: Reader
    badge: BadgeDigest
    boots: int
    taken_s: float | None = None
    is_answered: bool = False
    records: int = 0
    token: CardToken | None = None


@dataclass(slots=True, kw_only=True)
class DoorSeen:
    """What the witness has seen of one door."""

    records: list[dict[str, Any]] = field(default_factory=list)
    taps: list[Tap] = field(default_factory=list)
    turn: int = 0
    unlock_turn: int = -1
    boots: int = 0
    is_down: bool = True
    happening: Happening = field(default_factory=Tick)
    policy: Policy | None = None
    undisturbed_s: float = 0.0
    commands: dict[str, datetime] = field(default_factory=dict)
    held_under: str | None = None
    is_held: bool = False
    waits: bool = False
    unlocks: int = 0
    obeyed: list[str] = field(default_factory=list)
    in_fire: bool = False
    fires_told: int = 0


@dataclass(slots=True, kw_only=True)
class WatchSeen:
    """What the ledger has said of one watch."""

    guardian: MemberId
    opened: datetime
    is_open: bool = True
    ends: list[str] = field(default_factory=list)
    minutes: dict[str, int] = field(default_factory=dict)
    credits: list[tuple[MemberId, int]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Witness:
    """Sees all that happens, and protests.

    Attributes:
        patience_s: how much longer messages may take now, in seconds.
        decision_of: gives a committed decision by its request.
        in_reach: whether nothing stands between a door and the server now.
    """

    world: World
    rules: Rulebook
    doors: dict[DoorId, DoorSeen] = field(default_factory=dict)
    watches: dict[str, WatchSeen] = field(default_factory=dict)
    told_by_doors: dict[str, timedelta] = field(default_factory=dict)
    decided: dict[str, bool] = field(default_factory=dict)
    violation: Violation | None = None
    patience_s: float = 0.0
    copies: CopiesSeen = field(init=False)
    discretion: Discretion = field(init=False)
    decision_of: Callable[[str], dict[str, Any] | None] = lambda _request: None
    in_reach: Callable[[DoorId], bool] = lambda _door: False

    def __post_init__(self) -> None:
        """Look at copied badges as well, and at what names somebody."""
        self.discretion = Discretion(protest=self.protest)
        self.discretion.guard(card.uid for card in self.rules.cards.values())
        self.copies = CopiesSeen(world=self.world, rules=self.rules, protest=self.protest)

    def protest(self, number: int, text: str) -> None:
        """Note that an invariant did not hold; the first one counts."""
        if self.violation is None:
            self.violation = Violation(number=number, at_s=self.world.now_s, text=text)
            self.world.tell("witness", f"invariant {number}", text)

    def door(self, door: DoorId) -> DoorSeen:
        """Give what was seen of a door."""
        return self.doors.setdefault(door, DoorSeen())

    def started(self, door: DoorId) -> None:
        """A unit was started."""
        seen = self.door(door)
        seen.boots, seen.is_down = seen.boots + 1, False
        self.disturbed(door)

    def stopped(self, door: DoorId) -> None:
        """A unit has lost its power, or was stopped."""
        self.door(door).is_down = True

    def disturbed(self, door: DoorId | None = None) -> None:
        """Something is wrong between the server and a door, or all doors."""
        for name, seen in self.doors.items():
            if door in {None, name}:
                seen.undisturbed_s = self.world.now_s

    def tapped(
        self,
        door: DoorId,
        reader: Reader,
        card: Card,
        met: CardRead | CardUnreadable,
        *,
        is_stalled: bool,
    ) -> None:
        """Somebody presents a badge, and is to get an answer."""
        seen = self.door(door)
        tap = Tap(
            at_s=self.world.now_s,
            reader=reader,
            badge=digest(card.uid, BADGE_KEY),
            boots=seen.boots,
            token=met.token if isinstance(met, CardRead) else None,
        )
        seen.taps.append(tap)
        is_pulled = card.body is not None and (card.body.leaves_after or 0) < 0
        self.copies.presented(card, met, is_pulled=is_pulled)
        if is_stalled:
            self.world.count("tap_while_stalled")
        self.world.after(ANSWER_S, lambda: self._is_answered(door, tap))

    def begins(self, door: DoorId, happening: Happening) -> None:
        """A unit takes something up."""
        seen = self.door(door)
        seen.turn += 1
        seen.happening = happening
        if isinstance(happening, LinkUp):
            seen.undisturbed_s = self.world.now_s
        if isinstance(happening, CardRead | CardUnreadable) and happening.uid is not None:
            badge = digest(happening.uid, BADGE_KEY)
            token = happening.token if isinstance(happening, CardRead) else None
            for tap in seen.taps:
                # What a unit had not taken up when it lost its power, it never does.
                is_it = (tap.badge, tap.token, tap.boots) == (badge, token, seen.boots)
                if tap.taken_s is None and is_it:
                    tap.taken_s = self.world.now_s
                    break

    def ends(self, door: DoorId, rules: Door, wrong: str | None, *, waits: bool) -> None:
        """A unit has done its turn."""
        seen = self.door(door)
        seen.waits = waits
        seen.policy, seen.is_held = rules.policy, rules.is_held
        self._holds(door, seen, rules)
        self._burns(door, seen, rules)
        if seen.taps and seen.taps[0].at_s <= self.world.now_s - _KEPT_S:
            seen.taps = [t for t in seen.taps if t.at_s > self.world.now_s - _KEPT_S]
        if wrong is not None:
            self.world.count("fault_in_turn")
            if "refuses" not in wrong and "holds" not in wrong:
                self.protest(12, f"{door}: a turn failed: {wrong}")

    def _holds(self, door: DoorId, seen: DoorSeen, rules: Door) -> None:
        """A door is held unlocked under a watch for no longer than the watch."""
        if not rules.is_held or seen.held_under is None or seen.policy is None:
            return
        if not self._knows_of_watch(seen.policy, seen.held_under):
            self.protest(3, f"{door} is held unlocked, and the watch is over")

    def _burns(self, door: DoorId, seen: DoorSeen, rules: Door) -> None:
        """While the panel has freed a door, its unit takes it for free, and says so (1)."""
        happening = seen.happening
        is_told = isinstance(happening, FireChanged | Started)
        if not is_told and not seen.in_fire:
            return
        if isinstance(happening, FireChanged):
            seen.in_fire = happening.is_on
        elif isinstance(happening, Started):
            seen.in_fire = happening.is_fire
        if is_told and seen.in_fire and not seen.waits and not seen.fires_told:
            self.protest(1, f"{door} does not record that the fire panel has freed it")
        if not seen.in_fire:
            seen.fires_told = 0
        elif not rules.view.fire or rules.view.lock == "locked":
            self.protest(1, f"{door} takes itself for locked before the fire panel is reset")

    def shown(self, door: DoorId, signal: Signal) -> None:
        """A door shows something."""
        if signal in _ANSWERS:
            for tap in self.door(door).taps:
                tap.is_answered = tap.is_answered or tap.taken_s is not None

    def locked(self, door: DoorId) -> None:
        """A lock was locked."""
        seen = self.door(door)
        seen.unlocks += 1
        if isinstance(seen.happening, FireChanged) and not seen.is_down:
            self.protest(1, f"{door} moves its lock because of the fire panel")

    def unlocked(self, door: DoorId, *, has_unsaved: bool) -> None:
        """A lock was released by its unit."""
        seen = self.door(door)
        number = seen.unlocks
        self.world.after(LONGEST_UNLOCK_S, lambda: self._is_locked_again(seen, door, number))
        is_recorded = seen.unlock_turn == seen.turn
        if not is_recorded and not has_unsaved:
            self.protest(2, f"{door} unlocked without a durable record")
        happening = seen.happening
        may = isinstance(happening, CardRead | Tick) or (
            isinstance(happening, Incoming) and happening.topic.endswith(_MOVERS)
        )
        if not may:
            self.protest(5, f"{door} unlocked because of {type(happening).__name__}")

    def _is_locked_again(self, seen: DoorSeen, door: DoorId, number: int) -> None:
        """Nobody keeps a door open by badging: a release ends, unless more people come."""
        if seen.unlocks == number and not seen.is_held and not self._has_taps(seen):
            self.protest(12, f"{door} has been unlocked for {LONGEST_UNLOCK_S:.0f} s")

    def _has_taps(self, seen: DoorSeen) -> bool:
        return any(tap.at_s > self.world.now_s - LONGEST_UNLOCK_S + 1.0 for tap in seen.taps)

    def durable(self, door: DoorId, record: dict[str, Any]) -> None:
        """A record is on a door's platter."""
        seen = self.door(door)
        seen.records.append(record)
        kind, data = record["type"], record["data"]
        if kind == "gardien.lock.unlocked" and data.get("cause") == FIRE:
            seen.fires_told += 1
            self.world.count("fire_told")
        elif kind == "gardien.lock.unlocked":
            seen.unlock_turn = seen.turn
            self._obeyed(door, seen, data)
        elif kind in _BREAK_INS and seen.in_fire and not seen.waits:
            self.protest(1, f"{door} takes a way out of the fire for a break-in: {kind}")
        elif kind == "gardien.passage.started":
            seen.held_under = data["watch"]
            self.world.count("passage.started")
        elif kind == "gardien.passage.ended" and data.get("cause") == "gesture":
            # What is shown for it is that green is over.
            self.shown(door, Signal.GRANTED)
        elif kind == "gardien.watch.opened":
            off = from_rfc3339(record["time"]) - self.world.now
            self.told_by_doors[str(data["watch"])] = off
        elif kind == "gardien.passage.ended":
            self.world.count(kind.removeprefix("gardien."))
        elif kind in {"gardien.access.granted", "gardien.access.denied"}:
            self._answered(door, seen, record)

    def committed(self, effects: Sequence[Effect], state: SiteState) -> None:
        """A transaction of the server is committed, with the state that follows."""
        for effect in effects:
            if isinstance(effect, Credit):
                self.world.count("credited")
                seen = self.watches.get(effect.watch)
                if seen is None:
                    self.protest(10, f"watch {effect.watch} credits, and was never opened")
                else:
                    seen.credits.append((effect.member, effect.minutes))
            elif isinstance(effect, Keep):
                self._kept(effect)
        self.copies.committed(effects, state)
        self.discretion.kept([effect.record for effect in effects if isinstance(effect, Keep)])

    def _kept(self, effect: Keep) -> None:
        what = effect.record["type"].removeprefix("gardien.")
        if effect.source != "server":
            return
        data = effect.record["data"]
        if what == "access.decided":
            self._decided(effect, data)
        elif what.startswith("watch."):
            self.world.count(what)
            self._of_watch(what.removeprefix("watch."), effect, data)
        elif what == "occupancy.changed" and min(data["present"], data["margin"]) < 0:
            self.protest(10, f"a count below nobody: {data}")
        elif what == "guests.changed" and data["guests"] < 0:
            self.protest(10, f"guests below none: {data}")

    def _of_watch(self, what: str, effect: Keep, data: dict[str, Any]) -> None:
        name = str(data["watch"])
        if what == "opened":
            self._watch_opens(name, effect, data)
            return
        seen = self.watches.get(name)
        if seen is None:
            self.protest(3, f"watch {name} is {what}, and was never opened")
            return
        if what in {"closing", "closed", "lapsed"}:
            seen.is_open = False
        if what in {"closed", "lapsed"}:
            seen.ends.append(what)
            seen.minutes = dict(data.get("minutes", {}))
            if len(seen.ends) > 1:
                self.protest(4, f"watch {name} ended {len(seen.ends)} times")

    def _watch_opens(self, name: str, effect: Keep, data: dict[str, Any]) -> None:
        if name in self.watches and "lapsed" in self.watches[name].ends:
            # The door's word that it was opened came after the server had given up waiting.
            self.world.count("watch.revived")
        elif name in self.watches:
            self.protest(4, f"watch {name} was opened twice")
            return
        guardian = MemberId(str(data["guardian"]))
        self.watches[name] = WatchSeen(guardian=guardian, opened=effect.time)
        recent = self.rules.lately(_REMEMBERED_S)
        if not any(_may_open(one.policy, guardian, effect.time) for one in recent):
            self.protest(3, f"{guardian} opened a watch without an authorization")

    def _decided(self, effect: Keep, data: dict[str, Any]) -> None:
        answer = data["answer"]
        if answer["request"] in self.decided:
            self.protest(4, f"request {answer['request']} was decided twice")
        self.decided[answer["request"]] = True
        if data["reader"] != "in" or not answer["granted"]:
            return
        badge = BadgeDigest(str(data["badge"]))
        at = from_rfc3339(effect.record["time"])
        open_now = any(watch.is_open for watch in self.watches.values())
        some = any(not watch.ends for watch in self.watches.values())
        recent = self.rules.lately(_REMEMBERED_S)
        proven = data.get("proof") == "fits"
        if not any(
            self._may_enter(one.policy, badge, at, timedelta(), open_now, some, proven)
            for one in recent
        ):
            self.protest(3, f"the server admits {answer['member']}: {answer['reason']}")
        if answer["reason"] == "opening_hours" and not any(one.is_open(at) for one in recent):
            self.protest(3, f"the server takes {at} for opening hours")
        self._is_revoked(badge, "the server")
        if answer["reason"] == "watch_opened":
            self._is_fresh(DoorId(str(data["door"])), badge)

    def _is_fresh(self, door: DoorId, badge: BadgeDigest) -> None:
        """A watch opens only for somebody who stands at the door."""
        since_s = self.world.now_s - _FRESH_S - self.patience_s
        if not any(t.badge == badge and t.at_s >= since_s for t in self.door(door).taps):
            self.protest(3, f"a watch opened by a badge that was read at {door} long ago")

    def _is_revoked(self, badge: BadgeDigest, by: str) -> None:
        revoked_s = self.rules.revoked_s.get(badge)
        if revoked_s is not None and self.world.now_s > revoked_s + REVOKED_WITHIN_S:
            late_s = self.world.now_s - revoked_s
            self.protest(7, f"{by} admits a badge that was revoked {late_s:.1f} s ago")

    def _answered(self, door: DoorId, seen: DoorSeen, record: dict[str, Any]) -> None:
        data = record["data"]
        badge = BadgeDigest(str(data["badge"]))
        now_s = self.world.now_s
        mine = [
            t
            for t in reversed(seen.taps)
            if t.badge == badge and t.taken_s is not None and data.get("token") == t.token
        ]
        tap = next((t for t in mine if not t.records), None)
        if tap is None:
            self.protest(6, f"{door} answered a badge that nobody presented")
        else:
            tap.records += 1
            tap.is_answered = True
        if data.get("token") is not None:
            self.copies.recorded(door, data)
        is_in = record["type"] == "gardien.access.granted" and data["reader"] == "in"
        if not is_in:
            return
        self.world.count("granted alone" if data["offline"] else "granted by the server")
        if data["offline"]:
            self._granted_alone(door, seen, record, badge)
            return
        self._granted_by_server(door, data)
        taken_s = tap.taken_s if tap is not None else None
        # What waited in memory for the disk is written late, and was used in time.
        if taken_s is not None and not seen.waits and now_s - taken_s > WAITS_S + 0.01:
            self.protest(6, f"{door} used an answer that came {now_s - taken_s:.2f} s late")

    def _granted_by_server(self, door: DoorId, data: dict[str, Any]) -> None:
        decided = self.decision_of(str(data["request"]))
        if decided is None:
            self.protest(6, f"{door} was opened by an answer that is not in the ledger")
            return
        said = decided["data"]
        same = said["door"] == door and said["badge"] == data["badge"]
        if not same or not said["answer"]["granted"]:
            self.protest(6, f"{door} was opened by an answer that was not for it: {said}")

    def _granted_alone(
        self, door: DoorId, seen: DoorSeen, record: dict[str, Any], badge: BadgeDigest
    ) -> None:
        policy = seen.policy
        if policy is None:
            self.protest(3, f"{door} admits somebody without a policy")
            return
        if self.world.now > policy.issued + timedelta(hours=120) + _CLOCKS_DIFFER:
            self.protest(3, f"{door} relies on a policy of {policy.issued}")
        runs = self._knows_of_watch(policy, str(record["data"]["watch"]))
        # A guardian may open by the clock of a door that doubts it: so the house has decided.
        said = from_rfc3339(record["time"])
        proven = record["data"].get("token") not in {None, UNPROVEN}
        by_clock = record["data"]["reason"] == "watch_opened" and self._may_enter(
            policy, badge, said, timedelta(), runs, runs, proven
        )
        slack, now = _CLOCKS_DIFFER, self.world.now
        if not by_clock and not self._may_enter(policy, badge, now, slack, runs, runs, proven):
            self.protest(3, f"{door} admits {record['data']['member']} alone: {record['data']}")
        if not self.in_reach(door):
            return
        since_s = max(seen.undisturbed_s, self.rules.revoked_s.get(badge, float("inf")))
        if self.world.now_s > since_s + REVOKED_WITHIN_S + 2 * self.patience_s:
            self.protest(7, f"{door} admits a revoked badge, and the server is in reach")

    def _knows_of_watch(self, policy: Policy, name: str) -> bool:
        """Whether the watch was ever opened, and some authorization still runs."""
        if name not in self.watches and name not in self.told_by_doors:
            return False
        off = self.told_by_doors.get(name, timedelta())
        everybody = [*[one.policy for one in self.rules.editions], policy]
        return any(
            _runs(one, self.world.now, _CLOCKS_DIFFER)
            or _runs(one, self.world.now + off, _CLOCKS_DIFFER)
            for each in everybody
            for theirs in each.authorizations.values()
            for one in theirs
        )

    def _may_enter(  # noqa: PLR0917 (all of it is what the rules ask)
        self,
        policy: Policy,
        badge: BadgeDigest,
        at: datetime,
        slack: timedelta,
        is_watched: bool,  # noqa: FBT001 (named at each call)
        is_closing: bool,  # noqa: FBT001 (likewise)
        is_proven: bool,  # noqa: FBT001 (likewise)
    ) -> bool:
        """Say by rules of one's own whether a badge may open a door at `at`."""
        known = policy.badges.get(badge)
        member = policy.members.get(known.member) if known is not None else None
        if known is None or member is None or known.status.value != "active":
            return False
        if member.status is not Status.ACTIVE:
            return False
        level = known.level if is_proven else BadgeLevel.L0
        if level < policy.level_after_hours and not _is_within(policy.opening, at, slack):
            return False
        if member.plan is Plan.STAFF or _is_open(policy, member, at, slack):
            return True
        if member.is_guardian and (is_closing or _may_open(policy, member.id, at, slack)):
            return True
        return is_watched

    def _obeyed(self, door: DoorId, seen: DoorSeen, data: dict[str, Any]) -> None:
        command = data.get("command")
        if command is None:
            return
        expires = seen.commands.get(str(command))
        if expires is None:
            self.protest(6, f"{door} obeyed a command that was not for it")
        elif self.world.now > expires + _CLOCKS_DIFFER:
            self.protest(6, f"{door} obeyed a command {self.world.now - expires} too late")
        if command in seen.obeyed:
            self.protest(6, f"{door} obeyed a command twice")
        seen.obeyed.append(str(command))

    def _is_answered(self, door: DoorId, tap: Tap) -> None:
        seen = self.door(door)
        if not tap.is_answered and seen.boots == tap.boots and not seen.is_down:
            self.protest(12, f"{door} gave no answer for {ANSWER_S} s")


def _is_open(policy: Policy, member: Member, at: datetime, slack: timedelta) -> bool:
    spans = [*policy.opening, *policy.plan_hours.get(member.plan, ())]
    return _is_within(spans, at, slack)


def _is_within(spans: Sequence[Span], at: datetime, slack: timedelta) -> bool:
    return any(span.start - slack <= at < span.end + slack for span in spans)


def _may_open(
    policy: Policy, guardian: MemberId, at: datetime, slack: timedelta = timedelta()
) -> bool:
    member = policy.members.get(guardian)
    if member is None or not member.is_guardian or member.status is not Status.ACTIVE:
        return False
    return any(_runs(one, at, slack) for one in policy.authorizations.get(guardian, ()))


def _runs(one: Authorization, at: datetime, slack: timedelta) -> bool:
    return one.span.start - one.lead - slack <= at < one.span.end + slack
