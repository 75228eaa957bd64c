"""`gardien verify`: check every chain in the ledger, and the state that follows from it."""

import click
from sqlalchemy import Connection

from access.ids import DoorId, SiteId
from gardien.call import examples, this_call
from gardien.opening import open_installation
from gardien.progress import Advance, progress_bar
from gardien.tables import JSON_OPTION, print_json
from server import ledger
from server.settings import SiteSettings
from server.verify import ChainReport, testimony, verify_chain
from server.verify_state import StateReport, verify_state


@click.command(epilog=examples("gardien verify", "gardien --data /srv/gardien verify --json"))
@JSON_OPTION
def command(*, as_json: bool) -> None:
    """Check the ledger: that no record was changed, left out or put in between.

    Every chain is checked, the doors' and the server's own, also where persons were taken out when
    their time had come. Then the state of each site (who is inside, the watch, the ends of the
    chains) is compared with what follows from its ledger.

    Prints the end of each chain. Keep a copy of that elsewhere: records that are missing at the
    end of a chain, and from the state too, can be seen only by comparing. Exit status: 0 if all is
    whole, 1 if not.
    """
    chains: list[ChainReport] = []
    states: list[StateReport] = []
    with (
        open_installation(this_call().data) as installation,
        installation.database.reading() as connection,
    ):
        sites = installation.settings.sites
        with progress_bar("checking records", _length(connection, sites)) as advance:
            for site in sites:
                of_site, state = _verify(connection, site, advance)
                chains += of_site
                states.append(state)
    if as_json:
        print_json({"chains": chains, "states": states})
    else:
        _print(chains, states)
    if not (all(one.is_whole for one in chains) and all(one.is_whole for one in states)):
        raise click.exceptions.Exit(1)


def _length(connection: Connection, sites: tuple[SiteSettings, ...]) -> int:
    """Count the records of all chains, by their ends."""
    return sum(
        ledger.head(connection, SiteId(site.id), source).seq
        for site in sites
        for source in ledger.sources(connection, SiteId(site.id))
    )


def _verify(
    connection: Connection, site: SiteSettings, advance: Advance
) -> tuple[list[ChainReport], StateReport]:
    id_ = SiteId(site.id)
    heard = testimony(connection, id_)
    chains = [
        verify_chain(connection, id_, source, heard, advance)
        for source in ledger.sources(connection, id_)
    ]
    blind = frozenset(DoorId(door.id) for door in site.doors if not door.contact)
    return chains, verify_state(connection, id_, chains, blind)


def _print(chains: list[ChainReport], states: list[StateReport]) -> None:
    for chain in chains:
        found = chain.problem or "whole"
        click.echo(
            f"{chain.site}/{chain.source}: {chain.head.seq} records, to {chain.head.hash}: {found}"
        )
    if not chains:
        click.echo("the ledger is empty")
        return
    for state in states:
        for problem in state.problems:
            click.echo(f"{state.site}: the state is not what follows from the ledger: {problem}")
        if state.unknown is not None:
            click.echo(f"{state.site}: not compared: {state.unknown}")
        elif state.is_whole:
            click.echo(f"{state.site}: the state is what follows from the ledger")
