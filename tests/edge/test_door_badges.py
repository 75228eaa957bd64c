"""What a door does with cards that prove themselves: tokens, copies, and enrol mode."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from access.ids import BadgeDigest, DoorId, MemberId, RequestId, SiteId
from access.instants import Span
from access.model import Audience, Authorization, Badge, BadgeLevel, Member, Plan, Policy, Reader
from access.model import Door as DoorModel
from access.tokens import UNPROVEN, CardToken
from edge.badges.enrolling import ENROL_S, Enrolment, first_counter
from edge.badges.wish import Want
from edge.condition import Kept, Rules
from edge.door import Door
from edge.effects import Effect, Keep, Record, SendRequest, Show, Unlock
from edge.events import (
    BadgeRead,
    BadgeUnreadable,
    CommandReceived,
    DecisionReceived,
    Event,
    LinkChanged,
    Moment,
    PolicyReceived,
    Tick,
)
from edge.ports import Signal

SITE, DOOR = SiteId("malakoff"), DoorId("main")
NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
L1, L0, STRANGER, GIL = (BadgeDigest(c * 32) for c in "abcd")
PUBLIC = Authorization(
    id="talk",
    guardian=MemberId("gil"),
    span=Span(start=NOON.replace(hour=19), end=NOON.replace(hour=22)),
    audience=Audience.PUBLIC,
)


def token(counter: int) -> CardToken:
    return CardToken(f"{counter:08x}" + "5" * 24)


def policy(version: int = 1, level: BadgeLevel = BadgeLevel.L0) -> Policy:
    people = {L1: "nora", L0: "otto", GIL: "gil"}
    return Policy(
        version=version,
        site=SITE,
        issued=NOON,
        relies_until=NOON + timedelta(hours=72),
        capacity=60,
        doors={DOOR: DoorModel(id=DOOR, name="Main", plans=frozenset(Plan))},
        members={
            MemberId(name): Member(
                id=MemberId(name),
                plan=Plan.NOMAD if name == "gil" else Plan.STAFF,
                is_guardian=name == "gil",
                language="en",
            )
            for name in people.values()
        },
        badges={
            badge: Badge(
                digest=badge,
                member=MemberId(name),
                level=BadgeLevel.L0 if badge == L0 else BadgeLevel.L1,
            )
            for badge, name in people.items()
        },
        opening=(Span(start=NOON.replace(hour=8), end=NOON.replace(hour=18)),),
        authorizations={MemberId("gil"): (PUBLIC,)},
        level_after_hours=level,
    )


class Stage:
    """A door with a clock of its own."""

    def __init__(self, *, kept: Kept | None = None, is_alone: bool = True) -> None:
        numbers = itertools.count(1)
        self.door = Door(
            rules=Rules(site=SITE, door=DOOR, readers=(Reader.IN, Reader.OUT)),
            new_id=lambda: RequestId(f"00000000-0000-7000-8000-{next(numbers):012x}"),
            kept=kept or Kept(policy=policy()),
        )
        self.at, self.mono = NOON, 1000.0
        if not is_alone:
            self.do(LinkChanged(is_up=True))

    def do(self, event: Event) -> list[Effect]:
        return self.door.handle(event, Moment(at=self.at, mono=self.mono))

    def wait(self, seconds: float) -> list[Effect]:
        self.mono += seconds
        self.at += timedelta(seconds=seconds)
        return self.do(Tick())

    def read(
        self,
        badge: BadgeDigest,
        shown: CardToken | None = None,
        *,
        reader: Reader = Reader.IN,
        enrolled: str | None = None,
    ) -> list[Effect]:
        return self.do(BadgeRead(reader=reader, badge=badge, token=shown, enrolled=enrolled))

    def order(
        self, do: Literal["enrol", "lockdown"] = "enrol", command: str = "order-1"
    ) -> list[Effect]:
        return self.do(
            CommandReceived(
                id=command,
                at=self.at,
                expires=self.at + timedelta(minutes=1),
                do=do,
                by=MemberId("nora"),
            )
        )

    def wish(self, badge: BadgeDigest, reader: Reader = Reader.IN) -> object:
        return self.door.wish(reader, badge, self.mono)

    def answer(self, effects: list[Effect], *, granted: bool = True) -> list[Effect]:
        asked = next(effect for effect in effects if isinstance(effect, SendRequest))
        return self.do(
            DecisionReceived(
                request=asked.id,
                granted=granted,
                reason="staff" if granted else "unknown_badge",
                unlock_s=5.0,
                member=None,
                message="",
                watch=None,
            )
        )


def record(effects: list[Effect]) -> dict[str, object]:
    """Give the one record of an access."""
    (found,) = [e for e in effects if isinstance(e, Record) and e.kind.startswith("access.")]
    return {**found.data, "kind": found.kind}


def kept(effects: list[Effect]) -> dict[str, str | None]:
    return {e.key: e.value for e in effects if isinstance(e, Keep)}


def shown(effects: list[Effect]) -> list[tuple[Signal, str]]:
    return [(e.signal, e.message) for e in effects if isinstance(e, Show)]


def test_only_badges_of_level_l1_have_to_prove_themselves() -> None:
    s = Stage()
    wishes = [s.wish(badge) for badge in (L1, L0, STRANGER)]
    assert wishes == [Want.PROOF, Want.UID, Want.UID]
    assert Stage(kept=Kept()).wish(L1) is Want.UID


def test_on_the_way_out_nothing_but_the_uid_is_read() -> None:
    s = Stage()
    s.order()
    assert s.wish(L1, Reader.OUT) is Want.UID


def test_a_token_goes_to_the_server_as_it_is_and_into_the_record() -> None:
    s = Stage(is_alone=False)
    asked = s.read(L1, token(7))
    (request,) = [e for e in asked if isinstance(e, SendRequest)]
    assert request.token == token(7)
    done = s.answer(asked)
    assert record(done)["token"] == token(7)
    assert kept(done) == {f"counter.{L1}": "7"}


def test_a_badge_that_shows_no_token_is_asked_about_and_recorded_without() -> None:
    s = Stage(is_alone=False)
    asked = s.read(L0)
    (request,) = [e for e in asked if isinstance(e, SendRequest)]
    assert request.token is None
    done = s.answer(asked)
    assert {"token", "enrolled", "command"}.isdisjoint(record(done))
    assert kept(done) == {}


def test_alone_a_copy_is_found_at_the_latest_at_the_second_use_of_a_counter() -> None:
    s = Stage()
    assert record(s.read(L1, token(7)))["kind"] == "access.granted"
    s.wait(10)
    for copied in (token(7), CardToken(f"{7:08x}" + "6" * 24), token(3)):
        found = record(s.read(L1, copied))
        assert (found["kind"], found["reason"]) == ("access.denied", "badge_cloned")
        assert found["token"] == copied
    assert record(s.read(L1, token(8)))["kind"] == "access.granted"


def test_alone_a_counter_may_jump_ahead() -> None:
    s = Stage()
    s.read(L1, token(7))
    assert record(s.read(L1, token(700)))["kind"] == "access.granted"


def test_alone_a_card_that_did_not_prove_itself_is_a_copy_even_if_nothing_is_remembered() -> None:
    found = record(Stage().read(L1, UNPROVEN))
    assert (found["kind"], found["reason"]) == ("access.denied", "badge_cloned")
    assert found["token"] == UNPROVEN


def test_alone_outside_hours_a_badge_is_worth_what_it_proves() -> None:
    for proof, reason in ((token(1), "staff"), (None, "badge_level")):
        s = Stage(kept=Kept(policy=policy(level=BadgeLevel.L1)))
        s.at = NOON.replace(hour=23)
        assert record(s.read(L1, proof))["reason"] == reason


def test_what_was_seen_is_known_after_a_restart_and_before_the_lock_moves() -> None:
    effects = Stage().read(L1, token(7))
    places = {type(effect): place for place, effect in enumerate(effects)}
    assert kept(effects) == {f"counter.{L1}": "7"}
    assert places[Keep] < places[Unlock]
    again = Stage(kept=Kept(policy=policy(), counters={L1: 7}))
    assert record(again.read(L1, token(7)))["reason"] == "badge_cloned"


def test_a_badge_that_is_in_the_policy_no_more_is_forgotten() -> None:
    s = Stage(kept=Kept(policy=policy(), counters={L1: 7, STRANGER: 9}))
    assert kept(s.do(PolicyReceived(policy=policy(version=2)))) == {f"counter.{STRANGER}": None}


def test_a_request_that_gets_no_answer_is_not_a_copy_of_itself() -> None:
    s = Stage(is_alone=False)
    s.read(L1, token(7))
    assert record(s.wait(0.5))["kind"] == "access.granted"


def test_a_copy_does_not_complete_the_gesture_of_a_guardian() -> None:
    for second, is_held in ((token(2), True), (token(1), False), (UNPROVEN, False), (None, False)):
        s = Stage()
        s.at = NOON.replace(hour=20)
        s.read(GIL, token(1))
        s.mono += 1
        s.read(GIL, second)
        assert s.door.is_held is is_held, second


def test_a_card_that_moved_is_asked_to_be_held_still_in_its_members_language() -> None:
    s = Stage()
    moved = s.do(BadgeUnreadable(reader=Reader.IN, why="moved", badge=L1))
    unknown = s.do(BadgeUnreadable(reader=Reader.IN, why="moved"))
    assert shown(moved) == [(Signal.REFUSED, "Hold the card still")]
    assert shown(unknown) == [(Signal.REFUSED, "Gardez la carte immobile")]


def test_in_enrol_mode_any_card_is_wanted_for_a_minute_and_the_door_says_so() -> None:
    s = Stage()
    assert shown(s.order()) == [(Signal.ENROL, "Present the card to enrol")]
    wish = s.wish(STRANGER)
    assert isinstance(wish, Enrolment)
    assert (wish.command, wish.counter) == ("order-1", first_counter(s.at))
    assert s.wish(L1) == s.wish(L0) == wish
    s.wait(ENROL_S - 1)
    assert s.wish(STRANGER) == wish
    s.wait(1)
    assert s.wish(STRANGER) is Want.UID


def test_enrol_mode_ends_on_time_even_if_nothing_else_happens() -> None:
    s = Stage()
    s.order()
    assert s.door.due is not None
    assert s.door.due <= s.mono + ENROL_S
    assert (Signal.IDLE, "") in shown(s.wait(ENROL_S))


def test_a_card_that_was_enrolled_is_asked_about_and_the_record_names_the_order() -> None:
    s = Stage(is_alone=False)
    s.order()
    asked = s.read(STRANGER, token(9), enrolled="order-1")
    assert s.wish(STRANGER) is Want.UID
    done = s.answer(asked, granted=False)
    found = record(done)
    assert (found["enrolled"], found["command"]) == (True, "order-1")
    assert (found["kind"], found["token"]) == ("access.denied", token(9))
    assert (Signal.ENROL, "Card enrolled") in shown(done)
    assert s.wish(STRANGER) is Want.UID


def test_a_badge_that_is_known_already_is_enrolled_again_and_admitted() -> None:
    s = Stage()
    s.order()
    done = s.read(L0, token(9), enrolled="order-1")
    assert (record(done)["kind"], record(done)["enrolled"]) == ("access.granted", True)
    assert any(isinstance(effect, Unlock) for effect in done)


def test_a_card_that_can_t_be_enrolled_leaves_the_mode_on() -> None:
    s = Stage()
    s.order()
    refused = s.do(BadgeUnreadable(reader=Reader.IN, why="foreign", badge=STRANGER))
    assert shown(refused) == [(Signal.REFUSED, "This card can't be used")]
    assert isinstance(s.wish(STRANGER), Enrolment)
    assert shown(s.wait(3)) == [(Signal.ENROL, "Present the card to enrol")]


def test_lockdown_ends_enrol_mode_and_keeps_it_from_beginning() -> None:
    s = Stage()
    s.order()
    s.order("lockdown", "order-2")
    assert s.wish(STRANGER) is Want.UID
    s.order(command="order-3")
    assert s.wish(STRANGER) is Want.UID


def test_while_the_clock_is_in_doubt_nothing_is_enrolled() -> None:
    s = Stage()
    s.at -= timedelta(days=1)
    s.order()
    assert s.wish(STRANGER) is Want.UID


def test_enrol_mode_ends_when_the_clock_comes_into_doubt() -> None:
    s = Stage()
    s.order()
    s.at += timedelta(hours=2)
    s.do(Tick())
    assert s.wish(STRANGER) is Want.UID


def test_an_order_that_came_twice_enrols_once() -> None:
    s = Stage()
    s.order()
    s.read(STRANGER, token(9), enrolled="order-1")
    s.order()
    assert s.wish(STRANGER) is Want.UID


@pytest.mark.parametrize("enrolled", ["order-1", "order-7"])
def test_a_card_enrolled_by_an_order_that_is_over_is_a_badge_like_any_other(enrolled: str) -> None:
    s = Stage()
    s.order()
    s.wait(ENROL_S)
    found = record(s.read(STRANGER, token(9), enrolled=enrolled))
    assert {"enrolled", "command"}.isdisjoint(found)


def test_the_first_counter_grows_with_time_so_that_an_old_one_is_never_above_it() -> None:
    assert first_counter(NOON) == 3_245_040
    assert first_counter(NOON + timedelta(minutes=1)) == first_counter(NOON) + 1
    assert first_counter(datetime(1970, 1, 1, tzinfo=UTC)) == 1


def test_a_door_whose_policy_names_no_level_l1_remembers_nothing() -> None:
    plain = replace(policy(), badges={})
    s = Stage(kept=Kept(policy=plain))
    assert s.wish(L1) is Want.UID
