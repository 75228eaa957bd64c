"""`gardien privacy`: what is recorded, said to those whom it is about; as HTML, to print."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from access.ids import SiteId
from gardien.call import examples, this_call
from gardien.errors import CommandError
from gardien.language import LANGUAGE_OPTION, chosen_language
from gardien.opening import open_installation
from gardien.tables import SITE_OPTION
from server.folder import SETTINGS_FILE

if TYPE_CHECKING:
    from dashboards.paper import Kind

_OUT: Final = click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A new file.  [default: standard output]",
)


@click.group(
    epilog=examples(
        "gardien privacy notice --out notice.html",
        "gardien privacy sign --language fr --out sign.html",
        "gardien privacy register --out register.html",
    )
)
def command() -> None:
    """The notice, the sign for the door and the register (GDPR), filled in from the settings."""


@command.command(epilog=examples("gardien privacy notice --language en --out notice.html"))
@SITE_OPTION
@LANGUAGE_OPTION
@_OUT
def notice(*, site: str | None, language: str | None, out: Path | None) -> None:
    """Write the notice of what is recorded, as at /privacy: GDPR, article 13."""
    _write("notice", site, language, out)


@command.command(
    epilog=examples(
        "gardien privacy sign --address https://gardien.example.org/privacy --out sign.html"
    )
)
@SITE_OPTION
@LANGUAGE_OPTION
@click.option("--address", help="Where the whole notice can be read; left out without it.")
@_OUT
def sign(*, site: str | None, language: str | None, address: str | None, out: Path | None) -> None:
    """Write the sign for the door, as at /privacy/sign."""
    _write("sign", site, language, out, address)


@command.command(epilog=examples("gardien privacy register --out register.html"))
@SITE_OPTION
@LANGUAGE_OPTION
@_OUT
def register(*, site: str | None, language: str | None, out: Path | None) -> None:
    """Write the entry of the register, as at /privacy/register: GDPR, article 30."""
    _write("register", site, language, out)


def _write(
    kind: "Kind",
    site: str | None,
    language: str | None,
    out: Path | None,
    address: str | None = None,
) -> None:
    from dashboards.paper import write_paper  # noqa: PLC0415 (the help must come at once)

    with open_installation(this_call().data) as installation:
        settings, place = installation.settings, installation.site(SiteId(site) if site else None)
    chosen = chosen_language(language, settings.language)
    html = write_paper(kind, settings, place, language=chosen, address=address)
    if settings.privacy.missing:
        click.echo(
            f"still missing under [privacy] of {SETTINGS_FILE}: "
            f"{', '.join(settings.privacy.missing)}",
            err=True,
        )
    if out is None:
        click.echo(html)
        return
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(f"{html}\n")
    except FileExistsError as error:
        raise CommandError(f"{out} exists already; give --out another name") from error
    click.echo(f"{out}: the {kind} of {place.name}, to open in a browser and print")
