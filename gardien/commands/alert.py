"""`gardien alert`: what somebody should have heard of, taking it in charge, trying a channel."""

from typing import Final

import click

from access.ids import SiteId
from gardien.call import examples, this_call
from gardien.errors import CommandError
from gardien.language import LANGUAGE_OPTION, chosen_language
from gardien.moments import Here, here_now
from gardien.opening import open_installation
from gardien.tables import JSON_OPTION, SITE_OPTION, print_json, print_table
from server import alerts_list
from server.alerts_list import ListedAlert
from server.alerts_wording import words
from server.desk import OPERATOR
from server.events import AlertAcknowledged
from server.installation import Installation
from server.notifier import Letter
from server.notifier_followers import notifier_of
from server.settings import SiteSettings

_COLUMNS: Final = {
    "fr": ("n°", "quand", "quoi", "porte", "prise en charge"),
    "en": ("no.", "when", "what", "door", "taken in charge"),
}
_NONE: Final = {"fr": "aucune alerte", "en": "no alerts"}
_TAKEN: Final = {"fr": "alerte {number} prise en charge", "en": "alert {number} taken in charge"}
_SENT: Final = {"fr": "envoyé par {channel}", "en": "sent by {channel}"}
_TEST: Final = {
    "fr": ("Essai de gardien", "Ceci est un essai : ce canal fonctionne. Il n'y a rien à faire.\n"),
    "en": ("A test of gardien", "This is a test: this channel works. There is nothing to do.\n"),
}


@click.group(epilog=examples("gardien alert list", "gardien alert ack 12"))
def command() -> None:
    """Alerts: list, take in charge, try a channel."""


@command.command("list", epilog=examples("gardien alert list", "gardien alert list --all --json"))
@SITE_OPTION
@click.option("--all", "is_all", is_flag=True, help="Those that were taken in charge as well.")
@JSON_OPTION
@LANGUAGE_OPTION
def list_(*, site: str | None, is_all: bool, as_json: bool, language: str | None) -> None:
    """List the alerts that nobody has taken in charge yet, newest first."""
    with open_installation(this_call().data) as installation:
        place = installation.site(SiteId(site) if site else None)
        here = here_now(place.zone, installation.clock.now())
        found = _listed(installation, place, is_all=is_all)
        spoken = chosen_language(language, installation.settings.language)
    if as_json:
        print_json([_plain(one) for one in found])
        return
    doors = {door.id: door.name for door in place.doors}
    rows = [_row(one, doors, here, spoken) for one in found]
    print_table(_COLUMNS[spoken], rows, _NONE[spoken])


@command.command(epilog=examples("gardien alert ack 12", "gardien alert ack 12 13 14"))
@click.argument("numbers", nargs=-1, required=True, type=click.IntRange(1))
@SITE_OPTION
@LANGUAGE_OPTION
def ack(*, numbers: tuple[int, ...], site: str | None, language: str | None) -> None:
    """Take alerts in charge, by their NUMBERS. It is recorded as done by the operator."""
    with open_installation(this_call().data) as installation:
        place = SiteId(installation.site(SiteId(site) if site else None).id)
        spoken = chosen_language(language, installation.settings.language)
        for number in numbers:
            _take(installation, place, number)
            click.echo(_TAKEN[spoken].format(number=number))


@command.command(epilog=examples("gardien alert test on-watch", "gardien alert test sms"))
@click.argument("channel")
@click.option("--to", help="The e-mail address to try, where the channel writes to people.")
@LANGUAGE_OPTION
def test(*, channel: str, to: str | None, language: str | None) -> None:
    """Send a test message by a CHANNEL of the settings; blocks until it is handed over."""
    with open_installation(this_call().data) as installation:
        rules = installation.settings.alerts
        spoken = chosen_language(language, installation.settings.language)
    found = next((one for one in rules.channels if one.id == channel), None)
    if found is None:
        known = ", ".join(one.id for one in rules.channels) or "none"
        raise CommandError(f"there is no channel {channel!r}; in gardien.toml there are: {known}")
    if found.to is not None and to is None:
        raise CommandError(f"{channel} writes to people; say whom to try, with --to")
    title, text = _TEST[spoken]
    letter = Letter(title=title, text=text, to=(to,) if to else ())
    notifier_of(found, rules).send([letter])
    click.echo(_SENT[spoken].format(channel=channel))


def _listed(installation: Installation, place: SiteSettings, *, is_all: bool) -> list[ListedAlert]:
    with installation.database.reading() as connection:
        found = alerts_list.listed(connection, SiteId(place.id))
    return found if is_all else alerts_list.open_ones(found)


def _take(installation: Installation, site: SiteId, number: int) -> None:
    with installation.database.reading() as connection:
        found = alerts_list.find(connection, site, number)
    if found is None:
        raise CommandError(f"{site} has no alert {number}; see `gardien alert list`")
    if found.is_open:
        event = AlertAcknowledged(by=OPERATOR, alert=number)
        installation.gatehouse.handle(site, [event], installation.clock.now())


def _row(one: ListedAlert, doors: dict[str, str], here: Here, language: str) -> tuple[object, ...]:
    alert = one.alert
    taken = None if one.is_open else f"{here.told(one.taken_at)} {one.by or ''}".strip()
    return (
        alert.number,
        here.told(alert.at),
        words(alert.kind, language).title,
        doors.get(alert.door, alert.door) if alert.door else None,
        taken,
    )


def _plain(one: ListedAlert) -> dict[str, object]:
    alert = one.alert
    return {
        "number": alert.number,
        "kind": alert.kind,
        "at": alert.at,
        "door": alert.door,
        "urgent": alert.is_urgent,
        "taken_at": one.taken_at,
        "taken_by": one.by,
    }
