"""`gardien member import`: members from a CSV file, all of them or none."""

from datetime import datetime
from pathlib import Path
from typing import NoReturn

import click

from access.ids import SiteId
from gardien.call import examples, this_call
from gardien.errors import CommandError
from gardien.moments import here_now
from gardien.opening import open_installation
from gardien.progress import progress_bar
from server import registry
from server.installation import Installation


@click.command(
    "import",
    epilog=examples(
        "gardien member import members.csv",
        "gardien member import --check members.csv",
    ),
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--check", is_flag=True, help="Only say what is wrong with the file.")
def import_(*, file: Path, check: bool) -> None:
    """Import members from a CSV file: all of them, or none if a line is bad.

    The first line names the columns: id and name, and maybe email, language, plan, status, since,
    until, guardian, sites. A member whose id is known is written anew.
    """
    text = _text_of(file)
    with open_installation(this_call().data) as installation:
        here = here_now(installation.settings.sites[0].zone, installation.clock.now())
        known = [SiteId(site.id) for site in installation.settings.sites]
        with progress_bar(f"importing {file.name}", None):
            rows, errors = registry.read_members_csv(text, sites=known, zone=here.zone)
            if errors:
                _refuse(file, errors)
            if check:
                click.echo(f"{file}: {len(rows)} members, nothing wrong")
                return
            added, changed = _write(installation, file, rows, here.now)
    click.echo(f"{added} added, {changed} written anew")


def _write(
    installation: Installation, file: Path, rows: list[registry.MemberRow], at: datetime
) -> tuple[int, int]:
    try:
        with installation.database.writing() as connection:
            return registry.import_members(connection, rows, at)
    except registry.ImportRefusedError as error:
        _refuse(file, list(error.errors), error)


def _refuse(
    file: Path, errors: list[registry.LineError], cause: Exception | None = None
) -> NoReturn:
    for error in errors:
        click.echo(f"{file}: {error}", err=True)
    lines = "a bad line" if len(errors) == 1 else f"{len(errors)} bad lines"
    raise CommandError(f"nothing was imported; correct {lines} and try again") from cause


def _text_of(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandError(
            f"{file} is not in UTF-8 (byte {error.start + 1}); save it as CSV UTF-8 and try again"
        ) from error
