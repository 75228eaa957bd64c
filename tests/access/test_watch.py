"""A watch, from opening to credit."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.ids import DoorId, MemberId, RequestId, WatchId
from access.instants import Span
from access.model import Audience, Authorization, Member, Plan
from access.watch import (
    Phase,
    Tenure,
    Watch,
    WatchError,
    close,
    credits_of,
    hand_over,
    offer,
    open_watch,
    start_closing,
    watch_id_of,
)

GAELLE, HUGO, INES = (MemberId(name) for name in ("gaelle", "hugo", "ines"))
TALK = Authorization(
    id="talk",
    guardian=GAELLE,
    span=Span(
        start=datetime(2026, 11, 24, 18, 30, tzinfo=UTC),
        end=datetime(2026, 11, 24, 20, 30, tzinfo=UTC),
    ),
    title="Talk",
    audience=Audience.REGISTERED,
    registered=frozenset({MemberId("nora")}),
)
OPENED = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)
OVER_BY = datetime(2026, 11, 24, 21, 0, tzinfo=UTC)
DELAY = timedelta(minutes=15)
MICROSECOND = timedelta(microseconds=1)
ONE = Decimal("1.0")


def at(minutes: float) -> datetime:
    """Give the instant some minutes after the watch was opened."""
    return OPENED + timedelta(minutes=minutes)


def opened() -> Watch:
    return open_watch(WatchId("w"), TALK, DoorId("main"), OPENED, DELAY)


def closed(*held: tuple[MemberId, float]) -> Watch:
    """Give a closed watch that each guardian held for so many minutes, in order."""
    tenures, start = [], OPENED
    for guardian, minutes in held:
        end = start + timedelta(minutes=minutes)
        tenures.append(Tenure(guardian=guardian, start=start, end=end))
        start = end
    return replace(opened(), tenures=tuple(tenures), closed_at=start, is_confirmed=True)


def test_a_watch_opens_with_what_its_authorization_says() -> None:
    watch = opened()
    assert watch == Watch(
        id=WatchId("w"),
        door=DoorId("main"),
        tenures=(Tenure(guardian=GAELLE, start=OPENED),),
        authorized_until=TALK.span.end,
        over_by=OVER_BY,
        closing_delay=DELAY,
        title="Talk",
        audience=Audience.REGISTERED,
        registered=frozenset({MemberId("nora")}),
        authorization="talk",
        authorized=GAELLE,
        granted_until=OVER_BY,
        renewed_at=OPENED,
    )
    assert (watch.guardian, watch.opened_at, watch.is_confirmed) == (GAELLE, OPENED, False)


@pytest.mark.parametrize(
    ("moment", "phase"),
    [
        (OPENED - MICROSECOND, Phase.OPEN),
        (OPENED, Phase.OPEN),
        (OVER_BY - MICROSECOND, Phase.OPEN),
        (OVER_BY, Phase.CLOSING),
        (OVER_BY + DELAY - MICROSECOND, Phase.CLOSING),
        (OVER_BY + DELAY, Phase.CLOSED),
    ],
)
def test_a_watch_ends_by_the_clock_alone(moment: datetime, phase: Phase) -> None:
    assert opened().phase_at(moment) is phase


def test_a_watch_that_is_asked_to_close_closes_after_its_delay() -> None:
    watch = start_closing(opened(), at(60))
    assert (watch.closes_from(), watch.closes_by()) == (at(60), at(75))
    assert watch.phase_at(at(60) - MICROSECOND) is Phase.OPEN
    assert watch.phase_at(at(60)) is Phase.CLOSING
    assert watch.phase_at(at(75)) is Phase.CLOSED


def test_a_watch_that_is_closing_already_goes_on_as_it_is() -> None:
    watch = start_closing(opened(), at(60))
    assert start_closing(watch, at(61)) is watch


def test_a_watch_that_is_closed_does_not_begin_to_close() -> None:
    watch = close(opened(), at(60))
    assert start_closing(watch, at(61)) is watch


def test_a_timer_that_fires_late_changes_no_answer_and_credits_no_minute_more() -> None:
    late = OVER_BY + timedelta(hours=8)
    told = start_closing(opened(), late)
    assert told.closing_since == OVER_BY
    assert told.phase_at(OVER_BY) is Phase.CLOSING
    assert close(told, late).closed_at == OVER_BY + DELAY
    assert close(opened(), late).closed_at == OVER_BY + DELAY
    confirmed = replace(close(opened(), late), is_confirmed=True)
    assert credits_of(confirmed, ONE) == {GAELLE: 195}


def test_a_watch_closes_exactly_once() -> None:
    watch = close(offer(opened(), HUGO, at(1)), at(60))
    assert (watch.closed_at, watch.tenures[-1].end, watch.offered_to) == (at(60), at(60), None)
    assert close(watch, at(61)) is watch
    assert watch.phase_at(at(60) - MICROSECOND) is Phase.OPEN
    assert watch.phase_at(at(60)) is Phase.CLOSED
    assert watch.closes_by() == at(60)


def test_a_watch_never_closes_before_its_last_hand_over() -> None:
    watch = close(hand_over(opened(), HUGO, at(30)), at(29))
    assert watch.closed_at == at(30) == watch.tenures[-1].end


def test_an_offer_names_who_may_take_the_watch() -> None:
    assert offer(opened(), HUGO, at(5)).offered_to == HUGO
    assert start_closing(offer(opened(), HUGO, at(5)), at(6)).offered_to is None


def test_nobody_takes_a_watch_that_they_hold() -> None:
    with pytest.raises(WatchError, match=r"^they hold the watch already$"):
        offer(opened(), GAELLE, at(5))
    with pytest.raises(WatchError, match=r"^they hold the watch already$"):
        hand_over(opened(), GAELLE, at(5))


def test_a_hand_over_that_is_heard_of_late_does_not_wake_a_closed_watch() -> None:
    watch = close(opened(), at(60))
    with pytest.raises(
        WatchError, match=r"^the watch is closing or closed, so it can't be passed on$"
    ):
        hand_over(watch, HUGO, at(30))
    with pytest.raises(
        WatchError, match=r"^the watch is closing or closed, so it can't be passed on$"
    ):
        offer(watch, HUGO, at(30))


@pytest.mark.parametrize("minute", [180, 200])
def test_a_watch_that_is_over_is_not_passed_on(minute: int) -> None:
    with pytest.raises(
        WatchError, match=r"^the watch is closing or closed, so it can't be passed on$"
    ):
        offer(opened(), HUGO, at(minute))
    with pytest.raises(
        WatchError, match=r"^the watch is closing or closed, so it can't be passed on$"
    ):
        hand_over(opened(), HUGO, at(minute))


def test_a_hand_over_ends_one_tenure_and_begins_the_next_at_the_same_instant() -> None:
    watch = hand_over(offer(opened(), HUGO, at(5)), HUGO, at(30))
    assert watch.tenures == (
        Tenure(guardian=GAELLE, start=OPENED, end=at(30)),
        Tenure(guardian=HUGO, start=at(30)),
    )
    assert (watch.guardian, watch.offered_to, watch.opened_at) == (HUGO, None, OPENED)
    assert (watch.over_by, watch.authorized_until) == (OVER_BY, TALK.span.end)


def test_a_hand_over_by_a_clock_that_is_behind_overlaps_nothing() -> None:
    watch = hand_over(hand_over(opened(), HUGO, at(30)), INES, at(29))
    assert watch.tenures[1] == Tenure(guardian=HUGO, start=at(30), end=at(30))
    assert watch.tenures[2] == Tenure(guardian=INES, start=at(30))


@pytest.mark.parametrize(("minutes_more", "lasts_longer"), [(-1, False), (0, False), (1, True)])
def test_a_watch_lasts_as_long_as_the_longer_authorization(
    *, minutes_more: int, lasts_longer: bool
) -> None:
    longer = replace(
        TALK,
        guardian=HUGO,
        grace=timedelta(0),
        span=Span(start=OPENED, end=OVER_BY + timedelta(minutes=minutes_more)),
    )
    watch = hand_over(opened(), HUGO, at(30), longer)
    expected = longer if lasts_longer else TALK
    assert (watch.over_by, watch.authorized_until) == (expected.over_by, expected.span.end)


@pytest.mark.parametrize(
    ("audience", "who", "admitted"),
    [
        (Audience.MEMBERS, "paul", True),
        (Audience.PUBLIC, "paul", True),
        (Audience.REGISTERED, "nora", True),
        (Audience.REGISTERED, "paul", False),
    ],
)
def test_a_watch_admits_its_audience(*, audience: Audience, who: str, admitted: bool) -> None:
    watch = replace(opened(), audience=audience)
    member = Member(id=MemberId(who), plan=Plan.NOMAD)
    assert watch.admits(member) is admitted
    assert watch.admits(replace(member, is_guardian=True))


@pytest.mark.parametrize(
    ("minutes", "credited"),
    [
        (7.49, {}),
        (7.5, {GAELLE: 15}),
        (22.4, {GAELLE: 15}),
        (22.5, {GAELLE: 30}),
        (60, {GAELLE: 60}),
    ],
)
def test_the_time_held_is_credited_to_the_nearest_quarter(
    minutes: float, credited: dict[MemberId, int]
) -> None:
    assert credits_of(closed((GAELLE, minutes)), ONE) == credited


def test_what_one_guardian_held_in_parts_is_summed_before_it_is_rounded() -> None:
    watch = closed((GAELLE, 5), (HUGO, 60), (GAELLE, 5))
    assert list(credits_of(watch, ONE).items()) == [(GAELLE, 15), (HUGO, 60)]


@pytest.mark.parametrize(
    ("rate", "credited"),
    [("1.0", 30), ("0.5", 15), ("1.25", 38), ("1.05", 32), ("1.35", 41), ("2", 60)],
)
def test_the_rate_multiplies_the_quarters(rate: str, credited: int) -> None:
    assert credits_of(closed((GAELLE, 31)), Decimal(rate)) == {GAELLE: credited}


def test_a_watch_whose_door_never_opened_credits_nobody() -> None:
    assert credits_of(close(opened(), at(60)), ONE) == {}


def test_an_open_watch_has_nothing_to_credit() -> None:
    with pytest.raises(WatchError, match="watch w is still open"):
        credits_of(replace(opened(), is_confirmed=True), ONE)


def test_a_tenure_without_an_end_ran_until_the_watch_closed() -> None:
    watch = replace(opened(), closed_at=at(45), is_confirmed=True)
    assert credits_of(watch, ONE) == {GAELLE: 45}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that is done to a watch, at some minute."""

    do: str
    to: MemberId
    minute: float


steps = st.lists(
    st.builds(
        Step,
        do=st.sampled_from(["offer", "pass", "pass", "close softly", "close"]),
        to=st.sampled_from([GAELLE, HUGO, INES]),
        minute=st.floats(0, 300),
    ),
    max_size=10,
)


def step(watch: Watch, todo: Step) -> Watch:
    moment = at(todo.minute)
    try:
        if todo.do == "offer":
            return offer(watch, todo.to, moment)
        if todo.do == "pass":
            return hand_over(watch, todo.to, moment)
    except WatchError:
        return watch
    return start_closing(watch, moment) if todo.do == "close softly" else close(watch, moment)


def run(todo: list[Step]) -> Watch:
    watch = replace(opened(), is_confirmed=True)
    for one in todo:
        after = step(watch, one)
        assert watch.closed_at is None or after is watch
        watch = after
    return watch


@given(steps)
def test_tenures_follow_each_other_without_gap_or_overlap(todo: list[Step]) -> None:
    watch = close(run(todo), at(300))
    assert watch.tenures[0].start == OPENED
    assert watch.tenures[-1].end == watch.closed_at
    for one, following in pairwise(watch.tenures):
        assert one.end == following.start
        assert one.guardian != following.guardian
    assert all(tenure.end is not None and tenure.end >= tenure.start for tenure in watch.tenures)


@given(steps)
def test_credits_sum_to_the_minutes_held_within_half_a_quarter_a_guardian(
    todo: list[Step],
) -> None:
    watch = close(run(todo), at(300))
    assert watch.closed_at is not None
    credited = credits_of(watch, ONE)
    held = (watch.closed_at - watch.opened_at) / timedelta(minutes=1)
    guardians = {tenure.guardian for tenure in watch.tenures}
    assert abs(sum(credited.values()) - held) <= 7.5 * len(guardians)
    assert all(minutes > 0 and minutes % 15 == 0 for minutes in credited.values())
    assert credits_of(close(watch, at(301)), ONE) == credited


@given(steps, st.lists(st.floats(-10, 310), min_size=2))
def test_a_watch_goes_from_open_to_closing_to_closed_and_never_back(
    todo: list[Step], minutes: list[float]
) -> None:
    watch = run(todo)
    order = [Phase.OPEN, Phase.CLOSING, Phase.CLOSED]
    passed = [order.index(watch.phase_at(at(minute))) for minute in sorted(minutes)]
    assert passed == sorted(passed)


@given(steps)
def test_telling_a_watch_what_the_clock_says_anyway_changes_no_phase(todo: list[Step]) -> None:
    watch = run(todo)
    late = OVER_BY + timedelta(hours=9)
    told = close(start_closing(watch, late), late)
    for minute in range(0, 300, 5):
        assert told.phase_at(at(minute)) is watch.phase_at(at(minute))


def test_a_watch_has_the_id_of_the_request_that_opened_it_without_hyphens() -> None:
    request = RequestId("01890a5d-ac96-774b-bcce-b302099a8057")
    assert watch_id_of(request) == "01890a5dac96774bbcceb302099a8057"
