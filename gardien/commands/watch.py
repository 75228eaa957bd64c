"""`gardien watch`: who answers for the open site, and ending it."""

from datetime import datetime
from typing import Any, Final

import click

from access.ids import SiteId
from access.instants import from_rfc3339
from access.watch import Phase, Watch
from gardien.call import examples, this_call
from gardien.language import LANGUAGE_OPTION, chosen_language
from gardien.moments import Here, here_now
from gardien.opening import open_installation
from gardien.tables import JSON_OPTION, SITE_OPTION, print_json, print_table
from server import ledger
from server.desk import OPERATOR
from server.events import CloseAsked, RollCallSigned
from server.installation import Installation

_CLOSED: Final = ("gardien.watch.closed",)
_COLUMNS: Final = {
    "fr": ("état", "ouverte", "jusqu'à", "tenue par", "pour", "crédit"),
    "en": ("state", "opened", "until", "held by", "for", "credited"),
}
_PHASES: Final = {
    "fr": {Phase.OPEN: "ouverte", Phase.CLOSING: "se termine", Phase.CLOSED: "finie"},
    "en": {Phase.OPEN: "open", Phase.CLOSING: "closing", Phase.CLOSED: "over"},
}
_NONE: Final = {"fr": "aucune permanence", "en": "no watches"}
_CLOSING: Final = {
    "fr": "la permanence se termine : il reste {present} personnes, jusqu'à {by}",
    "en": "the watch is closing: {present} people are inside still, until {by}",
}
_OVER: Final = {"fr": "la permanence est finie", "en": "the watch is over"}


@click.group(epilog=examples("gardien watch list", "gardien watch close"))
def command() -> None:
    """Watches: list, close."""


@command.command(
    "list", epilog=examples("gardien watch list", "gardien watch list --limit 5 --json")
)
@SITE_OPTION
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many."
)
@JSON_OPTION
@LANGUAGE_OPTION
def list_(*, site: str | None, limit: int, as_json: bool, language: str | None) -> None:
    """List the watch that runs, and those before it, newest first."""
    with open_installation(this_call().data) as installation:
        place = installation.site(SiteId(site) if site else None)
        here = here_now(place.zone, installation.clock.now())
        running = installation.gatehouse.look(SiteId(place.id)).watch
        with installation.database.reading() as connection:
            closed = ledger.latest(connection, SiteId(place.id), limit, _CLOSED)
        spoken = chosen_language(language, installation.settings.language)
    past = [one.record["data"] | {"closed": one.record["time"]} for one in closed]
    if as_json:
        print_json({"running": running, "closed": past})
        return
    rows = [_row(running, here, spoken)] if running is not None else []
    rows += [_past_row(one, here, spoken) for one in past]
    print_table(_COLUMNS[spoken], rows, _NONE[spoken])


@command.command(epilog=examples("gardien watch close", "gardien watch close --roll-call-signed"))
@SITE_OPTION
@click.option(
    "--roll-call-signed", is_flag=True, help="Everyone is accounted for: the watch is over now."
)
@LANGUAGE_OPTION
def close(*, site: str | None, roll_call_signed: bool, language: str | None) -> None:
    """Begin to close the watch that runs: people inside are asked to leave.

    With --roll-call-signed, end one that is closing. It is recorded as done by the operator.
    """
    with open_installation(this_call().data) as installation:
        place = SiteId(installation.site(SiteId(site) if site else None).id)
        event = RollCallSigned(by=OPERATOR) if roll_call_signed else CloseAsked(by=OPERATOR)
        installation.gatehouse.handle(place, [event], installation.clock.now())
        spoken = chosen_language(language, installation.settings.language)
        click.echo(_told(installation, place, spoken))


def _told(installation: Installation, site: SiteId, language: str) -> str:
    state = installation.gatehouse.look(site)
    if state.watch is None:
        return _OVER[language]
    here = here_now(installation.site(site).zone, installation.clock.now())
    return _CLOSING[language].format(
        present=state.presence.present, by=here.told(state.watch.closes_by())
    )


def _row(watch: Watch, here: Here, language: str) -> tuple[object, ...]:
    phase = watch.phase_at(here.now)
    until = watch.over_by if phase is Phase.OPEN else watch.closes_by()
    return (
        _PHASES[language][phase],
        here.told(watch.opened_at),
        here.told(until),
        watch.guardian,
        watch.title,
        None,
    )


def _past_row(data: dict[str, Any], here: Here, language: str) -> tuple[object, ...]:
    guardians = dict.fromkeys(held["guardian"] for held in data["held"] if held["guardian"])
    return (
        _PHASES[language][Phase.CLOSED],
        here.told(_instant(data["opened"])),
        here.told(_instant(data["closed"])),
        ", ".join(guardians),
        data["title"],
        _credited(data["minutes"]) or None,
    )


def _credited(minutes: dict[str, int] | int) -> str:
    """Say who was credited how much; of a watch whose guardians are forgotten, the sum."""
    if isinstance(minutes, int):
        return f"{minutes} min"
    return ", ".join(f"{who} {earned} min" for who, earned in minutes.items())


def _instant(text: str | datetime) -> datetime:
    return text if isinstance(text, datetime) else from_rfc3339(text)
