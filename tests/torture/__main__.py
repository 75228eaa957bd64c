"""`make torture`: each torment in turn, with a bar, and a report of each as it ends."""

import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from gardien.main import INTERRUPTED
from gardien.progress import progress_bar
from tests.torture.catalogue import find
from tests.torture.report import Run, Told, Torment, as_json, as_text, carry_out, heading

_SEED = 2026


@click.command()
@click.option(
    "--only", "names", multiple=True, help="A torment by name, or by fault: F15. Again for more."
)
@click.option(
    "--count", type=click.IntRange(1), help="How many rounds of each.  [default: in full]"
)
@click.option("--few", "is_few", is_flag=True, help="As few rounds as the tests do.")
@click.option(
    "--seed", default=_SEED, show_default=True, help="Chooses what happens in each round."
)
@click.option(
    "--json",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report there too.",
)
@click.option("--list", "is_list", is_flag=True, help="Say what there is, and end.")
def main(
    *,
    names: Sequence[str],
    count: int | None,
    is_few: bool,
    seed: int,
    file: Path | None,
    is_list: bool,
) -> None:
    """Kill, starve and unplug the real programs, again and again, and see what is left.

    Ends with 1 when something did not hold.
    """
    torments = find(names)
    if not torments:
        raise click.UsageError(f"there is no torment {' or '.join(names)}; --list names them")
    if is_list:
        for torment in torments:
            faults = ", ".join(torment.faults)
            click.echo(f"{torment.name:16} {torment.full:5} rounds  {faults}: {torment.says}")
        return
    # That a broken file is called broken is what is wanted here.
    logging.disable(logging.CRITICAL)
    click.echo(heading())
    told: list[Told] = []
    for torment in torments:
        told.append(_one(torment, count or (torment.few if is_few else torment.full), seed))
        # At once: whoever ends it in its third hour has what was found by then.
        click.echo(f"\n{as_text(told[-1])}")
        if file is not None:
            file.write_bytes(as_json(told))
        if told[-1].is_interrupted:
            sys.exit(INTERRUPTED)
    sys.exit(0 if all(one.is_well for one in told) else 1)


def _one(torment: Torment, count: int, seed: int) -> Told:
    with (
        tempfile.TemporaryDirectory(prefix="gt", ignore_cleanup_errors=True) as folder,
        progress_bar(torment.name, count, patience_s=0) as done,
    ):
        return carry_out(torment, Run(count=count, seed=seed, folder=Path(folder), done=done))


if __name__ == "__main__":
    main()
