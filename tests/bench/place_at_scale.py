#!/usr/bin/env python3
"""What a decision that is kept, and a new policy, cost by how many members, events and doors.

In one run, on installations that differ in one thing only, each with its registry and its calendar:

    decision  one request: rules, chained record, state, one commit to the disk
    policy    what a change in the registry makes necessary: all is read, the calendar is unrolled
    snapshot  the policy as doors get it

A policy is made anew when the registry or the day has changed, and each six hours. Decisions take
turns among the installations. Each figure is a median: of the time that passed, which other work
makes longer, and of the processor's.
"""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

if (ROOT := str(Path(__file__).parents[2])) not in sys.path:
    sys.path.append(ROOT)

from access.ids import DoorId
from access.messages import encode
from access.snapshot import seal
from gardien.progress import progress_bar
from server.policy_source import PolicySource
from tests.bench.ledger_courtesy import decide_once
from tests.bench.ledger_place import DOORS, SITE, Place, found, open_place
from tests.bench.medians import middle
from tests.bench.program import Size, run, version_of
from tests.bench.shape import Curve, Found, Line

RECORDS: Final = 2_000
USUAL: Final = {"members": 150, "events": 100, "doors": len(DOORS)}
WARM_UP: Final = 5
_KEY: Final = Ed25519PrivateKey.generate()
PARTS: Final = {
    "decision": "milliseconds",
    "policy": "milliseconds",
    "snapshot": "kilobytes",
}

Figures = dict[str, dict[str, list[tuple[float, float]]]]
"""By part and by line: a figure for each size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """How long something took, and the processor with it, in milliseconds."""

    passed_ms: float
    busy_ms: float


def measure(options: argparse.Namespace, folder: Path) -> Found:
    """Measure by each thing."""
    curves: dict[str, list[Curve]] = {part: [] for part in PARTS}
    for thing in USUAL:
        figures = by(thing, getattr(options, thing), folder, options)
        for part, lines in figures.items():
            curves[part].append(
                Curve(
                    picture=f"place_{part}",
                    title=f"{part.capitalize()}, by {thing}",
                    x=thing,
                    y=PARTS[part],
                    lines=tuple(Line(name=n, points=tuple(at)) for n, at in lines.items()),
                )
            )
    return Found(curves=tuple(curve for of in curves.values() for curve in of))


def by(thing: str, sizes: tuple[int, ...], folder: Path, options: argparse.Namespace) -> Figures:
    """Measure by one thing."""
    with ExitStack() as stack:
        places = {}
        for size in sizes:
            make(folder / f"{thing}-{size}", **USUAL | {thing: size})
            places[size] = stack.enter_context(open_place(folder / f"{thing}-{size}"))
        took = decisions(places, options.rounds, thing)
        policies = {n: compiled(place, options.policies) for n, place in places.items()}
    return {
        "decision": lines_of(took),
        "policy": lines_of({size: spent for size, (spent, _) in policies.items()}),
        "snapshot": {"snapshot": [(size, kb) for size, (_, kb) in policies.items()]},
    }


def lines_of(spent: dict[int, Spent]) -> dict[str, list[tuple[float, float]]]:
    """Give both lines of what was spent at each size."""
    return {
        "time": [(size, one.passed_ms) for size, one in spent.items()],
        "processor": [(size, one.busy_ms) for size, one in spent.items()],
    }


def make(folder: Path, *, members: int, events: int, doors: int) -> None:
    """Make an installation of a size; its first doors are those of every other."""
    names = [*DOORS, *(DoorId(f"door-{number}") for number in range(len(DOORS), doors))]
    found(folder, records=RECORDS, members=members, doors=tuple(names[:doors]), events=events)


def decisions(places: dict[int, Place], rounds: int, thing: str) -> dict[int, Spent]:
    """Take decisions here and there in turn; give the middle one of each."""
    spent: dict[int, list[Spent]] = {size: [] for size in places}
    with progress_bar(f"decisions by {thing}", rounds) as advance:
        for number in range(WARM_UP + rounds):
            for size, place in places.items():
                one = timed(partial(decide_once, place))
                if number >= WARM_UP:
                    spent[size].append(one)
            advance(1)
    return {size: middle(of) for size, of in spent.items()}


def compiled(place: Place, policies: int) -> tuple[Spent, float]:
    """Make a policy as after a start; give what it took, and the kilobytes of its snapshot."""
    installation, spent = place.installation, []
    for _ in range(policies):
        source = PolicySource(
            database=installation.database,
            settings=installation.settings,
            clock=installation.clock,
        )
        spent.append(timed(partial(source.current, SITE)))
        policy = source.current(SITE)
    return middle(spent), len(encode(seal(policy, _KEY.sign))) / 1e3


def timed(work: Callable[[], object]) -> Spent:
    """Do some work, and say what it took."""
    passed, busy = time.perf_counter(), time.thread_time()
    work()
    return Spent(
        passed_ms=(time.perf_counter() - passed) * 1e3, busy_ms=(time.thread_time() - busy) * 1e3
    )


def main(arguments: list[str]) -> int:
    """Measure and tell."""
    return run(
        __file__,
        __doc__,
        arguments,
        measure,
        parts=version_of("sqlalchemy", "icalendar"),
        members=Size((10, 100, 1_000, 10_000, 100_000), (10, 100), "how many"),
        events=Size((10, 100, 1_000, 10_000), (10, 100), "how many in a year"),
        doors=Size((1, 10, 100, 1_000), (1, 10), "how many"),
        rounds=Size(100, 3, "decisions at each"),
        policies=Size(3, 1, "times that a policy is made"),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
