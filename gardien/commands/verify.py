"""`gardien verify`: check every chain in the ledger."""

import click

from access.ids import SiteId
from gardien.call import examples, this_call
from gardien.progress import progress_bar
from gardien.tables import JSON_OPTION, print_json
from server.installation import open_installation
from server.ledger import sources
from server.verify import ChainReport, testimony, verify_chain


@click.command(epilog=examples("gardien verify", "gardien --data /srv/gardien verify --json"))
@JSON_OPTION
def command(*, as_json: bool) -> None:
    """Check every chain in the ledger: that no record was changed, left out or put in between.

    Prints the end of each chain. Keep a copy of that elsewhere: records that are missing at the
    end of a chain can be seen only by comparing. Exit status: 0 if all is whole, 1 if not.
    """
    reports: list[ChainReport] = []
    with (
        open_installation(this_call().data) as installation,
        installation.database.reading() as connection,
    ):
        chains = [
            (SiteId(site.id), source)
            for site in installation.settings.sites
            for source in sources(connection, SiteId(site.id))
        ]
        with progress_bar("checking chains", len(chains)) as advance:
            heard = {site: testimony(connection, site) for site in dict(chains)}
            for site, source in chains:
                reports.append(verify_chain(connection, site, source, heard[site]))
                advance(1)
    if as_json:
        print_json(reports)
    else:
        _print(reports)
    if not all(report.is_whole for report in reports):
        raise click.exceptions.Exit(1)


def _print(reports: list[ChainReport]) -> None:
    for report in reports:
        found = report.problem or "whole"
        click.echo(
            f"{report.site}/{report.source}: {report.head.seq} records, to {report.head.hash}: "
            f"{found}"
        )
    if not reports:
        click.echo("the ledger is empty")
