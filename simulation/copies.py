"""What the witness sees of copied badges (8): it knows which card it truly was, badges do not.

Who judges a badge is the server, or a door on its own; each by what it has seen itself. The bound
that is checked: no judge takes one of a badge's cards for the badge at a counter that another of
them has shown it already. So, once two cards of a badge have been used before the same judge, the
one that comes back is refused, unless it was pulled away, or used elsewhere, more often than the
other one was shown in between: each further entry by changing cards takes a visit that this judge
was not told of. At the server the refusal suspends the badge, and raises the alert, in the same
transaction.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from access.ids import BadgeDigest, RequestId
from access.instants import from_rfc3339
from access.model import BadgeStatus
from access.tokens import UNPROVEN, CardToken, counter_of
from edge.presentation import CardRead, CardUnreadable
from server.effects import Effect, Keep, KeepToken, SuspendBadge
from server.state import SiteState
from simulation.rulebook import Card, Rulebook
from simulation.world import World

SERVER: Final = "the server"
CLONED: Final = "badge_cloned"
_ALERT: Final = "gardien.alert.badge_cloned"
# Why somebody is refused before the token is looked at; or without a policy, or none for this door.
_BEFORE_IT: Final = frozenset(
    {
        CLONED,
        "unknown_badge",
        "badge_revoked",
        "badge_expired",
        "policy_expired",
        "door_not_allowed",
    }
)
_LATE_S: Final = 2.0


@dataclass(slots=True, kw_only=True)
class CopiesSeen:
    """What has become of badges of which there is more than one card.

    Attributes:
        protest: notes that an invariant did not hold.
        copied: the badges of which there is a copy, with the counter at which it was made.
        alerted: the badges for whose suspension an alert was raised.
        shown_by: which card has shown a token: the name of a copy, or nothing for the owner's.
    """

    world: World
    rules: Rulebook
    protest: Callable[[int, str], None]
    copied: dict[BadgeDigest, int] = field(default_factory=dict)
    alerted: set[BadgeDigest] = field(default_factory=set)
    shown_by: dict[CardToken, str] = field(default_factory=dict)
    _newest: dict[BadgeDigest, int] = field(default_factory=dict)
    _judged: dict[tuple[str, BadgeDigest], dict[str, int]] = field(default_factory=dict)

    def made(self, badge: BadgeDigest) -> None:
        """A copy was made of a badge's card."""
        self.copied[badge] = self._newest.get(badge, 0)

    def presented(self, card: Card, met: CardRead | CardUnreadable, *, is_pulled: bool) -> None:
        """A card that is more than its UID was held to a reader."""
        body = card.body
        if body is None:
            return
        if body.is_torn:
            body.is_torn = False
            self.world.count("card_torn")
        token = met.token if isinstance(met, CardRead) else UNPROVEN
        if token is not None and token != UNPROVEN:
            self.shown_by[token] = body.name
            self._newest[card.digest] = max(counter_of(token), self._newest.get(card.digest, 0))
        elif token is not None and not body.name and not is_pulled:
            self.protest(8, f"the card of {card.holder} no longer proves itself: {met}")
        elif is_pulled:
            self.world.count("card_pulled")

    def used(
        self,
        judge: str,
        badge: BadgeDigest,
        token: CardToken,
        *,
        is_fitting: bool,
        is_admitted: bool,
    ) -> None:
        """A judge has seen a token.

        Args:
            judge: who.
            badge: whose card showed it.
            token: as it was shown.
            is_fitting: whether the judge took it for the badge's, by its own judgement.
            is_admitted: whether it let the card in for that.
        """
        body = self.shown_by.get(token)
        if body is None:
            return
        counter, seen = counter_of(token), self._judged.setdefault((judge, badge), {})
        others = {name: newest for name, newest in seen.items() if name != body}
        ahead = [name for name, newest in others.items() if newest >= counter]
        if is_fitting and ahead:
            self.protest(
                8,
                f"{judge} believes {body or 'the card'} of {badge} at {counter}, "
                f"and has seen {ahead[0] or 'the card'} at {others[ahead[0]]}",
            )
        if is_fitting and max(others.values(), default=0) > self.copied.get(badge, counter):
            # Both had been used before this judge: it takes a visit that it was not told of.
            self.world.count("got_ahead_of_the_other")
        if is_admitted and body:
            self.world.count("copy_got_in")
        seen[body] = max(seen.get(body, 0), counter)

    def recorded(self, door: str, data: Mapping[str, Any]) -> None:
        """A door has recorded what became of a badge that has shown a token."""
        is_alone = data["offline"] is True
        if is_alone and data["reason"] == CLONED:
            self.world.count("copy_refused_alone")
        self.used(
            door,
            BadgeDigest(str(data["badge"])),
            CardToken(data["token"]),
            is_fitting=is_alone and data["reason"] not in _BEFORE_IT,
            is_admitted=is_alone and data["granted"],
        )

    def committed(self, effects: Sequence[Effect], state: SiteState) -> None:
        """A transaction of the server is committed, with the state that follows."""
        kept = [effect for effect in effects if isinstance(effect, Keep)]
        decided = {keep.request: keep.record["data"] for keep in kept if keep.request is not None}
        for effect in effects:
            if isinstance(effect, KeepToken) and effect.seen.token is not None:
                said = decided.get(effect.seen.request or RequestId(""))
                self.used(
                    SERVER,
                    effect.badge,
                    effect.seen.token,
                    # A door that would not wait tells of the same request, and was refused here.
                    is_fitting=said is not None and said["proof"] == "fits",
                    is_admitted=said is not None and said["answer"]["granted"],
                )
            elif isinstance(effect, SuspendBadge):
                self._suspended(effect.badge, kept)
        for keep in kept:
            if _is_refusal(keep):
                self._refused(keep, state)

    def _suspended(self, badge: BadgeDigest, kept: Sequence[Keep]) -> None:
        self.world.count("copied_badge_suspended")
        if badge not in self.copied:
            self.protest(8, f"badge {badge} is suspended, and there is no copy of it")
        said = [keep.record["data"] for keep in kept if keep.record["type"] == _ALERT]
        if not any(data["badge"] == badge and data["suspended"] for data in said):
            self.protest(8, f"badge {badge} is suspended without an alert")
        self.alerted.add(badge)

    def _refused(self, keep: Keep, state: SiteState) -> None:
        """Whoever is refused for a copy has their badge suspended by then, but for a late word.

        And where the server has to take it for late: the door's clock goes otherwise by now than
        the door has said.
        """
        badge = BadgeDigest(str(keep.record["data"]["badge"]))
        self.world.count("copy_refused")
        is_active = self.rules.badges[badge].status is BadgeStatus.ACTIVE
        if not is_active or self._age_s(keep) > _LATE_S:
            return
        if _believed_age_s(keep, state) > _LATE_S:
            self.world.count("copy_refused_by_a_wrong_clock")
        else:
            self.protest(8, f"a copy of {badge} is refused, and the badge goes on")

    def _age_s(self, keep: Keep) -> float:
        """Say how old a request truly is: its id tells, which is made by the world's time."""
        asked_ms = UUID(str(keep.request)).int >> 80
        return self.world.now_s - (asked_ms / 1000 - self.world.start.timestamp())

    def examined(self) -> None:
        """Both cards of each copied badge have been used with nothing wrong: they are found."""
        for badge in sorted(self.copied):
            status = self.rules.badges[badge].status
            if status is BadgeStatus.ACTIVE:
                self.protest(8, f"badge {badge} and its copy are both used, and both go on")
            elif status is BadgeStatus.SUSPENDED and badge not in self.alerted:
                self.protest(8, f"nobody was told that badge {badge} is suspended")


def _is_refusal(keep: Keep) -> bool:
    """Whether it is a decision of the server to refuse a copy."""
    return keep.request is not None and keep.record["data"]["answer"]["reason"] == CLONED


def _believed_age_s(keep: Keep, state: SiteState) -> float:
    """Say how old a request is by the clocks of door and server, and what the door said of its."""
    data = keep.record["data"]
    said = state.doors[data["door"]].state
    apart = from_rfc3339(keep.record["time"]) - from_rfc3339(str(data["asked"]))
    return apart.total_seconds() + (0 if said is None else said.clock_ms or 0) / 1000
