"""`gardien member import`: members from a CSV file, all of them or none."""

from datetime import datetime
from pathlib import Path
from typing import Final, NoReturn

import click

from access.ids import SiteId
from gardien.call import examples, this_call
from gardien.errors import CommandError
from gardien.moments import here_now
from gardien.opening import open_installation
from gardien.progress import progress_bar
from gardien.slugs import pseudonym, tells_name
from server import registry
from server.installation import Installation

_MOST_TOLD: Final = 5


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
    until, guardian, sites. A member whose id is known is written anew. An id that looks like a name
    is warned of: it outlives the member.
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
                _warn_of_names(file, rows)
                click.echo(f"{file}: {len(rows)} members, nothing wrong")
                return
            added, changed = _write(installation, file, rows, here.now)
    _warn_of_names(file, rows)
    click.echo(f"{added} added, {changed} written anew")


def _warn_of_names(file: Path, rows: list[registry.MemberRow]) -> None:
    """Say which ids tell whose they are; that is no reason not to go on."""
    telling = [row for row in rows if _tells(row.person)]
    if not telling:
        return
    shown = ", ".join(f"{row.person.id} (line {row.line})" for row in telling[:_MOST_TOLD])
    more = f" and {len(telling) - _MOST_TOLD} more" if len(telling) > _MOST_TOLD else ""
    click.echo(
        f"{file}: these ids look like names: {shown}{more}; ids are kept when a member is erased, "
        f"so write ones that say nothing, such as {pseudonym()} or a number of your books",
        err=True,
    )


def _tells(person: registry.Person) -> bool:
    mailbox = (person.email or "").partition("@")[0]
    return tells_name(person.id, person.name) or tells_name(person.id, mailbox)


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
