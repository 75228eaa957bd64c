#!/usr/bin/env python3
"""What a decision costs in a place of a hundred members, and in one of a hundred thousand.

In one run, for a member in opening hours, a member after hours and a guardian with an
authorization: the same request against a policy of 100 members and 100 events, and against one of
100,000 members and 1,000 events. Taken in turn, and the best of many blocks is kept, so that what
else the machine does counts as little as can be. Ends with 1 when the large one takes more than
1.2 times as long.
"""

import argparse
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from access.ids import BadgeDigest, DoorId, MemberId, SiteId
from access.instants import Span
from access.model import Authorization, Badge, Door, Member, Plan, Policy, Reader
from access.policy import Request, State, decide

MOST: float = 1.2
DOOR = DoorId("main")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
EVENING = NOON + timedelta(hours=7)
GUARDIANS = 8
SMALL, LARGE = (100, 100), (100_000, 1_000)

CASES = {
    "member, opening hours": (50, NOON),
    "member, after hours": (50, EVENING),
    "guardian, after hours": (0, EVENING),
}
"""Who asks, by their number, and when."""


def digest(number: int) -> BadgeDigest:
    """Give the digest of a member's badge."""
    return BadgeDigest(f"{number:032x}")


def policy(members: int, events: int) -> Policy:
    """Make the policy of a place: the first eight are guardians, and share the events."""
    ids = [MemberId(f"m{number}") for number in range(members)]
    evenings: dict[MemberId, list[Authorization]] = {}
    for number in range(events):
        guardian = ids[number % GUARDIANS]
        # From a year ago on, two hours each, some at the same time.
        start = EVENING + timedelta(hours=7 * (number // GUARDIANS))
        evenings.setdefault(guardian, []).append(
            Authorization(
                id=f"event-{number}",
                guardian=guardian,
                span=Span(start=start, end=start + timedelta(hours=2)),
            )
        )
    return Policy(
        version=1,
        site=SiteId("place"),
        issued=NOON,
        relies_until=NOON + timedelta(hours=72),
        capacity=members,
        doors={DOOR: Door(id=DOOR, name="Main", plans=frozenset(Plan))},
        members={
            member: Member(id=member, plan=Plan.NOMAD, is_guardian=number < GUARDIANS)
            for number, member in enumerate(ids)
        },
        badges={
            digest(number): Badge(digest=digest(number), member=member)
            for number, member in enumerate(ids)
        },
        opening=(Span(start=NOON - timedelta(hours=3), end=NOON + timedelta(hours=5)),),
        authorizations={guardian: tuple(several) for guardian, several in evenings.items()},
    )


def best_us(rules: Policy, request: Request, decisions: int) -> float:
    """Give the microseconds of one decision in a block of them."""
    state = State(present=3)
    start = time.perf_counter()
    for _ in range(decisions):
        decide(rules, state, request)
    return (time.perf_counter() - start) / decisions * 1e6


def measure(blocks: int, decisions: int) -> dict[str, dict[str, float]]:
    """Measure each case against both policies, in turn."""
    small, large = policy(*SMALL), policy(*LARGE)
    found: dict[str, dict[str, float]] = {}
    for name, (who, at) in CASES.items():
        request = Request(at=at, door=DOOR, reader=Reader.IN, badge=digest(who))
        pairs = [
            (best_us(small, request, decisions), best_us(large, request, decisions))
            for _ in range(blocks)
        ]
        few, many = min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)
        found[name] = {"small_us": few, "large_us": many, "ratio": many / few}
    return found


def main(arguments: list[str]) -> int:
    """Measure, tell, and say by the exit status whether the promise is kept."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--blocks", type=int, default=60, help="for each case (default 60)")
    parser.add_argument("--decisions", type=int, default=1_000, help="in a block (default 1000)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args(arguments)
    found = measure(options.blocks, options.decisions)
    lines = [f"{'decide':<24}{'100 members':>14}{'100,000':>12}{'ratio':>8}"]
    lines += [
        f"{name:<24}{case['small_us']:>11.2f} us{case['large_us']:>9.2f} us{case['ratio']:>8.2f}"
        for name, case in found.items()
    ]
    sys.stdout.write("\n".join(lines) + f"\nat most {MOST}\n")
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0 if all(case["ratio"] <= MOST for case in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
