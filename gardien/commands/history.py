"""`gardien history`: the history of occupancy, written again from the ledger."""

import click

from gardien.call import examples, this_call
from gardien.errors import CommandError, one_line
from gardien.opening import open_installation
from gardien.progress import Advance, progress_bar
from server import ledger
from server.follower import HistoryFollower
from server.history import HistoryUnavailable


@click.group(epilog=examples("gardien history rebuild"))
def command() -> None:
    """The history of occupancy: rebuild it from the ledger."""


@command.command(epilog=examples("gardien history rebuild"))
def rebuild() -> None:
    """Write the whole history again from the ledger.

    A point that is there already is written again as it was, so this may run while the server
    does, and be broken off and begun again. Where the history is in InfluxDB, gardien's own copy is
    written again too, whether InfluxDB is there or not.
    """
    away: list[str] = []
    with (
        open_installation(this_call().data) as installation,
        installation.open_history() as (history, cursors),
    ):
        with installation.database.reading() as connection:
            last = ledger.last_id(connection)
        followers = installation.history_followers(history, cursors)
        with progress_bar("writing the history", last * len(followers)) as advance:
            for follower in followers:
                try:
                    written = _write_again(follower, advance)
                except HistoryUnavailable as error:
                    away.append(one_line(error))
    if away:
        raise CommandError(f"{'; '.join(away)}: try again when it is there")
    click.echo(f"the history is written: {written} entries of the ledger")


def _write_again(follower: HistoryFollower, advance: Advance) -> int:
    """Write all that one store should have; say how many entries that is."""
    follower.restart()
    written = 0
    while done := follower.step():
        written += done
        advance(done)
    return written
