"""One event for each presentation of a card, whatever the jitter of the reads."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.ports import Card
from edge.presentation import Presentations

CARD = Card(uid=b"\x04\x11\x22\x33\x44\x55\x66")
OTHER = Card(uid=b"\xde\xad\xbe\xef")
REARM_S = 1.0

# A read of a card that lies there succeeds or not; what matters is that no gap reaches the re-arm.
short_gap_s = st.floats(min_value=0.01, max_value=0.9 * REARM_S)
long_gap_s = st.floats(min_value=1.001 * REARM_S, max_value=100.0)
presentation = st.lists(short_gap_s, max_size=20)


def events(looks: Sequence[tuple[float, Card | None]], rearm_s: float = REARM_S) -> list[Card]:
    presentations = Presentations(rearm_s=rearm_s)
    seen = (presentations.see(card, now_s) for now_s, card in looks)
    return [card for card in seen if card is not None]


@given(st.lists(st.tuples(long_gap_s, presentation), max_size=8), st.data())
def test_there_is_one_event_for_each_presentation_whatever_the_jitter(
    visits: list[tuple[float, list[float]]], data: st.DataObject
) -> None:
    looks: list[tuple[float, Card | None]] = []
    now_s = 0.0
    for away_s, gaps in visits:
        now_s += away_s
        looks.append((now_s, CARD))
        for gap_s in gaps:
            if data.draw(st.booleans()):
                looks.append((now_s + gap_s / 2, None))
            now_s += gap_s
            looks.append((now_s, CARD))
    assert events(looks) == [CARD] * len(visits)


@given(st.lists(st.tuples(short_gap_s, st.sampled_from([CARD, OTHER, None]))))
def test_an_event_means_that_this_card_was_not_seen_within_the_rearm_time(
    steps: list[tuple[float, Card | None]],
) -> None:
    presentations = Presentations(rearm_s=REARM_S)
    last_s: dict[bytes, float] = {}
    now_s = 0.0
    for gap_s, card in steps:
        now_s += gap_s
        is_event = presentations.see(card, now_s) is not None
        if card is not None:
            is_new = card.uid not in last_s or now_s - last_s[card.uid] >= REARM_S
            assert is_event == is_new
            last_s[card.uid] = now_s
        else:
            assert not is_event


def test_a_card_left_on_the_reader_for_an_hour_is_one_presentation() -> None:
    assert events([(n * 0.06, CARD) for n in range(60_000)]) == [CARD]


def test_a_card_is_news_again_when_it_was_away_for_the_rearm_time() -> None:
    assert events([(0.0, CARD), (1.0, CARD)]) == [CARD, CARD]
    assert events([(0.0, CARD), (0.999, CARD)]) == [CARD]


def test_another_card_is_news_at_once() -> None:
    assert events([(0.0, CARD), (0.06, OTHER), (0.12, CARD)]) == [CARD, OTHER]


@pytest.mark.parametrize("rearm_s", [0.0, -1.0, float("nan")])
def test_a_rearm_time_that_is_no_time_is_refused(rearm_s: float) -> None:
    with pytest.raises(ValueError, match="rearm_s"):
        Presentations(rearm_s=rearm_s)
