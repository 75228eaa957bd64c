"""The rolling token of a badge of level L1, and how a copy gives itself away: the clone rule.

A token is what a card holds in its newest token block: a counter (4 bytes, big endian), a nonce
(4 random bytes) and a MAC (8 bytes), as 32 hex digits. A visit writes the next counter with a new
nonce. So a card and its copy each go on from where they parted, and whichever comes second shows a
counter that has been used already.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NewType

from access.ids import RequestId
from access.policy import Token

CardToken = NewType("CardToken", str)
"""A token as it travels: 32 hex digits, lower case."""

UNPROVEN: Final = CardToken("0" * 32)
"""Sent for a badge of level L1 whose card did not prove itself: counter 0, older than any."""

NO_COUNTER: Final = 0
"""The newest counter of a badge of which no token was seen."""

MOST_KEPT: Final = 50
"""How many tokens of a badge are remembered, the newest ones."""

_LENGTH: Final = 32
_COUNTER_DIGITS: Final = 8
_DIGITS: Final = frozenset("0123456789abcdef")


class TokenError(ValueError):
    """What should be a token is none."""


def parse_token(text: object) -> CardToken:
    """Read a token.

    Args:
        text: 32 hex digits, lower case, as the contract has them.

    Raises:
        TokenError: it is something else.
    """
    if not isinstance(text, str) or len(text) != _LENGTH or not _DIGITS.issuperset(text):
        raise TokenError(f"a card's token has {_LENGTH} hex digits: {str(text)[:40]!r}")
    return CardToken(text)


def counter_of(token: CardToken) -> int:
    """Give a token's counter: 0 of a card that did not prove itself, else 1 to 4,294,967,295."""
    return int(token[:_COUNTER_DIGITS], 16)


def verdict(token: CardToken | None, newest: int, *, is_repeat: bool = False) -> Token:
    """Say what becomes of a badge's token: the clone rule, on the server and on a door alone.

    Pure. A counter may jump ahead: a card may have been written by a visit that was never told.

    Args:
        token: what was read and verified on the card; None for a badge that has none, or a reader
            that reads UIDs only.
        newest: the highest counter seen of this badge so far; `NO_COUNTER` where none was.
        is_repeat: whether this very token was seen before in this very request.

    Returns:
        `COPIED` where the counter was used before: somebody went on from the same card.
    """
    if token is None:
        return Token.NONE
    counter = counter_of(token)
    is_next = counter > newest
    return Token.FITS if is_next or (is_repeat and counter != NO_COUNTER) else Token.COPIED


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenToken:
    """One token that a card has shown.

    Attributes:
        token: as it was read; None where only its counter is still remembered.
        request: of the visit; None where it is not known any more.
        at: when; None where it is not known any more.
    """

    counter: int
    token: CardToken | None
    request: RequestId | None
    at: datetime | None


class SeenTokens:
    """The tokens that were seen of one badge, the newest 50.

    Args:
        seen: what is remembered already.
    """

    def __init__(self, seen: Iterable[SeenToken] = ()) -> None:
        self._by_counter = {one.counter: one for one in seen}

    @property
    def newest(self) -> int:
        """The highest counter that was seen; `NO_COUNTER` where none was."""
        return max(self._by_counter, default=NO_COUNTER)

    @property
    def floor(self) -> int:
        """All counters up to this one are forgotten; `NO_COUNTER` as long as there is room."""
        is_full = len(self._by_counter) >= MOST_KEPT
        return min(self._by_counter) - 1 if is_full else NO_COUNTER

    def judge(self, token: CardToken | None, request: RequestId) -> Token:
        """Apply the clone rule to a token that a door asks about.

        A request that is asked again brings the same token again, however late.
        """
        before = None if token is None else self._by_counter.get(counter_of(token))
        is_repeat = before is not None and (before.token, before.request) == (token, request)
        return verdict(token, self.newest, is_repeat=is_repeat)

    def has(self, token: CardToken) -> bool:
        """Whether the token's counter was seen, with this token or with another."""
        return counter_of(token) in self._by_counter

    def contradicts(self, token: CardToken) -> bool:
        """Whether this token and one that was seen can't both be of one card.

        That is so where a counter was used twice, or the card did not prove itself.
        """
        before = self._by_counter.get(counter_of(token))
        is_other = before is not None and before.token not in {None, token}
        return is_other or counter_of(token) == NO_COUNTER

    def was_older(self, token: CardToken, at: datetime) -> bool:
        """Whether a newer token had been seen before `at`: so that this one was old by then."""
        counter = counter_of(token)
        return any(
            one.at is not None and one.at < at and one.counter > counter
            for one in self._by_counter.values()
        )

    def remember(self, token: CardToken, request: RequestId | None, at: datetime) -> SeenToken:
        """Remember a token whose counter was not seen before, and give it as it is remembered.

        Raises:
            TokenError: its counter was seen, or it proves nothing.
        """
        counter = counter_of(token)
        if counter == NO_COUNTER or counter in self._by_counter:
            raise TokenError(f"the counter {counter} is not one to remember")
        seen = SeenToken(counter=counter, token=token, request=request, at=at)
        self._by_counter[counter] = seen
        if len(self._by_counter) > MOST_KEPT:
            del self._by_counter[min(self._by_counter)]
        return seen
