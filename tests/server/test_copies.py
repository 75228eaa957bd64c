"""Copies of badges: found by their tokens at the gate, and kept with what follows from them."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from access.ids import BadgeDigest, DoorId, MemberId, SiteId
from access.instants import Span
from access.journal import Head, chained
from access.messages import AccessRequest, DoorState
from access.model import (
    Authorization,
    Badge,
    BadgeLevel,
    BadgeStatus,
    Door,
    Member,
    Plan,
    Policy,
    Reader,
)
from access.policy import Token
from access.tokens import (
    UNPROVEN,
    CardToken,
    SeenTokens,
    counter_of,
    verdict,
)
from server.effects import Answer, Effect, Keep, KeepToken, SuspendBadge
from server.events import Asked, DoorSaid, Event, Reported
from server.gate import Gate
from server.state import SiteState

SITE = SiteId("lyon")
MAIN, LAB = DoorId("main"), DoorId("lab")
ANNA, BOB = MemberId("anna"), MemberId("bob")
CARD, OTHER, STRANGE = (BadgeDigest(digit * 32) for digit in "abc")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def token(counter: int, nonce: int = 0) -> CardToken:
    return CardToken(f"{counter:08x}{nonce:08x}{'5a' * 8}")


def new_id() -> str:
    return str(uuid.uuid4())


def asks(
    shown: CardToken | None,
    *,
    badge: BadgeDigest = CARD,
    at: datetime = NOON,
    door: DoorId = MAIN,
    reader: Any = "in",
) -> Asked:
    request = AccessRequest(id=new_id(), at=at, reader=reader, badge=badge, token=shown)
    return Asked(door=door, request=request)


def rules(*, status: BadgeStatus = BadgeStatus.ACTIVE, **changes: Any) -> Policy:
    values: dict[str, Any] = {
        "version": 1,
        "site": SITE,
        "issued": NOON,
        "relies_until": NOON + 3 * DAY,
        "capacity": 60,
        "doors": {
            door: Door(id=door, name=door, plans=frozenset(Plan), readers=tuple(Reader))
            for door in (MAIN, LAB)
        },
        "members": {m: Member(id=m, plan=Plan.NOMAD) for m in (ANNA, BOB)},
        "badges": {
            CARD: Badge(digest=CARD, member=ANNA, level=BadgeLevel.L1, status=status),
            OTHER: Badge(digest=OTHER, member=BOB),
        },
        "opening": (Span(start=NOON - DAY, end=NOON + 30 * DAY),),
        "level_after_hours": BadgeLevel.L1,
    }
    return Policy(**(values | changes))


@dataclass
class AtTheGate:
    """A gate with what it remembers of one badge, and the doors that report to it."""

    gate: Gate = field(default_factory=lambda: Gate(rules(), SiteState(), {CARD: SeenTokens()}))
    now: datetime = NOON
    effects: list[Effect] = field(default_factory=list)
    heads: dict[DoorId, Head] = field(default_factory=dict)

    def tell(self, happened: Event) -> list[Effect]:
        effects = self.gate.handle(happened, self.now)
        self.effects += effects
        return effects

    def ask(self, shown: CardToken | None, **how: Any) -> tuple[bool, str]:
        return self.answer(asks(shown, **({"at": self.now} | how)))

    def answer(self, asked: Asked) -> tuple[bool, str]:
        answers = [e.decision for e in self.tell(asked) if isinstance(e, Answer)]
        return answers[0].granted, answers[0].reason

    def record(self, shown: CardToken | None, door: DoorId = MAIN, **data: Any) -> list[Effect]:
        return self.report(self.make(shown, door, **data), door)

    def make(self, shown: CardToken | None, door: DoorId = MAIN, **data: Any) -> dict[str, Any]:
        granted = data.pop("granted", True)
        said = {
            "reader": "in",
            "badge": CARD,
            "token": shown,
            "offline": True,
            "request": new_id(),
            "reason": "opening_hours" if granted else "badge_cloned",
        }
        record, self.heads[door] = chained(
            self.heads.get(door, Head()),
            site=SITE,
            source=door,
            kind="access.granted" if granted else "access.denied",
            time=data.pop("time", self.now),
            data=said | data,
        )
        return record

    def report(self, record: dict[str, Any], door: DoorId = MAIN) -> list[Effect]:
        return self.tell(Reported(door=door, records=(record,)))

    def say_clock(self, door: DoorId, clock_ms: int | None) -> None:
        """Let a door say how far its clock is ahead."""
        state = DoorState(online=True, at=self.now, queue=0, clock_ms=clock_ms)
        self.tell(DoorSaid(door=door, state=state))

    @property
    def is_suspended(self) -> bool:
        return self.gate.policy.badges[CARD].status is BadgeStatus.SUSPENDED

    def alerts(self) -> list[dict[str, Any]]:
        return [
            effect.record["data"]
            for effect in self.effects
            if isinstance(effect, Keep) and effect.record["type"] == "gardien.alert.badge_cloned"
        ]


@pytest.fixture
def at() -> AtTheGate:
    return AtTheGate()


def test_a_badge_that_proves_itself_is_admitted_and_its_token_kept(at: AtTheGate) -> None:
    assert at.ask(token(3)) == (True, "opening_hours")
    (kept,) = [effect for effect in at.effects if isinstance(effect, KeepToken)]
    assert (kept.badge, kept.seen.counter, kept.seen.at) == (CARD, 3, NOON)
    decided = next(e.record["data"] for e in at.effects if isinstance(e, Keep))
    assert decided["proof"] == Token.FITS.value
    assert "token" not in decided


def test_without_a_token_nothing_is_kept_and_nothing_said_of_one(at: AtTheGate) -> None:
    assert at.ask(None) == (True, "opening_hours")
    assert not [effect for effect in at.effects if isinstance(effect, KeepToken | SuspendBadge)]
    assert "proof" not in next(e.record["data"] for e in at.effects if isinstance(e, Keep))


def test_after_hours_a_badge_counts_by_what_it_has_proved() -> None:
    talk = Authorization(
        id="talk", guardian=ANNA, span=Span(start=NOON - timedelta(hours=1), end=NOON + DAY)
    )
    guardian = Member(id=ANNA, plan=Plan.NOMAD, is_guardian=True)
    policy = rules(opening=(), members={ANNA: guardian}, authorizations={ANNA: (talk,)})
    at = AtTheGate(gate=Gate(policy, SiteState(), {CARD: SeenTokens()}))
    assert at.ask(None) == (False, "badge_level")
    assert at.ask(token(3)) == (True, "watch_opened")


@pytest.mark.parametrize("older", [token(3, nonce=1), token(2), UNPROVEN])
def test_a_copy_is_refused_its_badge_suspended_and_an_alert_raised_once(
    at: AtTheGate, older: CardToken
) -> None:
    at.ask(token(3))
    assert at.ask(older, door=LAB) == (False, "badge_cloned")
    assert at.is_suspended
    assert [e.badge for e in at.effects if isinstance(e, SuspendBadge)] == [CARD]
    assert at.alerts() == [{"door": LAB, "badge": CARD, "suspended": True}]


def test_then_the_owner_is_refused_too_and_each_try_raises_an_alert(at: AtTheGate) -> None:
    at.ask(token(3))
    at.ask(token(3, nonce=1))
    assert at.ask(token(4)) == (False, "badge_cloned")
    assert at.ask(None) == (False, "badge_cloned")
    assert [data["suspended"] for data in at.alerts()] == [True, False, False]
    assert len([e for e in at.effects if isinstance(e, SuspendBadge)]) == 1


def test_the_way_out_is_free_for_a_copy_which_is_found_there_all_the_same(at: AtTheGate) -> None:
    at.ask(token(3))
    assert at.ask(token(2), reader="out") == (True, "exit")
    assert at.is_suspended
    assert at.alerts() == [{"door": MAIN, "badge": CARD, "suspended": True}]


@pytest.mark.parametrize(
    ("status", "reason"),
    [(BadgeStatus.LOST, "badge_revoked"), (BadgeStatus.SUSPENDED, "badge_cloned")],
)
def test_a_badge_that_is_not_in_use_is_not_suspended_by_its_copy(
    status: BadgeStatus, reason: str
) -> None:
    at = AtTheGate(gate=Gate(rules(status=status), SiteState(), {CARD: SeenTokens()}))
    assert at.ask(UNPROVEN) == (False, reason)
    assert not [effect for effect in at.effects if isinstance(effect, SuspendBadge)]


def test_a_request_that_was_overtaken_is_refused_and_suspends_nobody(at: AtTheGate) -> None:
    """It waited at the broker for so long that its door has decided, and the card moved on."""
    at.ask(token(5))
    at.now += 10 * SECOND
    assert at.ask(token(4), at=NOON, door=LAB) == (False, "badge_cloned")
    assert not at.is_suspended
    assert at.alerts() == []
    assert at.ask(token(5, nonce=1), at=NOON, door=LAB) == (False, "badge_cloned")
    assert at.is_suspended


@pytest.mark.parametrize("ahead_s", [-4.0, 6.0, 3600.0])
def test_how_late_a_request_is_does_not_hang_on_how_the_clock_of_its_door_goes(
    at: AtTheGate, ahead_s: float
) -> None:
    """Weeks 58 and 382: read twice, and the first request came after the second.

    The clock of its door was ahead, so that it looked fresh.
    """
    off = timedelta(seconds=ahead_s)
    at.say_clock(LAB, round(ahead_s * 1000))
    at.ask(token(5))
    at.now += 3 * SECOND
    assert at.ask(token(4), at=NOON + off, door=LAB) == (False, "badge_cloned")
    assert not at.is_suspended
    assert at.ask(token(4), at=at.now + off, door=LAB) == (False, "badge_cloned")
    assert at.is_suspended


def test_a_door_that_does_not_know_how_its_clock_goes_is_taken_at_its_word(at: AtTheGate) -> None:
    at.say_clock(LAB, None)
    at.ask(token(5))
    assert at.ask(token(4), at=NOON - 3 * SECOND, door=LAB) == (False, "badge_cloned")
    assert not at.is_suspended
    assert at.ask(token(4), at=NOON + 6 * SECOND, door=LAB) == (False, "badge_cloned")
    assert at.is_suspended


def test_a_door_alone_tells_of_its_visits_late_and_out_of_order(at: AtTheGate) -> None:
    early = at.make(token(3), LAB)
    at.now += 60 * SECOND
    assert at.ask(token(4))[0]
    at.now += 60 * SECOND
    at.report(early, LAB)
    assert not at.is_suspended
    assert at.ask(token(5))[0]


def test_the_record_and_the_request_of_one_visit_are_no_copy_in_either_order(
    at: AtTheGate,
) -> None:
    first, second = asks(token(3)), asks(token(4))
    at.answer(first)
    at.record(token(3), request=first.request.id)
    at.record(token(4), request=second.request.id)
    assert at.answer(second) == (True, "opening_hours")
    assert not at.is_suspended


def test_a_counter_that_a_door_alone_saw_with_another_token_is_a_copy(at: AtTheGate) -> None:
    at.ask(token(3))
    at.record(token(3, nonce=1), LAB)
    assert at.is_suspended
    assert at.alerts() == [{"door": LAB, "badge": CARD, "suspended": True}]
    assert at.ask(token(4)) == (False, "badge_cloned")


def test_what_the_server_has_judged_itself_is_not_judged_again_by_its_record(
    at: AtTheGate,
) -> None:
    at.ask(token(3))
    at.record(token(3, nonce=1), offline=False)
    at.record(token(3, nonce=1), offline=None)
    assert not at.is_suspended


def test_a_door_alone_that_has_found_a_copy_is_believed(at: AtTheGate) -> None:
    at.ask(token(5))
    at.now += SECOND
    at.record(token(4), LAB, granted=False)
    assert at.is_suspended


def test_a_card_that_did_not_prove_itself_at_a_door_alone_is_a_copy(at: AtTheGate) -> None:
    at.record(UNPROVEN, LAB, granted=False)
    assert at.is_suspended


def test_a_refusal_from_before_the_badge_was_restored_suspends_it_no_second_time(
    at: AtTheGate,
) -> None:
    """A door alone refused the owner for the badge was suspended; it tells so a day later."""
    refused = at.make(token(6), LAB, granted=False)
    at.now += DAY
    at.ask(token(7))
    at.report(refused, LAB)
    assert not at.is_suspended


@pytest.mark.parametrize(
    "data",
    [
        {"token": None},
        {"token": "nonsense"},
        {"token": 7},
        {"token": ["x"]},
        {"badge": STRANGE},
        {"badge": None},
        {"badge": {}},
        {"enrolled": True},
    ],
)
def test_a_record_that_says_nothing_useful_of_a_token_changes_nothing(
    at: AtTheGate, data: dict[str, Any]
) -> None:
    at.ask(token(3))
    shown = data.pop("token", token(3, nonce=1))
    at.record(shown, **data)
    assert not at.is_suspended


# Any order of visits.


@dataclass
class Card:
    name: int
    counter: int = 2
    visits: int = 0

    def visit(self) -> CardToken:
        self.counter += 1
        self.visits += 1
        return token(self.counter, nonce=1000 * self.name + self.visits)


@dataclass
class LonelyDoor:
    """What a door keeps for itself: the newest counter that it has seen, and its journal."""

    newest: int = 0
    journal: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Town(AtTheGate):
    """A gate, two doors that are alone now and then, and cards that are pulled away."""

    doors: dict[DoorId, LonelyDoor] = field(
        default_factory=lambda: {MAIN: LonelyDoor(), LAB: LonelyDoor()}
    )
    late: list[Asked] = field(default_factory=list)

    def visit(self, card: Card, door: DoorId, how: str) -> bool:
        """Show a card at a door; say whether it was admitted."""
        self.now += 10 * SECOND
        shown, keeps = card.visit(), self.doors[door]
        if how == "pulled away":
            return False
        asked = asks(shown, at=self.now, door=door)
        if how == "late":
            self.late.append(asked)
        if how == "online":
            self.sync(door)
            granted, _ = self.answer(asked)
            keeps.newest = max(keeps.newest, counter_of(shown))
            return granted
        granted = verdict(shown, keeps.newest) is Token.FITS
        keeps.newest = max(keeps.newest, counter_of(shown))
        keeps.journal.append(
            self.make(shown, door, granted=granted, request=asked.request.id, time=self.now)
        )
        return granted

    def sync(self, door: DoorId) -> None:
        """The door reports, and requests that waited somewhere come at last."""
        for record in self.doors[door].journal:
            self.report(record, door)
        self.doors[door].journal = []
        while self.late:
            self.answer(self.late.pop())


OWNER, COPY = 0, 1
_ways = st.sampled_from(["online", "online", "alone", "late", "pulled away", "reports"])
_visits = st.lists(st.tuples(st.booleans(), st.sampled_from([MAIN, LAB]), _ways), max_size=25)


@settings(deadline=None)
@given(_visits)
def test_without_a_copy_no_badge_is_ever_suspended(visits: list[tuple[bool, DoorId, str]]) -> None:
    town, owner = Town(), Card(OWNER)
    for _, door, how in visits:
        if how == "reports":
            town.sync(door)
        else:
            assert town.visit(owner, door, how) is (how != "pulled away")
    for door in (MAIN, LAB):
        town.sync(door)
    assert not town.is_suspended
    assert town.alerts() == []
    assert town.visit(owner, MAIN, "online")


@settings(deadline=None)
@given(_visits)
def test_a_copy_gets_at_most_one_entry_more_once_both_are_used_online(
    visits: list[tuple[bool, DoorId, str]],
) -> None:
    town = Town()
    cards = {False: Card(OWNER), True: Card(COPY)}
    for is_copy, door, how in visits:
        if how == "reports":
            town.sync(door)
        else:
            town.visit(cards[is_copy], door, how)
    entries = [town.visit(cards[who], MAIN, "online") for who in (False, True, False)]
    assert sum(entries) <= 2
    assert town.is_suspended
    for who in (False, True):
        assert not town.visit(cards[who], LAB, "online")
    assert [e.badge for e in town.effects if isinstance(e, SuspendBadge)] == [CARD]
