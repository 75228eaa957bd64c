"""Which words of the server's time were sent just now, and which come late or once more."""

from datetime import UTC, datetime, timedelta

import pytest

from edge.server_time import ServerTime

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    """The time so long after noon."""
    return NOON + timedelta(seconds=seconds)


def heard(*words: tuple[float, float]) -> list[bool]:
    """Hear words, each of a time after noon at a monotonic time, both in seconds."""
    server = ServerTime()
    return [server.hear(after(said_s), mono) for said_s, mono in words]


def test_words_that_go_on_with_the_time_were_sent_just_now() -> None:
    assert heard((0, 100), (30, 130), (60, 160.2), (61, 161)) == [True] * 4


def test_a_word_that_comes_once_more_within_a_minute_tells_the_same() -> None:
    assert heard((0, 100), (0, 159)) == [True, True]


@pytest.mark.parametrize("said_s", [0, 30, 3539])
def test_a_word_that_lags_behind_was_not_sent_just_now(said_s: float) -> None:
    assert heard((0, 100), (30, 130), (said_s, 3700)) == [True, True, False]


def test_a_word_that_was_kept_tells_what_time_it_is_at_least() -> None:
    server = ServerTime()
    server.read(after(3600), 100)
    assert not server.hear(after(1800), 101)
    assert server.hear(after(3590), 102)


def test_an_old_word_that_was_kept_takes_nothing_back() -> None:
    server = ServerTime()
    server.hear(after(3600), 100)
    server.read(after(0), 101)
    assert not server.hear(after(1800), 102)


def test_a_word_that_runs_ahead_is_believed() -> None:
    assert heard((0, 100), (86_400, 130), (30, 130)) == [True, True, False]


def test_a_server_whose_clock_was_put_back_is_believed_when_it_goes_on_in_step() -> None:
    back = -3600
    words = ((0, 100), (back + 30, 130), (back + 60, 160), (back + 90, 190))
    assert heard(*words) == [True, False, True, True]


def test_what_was_held_up_and_comes_all_at_once_is_not_believed() -> None:
    assert heard((0, 100), (30, 2000), (60, 2000.1), (90, 2000.2)) == [True, False, False, False]


def test_old_words_that_are_not_in_step_are_not_believed() -> None:
    assert heard((0, 100), (30, 2000), (660, 2030)) == [True, False, False]
