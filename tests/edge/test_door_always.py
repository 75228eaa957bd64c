"""What holds of a door whatever happens, in whatever order, however late."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from access.ids import BadgeDigest, DoorId, MemberId, RequestId, SiteId, WatchId
from access.instants import Span
from access.journal import TYPES
from access.model import Audience, Authorization, Badge, Member, Plan, Policy, Reader
from access.model import Door as DoorModel
from edge.condition import Kept, Rules
from edge.door import Door
from edge.effects import Effect, Record, Relock, SendRequest, Unlock
from edge.events import (
    BadgeRead,
    CommandReceived,
    ContactChanged,
    DecisionReceived,
    Event,
    ExitButton,
    Faulted,
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

SITE, DOOR = SiteId("malakoff"), DoorId("main")
START = datetime(2026, 3, 3, 17, 50, tzinfo=UTC)
BADGES = [BadgeDigest(c * 32) for c in "abcdef"]
NAMES = ["nora", "sam", "gil", "ola", "pia"]
NEWS = LinkChanged | ServerSeen | PolicyReceived | ReaderHealth | OutboxFilling


def policy(version: int = 1) -> Policy:
    plans = {"sam": Plan.STAFF}
    members = [
        Member(
            id=MemberId(name), plan=plans.get(name, Plan.NOMAD), is_guardian=name in {"gil", "ola"}
        )
        for name in NAMES
    ]
    talk = Authorization(
        id="talk",
        guardian=MemberId("gil"),
        span=Span(start=START, end=START + timedelta(hours=2)),
        audience=Audience.PUBLIC,
    )
    return Policy(
        version=version,
        site=SITE,
        issued=START - timedelta(hours=1) + timedelta(seconds=version),
        relies_until=START + timedelta(hours=71),
        capacity=10,
        doors={DOOR: DoorModel(id=DOOR, name="Main", plans=frozenset(Plan))},
        members={each.id: each for each in members},
        badges={
            badge: Badge(digest=badge, member=each.id)
            for badge, each in zip(BADGES, members, strict=False)
        },
        opening=(Span(start=START - timedelta(hours=9), end=START + timedelta(minutes=10)),),
        authorizations={MemberId("gil"): (talk,)},
    )


def request_id(number: int) -> RequestId:
    return RequestId(f"00000000-0000-7000-8000-{number:012x}")


# The number stands for the request that was sent so many requests ago; the door never sees it.
decisions = st.builds(
    DecisionReceived,
    request=st.sampled_from([0, 0, 0, 1, 2, 999]).map(request_id),
    granted=st.sampled_from([True, True, False]),
    reason=st.sampled_from(["opening_hours", "watch", "watch_opened", "watch_closing", "staff"]),
    unlock_s=st.sampled_from([-1.0, 0.0, 1.0, 5.0, 1e6]),
    member=st.sampled_from([None, *map(MemberId, NAMES)]),
    message=st.just(""),
    watch=st.sampled_from([None, WatchId("7" * 32)]),
)
commands = st.builds(
    CommandReceived,
    id=st.integers(1, 6).map(request_id),
    at=st.just(START),
    expires=st.sampled_from([START + timedelta(seconds=30), START + timedelta(days=9)]),
    do=st.sampled_from(["unlock", "hold", "release", "lockdown", "lift", "enrol", "restart"]),
    by=st.just(MemberId("sam")),
)
news = st.one_of(
    st.builds(LinkChanged, is_up=st.booleans()),
    st.builds(
        ServerSeen,
        is_online=st.booleans(),
        at=st.sampled_from([None, START, START + timedelta(hours=5)]),
        is_fresh=st.booleans(),
    ),
    st.builds(PolicyReceived, policy=st.integers(0, 3).map(policy), is_fresh=st.booleans()),
    st.builds(ReaderHealth, reader=st.sampled_from(Reader), is_ok=st.booleans()),
    st.builds(OutboxFilling, is_nearly_full=st.booleans()),
)
at_the_door = st.one_of(
    st.builds(BadgeRead, reader=st.sampled_from(Reader), badge=st.sampled_from(BADGES)),
    st.builds(ContactChanged, is_open=st.booleans()),
    st.builds(ExitButton, is_pressed=st.booleans()),
    st.builds(TamperChanged, is_open=st.booleans()),
)
unit: st.SearchStrategy[Event] = st.sampled_from(
    [Tick(), Faulted(), Stopping(), Started(version="1")]
)
events: st.SearchStrategy[Event] = st.one_of(
    at_the_door, at_the_door, decisions, decisions, commands, news, unit
)
pauses = st.sampled_from([0.0, 0.001, 0.2, 0.4, 0.5, 1.0, 3.0, 5.0, 31.0, 600.0, 7300.0])
jumps = st.sampled_from([0.0, 0.0, 0.0, 0.0, -3600.0, 90.0, 86400.0])
stories = st.lists(st.tuples(events, pauses, jumps), max_size=40)


class Witness:
    """Watches a door, and protests."""

    def __init__(self) -> None:
        numbers = itertools.count(1)
        self.door = Door(
            rules=Rules(site=SITE, door=DOOR),
            new_id=lambda: request_id(next(numbers)),
            kept=Kept(policy=policy()),
        )
        self.at, self.mono = START, 0.0
        self.is_unlocked = False
        self.asked: dict[RequestId, float] = {}
        self.sent: list[RequestId] = []
        self.see(LinkChanged(is_up=True))

    def see(self, event: Event) -> None:
        if isinstance(event, DecisionReceived):
            event = self._addressed(event)
        waiting = dict(self.asked)
        effects = self.door.handle(event, Moment(at=self.at, mono=self.mono))
        self._no_unlock_without_its_record(effects)
        self._every_record_is_one_of_the_contract(effects)
        if isinstance(event, NEWS):
            assert not any(isinstance(effect, Unlock) for effect in effects)
        if isinstance(event, DecisionReceived):
            self._only_a_waiting_request_is_answered(event, effects, waiting)
        for effect in effects:
            if isinstance(effect, SendRequest):
                self.asked[effect.id] = self.mono
                self.sent.append(effect.id)
            self.is_unlocked = self._moved(effect)
        assert self.is_unlocked == self.door.is_unlocked

    def tick_until_quiet(self) -> None:
        """Let time pass until the door wants nothing any more, but for what is held on purpose."""
        for _ in range(200):
            due = self.door.due
            if due is None:
                return
            passed = max(due - self.mono, 0.0)
            self.mono += passed
            self.at += timedelta(seconds=passed)
            self.see(Tick())
        raise AssertionError("the door wants ticks for ever")

    def _addressed(self, event: DecisionReceived) -> DecisionReceived:
        back = int(event.request[-12:], 16)
        return replace(event, request=self.sent[-1 - back]) if back < len(self.sent) else event

    def _moved(self, effect: Effect) -> bool:
        if isinstance(effect, Unlock):
            return True
        return self.is_unlocked and not isinstance(effect, Relock)

    def _no_unlock_without_its_record(self, effects: list[Effect]) -> None:
        for index, effect in enumerate(effects):
            if isinstance(effect, Unlock):
                before = [e.kind for e in effects[:index] if isinstance(e, Record)]
                assert "lock.unlocked" in before

    def _every_record_is_one_of_the_contract(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Record):
                assert f"gardien.{effect.kind}" in TYPES

    def _only_a_waiting_request_is_answered(
        self, event: DecisionReceived, effects: list[Effect], waiting: dict[RequestId, float]
    ) -> None:
        is_answer = any(isinstance(e, Record) and "reason" in e.data for e in effects)
        if any(isinstance(effect, Unlock) for effect in effects):
            assert event.granted
        if is_answer:
            assert self.mono - waiting.pop(event.request) < 0.4
        self.asked.pop(event.request, None)


@settings(deadline=None, max_examples=500)
@given(stories)
def test_a_door_is_never_wrong(story: list[tuple[Event, float, float]]) -> None:
    witness = Witness()
    for event, pause_s, jump_s in story:
        witness.see(event)
        witness.mono += pause_s
        witness.at += timedelta(seconds=pause_s + jump_s)
    witness.tick_until_quiet()
    assert not witness.is_unlocked


@settings(deadline=None, max_examples=100)
@given(stories)
def test_the_same_story_told_twice_ends_the_same(story: list[tuple[Event, float, float]]) -> None:
    def tell() -> list[list[Effect]]:
        numbers = itertools.count(1)
        door = Door(
            rules=Rules(site=SITE, door=DOOR),
            new_id=lambda: request_id(next(numbers)),
            kept=Kept(policy=policy()),
        )
        at, mono, told = START, 0.0, []
        for event, pause_s, jump_s in story:
            told.append(door.handle(event, Moment(at=at, mono=mono)))
            mono += pause_s
            at += timedelta(seconds=pause_s + jump_s)
        return told

    assert tell() == tell()
