"""The state in which a decision is explained: the site's own as it is, or one that is assumed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from access.ids import DoorId, MemberId, WatchId
from access.instants import Span
from access.model import Audience, Authorization, Policy
from access.policy import State
from access.watch import Watch, open_watch, start_closing
from edge.lonely import reliance
from server.state import SiteState

_SOMEBODY = MemberId("somebody")
_AN_HOUR = timedelta(hours=1)

Words = tuple[str, str]
"""French, then English."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """What is to be assumed; None leaves it as it is, or as it is when nobody is there.

    Attributes:
        watch: whether a watch is open.
        is_closing: whether that watch is closing.
        present: how many people are inside.
        is_inside: whether the badge's member is inside already.
        is_locked_down: whether the door is locked down.
        alone: for how long the door has been on its own; None if it is not.
    """

    watch: bool | None = None
    is_closing: bool = False
    present: int | None = None
    is_inside: bool = False
    is_locked_down: bool = False
    alone: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """A state, and what it was taken from, in words.

    Attributes:
        state: for `access.policy.decide`.
        is_current: whether it began as the state of the site now, rather than as an empty site.
        words: what was assumed, French and English.
    """

    state: State
    is_current: bool
    words: tuple[Words, ...]


def assume(
    policy: Policy,
    what_if: WhatIf,
    *,
    door: DoorId,
    member: MemberId | None,
    at: datetime,
    site: SiteState | None,
) -> Assumed:
    """Give the state for an explanation. Pure.

    Args:
        policy: that decides.
        what_if: what to assume.
        door: which is asked.
        member: whose badge it is; None for nobody's.
        at: the time in question.
        site: the state of the site now; None for another time, or for a door on its own.
    """
    state = _empty(what_if) if site is None else site.situation()
    words = [*_begun_as(site, what_if)]
    state = _with_people(state, what_if, member, words)
    if what_if.watch:
        state = replace(state, watch=_watch(policy, door, at, what_if, words))
    elif what_if.watch is not None or site is None:
        state = replace(state, watch=None)
        words.append(("pas de permanence", "no watch"))
    if what_if.is_locked_down:
        state = replace(state, locked_down=frozenset({door}))
        words.append(("porte bloquée", "the door is locked down"))
    if what_if.alone is not None:
        state = replace(state, is_alone=True, present=None, reliance=reliance(policy, at))
    return Assumed(state=state, is_current=site is not None, words=tuple(words))


def told(words: Sequence[Words], language: str) -> str:
    """Tell what was assumed, in `fr` or `en`."""
    place = 1 if language == "en" else 0
    head = "Assumed: " if language == "en" else "Hypothèse : "
    return head + "; ".join(one[place] for one in words)


def _begun_as(site: SiteState | None, what_if: WhatIf) -> Iterator[Words]:
    if what_if.alone is not None:
        hours = what_if.alone / _AN_HOUR
        yield (
            f"la porte est seule depuis {hours:g} h",
            f"the door has been on its own for {hours:g} h",
        )
    elif site is not None:
        yield ("le lieu tel qu'il est maintenant", "the site as it is now")
    elif what_if.present is None and not what_if.is_inside:
        yield ("personne à l'intérieur", "nobody inside")


def _empty(what_if: WhatIf) -> State:
    return State(present=1 if what_if.is_inside else 0)


def _with_people(
    state: State, what_if: WhatIf, member: MemberId | None, words: list[Words]
) -> State:
    if what_if.is_inside and member is not None:
        state = replace(state, inside=frozenset({member}))
        words.append(("le membre est à l'intérieur", "the member is inside"))
    if what_if.present is not None:
        state = replace(state, present=what_if.present)
        words.append((f"{what_if.present} présents", f"{what_if.present} people inside"))
    return state


def _watch(
    policy: Policy, door: DoorId, at: datetime, what_if: WhatIf, words: list[Words]
) -> Watch:
    found = _authorization(policy, at)
    # Opened when it could first have been: a watch can't have begun after the time in question.
    opened = min(at, max(found.span.start - found.lead, at - _AN_HOUR))
    watch = open_watch(WatchId("assumed"), found, door, opened, policy.closing_delay)
    if what_if.is_closing:
        watch = start_closing(watch, at)
    french, english = (
        ("se termine", "is closing") if what_if.is_closing else ("est ouverte", "is open")
    )
    purpose = f" ({found.title})" if found.title else ""
    words.append(
        (
            f"une permanence {french}, tenue par {found.guardian}{purpose}",
            f"a watch {english}, held by {found.guardian}{purpose}",
        )
    )
    return watch


def _authorization(policy: Policy, at: datetime) -> Authorization:
    """Find the authorization that a watch would be held under; if there is none, make one up."""
    holding = [policy.holding(guardian, at) for guardian in policy.authorizations]
    found = [one for one in holding if one is not None]
    return max(
        found,
        key=lambda one: (one.over_by, one.id),
        default=Authorization(
            id="members",
            guardian=_SOMEBODY,
            span=Span(start=at - _AN_HOUR, end=at + _AN_HOUR),
            audience=Audience.MEMBERS,
        ),
    )
