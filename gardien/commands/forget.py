"""`gardien forget`: forget what has been kept for long enough, now."""

from typing import Final

import click

from gardien.call import examples, this_call
from gardien.opening import open_installation
from gardien.progress import progress_bar
from gardien.tables import JSON_OPTION, print_json
from server.forgetting import Forgetter, Forgotten


@click.command(epilog=examples("gardien forget --dry-run", "gardien forget"))
@click.option("--dry-run", is_flag=True, help="Change nothing; say what would be forgotten.")
@click.option(
    "--thorough", is_flag=True, help="Write the database anew, so that no gap holds a trace."
)
@JSON_OPTION
def command(*, dry_run: bool, thorough: bool, as_json: bool) -> None:
    """Forget what has been kept for long enough: see docs/privacy.md for what and how long.

    The server does this by itself each night. It may be broken off, and goes on when called again.
    With --thorough nobody else can write meanwhile: doors decide by themselves for some seconds.

    Exit status: 1 if a part of it could not be done now.
    """
    with open_installation(this_call().data) as installation:
        now = installation.clock.now()
        forgetter = Forgetter(installation)
        with progress_bar("forgetting", forgetter.count(now)) as advance:
            done = forgetter.forget(now, is_dry=dry_run, is_thorough=thorough, advance=advance)
    if as_json:
        print_json(done)
    else:
        _tell(done, "would be" if dry_run else "were")
    if done.history_problem is not None or not done.is_log_empty:
        raise click.exceptions.Exit(1)


_ROWS: Final = {
    "members": "members whose membership has ended",
    "badges": "badges of theirs",
    "authorizations": "authorizations of theirs",
    "accounts": "log-ins of theirs",
    "sessions": "browser sessions that are over",
    "looks": "notes of who looked at other people's records",
    "listed": "notes of whom a roll-call listed",
    "set_aside": "records that did not fit their chain",
    "time_entries": "postings of the time bank",
    "presence_months": "months of presence",
    "tokens": "tokens that badges have shown",
    "api_tokens": "tokens of the API that are over",
    "api_requests": "requests of programs that were done",
}


def _tell(done: Forgotten, verb: str) -> None:
    lines = [
        (done.entries, f"entries of the ledger {verb} rid of whom they named; counts stay"),
        (done.unknown_badges, f"entries {verb} rid of a badge that nobody has"),
        *((getattr(done.rows, name), f"{what} {verb} deleted") for name, what in _ROWS.items()),
        (done.points, f"points of the history {verb} deleted; their hours are kept"),
    ]
    told = [f"{number} {text}" for number, text in lines if number]
    for line in told or ["there is nothing to forget: nothing is old enough"]:
        click.echo(line)
    if done.history_problem is not None:
        click.echo(f"the history could not be seen to: {done.history_problem}; try again later")
    if not done.is_log_empty:
        click.echo("the database is busy, so its log still holds what was forgotten; try again")
