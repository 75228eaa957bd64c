"""What the rules know: bounds of validity, and which authorization serves."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.ids import MemberId, SiteId
from access.instants import Span
from access.model import Authorization, Member, Plan, Policy, Status, Validity

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR, MICROSECOND = timedelta(hours=1), timedelta(microseconds=1)
GAELLE, HUGO = MemberId("gaelle"), MemberId("hugo")
TALK = Authorization(id="talk", guardian=GAELLE, span=Span(start=NOON, end=NOON + 2 * HOUR))
LONGER = replace(TALK, id="longer", span=Span(start=NOON + HOUR, end=NOON + 3 * HOUR))
POLICY = Policy(
    version=1,
    site=SiteId("malakoff"),
    issued=NOON,
    relies_until=NOON,
    capacity=1,
    doors={},
    members={
        GAELLE: Member(id=GAELLE, plan=Plan.NOMAD, is_guardian=True),
        HUGO: Member(id=HUGO, plan=Plan.NOMAD),
    },
    authorizations={GAELLE: (TALK, LONGER)},
)


def test_a_validity_holds_from_its_start_up_to_its_end() -> None:
    bounds = Validity(since=NOON, until=NOON + HOUR)
    moments = (NOON - MICROSECOND, NOON, NOON + HOUR - MICROSECOND, NOON + HOUR)
    assert [bounds.holds(at) for at in moments] == [False, True, True, False]
    assert Validity().holds(NOON)


def test_a_watch_is_opened_from_the_lead_to_the_end_and_held_to_the_grace() -> None:
    lead, end, over = NOON - HOUR / 2, NOON + 2 * HOUR, NOON + 2.5 * HOUR
    moments = (lead - MICROSECOND, lead, end - MICROSECOND, end, over - MICROSECOND, over)
    assert [TALK.allows_opening(at) for at in moments] == [False, True, True, False, False, False]
    assert [TALK.allows_holding(at) for at in moments] == [False, True, True, True, True, False]


@pytest.mark.parametrize(
    ("hours", "opening", "holding"),
    [
        (-1, None, None),
        (0, "talk", "talk"),
        (0.5, "longer", "longer"),
        (2.25, "longer", "longer"),
        (3.25, None, "longer"),
        (3.5, None, None),
    ],
)
def test_of_several_authorizations_the_one_that_lasts_longest_serves(
    hours: float, opening: str | None, holding: str | None
) -> None:
    at = NOON + hours * HOUR
    found = (POLICY.authorization(GAELLE, at), POLICY.holding(GAELLE, at))
    assert tuple(a.id if a is not None else None for a in found) == (opening, holding)


many = st.lists(
    st.builds(
        lambda start, hours, lead, grace: replace(
            TALK,
            id=f"{start} {hours} {lead} {grace}",
            span=Span(start=NOON + start * HOUR, end=NOON + (start + hours) * HOUR),
            lead=lead * HOUR,
            grace=grace * HOUR,
        ),
        st.integers(0, 30),
        st.integers(1, 30),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    max_size=12,
)


@given(many, st.integers(-5, 70), st.sampled_from([-1, 0, 1]))
def test_the_authorization_is_the_one_that_looking_at_all_of_them_finds(
    granted: list[Authorization], hours: int, beside: int
) -> None:
    at = NOON + hours * HOUR + beside * MICROSECOND
    policy = replace(POLICY, authorizations={GAELLE: tuple(granted)})
    by_length = sorted(granted, key=lambda a: (a.over_by, a.id), reverse=True)
    assert policy.authorization(GAELLE, at) == next(
        (a for a in by_length if a.allows_opening(at)), None
    )
    assert policy.holding(GAELLE, at) == next((a for a in by_length if a.allows_holding(at)), None)


def test_nobody_else_is_authorized() -> None:
    assert POLICY.authorization(HUGO, NOON) is None
    assert POLICY.holding(HUGO, NOON) is None


def test_a_guardian_is_one_while_their_membership_is_active() -> None:
    assert POLICY.is_guardian(GAELLE)
    assert not POLICY.is_guardian(HUGO)
    assert not POLICY.is_guardian(MemberId("stranger"))
    suspended = replace(POLICY.members[GAELLE], status=Status.SUSPENDED)
    assert not replace(POLICY, members={GAELLE: suspended}).is_guardian(GAELLE)
