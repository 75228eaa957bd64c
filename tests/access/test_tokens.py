"""The clone rule: which token fits, and how a copy gives itself away."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.ids import RequestId
from access.policy import Token
from access.tokens import (
    MOST_KEPT,
    NO_COUNTER,
    UNPROVEN,
    CardToken,
    SeenToken,
    SeenTokens,
    TokenError,
    counter_of,
    parse_token,
    verdict,
)

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MOST_COUNTER = 2**32 - 1
counters = st.integers(1, MOST_COUNTER)


def token(counter: int, nonce: int = 0) -> CardToken:
    return CardToken(f"{counter:08x}{nonce:08x}{'5a' * 8}")


def request(number: int) -> RequestId:
    return RequestId(f"00000000-0000-7000-8000-{number:012x}")


def seen(*counters_seen: int) -> SeenTokens:
    tokens = SeenTokens()
    for counter in counters_seen:
        tokens.remember(token(counter), request(counter), NOON + timedelta(minutes=counter))
    return tokens


@given(st.one_of(counters, st.just(0)))
def test_the_counter_is_the_first_four_bytes(counter: int) -> None:
    assert counter_of(parse_token(token(counter, nonce=7))) == counter


@pytest.mark.parametrize(
    "text", ["", "0" * 31, "0" * 33, "G" * 32, "A" * 32, "0" * 31 + "\n", " " * 32, 7, None, "é"]
)
def test_what_is_not_32_lower_hex_digits_is_no_token(text: object) -> None:
    with pytest.raises(TokenError, match="32 hex digits"):
        parse_token(text)


def test_without_a_token_nothing_is_said_about_a_copy() -> None:
    assert verdict(None, 0) is Token.NONE
    assert verdict(None, 5, is_repeat=True) is Token.NONE


@given(counters, st.integers(0, MOST_COUNTER))
def test_a_token_fits_if_its_counter_is_above_all_that_were_seen(counter: int, newest: int) -> None:
    expected = Token.FITS if counter > newest else Token.COPIED
    assert verdict(token(counter), newest) is expected
    assert verdict(token(counter), newest, is_repeat=True) is Token.FITS


@given(st.integers(0, MOST_COUNTER), st.booleans())
def test_a_card_that_did_not_prove_itself_is_a_copy_even_of_a_badge_never_seen(
    newest: int,
    is_repeat: bool,  # noqa: FBT001 (drawn)
) -> None:
    assert verdict(UNPROVEN, newest, is_repeat=is_repeat) is Token.COPIED


def test_a_counter_may_jump_ahead_but_never_stand_or_go_back() -> None:
    tokens = seen(5)
    assert tokens.judge(token(6), request(6)) is Token.FITS
    assert tokens.judge(token(900), request(900)) is Token.FITS
    assert tokens.judge(token(5, nonce=1), request(7)) is Token.COPIED
    assert tokens.judge(token(4), request(8)) is Token.COPIED


def test_the_same_token_fits_again_in_the_same_request_only() -> None:
    tokens = seen(5, 6)
    assert tokens.judge(token(6), request(6)) is Token.FITS
    assert tokens.judge(token(5), request(5)) is Token.FITS
    assert tokens.judge(token(6), request(7)) is Token.COPIED
    assert tokens.judge(token(6, nonce=1), request(6)) is Token.COPIED
    assert tokens.judge(None, request(7)) is Token.NONE


def test_two_tokens_with_one_counter_are_never_of_one_card() -> None:
    tokens = seen(5)
    assert not tokens.contradicts(token(5))
    assert tokens.contradicts(token(5, nonce=1))
    assert not tokens.contradicts(token(4))
    assert tokens.contradicts(UNPROVEN)


def test_a_counter_of_which_the_token_is_forgotten_contradicts_nothing() -> None:
    bare = SeenTokens([SeenToken(counter=5, token=None, request=None, at=None)])
    assert bare.newest == 5
    assert not bare.contradicts(token(5))
    assert bare.judge(token(5), request(5)) is Token.COPIED
    assert not bare.was_older(token(4), NOON + timedelta(days=1))


def test_a_token_was_old_only_after_a_newer_one_had_been_seen() -> None:
    tokens = seen(5)
    newer_seen_at = NOON + timedelta(minutes=5)
    assert tokens.was_older(token(4), newer_seen_at + timedelta(microseconds=1))
    assert not tokens.was_older(token(4), newer_seen_at)
    assert not tokens.was_older(token(5), newer_seen_at + timedelta(days=1))


def test_a_token_is_remembered_once_and_one_that_proves_nothing_never() -> None:
    tokens = seen(5)
    assert tokens.has(token(5, nonce=1))
    assert not tokens.has(token(6))
    for one in (token(5), token(5, nonce=1), UNPROVEN):
        with pytest.raises(TokenError, match="not one to remember"):
            tokens.remember(one, None, NOON)
    assert tokens.newest == 5


def test_nothing_seen_is_older_than_any_token() -> None:
    tokens = SeenTokens()
    assert (tokens.newest, tokens.floor) == (NO_COUNTER, NO_COUNTER)
    assert tokens.judge(token(1), request(1)) is Token.FITS


@given(st.lists(counters, unique=True, max_size=3 * MOST_KEPT))
def test_the_newest_fifty_are_remembered_and_the_floor_tells_the_rest(seen_: list[int]) -> None:
    tokens = SeenTokens()
    for counter in seen_:
        tokens.remember(token(counter), None, NOON)
    kept = sorted(seen_, reverse=True)[:MOST_KEPT]
    assert tokens.newest == max(seen_, default=NO_COUNTER)
    assert all(tokens.has(token(counter)) == (counter in kept) for counter in seen_)
    assert all((counter > tokens.floor) == (counter in kept) for counter in seen_)
    assert tokens.floor < min(kept, default=1)


@dataclass
class Card:
    """A card: the counters and nonces in its two blocks; the newer one is written last."""

    name: int
    counter: int = 2
    visits: int = 0

    def visit(self) -> CardToken:
        self.counter += 1
        self.visits += 1
        return token(self.counter, nonce=1000 * self.name + self.visits)


@dataclass
class House:
    """A server, and doors that are alone now and then; each remembers what it has seen."""

    tokens: SeenTokens = field(default_factory=SeenTokens)
    is_suspended: bool = False
    requests: int = 0

    def asked(self, shown: CardToken) -> bool:
        """A door online asks; say whether the badge is admitted."""
        self.requests += 1
        asked = request(self.requests)
        judged = self.tokens.judge(shown, asked)
        if judged is Token.COPIED:
            self.is_suspended = True
        elif not self.tokens.has(shown):
            self.tokens.remember(shown, asked, NOON)
        return judged is Token.FITS and not self.is_suspended


OWNER, COPY = 0, 1
visits = st.lists(st.tuples(st.sampled_from([OWNER, COPY]), st.booleans()), max_size=30)


@given(st.integers(0, 5), visits)
def test_owner_and_copy_do_not_both_come_in_unless_visits_were_lost(
    before: int, visited: list[tuple[int, bool]]
) -> None:
    """Visits come in any order; one that is lost has written the card, and nobody was told.

    Whoever of the two comes first after they parted goes on coming in; the first visit of the other
    one ends it for both.
    """
    house, owner = House(), Card(OWNER)
    for _ in range(before):
        assert house.asked(owner.visit())
    cards = {OWNER: owner, COPY: Card(COPY, counter=owner.counter)}
    turns: list[int] = []
    for who, is_lost in visited:
        shown = cards[who].visit()
        if is_lost:
            continue
        if house.asked(shown):
            assert not house.is_suspended
            turns.append(who)
    # It changes hands only where lost visits carried one card's counter past the other's.
    changes = sum(a != b for a, b in pairwise(turns))
    lost = sum(is_lost for _, is_lost in visited)
    assert changes <= lost
    if not lost:
        assert len(set(turns)) <= 1
