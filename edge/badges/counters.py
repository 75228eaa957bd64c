"""The newest counter of each badge that a door has seen itself: by it, alone, it knows a copy."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from access.ids import BadgeDigest
from access.model import BadgeLevel, Policy
from access.policy import Token
from access.tokens import NO_COUNTER, CardToken, counter_of, verdict
from edge.effects import Keep

KEPT_UNDER: Final = "counter."
"""How the keys of what is kept begin."""


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
    return f"{KEPT_UNDER}{badge}"


def recall_counters(kept: Mapping[str, str]) -> dict[BadgeDigest, int]:
    """Read what was kept, also of badges that the policy has no more, so that it is forgotten.

    Args:
        kept: by key; those of other things are left out.
    """
    return {
        BadgeDigest(key.removeprefix(KEPT_UNDER)): int(value)
        for key, value in kept.items()
        if key.startswith(KEPT_UNDER) and value.isdecimal()
    }
