"""Of the tokens of a badge the newest are remembered, and a counter is remembered once."""

from datetime import UTC, datetime

import pytest

from access.ids import RequestId
from access.tokens import MOST_KEPT, UNPROVEN, CardToken, SeenTokens, TokenError, parse_token

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def token(counter: int) -> CardToken:
    return CardToken(f"{counter:08x}{'5a' * 12}")


def remember(tokens: SeenTokens, *counters: int) -> None:
    for counter in counters:
        tokens.remember(token(counter), RequestId(f"r-{counter}"), NOON)


def test_as_many_as_there_is_room_for_are_kept_and_then_the_lowest_goes() -> None:
    tokens = SeenTokens()
    remember(tokens, *range(1, MOST_KEPT + 1))
    assert tokens.has(token(1))
    remember(tokens, MOST_KEPT + 5)
    assert not tokens.has(token(1))
    assert tokens.has(token(2))
    assert tokens.floor == 1
    assert tokens.newest == MOST_KEPT + 5


def test_a_counter_that_was_seen_or_proves_nothing_is_not_remembered() -> None:
    tokens = SeenTokens()
    remember(tokens, 7)
    for again in (token(7), UNPROVEN):
        with pytest.raises(TokenError, match="not one to remember"):
            tokens.remember(again, None, NOON)


def test_what_is_no_token_is_quoted() -> None:
    with pytest.raises(TokenError, match="32 hex digits: 'five'"):
        parse_token("five")
