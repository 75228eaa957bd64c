"""`gardien history`: the history of occupancy, written again from the ledger."""

import click

from gardien.call import examples, this_call
from gardien.opening import open_installation
from gardien.progress import progress_bar
from server import ledger


@click.group(epilog=examples("gardien history rebuild"))
def command() -> None:
    """The history of occupancy: rebuild it from the ledger."""


@command.command(epilog=examples("gardien history rebuild"))
def rebuild() -> None:
    """Write the whole history again from the ledger.

    A point that is there already is written again as it was, so this may run while the server
    does, and be broken off and begun again.
    """
    written = 0
    with (
        open_installation(this_call().data) as installation,
        installation.open_history() as (history, cursors),
    ):
        with installation.database.reading() as connection:
            last = ledger.last_id(connection)
        followers = installation.history_followers(history, cursors)
        with progress_bar("writing the history", last * len(followers)) as advance:
            for follower in followers:
                follower.restart()
                written = 0
                while done := follower.step():
                    written += done
                    advance(done)
    click.echo(f"the history is written: {written} entries of the ledger")
