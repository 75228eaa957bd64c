#!/usr/bin/env python3
"""What the ledger's length costs: the intake, the pages and the followers, by how many records.

In one run, on installations with the same members and doors, whose ledgers have as many records as
`--records` says, a year of them, all still with their persons:

    intake     journals as they come over MQTT, 4 doors with 100 records each in a transaction
    pages      the whole application answers: session, queries, templates
    followers  each catches up over the last records (the history over a month), into the embedded
               history, or over HTTP: first while a badge is read every 20 ms, then while nobody is
               at a door

Batches of the ledgers are taken in turn, so that what else the machine does hits all alike.

Promised of the longest: 5,000 records/s are committed, a record costs at most 1.3 times what it
does in the shortest, a page takes less than 50 ms, a follower does 5,000 records/s. (But for the
webhook that is told one by one: there the receiver's round trip decides.)

    tests/bench/ledger_at_scale.py --records 10000,10000000     (7 GB, a quarter hour)
"""

import argparse
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Final

if (ROOT := str(Path(__file__).parents[2])) not in sys.path:
    sys.path.append(ROOT)

from gardien.progress import progress_bar
from tests.bench.ledger_courtesy import Decisions, decide
from tests.bench.ledger_followers import ONE_BY_ONE, FollowerRate, follow
from tests.bench.ledger_pages import Page, look
from tests.bench.ledger_place import DOORS, SITE, Place, found, open_place
from tests.bench.ledger_reporting import Reporting
from tests.bench.medians import middle
from tests.bench.program import Size, run, version_of
from tests.bench.shape import Curve, Found, Line, Promise, Row, Table

LEAST_PER_S: Final = 5_000.0
MOST_TIMES_SHORTEST: Final = 1.3
MOST_PAGE_MS: Final = 50.0
PER_DOOR: Final = 100
WARM_UP: Final = 10

Costs = dict[int, float]
"""Of a record in a batch, in microseconds, by the ledger's length."""


def measure(options: argparse.Namespace, folder: Path) -> Found:
    """Make the installations and measure them."""
    with ExitStack() as stack:
        places = {}
        for records in options.records:
            found(folder / str(records), records=records, members=options.members)
            places[records] = stack.enter_context(open_place(folder / str(records)))
        costs = take_in(places, options.members, options.rounds)
        alone = decide(places[max(places)], options.decisions)
        rates, pages = followers_and_pages(places, options)
    longest = max(places)
    return Found(
        tables=(pages_table(pages[longest]), followers_table(alone, rates[longest])),
        curves=(intake_curve(costs), pages_curve(pages), followers_curve(rates)),
        promises=(
            *intake_promises(costs),
            *(
                Promise(what=f"{page.name}, p95, ms", value=page.p95_ms, limit=MOST_PAGE_MS)
                for page in pages[longest]
            ),
            *(
                Promise(
                    what=f"{one.name}, records/s",
                    value=one.per_s,
                    limit=LEAST_PER_S,
                    is_least=True,
                )
                for one in rates[longest]
                if one.name != ONE_BY_ONE
            ),
        ),
    )


def take_in(places: dict[int, Place], members: int, rounds: int) -> Costs:
    """Take journals in, now here and now there; give what a record costs in each."""
    reporting = [
        Reporting(place=place, site=SITE, doors=DOORS, members=members, each=PER_DOOR)
        for place in places.values()
    ]
    with progress_bar("journals", WARM_UP + rounds) as advance:
        costs: list[list[float]] = []
        for _ in range(WARM_UP + rounds):
            costs.append([one.take_in() for one in reporting])
            advance(1)
    middle = (statistics.median(of) * 1e6 for of in zip(*costs[WARM_UP:], strict=True))
    return dict(zip(places, middle, strict=True))


def followers_and_pages(
    places: dict[int, Place], options: argparse.Namespace
) -> tuple[dict[int, list[FollowerRate]], dict[int, list[Page]]]:
    """Let followers catch up and look at pages, now here and now there."""
    rates: dict[int, list[list[FollowerRate]]] = {records: [] for records in places}
    pages: dict[int, list[list[Page]]] = {records: [] for records in places}
    with progress_bar("followers and pages", options.turns * len(places)) as advance:
        for _ in range(options.turns):
            for records, place in places.items():
                rates[records].append(follow(place, options.follow, options.decisions))
                pages[records].append(list(look(place, options.looks)))
                advance(1)
    return (
        {n: list(map(middle, zip(*of, strict=True))) for n, of in rates.items()},
        {n: list(map(middle, zip(*of, strict=True))) for n, of in pages.items()},
    )


def intake_curve(costs: Costs) -> Curve:
    """Draw what a record costs."""
    return Curve(
        picture="intake",
        title="Intake of journals",
        x="records in the ledger",
        y="microseconds a record",
        lines=(Line(name="a record, committed", points=tuple(costs.items())),),
    )


def intake_promises(costs: Costs) -> list[Promise]:
    """Say what is promised of the intake."""
    shortest, longest = costs[min(costs)], costs[max(costs)]
    return [
        Promise(
            what="intake, records/s committed",
            value=1e6 / longest,
            limit=LEAST_PER_S,
            is_least=True,
        ),
        Promise(
            what=f"a record, {max(costs):,} in the ledger / {min(costs):,}",
            value=longest / shortest,
            limit=MOST_TIMES_SHORTEST,
        ),
    ]


def pages_table(pages: list[Page]) -> Table:
    """Put the pages of the longest ledger below each other."""
    return Table(
        title="pages, ms",
        columns=("processor", "p50", "p95", "from disk"),
        rows=tuple(
            Row(name=one.name, values=(one.busy_ms, one.p50_ms, one.p95_ms, one.from_disk_ms))
            for one in pages
        ),
    )


def pages_curve(pages: dict[int, list[Page]]) -> Curve:
    """Draw what a page costs, as the processor sees it: what else runs counts least there."""
    names = [page.name for page in next(iter(pages.values()))]
    return Curve(
        picture="pages",
        title="Pages, the processor's time",
        x="records in the ledger",
        y="milliseconds",
        lines=tuple(
            Line(name=name, points=tuple((n, of[place].busy_ms) for n, of in pages.items()))
            for place, name in enumerate(names)
        ),
    )


def followers_table(alone: Decisions, rates: list[FollowerRate]) -> Table:
    """Put the followers of the longest ledger below each other."""
    rows = [
        Row(
            name=one.name,
            values=(one.per_s, one.beside_per_s, one.beside.p50_ms, one.beside.p95_ms),
        )
        for one in rates
    ]
    nobody = Row(name="nobody follows", values=(0, 0, alone.p50_ms, alone.p95_ms))
    return Table(
        title="catching up",
        columns=("records/s", "among badges", "decision p50 ms", "p95 ms"),
        rows=(nobody, *rows),
    )


def followers_curve(rates: dict[int, list[FollowerRate]]) -> Curve:
    """Draw how fast each follower is."""
    names = [one.name for one in next(iter(rates.values()))]
    return Curve(
        picture="followers",
        title="Followers that catch up, nobody at a door",
        x="records in the ledger",
        y="records per second",
        lines=tuple(
            Line(name=name, points=tuple((n, of[place].per_s) for n, of in rates.items()))
            for place, name in enumerate(names)
        ),
    )


def main(arguments: list[str]) -> int:
    """Measure and tell."""
    return run(
        __file__,
        __doc__,
        arguments,
        measure,
        parts=version_of("sqlalchemy", "flask"),
        records=Size((10_000, 100_000, 1_000_000), (500, 3_000), "of each ledger"),
        members=Size(1_000, 40, "who come and go"),
        rounds=Size(60, 3, "of intake"),
        turns=Size(3, 1, "of followers and pages"),
        looks=Size(20, 4, "at each page in a turn"),
        follow=Size(10_000, 300, "records to catch up over in a turn"),
        decisions=Size(60, 5, "beside each follower in a turn"),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
