"""The newest counter of each badge that a door has seen itself: by it, alone, it knows a copy."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from access.ids import BadgeDigest
from access.model import BadgeLevel, Policy
from access.policy import Token
from access.tokens import NO_COUNTER, CardToken, counter_of, verdict
from edge.effects import Keep

_KEPT_AS: Final = "counter."


@dataclass(slots=True, kw_only=True)
class Counters:
    """What a door remembers of the tokens of its badges; of others it remembers nothing.

    Attributes:
        newest: the highest counter of each badge.
    """

    newest: dict[BadgeDigest, int] = field(default_factory=dict)

    def judge(self, badge: BadgeDigest, token: CardToken | None) -> Token:
        """Say what becomes of a token by what was seen here; remembers nothing."""
        return verdict(token, self.newest.get(badge, NO_COUNTER))

    def learn(self, badge: BadgeDigest, token: CardToken | None) -> Iterator[Keep]:
        """Remember a token that was read here, durably."""
        counter = NO_COUNTER if token is None else counter_of(token)
        if counter > self.newest.get(badge, NO_COUNTER):
            self.newest[badge] = counter
            yield Keep(key=key_of(badge), value=str(counter))

    def forget_others(self, policy: Policy) -> Iterator[Keep]:
        """Forget the badges that a policy no longer has."""
        for badge in [badge for badge in self.newest if badge not in policy.badges]:
            del self.newest[badge]
            yield Keep(key=key_of(badge), value=None)


def is_provable(policy: Policy | None, badge: BadgeDigest) -> bool:
    """Whether a badge is one whose card can prove itself: of level L1."""
    known = policy.badges.get(badge) if policy is not None else None
    return known is not None and known.level is BadgeLevel.L1


def key_of(badge: BadgeDigest) -> str:
    """The key under which a badge's counter is kept."""
    return f"{_KEPT_AS}{badge}"


def recall_counters(
    policy: Policy | None, kept: Callable[[str], str | None]
) -> dict[BadgeDigest, int]:
    """Read what was kept of the badges of a policy that can prove themselves.

    Args:
        policy: the last one.
        kept: gives what was kept under a key.
    """
    badges = policy.badges if policy is not None else ()
    found = {badge: kept(key_of(badge)) for badge in badges if is_provable(policy, badge)}
    return {badge: int(value) for badge, value in found.items() if value and value.isdecimal()}
