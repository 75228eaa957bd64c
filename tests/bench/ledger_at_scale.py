#!/usr/bin/env python3
"""What the ledger's length costs: the intake, the pages and the followers, small ledger and large.

In one run, on two installations with the same members and doors, whose ledgers have ten thousand
records and as many as `--records` says, a year of them, all still with their persons:

    intake     journals as they come over MQTT, 4 doors with 100 records each in a transaction
    pages      the whole application answers: session, queries, templates
    followers  each catches up over the last records, into the embedded history, or over HTTP:
               first while a badge is read every 20 ms, then while nobody is at a door

Batches of the two ledgers are taken in turn, so that what else the machine does hits both alike.
Ends with 1 when less than 5,000 records/s are committed, a record costs more than 1.3 times as much
in the large ledger, a page takes 50 ms, or a follower does less than 5,000 records/s. (But for the
webhook that is told one by one: there the receiver's round trip decides.)

    tests/bench/ledger_at_scale.py --records 10000000 --folder /var/tmp     (7 GB, a quarter hour)
"""

import argparse
import json
import statistics
import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

if (ROOT := str(Path(__file__).parents[2])) not in sys.path:
    sys.path.append(ROOT)

from tests.bench.ledger_courtesy import Decisions, decide
from tests.bench.ledger_followers import ONE_BY_ONE, FollowerRate, follow
from tests.bench.ledger_pages import Page, look
from tests.bench.ledger_place import DOORS, SITE, Place, found, open_place
from tests.bench.ledger_reporting import Reporting
from tests.bench.program import add_options, machine, run

LEAST_PER_S = 5_000.0
MOST_TIMES_SMALL = 1.3
MOST_PAGE_MS = 50.0
PER_DOOR = 100
WARM_UP = 10


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was measured; the costs are of one record in a batch, in microseconds."""

    small: int
    records: int
    members: int
    small_us: float
    large_us: float
    pages: list[Page]
    alone: Decisions
    followers: list[FollowerRate]

    @property
    def per_s(self) -> float:
        return 1e6 / self.large_us

    @property
    def times_small(self) -> float:
        return self.large_us / self.small_us

    @property
    def is_met(self) -> bool:
        return (
            self.per_s >= LEAST_PER_S
            and self.times_small <= MOST_TIMES_SMALL
            and all(page.p95_ms < MOST_PAGE_MS for page in self.pages)
            and all(one.per_s >= LEAST_PER_S for one in self.followers if one.name != ONE_BY_ONE)
        )


def measure(options: argparse.Namespace, folder: Path) -> Result:
    """Make both installations and measure them."""
    for name, records in (("small", options.small), ("large", options.records)):
        found(folder / name, records=records, members=options.members)
    with ExitStack() as stack:
        small = stack.enter_context(open_place(folder / "small"))
        large = stack.enter_context(open_place(folder / "large"))
        small_us, large_us = take_in(small, large, options.members, options.rounds)
        alone = decide(large, options.decisions)
        followers = follow(large, options.follow, options.decisions)
        pages = list(look(large, options.looks))
    return Result(
        small=options.small,
        records=options.records,
        members=options.members,
        small_us=small_us,
        large_us=large_us,
        pages=pages,
        alone=alone,
        followers=followers,
    )


def take_in(small: Place, large: Place, members: int, rounds: int) -> tuple[float, float]:
    """Take journals in, now here and now there; give what a record costs in each."""
    pair = [
        Reporting(place=place, site=SITE, doors=DOORS, members=members, each=PER_DOOR)
        for place in (small, large)
    ]
    for reporting in pair * WARM_UP:
        reporting.take_in()
    costs = [[reporting.take_in() for reporting in pair] for _ in range(rounds)]
    here, there = (statistics.median(of) for of in zip(*costs, strict=True))
    return here * 1e6, there * 1e6


def told(result: Result) -> str:
    """Tell the result to people."""
    rows = [
        ", ".join(f"{name} {value}" for name, value in machine().items()),
        f"{result.records:,} records beside {result.small:,}, {result.members:,} members",
        "",
        f"intake: {result.per_s:,.0f} records/s committed (at least {LEAST_PER_S:,.0f})",
        f"    a record costs {result.large_us:.1f} us, and {result.small_us:.1f} us in the small",
        f"    one: {result.times_small:.2f} times (at most {MOST_TIMES_SMALL})",
        "",
        f"pages, under {MOST_PAGE_MS:g} ms{'processor':>22}{'p50':>9}{'p95':>9}{'from disk':>12}",
    ]
    rows += [
        f"{page.name:<34}{page.busy_ms:>9.1f}{page.p50_ms:>9.1f}{page.p95_ms:>9.1f}"
        f"{page.from_disk_ms:>12.1f} ms"
        for page in result.pages
    ]
    rows += [
        "",
        f"{'catching up':<34}{'records/s':>12}{'among badges':>14}{'decisions: p50':>18}{'p95':>8}",
        f"{'nobody':<60}{result.alone.p50_ms:>18.2f}{result.alone.p95_ms:>8.2f} ms",
    ]
    rows += [
        f"{one.name:<34}{one.per_s:>12,.0f}{one.beside_per_s:>14,.0f}"
        f"{one.beside.p50_ms:>18.2f}{one.beside.p95_ms:>8.2f} ms"
        for one in result.followers
    ]
    return "\n".join(rows)


def to_json(result: Result) -> str:
    """Tell the result to programs."""
    figures = {"per_s": result.per_s, "times_small": result.times_small, "is_met": result.is_met}
    return json.dumps({"machine": machine(), **asdict(result), **figures}, indent=2) + "\n"


def parse_options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--records", type=int, default=100_000, help="of the large ledger (default 100000)"
    )
    parser.add_argument(
        "--small", type=int, default=10_000, help="of the small one (default 10000)"
    )
    parser.add_argument("--members", type=int, default=1_000, help="who come and go (default 1000)")
    parser.add_argument("--rounds", type=int, default=60, help="of intake (default 60)")
    parser.add_argument("--looks", type=int, default=60, help="at each page (default 60)")
    parser.add_argument(
        "--follow", type=int, default=100_000, help="records to catch up over (default 100000)"
    )
    parser.add_argument(
        "--decisions", type=int, default=150, help="beside each follower (default 150)"
    )
    add_options(parser)
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    return run(parse_options(arguments), measure, told, to_json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
