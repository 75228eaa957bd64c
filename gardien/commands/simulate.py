"""`gardien simulate`: tell one simulated evening, with its faults, as a story."""

import json
from typing import TYPE_CHECKING

import click

from gardien.call import examples
from gardien.language import LANGUAGE_OPTION, chosen_language
from gardien.progress import progress_bar

if TYPE_CHECKING:
    from simulation.evening import Result


@click.command(
    epilog=examples(
        "gardien simulate --seed 7",
        "gardien simulate --seed 7 --days 3 --all",
        "gardien simulate --seed 0 --count 100 --days 7",
    )
)
@click.option("--seed", type=int, required=True, help="Decides everything that chance decides.")
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="How long it lasts.")
@click.option(
    "--hours",
    type=click.FloatRange(min=0, min_open=True),
    default=14.0,
    show_default=True,
    help="How long it lasts, where --days is not given.",
)
@click.option(
    "--count",
    type=click.IntRange(min=1),
    help="Try so many seeds from --seed on, on all processors, and tell those that failed.",
)
@click.option(
    "--without",
    multiple=True,
    metavar="NAME",
    help="Leave out a fault, a habit or a member, by name; may be given again.",
)
@click.option(
    "--from",
    "from_h",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="HOUR",
    help="Before this hour nobody comes, and nothing goes wrong.",
)
@click.option(
    "--until",
    "until_h",
    type=click.FloatRange(min=0),
    metavar="HOUR",
    help="At this hour everything is mended.",
)
@click.option("--all", "is_whole", is_flag=True, help="Tell every badge and every door, too.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
@LANGUAGE_OPTION
def command(
    *,
    seed: int,
    days: float | None,
    hours: float,
    count: int | None,
    without: tuple[str, ...],
    from_h: float,
    until_h: float | None,
    is_whole: bool,
    as_json: bool,
    language: str | None,
) -> None:
    """Simulate an evening of a site: four doors, a server, some thirty people, and faults.

    The door and the gate are the real ones; the network, the disks, the clocks and the people are
    models, and chance decides what goes wrong. The same seed always tells the same story. Exit
    status: 0 if every invariant held, 1 if not.
    """
    hours = hours if days is None else days * 24.0
    left_out = _checked(without)
    if count is not None:
        if from_h or until_h is not None:
            raise click.UsageError("--from and --until are for one seed: leave --count out")
        _try_many(range(seed, seed + count), hours, left_out, as_json=as_json)
        return
    # Loaded here: the door, the server and the printer of tables take a while.
    from rich.console import Console  # noqa: PLC0415

    from simulation.evening import Plan, simulate  # noqa: PLC0415
    from simulation.story import ending, is_calm, title, told  # noqa: PLC0415

    plan = Plan(seed=seed, hours=hours, without=left_out, from_h=from_h, until_h=until_h)
    result = simulate(plan)
    violation = result.violation
    if as_json:
        click.echo(
            json.dumps(
                {
                    "seed": seed,
                    "hours": plan.hours,
                    "steps": result.steps,
                    "digest": result.digest,
                    "faults": list(result.has),
                    "counts": dict(sorted(result.counts.items())),
                    "invariant": None if violation is None else violation.number,
                    "violation": None if violation is None else violation.text,
                }
            )
        )
    else:
        words = "fr" if chosen_language(language) == "fr" else "en"
        console = Console(highlight=False, soft_wrap=True)
        console.rule(title(plan, result, "fr" if words == "fr" else "en"))
        console.print(", ".join(result.has), style="dim", markup=False)
        lines = told(result, "fr" if words == "fr" else "en")
        for happened, (moment, who, what) in zip(result.trace, lines, strict=True):
            calm = is_calm(happened)
            if is_whole or not calm:
                style = None if calm else "yellow"
                console.print(f"{moment}  {who:9}  {what}", style=style, markup=False)
        console.print(
            ending(result, "fr" if words == "fr" else "en"),
            style="bold green" if violation is None else "bold red",
            markup=False,
        )
    if violation is not None:
        if not as_json:
            console.print(_least(result), markup=False)
        raise click.exceptions.Exit(1)


def _checked(without: tuple[str, ...]) -> frozenset[str]:
    """Refuse what is no name of anything."""
    from simulation.evening import names  # noqa: PLC0415 (it takes a while)

    unknown = sorted(set(without) - names())
    if unknown:
        known = ", ".join(sorted(names()))
        raise click.BadParameter(f"{unknown[0]} is none of these: {known}", param_hint="--without")
    return frozenset(without)


def _least(result: "Result") -> str:
    """Look for the least that still breaks the invariant, and show for how long."""
    from simulation.shrinking import PATIENCE_S  # noqa: PLC0415 (it takes a while)
    from simulation.story import failure  # noqa: PLC0415 (likewise)

    title = f"looking for the least that breaks seed {result.plan.seed}"
    with progress_bar(title, round(PATIENCE_S)) as advance:
        return failure(result, on_time=advance)


def _try_many(seeds: range, hours: float, without: frozenset[str], *, as_json: bool) -> None:
    """Run many; tell in which an invariant was broken, and by what."""
    from simulation.many import simulate_many  # noqa: PLC0415 (it takes a while)

    with progress_bar("simulating", len(seeds)) as advance:
        tally = simulate_many(seeds, hours, advance, without=without)
    if as_json:
        told = {
            "seeds": tally.number,
            "hours": hours,
            "steps": tally.steps,
            "failed": [result.plan.seed for result in tally.failed],
            "counts": dict(sorted(tally.counts.items())),
        }
        click.echo(json.dumps(told))
    else:
        for result in tally.failed:
            click.echo(f"{_least(result)}\n")
        click.echo(f"{len(tally.failed)} of {tally.number} simulations broke an invariant")
    if tally.number < len(seeds):
        raise KeyboardInterrupt
    if tally.failed:
        raise click.exceptions.Exit(1)
