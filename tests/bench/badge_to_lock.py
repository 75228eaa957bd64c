#!/usr/bin/env python3
"""From the badge to the server's answer, measured beside the floors that it can't go below.

In one run, through the same mosquitto, with TCP_NODELAY at all ends:

    echo         a bare paho client answers, which does nothing else
    echo+commit  the same, after one row is committed to SQLite: WAL, synchronous = FULL
    answer       the whole server answers: queue, rules, chained record, commit, history beside it

With more and more requests in flight. The three take turns, so that what else the machine does hits
all alike; each figure is the median of the turns. With several in flight the echo that commits
waits for the disk once for each, where the server commits together what has come together.

Promised: with one in flight, the answer takes at most 1.5 times what the echo that commits takes.
"""

import argparse
import statistics
import sys
from contextlib import ExitStack, closing
from pathlib import Path

if (ROOT := str(Path(__file__).parents[2])) not in sys.path:
    sys.path.append(ROOT)

from gardien.progress import progress_bar
from tests.bench.asker import Asker, Spread, take_turns
from tests.bench.broker_parts import mosquitto, mosquitto_version, process
from tests.bench.medians import middle
from tests.bench.program import Size, run, version_of
from tests.bench.responders import BADGE, COMMIT, ECHO, commit, echo, serve
from tests.bench.shape import Curve, Found, Line, Promise, Row, Table

MOST_TIMES_FLOOR = 1.5
ECHOED, COMMITTED, ANSWERED = "echo", "echo+commit", "answer"

Spreads = dict[str, list[list[Spread]]]
"""By who answers: for each load, one of each turn."""


def measure(options: argparse.Namespace, folder: Path) -> Found:
    """Start all parts, and measure them in turn."""
    loads: tuple[int, ...] = options.loads
    spreads: Spreads = {name: [[] for _ in loads] for name in (ECHOED, COMMITTED, ANSWERED)}
    with ExitStack() as stack:
        port = stack.enter_context(mosquitto(folder))
        stack.enter_context(process(echo, port))
        stack.enter_context(process(commit, port, folder / "floor.db"))
        stack.enter_context(process(serve, port, folder))
        ways = {ECHOED: ECHO, COMMITTED: COMMIT, ANSWERED: BADGE}
        askers = {n: stack.enter_context(closing(Asker(port, way))) for n, way in ways.items()}
        for asker in askers.values():
            asker.until_answered()
            asker.ask(options.rounds)  # to warm up; does not count
        bar = progress_bar("badge to lock", options.turns * len(loads))
        advance = stack.enter_context(bar)
        for _ in range(options.turns):
            for place, load in enumerate(loads):
                for name, spread in take_turns(askers, options.rounds, load).items():
                    spreads[name][place].append(spread)
                advance(1)
    return found(loads, spreads)


def found(loads: tuple[int, ...], spreads: Spreads) -> Found:
    """Put what was measured into tables and curves."""
    at_load = {name: [middle(of) for of in at] for name, at in spreads.items()}
    first = [one.p50 for one in spreads[ANSWERED][0]]
    floor = [one.p50 for one in spreads[COMMITTED][0]]
    times_floor = statistics.median(a / f for a, f in zip(first, floor, strict=True))
    return Found(
        tables=(
            Table(
                title=f"{loads[0]} in flight, ms",
                columns=("p50", "p95", "p99"),
                rows=tuple(
                    Row(name=name, values=(at[0].p50, at[0].p95, at[0].p99))
                    for name, at in at_load.items()
                ),
            ),
        ),
        curves=(
            *(_curve("badge_to_lock", f, "milliseconds", loads, at_load) for f in _PERCENTILES),
            _curve("badge_to_lock_rate", "per_s", "answers per second", loads, at_load),
        ),
        promises=(
            Promise(
                what=f"answer / (echo+commit), p50, {loads[0]} in flight",
                value=times_floor,
                limit=MOST_TIMES_FLOOR,
            ),
        ),
    )


_PERCENTILES = ("p50", "p95", "p99")


def _curve(
    picture: str, figure: str, unit: str, loads: tuple[int, ...], at_load: dict[str, list[Spread]]
) -> Curve:
    title = "Answers" if figure == "per_s" else f"Badge to answer, {figure}"
    lines = tuple(
        Line(
            name=name,
            points=tuple((load, getattr(one, figure)) for load, one in zip(loads, at, strict=True)),
        )
        for name, at in at_load.items()
    )
    return Curve(picture=picture, title=title, x="requests in flight", y=unit, lines=lines)


def main(arguments: list[str]) -> int:
    """Measure and tell."""
    return run(
        __file__,
        __doc__,
        arguments,
        measure,
        parts=version_of("paho-mqtt", "sqlalchemy") | mosquitto_version(),
        loads=Size((1, 5, 10, 25, 50), (1, 5), "requests in flight"),
        rounds=Size(400, 20, "requests in each turn"),
        turns=Size(7, 2, "of each, at each load"),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
