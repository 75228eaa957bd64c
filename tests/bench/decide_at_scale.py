#!/usr/bin/env python3
"""What a decision alone costs, by how many members, events and doors a place has.

For a member in opening hours, a member after hours and a guardian with an authorization, each of
many members in turn: `decide` is called against policies that differ in one thing. All take turns,
in many blocks, and the best block of each is kept, so that what else the machine does counts as
little as can be. Nothing is read or written; `place_at_scale.py` measures a decision that is kept.

Promised: one against the largest takes at most 1.5 times as long as one against the smallest. It
would be 1, were it not for the processor's cache, which does not hold a million members.
"""

import argparse
import gc
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

if (ROOT := str(Path(__file__).parents[2])) not in sys.path:
    sys.path.append(ROOT)

from access.ids import DoorId, MemberId, SiteId
from access.instants import Span
from access.model import Authorization, Badge, Door, Member, Plan, Policy, Reader
from access.policy import Request, State, decide
from gardien.progress import progress_bar
from tests.bench.ledger_filling import badge_of, member_of
from tests.bench.program import Size, run
from tests.bench.shape import Curve, Found, Line, Promise

MOST_TIMES_SMALLEST = 1.5
DOOR = DoorId("door-0")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
EVENING = NOON + timedelta(hours=7)
GUARDIANS = 8
USUAL = {"members": 100, "events": 100, "doors": 4}

CASES = {
    "member, opening hours": (False, NOON),
    "member, after hours": (False, EVENING),
    "guardian, after hours": (True, EVENING),
}
"""Whether a guardian asks, and when."""


def policy(*, members: int, events: int, doors: int) -> Policy:
    """Make the policy of a place: the first eight are guardians, and share the events."""
    ids: list[MemberId] = [member_of(number) for number in range(members)]
    return Policy(
        version=1,
        site=SiteId("place"),
        issued=NOON,
        relies_until=NOON + timedelta(hours=72),
        capacity=members,
        doors={
            (door := DoorId(f"door-{number}")): Door(id=door, name=door, plans=frozenset(Plan))
            for number in range(doors)
        },
        members={
            member: Member(id=member, plan=Plan.NOMAD, is_guardian=number < GUARDIANS)
            for number, member in enumerate(ids)
        },
        badges={
            (badge := badge_of(number)): Badge(digest=badge, member=member)
            for number, member in enumerate(ids)
        },
        opening=(Span(start=NOON - timedelta(hours=3), end=NOON + timedelta(hours=5)),),
        authorizations={
            guardian: tuple(evenings(guardian, range(number, events, GUARDIANS)))
            for number, guardian in enumerate(ids[:GUARDIANS])
        },
    )


def evenings(guardian: MemberId, numbers: range) -> list[Authorization]:
    """Give a guardian's authorizations: two hours each, from one evening on, eight at a time."""
    starts = [EVENING + timedelta(hours=7 * (number // GUARDIANS)) for number in numbers]
    return [
        Authorization(
            id=f"event-{number}",
            guardian=guardian,
            span=Span(start=start, end=start + timedelta(hours=2)),
        )
        for number, start in zip(numbers, starts, strict=True)
    ]


def requests(rules: Policy, case: str, decisions: int) -> list[Request]:
    """Give so many requests of different people, spread over all who are of the kind."""
    is_guardian, at = CASES[case]
    first, last = (0, GUARDIANS) if is_guardian else (GUARDIANS, len(rules.members))
    step = max(1, (last - first) // decisions)
    badges = [badge_of(first + n * step % (last - first)) for n in range(decisions)]
    # Other objects than the policy's, as those that come over the network.
    return [Request(at=at, door=DOOR, reader=Reader.IN, badge=badge) for badge in badges]


def block_us(rules: Policy, asked: list[Request]) -> float:
    """Give the microseconds of one decision in a block of them."""
    state = State(present=3)
    start = time.perf_counter()
    for request in asked:
        decide(rules, state, request)
    return (time.perf_counter() - start) / len(asked) * 1e6


def measure(options: argparse.Namespace, _folder: Path) -> Found:
    """Measure each case against each size of each thing."""
    curves = [
        curve(thing, sizes, options.blocks, options.decisions)
        for thing, sizes in (
            ("members", options.members),
            ("events", options.events),
            ("doors", options.doors),
        )
    ]
    return Found(
        curves=tuple(curves),
        promises=tuple(promise(one, line) for one in curves for line in one.lines),
    )


def curve(thing: str, sizes: tuple[int, ...], blocks: int, decisions: int) -> Curve:
    """Measure by one thing; all others are as many as in a usual place."""
    with progress_bar(f"decisions by {thing}", len(sizes) + blocks) as advance:
        rules = {}
        for size in sizes:
            rules[size] = policy(**USUAL | {thing: size})
            advance(1)
        asked = {(c, n): requests(one, c, decisions) for c in CASES for n, one in rules.items()}
        best = dict.fromkeys(asked, float("inf"))
        gc.freeze()
        for _ in range(blocks):
            for (case, size), several in asked.items():
                best[case, size] = min(best[case, size], block_us(rules[size], several))
            advance(1)
        gc.unfreeze()
    lines = (Line(name=c, points=tuple((n, best[c, n]) for n in sizes)) for c in CASES)
    return Curve(
        picture="decide",
        title=f"A decision alone, by {thing}",
        x=thing,
        y="microseconds",
        lines=tuple(lines),
    )


def promise(of: Curve, line: Line) -> Promise:
    """Compare the largest with the smallest."""
    (small, few), (large, many) = line.points[0], line.points[-1]
    what = f"{line.name}: {large:,.0f} {of.x} / {small:,.0f}"
    return Promise(what=what, value=many / few, limit=MOST_TIMES_SMALLEST)


def main(arguments: list[str]) -> int:
    """Measure and tell."""
    return run(
        __file__,
        __doc__,
        arguments,
        measure,
        members=Size((100, 1_000, 10_000, 100_000, 1_000_000), (100, 1_000), "how many"),
        events=Size((10, 100, 1_000, 10_000, 100_000), (10, 100), "how many"),
        doors=Size((1, 10, 100, 1_000, 10_000), (1, 10), "how many"),
        blocks=Size(160, 2, "for each case and size"),
        decisions=Size(250, 50, "in a block"),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
