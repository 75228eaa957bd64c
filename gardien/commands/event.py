"""`gardien event`: what takes place, from calendars."""

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from access.ids import SiteId
from gardien.calendar_fetch import fetch
from gardien.call import examples, this_call
from gardien.errors import NoSuchThingError
from gardien.event_sources import Source, forget, keep, sources_of
from gardien.moments import Here, here_now
from gardien.opening import open_installation
from gardien.tables import JSON_OPTION, SITE_OPTION, print_json, print_table
from server import registry
from server.calendar_ics import Occurrence, occurrences, read_events
from server.installation import Installation
from server.settings import SiteSettings


@click.group(
    epilog=examples(
        "gardien event import evenings.ics",
        "gardien event import https://cloud.example.org/evenings.ics",
        "gardien event list",
    )
)
def command() -> None:
    """Events from calendars: import, list, forget."""


@command.command(
    "import",
    epilog=examples(
        "gardien event import evenings.ics",
        "gardien event import https://cloud.example.org/evenings.ics",
    ),
)
@click.argument("location", metavar="FILE|URL")
@SITE_OPTION
def import_(*, location: str, site: str | None) -> None:
    """Read a calendar (iCalendar, RFC 5545), in place of what was read from there before.

    Guardians of an event are its chairs (ATTENDEE with ROLE=CHAIR), by e-mail. A calendar that
    can't be understood as a whole changes nothing.
    """
    fetched = fetch(location)
    with open_installation(this_call().data) as installation:
        place = installation.site(SiteId(site) if site else None)
        events = read_events(fetched.body, ZoneInfo(place.zone))
        now = installation.clock.now()
        coming = occurrences(events, now, now + timedelta(days=60))
        with installation.database.writing() as connection:
            is_new = keep(connection, SiteId(place.id), fetched, now)
        strangers = _strangers(installation, place, coming)
    done = "read" if is_new else "read again"
    click.echo(f"{fetched.location}: {done}, {len(events)} events, {len(coming)} dates in 60 days")
    for stranger in strangers:
        click.echo(f"note: {stranger} is named as a guardian and is none here", err=True)


@command.command(
    "list", epilog=examples("gardien event list", "gardien event list --days 7 --json")
)
@SITE_OPTION
@click.option(
    "--days", type=click.IntRange(1, 366), default=30, show_default=True, help="How far ahead."
)
@click.option(
    "--calendars", is_flag=True, help="The calendars themselves, and when they were read."
)
@JSON_OPTION
def list_(*, site: str | None, days: int, calendars: bool, as_json: bool) -> None:
    """List the events of the coming days, and who answers for them."""
    with open_installation(this_call().data) as installation:
        place = installation.site(SiteId(site) if site else None)
        here = here_now(place.zone, installation.clock.now())
        with installation.database.reading() as connection:
            sources = sources_of(connection, SiteId(place.id))
    if calendars:
        _print_calendars(sources, here, as_json=as_json)
        return
    until = here.now + timedelta(days=days)
    found = [one for source in sources for one in _of(source, here, until)]
    _print_events(sorted(found, key=lambda one: (one.start, one.id)), here, as_json=as_json)


@command.command("forget", epilog=examples("gardien event forget evenings.ics"))
@click.argument("location", metavar="FILE|URL")
@SITE_OPTION
def forget_(*, location: str, site: str | None) -> None:
    """Forget a calendar and all its events, given as `gardien event list --calendars` shows it."""
    with open_installation(this_call().data) as installation:
        place = SiteId(installation.site(SiteId(site) if site else None).id)
        with installation.database.writing() as connection:
            gone = forget(connection, place, location) or forget(
                connection, place, str(Path(location).absolute())
            )
    if not gone:
        raise NoSuchThingError(f"no calendar {location!r}; see `gardien event list --calendars`")
    click.echo(f"{location} is forgotten")


def _of(source: Source, here: Here, until: datetime) -> tuple[Occurrence, ...]:
    return occurrences(read_events(source.body, here.zone), here.now, until)


def _strangers(
    installation: Installation, place: SiteSettings, coming: tuple[Occurrence, ...]
) -> list[str]:
    """Name those whom a calendar takes for guardians and who are none at the site."""
    with installation.database.reading() as connection:
        people = registry.list_members(connection, SiteId(place.id))
    known = {key for one in people if one.is_guardian for key in (one.id, one.email) if key}
    return sorted({name for one in coming for name in one.guardians} - known)


def _print_calendars(sources: list[Source], here: Here, *, as_json: bool) -> None:
    if as_json:
        print_json([{"location": s.location, "fetched_at": s.fetched_at} for s in sources])
        return
    rows = [(source.location, here.told(source.fetched_at)) for source in sources]
    print_table(("calendar", "read"), rows, "no calendars; read one with `gardien event import`")


def _print_events(found: list[Occurrence], here: Here, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    rows = [
        (
            here.told(one.start),
            here.told(one.end),
            one.title,
            one.audience.value,
            one.expected,
            ", ".join(sorted(one.guardians)) or None,
        )
        for one in found
    ]
    columns = ("from", "to", "event", "audience", "expected", "guardians")
    print_table(columns, rows, "no events; read a calendar with `gardien event import`")
