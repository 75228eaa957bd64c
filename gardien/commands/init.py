"""`gardien init`: a new installation."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from access.ids import MemberId, SiteId, slug
from access.model import Plan
from gardien.call import examples, this_call
from gardien.checkup_history import flawed
from gardien.errors import one_line
from gardien.founding import Founding, SitePlan, found, found_simulated_door
from gardien.language import LANGUAGES
from gardien.opening import open_installation
from gardien.passphrases import ask_secret
from gardien.plans import read_door, read_hours
from gardien.secret_files import filled, refuse_taken
from gardien.slugs import pseudonym, slug_of
from runtime.settings import SettingsError
from server import registry
from server.accounts import PasswordHash, hash_password, save_password
from server.folder import SETTINGS_FILE, Folder
from server.history import HistoryUnavailable
from server.registry_members import checked


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was said on the command line; None for what is to be asked for."""

    site_name: str | None
    site_id: str | None
    capacity: int | None
    zone: str
    holidays: str
    doors: tuple[str, ...]
    hours: tuple[str, ...]
    language: str
    listen: str
    mqtt_port: int
    influxdb: str
    staff_name: str | None
    staff_email: str | None
    password_file: Path | None
    simulated: bool


@click.command(
    epilog=examples(
        "gardien --data /srv/gardien init",
        "gardien init --site-name 'La Maison' --capacity 60 --door 'main=Main entrance:out' \\",
        "    --hours 'mon-fri 09:00-18:30' --staff-name 'Rose Le Gall' \\",
        "    --staff-email rose@example.org --password-file rose.password",
    )
)
@click.option("--site-name", help="What people call the place.")
@click.option("--site", "site_id", help="Its slug.  [default: made from its name]")
@click.option("--capacity", type=click.IntRange(1, 100_000), help="The most people it may hold.")
@click.option("--zone", default="Europe/Paris", show_default=True, help="Its IANA time zone.")
@click.option("--holidays", default="FR", show_default=True, help="Country of its holidays; or ''.")
@click.option(
    "--door",
    "doors",
    multiple=True,
    help="A door: its slug, maybe =its name, and :out if it has a reader inside.  [default: main]",
)
@click.option(
    "--hours", multiple=True, help="Opening hours: 'mon-fri 09:00-18:30'. Again for more."
)
@click.option("--language", type=click.Choice(LANGUAGES), default="fr", show_default=True)
@click.option("--listen", default="127.0.0.1:8080", show_default=True, help="Of the dashboard.")
@click.option(
    "--mqtt-port",
    type=click.IntRange(1, 65535),
    default=1883,
    show_default=True,
    help="Of the embedded broker, on 127.0.0.1.",
)
@click.option(
    "--influxdb",
    default="",
    metavar="URL",
    help="Keep the history there too, such as http://127.0.0.1:8086.  [default: embedded only]",
)
@click.option("--staff-name", help="The first of the staff, who can log in.")
@click.option("--staff-email", help="Their log-in.")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Holds their password in its first line. Without it you are asked.",
)
@click.option("--simulated", is_flag=True, help="Write door units on simulated hardware, to try.")
def command(**options: Any) -> None:  # noqa: ANN401 (click's; `Options` gives them their types)
    """Make a new installation in the folder of --data: keys, settings, the first staff account.

    Asks for what is missing when there is a terminal to ask on.
    """
    path = this_call().data
    refuse_taken(path)
    said = Options(**options)
    plan = _plan(said)
    staff = _staff(said, plan)
    secret = ask_secret("password", said.password_file, "--password-file", is_new=True)
    hashed = hash_password(secret)
    with filled(path, SETTINGS_FILE) as place:
        folder = _found(place / "all", plan)
        for door in plan.site.doors if said.simulated else ():
            found_simulated_door(folder, plan, door)
        _add_staff(folder.path, staff, hashed)
        for part in folder.path.iterdir():
            part.rename(place / part.name)
        folder.path.rmdir()
    _say_next(path, plan, staff, is_simulated=said.simulated)
    if said.influxdb:
        _prepare_history(path)


def _prepare_history(path: Path) -> None:
    """Make the database and its retention policies where that can be done now."""
    with open_installation(path) as installation, installation.open_history() as (history, _):
        url = installation.settings.history.url
        try:
            history.prepare()
            flaws, is_ready = history.flaws(), history.is_ready()
            why = "its database or buckets can't be read"
        except HistoryUnavailable as error:
            flaws, is_ready, why = [], False, one_line(error)
    for finding in flawed(url, flaws):
        click.echo(finding.told("en"))
    if is_ready and not flaws:
        click.echo(f"The history at {url} is there: moments for 13 months, hours for ever")
    elif not is_ready:
        click.echo(f"The history at {url} is not there yet: {why}")
        click.echo("The server goes on trying; `gardien doctor` says how it stands.")


def _found(path: Path, plan: Founding) -> Folder:
    """Found it; what can't be used was typed, so the message names no file of ours."""
    try:
        return found(path, plan)
    except SettingsError as error:
        file = Folder(path=path).settings_file
        raise SettingsError(str(error).removeprefix(f"{file}: ")) from error


def _plan(said: Options) -> Founding:
    name = _asked(said.site_name, "--site-name", "Name of the place")
    capacity = _asked(said.capacity, "--capacity", "The most people it may hold", int)
    return Founding(
        site=SitePlan(
            id=SiteId(slug(said.site_id or slug_of(name, "--site"), "site")),
            name=name,
            capacity=capacity,
            doors=tuple(read_door(door) for door in said.doors or ("main",)),
            zone=said.zone,
            holidays=said.holidays,
            hours=read_hours(said.hours),
        ),
        language=said.language,
        mqtt_port=said.mqtt_port,
        listen=said.listen,
        influxdb=said.influxdb,
    )


def _staff(said: Options, plan: Founding) -> registry.Person:
    name = _asked(said.staff_name, "--staff-name", "Your name")
    return checked(
        registry.Person(
            id=MemberId(pseudonym()),
            name=name,
            email=_asked(said.staff_email, "--staff-email", "Your e-mail address"),
            language=said.language,
            plan=Plan.STAFF,
            sites=frozenset({plan.site.id}),
        )
    )


def _asked(given: Any, option: str, question: str, kind: type = str) -> Any:  # noqa: ANN401 (of `kind`)
    """Take what was given, else ask for it on the terminal."""
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise click.UsageError(f"without a terminal to ask on, give {option}")
    return click.prompt(question, type=kind, err=True)


def _add_staff(path: Path, staff: registry.Person, hashed: PasswordHash) -> None:
    with open_installation(path) as installation:
        now = installation.clock.now()
        with installation.database.writing() as connection:
            registry.add_member(connection, staff, now)
            save_password(connection, staff.email or "", staff.id, hashed, now)


def _say_next(path: Path, plan: Founding, staff: registry.Person, *, is_simulated: bool) -> None:
    gardien = f"gardien --data {path}"
    click.echo(f"{path}: {plan.site.name} is there; {staff.name} logs in as {staff.email}")
    click.echo("Next:")
    click.echo(f"  {gardien} broker     the embedded broker, on 127.0.0.1:{plan.mqtt_port}")
    click.echo(f"  {gardien} server     the server")
    click.echo(f"  {gardien} dashboard  the pages, at http://{plan.listen}/")
    for door in plan.site.doors if is_simulated else ():
        click.echo(f"  {gardien} door --config {path / 'doors' / door.id / 'door.toml'}")
    click.echo(f"  {gardien} member import members.csv")
    click.echo(f"  {gardien} doctor     what is missing still")
