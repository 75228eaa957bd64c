"""What holds of `decide` for any policy, any state and any request."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from access.explain import explain, to_builtins, to_text
from access.ids import BadgeDigest, DoorId, MemberId, SiteId, WatchId
from access.instants import Span, merged
from access.messages import PolicySnapshot, decode, encode
from access.model import (
    AntiPassback,
    Audience,
    Authorization,
    Badge,
    BadgeLevel,
    BadgeStatus,
    Door,
    Member,
    Plan,
    Policy,
    Reader,
    Status,
    Validity,
)
from access.policy import (
    ALERTING,
    ROWS,
    Reason,
    Reliance,
    Request,
    State,
    Token,
    UnknownBadgeError,
    UnknownDoorError,
    case_of,
    decide,
)
from access.snapshot import seal, unseal
from access.watch import Phase, Watch, close, hand_over, open_watch, start_closing

ORIGIN = datetime(2026, 11, 23, tzinfo=UTC)
HOUR = timedelta(hours=1)
DOORS = [DoorId("main"), DoorId("lab")]
MEMBERS = [MemberId(f"m{n}") for n in range(4)]
BADGES = [BadgeDigest(f"{n:032x}") for n in range(5)]
GRANTING = {
    Reason.EXIT,
    Reason.STAFF,
    Reason.OPENING_HOURS,
    Reason.PLAN_HOURS,
    Reason.WATCH,
    Reason.WATCH_OPENED,
}

T = TypeVar("T")


def half(chance: st.SearchStrategy[T], usual: T) -> st.SearchStrategy[T]:
    """Draw the usual value half of the time, so that many requests reach the later rows."""
    return st.one_of(st.just(usual), chance)


# Few instants, so that spans, requests and bounds often meet exactly; some just beside them.
instants = st.builds(
    lambda hours, beside: ORIGIN + hours * HOUR + timedelta(microseconds=beside),
    st.integers(0, 24),
    st.sampled_from([0, 0, 0, -1, 1]),
)
lengths = st.integers(1, 8).map(lambda hours: hours * HOUR)
spans = st.builds(lambda start, length: Span(start=start, end=start + length), instants, lengths)
timetables = st.lists(spans, max_size=3).map(merged)
validities = half(
    st.builds(Validity, since=st.none() | instants, until=st.none() | instants), Validity()
)
audiences = st.sampled_from(Audience)
some_members = st.frozensets(st.sampled_from(MEMBERS))
minutes = st.sampled_from([0, 15, 30, 60]).map(lambda n: timedelta(minutes=n))


def members() -> st.SearchStrategy[Member]:
    return st.builds(
        Member,
        id=st.sampled_from(MEMBERS),
        plan=st.sampled_from(Plan),
        status=half(st.sampled_from(Status), Status.ACTIVE),
        validity=validities,
        is_guardian=st.booleans(),
        language=st.sampled_from(["fr", "en"]),
    )


def badges() -> st.SearchStrategy[Badge]:
    return st.builds(
        Badge,
        digest=st.sampled_from(BADGES),
        member=st.sampled_from(MEMBERS),
        status=half(st.sampled_from(BadgeStatus), BadgeStatus.ACTIVE),
        validity=validities,
        level=st.sampled_from(BadgeLevel),
    )


def authorizations() -> st.SearchStrategy[Authorization]:
    return st.builds(
        Authorization,
        id=st.uuids().map(str),
        guardian=st.sampled_from(MEMBERS),
        span=spans,
        lead=minutes,
        grace=minutes,
        title=st.none() | st.text(max_size=5),
        audience=audiences,
        registered=some_members,
    )


def _by_guardian(granted: list[Authorization]) -> Mapping[MemberId, tuple[Authorization, ...]]:
    granted = sorted(granted, key=lambda a: a.span)
    return {m: tuple(a for a in granted if a.guardian == m) for m in MEMBERS}


policies = st.builds(
    Policy,
    version=st.integers(0, 2**40),
    site=st.just(SiteId("malakoff")),
    issued=st.just(ORIGIN),
    relies_until=instants,
    capacity=st.integers(0, 5),
    doors=st.fixed_dictionaries(
        {
            door: st.builds(
                Door,
                id=st.just(door),
                name=st.text(max_size=5),
                plans=half(st.frozensets(st.sampled_from(Plan)), frozenset(Plan)),
            )
            for door in DOORS
        }
    ),
    members=st.lists(members(), max_size=6).map(lambda all_: {m.id: m for m in all_}),
    badges=st.lists(badges(), max_size=8).map(lambda all_: {b.digest: b for b in all_}),
    opening=timetables,
    plan_hours=st.dictionaries(st.sampled_from(Plan), timetables),
    authorizations=st.lists(authorizations(), max_size=5).map(_by_guardian),
    anti_passback=st.sampled_from(AntiPassback),
    level_after_hours=half(st.sampled_from(BadgeLevel), BadgeLevel.L0),
    closing_delay=minutes,
    sweep_after=minutes,
    watch_rate=st.sampled_from(["1.0", "0.5", "2"]),
)


@st.composite
def watches(draw: st.DrawFn) -> Watch:
    granted = draw(authorizations())
    begin = draw(instants)
    watch = open_watch(WatchId("w"), granted, DOORS[0], begin, draw(minutes))
    later = begin + draw(lengths)
    if watch.phase_at(later) is Phase.OPEN and draw(st.booleans()):
        other = next(m for m in MEMBERS if m != watch.guardian)
        watch = hand_over(watch, other, later)
    if draw(st.booleans()):
        watch = start_closing(watch, later)
    return close(watch, later) if draw(st.booleans()) else watch


states = st.builds(
    State,
    watch=st.none() | watches(),
    inside=some_members,
    present=st.none() | st.integers(0, 6),
    locked_down=half(st.frozensets(st.sampled_from(DOORS)), frozenset[DoorId]()),
    reliance=half(st.sampled_from(Reliance), Reliance.FULL),
    is_alone=st.booleans(),
    clock_is_trusted=half(st.booleans(), usual=True),
)
requests = st.builds(
    Request,
    at=instants,
    door=st.sampled_from(DOORS),
    reader=half(st.sampled_from(Reader), Reader.IN),
    badge=st.sampled_from(BADGES),
    token=half(st.sampled_from(Token), Token.NONE),
)


@given(policies, states, requests)
def test_every_request_has_one_answer_and_one_reason(
    policy: Policy, state: State, request: Request
) -> None:
    decision = decide(policy, state, request)
    assert decision.granted == (decision.reason in GRANTING)
    assert decision.row in {row.number for row in ROWS}
    assert decision.raises_alert == (decision.reason in ALERTING)
    assert (decision.opens_under is not None) == (decision.reason is Reason.WATCH_OPENED)
    assert decide(policy, state, request) == decision
    badge = policy.badges.get(request.badge)
    known = badge is not None and badge.member in policy.members
    assert decision.member == (badge.member if badge is not None and known else None)


@given(policies, states, requests)
def test_the_first_row_that_matches_decides(policy: Policy, state: State, request: Request) -> None:
    decision = decide(policy, state, request)
    explained = explain(policy, state, request)
    *before, last = explained.rows
    assert [row.number for row in explained.rows] == [r.number for r in ROWS][: len(before) + 1]
    assert not any(row.matched for row in before)
    assert last.verdict == (decision.granted, decision.reason)


@given(policies, states, requests)
def test_an_explanation_can_be_told_in_both_languages_and_to_machines(
    policy: Policy, state: State, request: Request
) -> None:
    explained = explain(policy, state, request)
    told = to_builtins(explained)
    assert told["rows"][-1]["row"] == told["row"] == explained.decision.row
    assert len(to_text(explained, "fr")) == len(to_text(explained, "en")) == len(told["rows"]) + 1


@given(policies, states, requests)
def test_the_way_out_is_always_free(policy: Policy, state: State, request: Request) -> None:
    decision = decide(policy, state, replace(request, reader=Reader.OUT))
    assert (decision.granted, decision.reason) == (True, Reason.EXIT)
    assert not decision.is_passback


@given(policies, states, requests)
def test_no_ordinary_member_enters_after_hours_without_a_watch_or_hours_of_their_plan(
    policy: Policy, state: State, request: Request
) -> None:
    request = replace(request, reader=Reader.IN)
    decision = decide(policy, state, request)
    member = policy.members.get(decision.member) if decision.member is not None else None
    if not decision.granted or member is None or member.is_staff or member.is_guardian:
        return
    by_hours = any(request.at in span for span in policy.opening)
    by_plan = any(request.at in span for span in policy.plan_hours.get(member.plan, ()))
    watch = state.watch
    by_watch = watch is not None and request.at < watch.over_by and watch.closed_at != request.at
    assert by_watch or (state.clock_is_trusted and (by_hours or by_plan))
    if decision.reason is Reason.WATCH:
        assert watch is not None
        assert watch.phase_at(request.at) is Phase.OPEN
        assert watch.audience is not Audience.REGISTERED or member.id in watch.registered


@given(policies, states, requests)
def test_a_suspended_badge_enters_never_whatever_its_token(
    policy: Policy, state: State, request: Request
) -> None:
    suspended = {d: replace(b, status=BadgeStatus.SUSPENDED) for d, b in policy.badges.items()}
    policy = replace(policy, badges=suspended)
    decision = decide(policy, state, replace(request, reader=Reader.IN))
    assert decision.reason in {
        Reason.UNKNOWN_BADGE,
        Reason.BADGE_EXPIRED,
        Reason.BADGE_CLONED,
    }


@given(policies, states, requests)
def test_a_badge_that_does_not_prove_itself_counts_as_one_of_the_lowest_level(
    policy: Policy, state: State, request: Request
) -> None:
    lowest = {d: replace(b, level=BadgeLevel.L0) for d, b in policy.badges.items()}
    unproved = replace(request, token=Token.NONE)
    decision = decide(policy, state, unproved)
    assert decision == decide(replace(policy, badges=lowest), state, unproved)


@given(policies, states, requests)
def test_to_prove_itself_never_does_a_badge_harm(
    policy: Policy, state: State, request: Request
) -> None:
    if decide(policy, state, replace(request, token=Token.NONE)).granted:
        assert decide(policy, state, replace(request, token=Token.FITS)).granted


@given(policies, states, requests)
def test_a_copied_token_opens_nothing_but_the_way_out(
    policy: Policy, state: State, request: Request
) -> None:
    decision = decide(policy, state, replace(request, token=Token.COPIED))
    assert decision.granted == (request.reader is Reader.OUT)


@given(policies, states, requests)
def test_a_stranger_enters_never(policy: Policy, state: State, request: Request) -> None:
    stranger = replace(request, badge=BadgeDigest("f" * 32), reader=Reader.IN)
    assert decide(policy, state, stranger).reason is Reason.UNKNOWN_BADGE


@given(policies, states, requests, st.lists(spans, max_size=3))
def test_wider_opening_hours_refuse_nobody_who_was_admitted(
    policy: Policy, state: State, request: Request, more: list[Span]
) -> None:
    """It holds without exception.

    Only rows 8b and 11 look at the opening hours. Within them 8b never refuses, and 11 always
    grants whoever the rows before let by; no row before looks at the hours.
    """
    wider = replace(policy, opening=merged([*policy.opening, *more]))
    if decide(policy, state, request).granted:
        assert decide(wider, state, request).granted


@given(policies, states, requests)
def test_only_the_clock_in_doubt_of_a_door_makes_the_day_after_hours(
    policy: Policy, state: State, request: Request
) -> None:
    doubtful = replace(state, clock_is_trusted=False)
    closed = replace(policy, opening=(), plan_hours={})
    assert decide(policy, doubtful, request) == decide(closed, doubtful, request)


@given(policies, states, requests, st.integers(0, 10))
def test_a_door_on_its_own_knows_no_capacity(
    policy: Policy, state: State, request: Request, present: int
) -> None:
    alone = replace(state, is_alone=True, present=present)
    assert decide(policy, alone, request).reason is not Reason.SITE_FULL


@given(policies, states, requests)
@example(
    policy=Policy(
        version=1,
        site=SiteId("malakoff"),
        issued=ORIGIN,
        relies_until=ORIGIN + HOUR,
        capacity=1,
        doors={d: Door(id=d, name="é", plans=frozenset(Plan)) for d in DOORS},
        closing_delay=timedelta(days=400, seconds=1, microseconds=1),
    ),
    state=State(),
    request=Request(at=ORIGIN, door=DOORS[0], reader=Reader.IN, badge=BADGES[0]),
)
def test_a_door_with_the_snapshot_decides_as_the_server_does(
    policy: Policy, state: State, request: Request
) -> None:
    sent = encode(seal(policy, sign=lambda body: body[:64]))
    arrived = unseal(decode(sent, PolicySnapshot), verify=lambda sig, body: sig == body[:64])
    assert arrived == policy
    assert decide(arrived, state, request) == decide(policy, state, request)


@given(policies, states, requests)
def test_a_request_at_a_door_of_another_site_is_an_error_not_a_decision(
    policy: Policy, state: State, request: Request
) -> None:
    with pytest.raises(UnknownDoorError, match="malakoff has no door 'elsewhere'"):
        decide(policy, state, replace(request, door=DoorId("elsewhere")))


def test_a_row_cannot_be_asked_of_a_badge_that_nobody_has() -> None:
    policy = Policy(
        version=1,
        site=SiteId("malakoff"),
        issued=ORIGIN,
        relies_until=ORIGIN,
        capacity=1,
        doors={d: Door(id=d, name="door", plans=frozenset(Plan)) for d in DOORS},
    )
    request = Request(at=ORIGIN, door=DOORS[0], reader=Reader.IN, badge=BADGES[0])
    case = case_of(policy, State(), request)
    with pytest.raises(UnknownBadgeError, match=BADGES[0]):
        case.known_badge()
    with pytest.raises(UnknownBadgeError, match=BADGES[0]):
        case.known_member()
