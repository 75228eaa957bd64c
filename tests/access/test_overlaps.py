"""Spans that hold an instant are found, all of them and no other."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from access.overlaps import Overlaps

ORIGIN = datetime(2026, 11, 24, tzinfo=UTC)
HOUR = timedelta(hours=1)
spans = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 20), st.text(max_size=2)), max_size=10
)


@given(spans, st.integers(-1, 41))
def test_what_looking_at_all_of_them_finds_is_found(
    written: list[tuple[int, int, str]], hour: int
) -> None:
    made = [(ORIGIN + a * HOUR, ORIGIN + (a + n) * HOUR, name) for a, n, name in written]
    moment = ORIGIN + hour * HOUR
    expected = [name for start, end, name in made if start <= moment < end]
    assert sorted(Overlaps(made).at(moment)) == sorted(expected)


def test_a_long_span_is_found_behind_short_ones_that_are_over() -> None:
    found = Overlaps(
        [
            (ORIGIN + 2 * HOUR, ORIGIN + 3 * HOUR, "short"),
            (ORIGIN, ORIGIN + 9 * HOUR, "long"),
            (ORIGIN + 4 * HOUR, ORIGIN + 5 * HOUR, "later"),
        ]
    )
    assert list(found.at(ORIGIN + 3 * HOUR)) == ["long"]
    assert list(found.at(ORIGIN + 4 * HOUR)) == ["later", "long"]
    assert list(found.at(ORIGIN + 9 * HOUR)) == []
