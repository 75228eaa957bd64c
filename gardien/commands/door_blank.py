"""`gardien door blank`: make a card of ours a blank one again."""

from pathlib import Path
from typing import Final

import click

from edge.blanking import WAIT_S, blank_next
from edge.settings import load_door_settings
from gardien.call import examples, this_call
from gardien.errors import CommandError

_SETTINGS: Final = "door.toml"
_LONGEST_S: Final = 600


@click.command(
    epilog=examples(
        "systemctl stop gardien-door && gardien --data /var/lib/gardien door blank",
        "gardien door --config data/doors/main/door.toml blank --wait 60",
    )
)
@click.option(
    "--wait",
    "wait_s",
    type=click.IntRange(1, _LONGEST_S),
    default=round(WAIT_S),
    show_default=True,
    help="How long to wait for a card, in seconds.",
)
@click.pass_context
def command(ctx: click.Context, *, wait_s: int) -> None:
    """Put factory keys and zeros into our sectors of the next card at the reader "in".

    On the door unit itself, with its service stopped. The badge stays what it is in the registry:
    tell it there too, with `gardien badge lost`.
    """
    given: Path | None = ctx.parent.params.get("config") if ctx.parent is not None else None
    config = given or this_call().data / _SETTINGS
    if not config.is_file():
        raise CommandError(f"no door unit: {config} is missing; name another with --config")
    blank_next(
        load_door_settings(config),
        on_ready=lambda: click.echo(f"Hold the card to the reader and keep it still ({wait_s} s)"),
        on_moved=lambda: click.echo("It was taken away too soon: hold it there again"),
        wait_s=wait_s,
    )
    click.echo("The card is blank")
