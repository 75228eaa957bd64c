"""How long a watch lasts: its authorization as it is now, the limit, and its guardian's leaving."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from access.ids import DoorId, MemberId, WatchId
from access.instants import Span
from access.model import Audience, Authorization
from access.watch import (
    Phase,
    Watch,
    close,
    come_back,
    credits_of,
    hand_over,
    leave,
    open_watch,
    reauthorize,
    renew,
    start_closing,
)

GAELLE, HUGO = MemberId("gaelle"), MemberId("hugo")
OPENED = datetime(2026, 11, 28, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
FAIR = Authorization(
    id="fair", guardian=GAELLE, span=Span(start=OPENED, end=OPENED + 30 * HOUR), grace=HOUR
)
ONE = Decimal(1)


def opened(longest: timedelta | None = 12 * HOUR) -> Watch:
    watch = open_watch(WatchId("w"), FAIR, DoorId("main"), OPENED, HOUR / 4, longest=longest)
    return replace(watch, is_confirmed=True)


def test_a_watch_that_nobody_renews_begins_to_close_at_the_limit() -> None:
    watch = opened()
    assert watch.over_by == OPENED + 12 * HOUR
    assert watch.phase_at(OPENED + 12 * HOUR) is Phase.CLOSING
    assert watch.authorized_until == FAIR.span.end


def test_without_a_limit_it_lasts_as_long_as_its_authorization() -> None:
    assert opened(longest=None).over_by == FAIR.over_by
    assert renew(opened(longest=None), OPENED + HOUR) == opened(longest=None)


def test_a_watch_is_renewed_by_its_guardians_badge_up_to_its_authorization() -> None:
    watch = renew(opened(), OPENED + 11 * HOUR)
    assert watch.over_by == OPENED + 23 * HOUR
    assert renew(watch, OPENED + 22 * HOUR).over_by == FAIR.over_by


def test_news_of_an_earlier_badge_shortens_nothing() -> None:
    watch = renew(opened(), OPENED + 11 * HOUR)
    assert renew(watch, OPENED + 3 * HOUR) == watch


def test_a_watch_kept_by_an_older_version_knows_its_end_only() -> None:
    older = replace(opened(), granted_until=None)
    assert renew(older, OPENED + HOUR) == older
    assert renew(replace(opened(), renewed_at=None), OPENED + HOUR).over_by == older.over_by
    theirs = replace(FAIR, id="theirs", guardian=HUGO)
    assert hand_over(older, HUGO, OPENED + HOUR, theirs).authorization == "theirs"


def test_a_watch_that_is_over_is_not_renewed() -> None:
    for late in (start_closing(opened(), OPENED + HOUR), close(opened(), OPENED + HOUR)):
        assert renew(late, OPENED + 2 * HOUR) == late
    assert renew(opened(), OPENED + 12 * HOUR) == opened()


@given(st.permutations([1, 4, 9, 11]))
def test_badges_in_any_order_renew_alike(hours: list[int]) -> None:
    watch = opened()
    for hour in hours:
        watch = renew(watch, OPENED + hour * HOUR)
    assert watch.over_by == OPENED + 23 * HOUR


def test_who_takes_a_watch_renews_it() -> None:
    watch = hand_over(opened(), HUGO, OPENED + 6 * HOUR)
    assert watch.over_by == OPENED + 18 * HOUR
    assert (watch.authorization, watch.authorized) == ("fair", GAELLE)


def test_a_longer_authorization_goes_with_who_takes_the_watch() -> None:
    theirs = replace(
        FAIR, id="theirs", guardian=HUGO, span=Span(start=OPENED, end=OPENED + 40 * HOUR)
    )
    watch = hand_over(opened(), HUGO, OPENED + 6 * HOUR, theirs)
    assert (watch.authorization, watch.authorized) == ("theirs", HUGO)
    assert watch.granted_until == theirs.over_by
    assert watch.over_by == OPENED + 18 * HOUR


def test_an_authorization_that_only_outlasts_the_limit_is_not_a_longer_one() -> None:
    theirs = replace(
        FAIR, id="theirs", guardian=HUGO, span=Span(start=OPENED, end=OPENED + 20 * HOUR)
    )
    watch = hand_over(opened(), HUGO, OPENED + 6 * HOUR, theirs)
    assert watch.authorization == "fair"


def test_a_watch_follows_its_authorization_when_it_is_changed() -> None:
    changed = replace(
        FAIR,
        span=Span(start=OPENED, end=OPENED + 2 * HOUR),
        title="Fair, shortened",
        audience=Audience.REGISTERED,
        registered=frozenset({HUGO}),
    )
    watch = reauthorize(opened(), changed)
    assert (watch.over_by, watch.authorized_until) == (OPENED + 3 * HOUR, OPENED + 2 * HOUR)
    assert (watch.title, watch.audience) == ("Fair, shortened", Audience.REGISTERED)
    assert watch.registered == frozenset({HUGO})
    assert reauthorize(watch, FAIR) == opened()


def test_a_guardian_is_credited_until_they_leave_and_not_until_others_do() -> None:
    closing = start_closing(opened(), OPENED + HOUR)
    left = leave(closing, OPENED + HOUR)
    for minutes in (0, 5, 15, 60):
        closed = close(left, OPENED + HOUR + timedelta(minutes=minutes))
        assert credits_of(closed, ONE) == {GAELLE: 60}
    stayed = close(come_back(left), OPENED + 2 * HOUR)
    assert credits_of(stayed, ONE) == {GAELLE: 75}


def test_a_guardian_who_leaves_after_the_watch_closed_is_credited_until_it_closed() -> None:
    late = leave(start_closing(opened(), OPENED + HOUR), OPENED + 5 * HOUR)
    assert credits_of(close(late, OPENED + 9 * HOUR), ONE) == {GAELLE: 75}


def test_nobody_leaves_before_they_took_the_watch() -> None:
    watch = hand_over(opened(), HUGO, OPENED + 2 * HOUR)
    odd = close(leave(watch, OPENED + HOUR), OPENED + 3 * HOUR)
    assert odd.tenures[-1].end == odd.tenures[-1].start
