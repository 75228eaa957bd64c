"""`gardien guardian`: who may open the place, and when."""

from datetime import timedelta
from pathlib import Path

import click

from access.ids import SiteId
from access.instants import Span
from access.model import Audience
from gardien.call import examples, this_call
from gardien.moments import HOW, Here, here_now, parse_moment, parse_span, parse_weekly, told_weekly
from gardien.opening import open_installation
from gardien.tables import JSON_OPTION, SITE_OPTION, print_json, print_table
from runtime.written import Duration
from server import registry


@click.group(
    epilog=examples(
        "gardien guardian authorize zoe --from '2026-11-24 19:30' --to 22:00 --title 'Talk'",
        "gardien guardian authorize zoe --weekly 'tue 18:30-22:00'",
        "gardien guardian list",
        "gardien guardian revoke 3f2a9c01d4e7",
    )
)
def command() -> None:
    """Authorizations of guardians: authorize, list, revoke."""


@command.command(
    epilog=examples(
        "gardien guardian authorize zoe --from '2026-11-24 19:30' --to 22:00",
        "gardien guardian authorize zoe --weekly 'tue 18:30-22:00' --audience public",
    )
)
@click.argument("member")
@click.option("--from", "start", help=f"When it starts, without lead: {HOW}. With --weekly: since.")
@click.option("--to", "end", help="When it ends, without grace; a time alone is on the same day.")
@click.option("--weekly", help="Each week at this local time: 'tue 18:30-22:00'.")
@click.option("--title", help="What for, for people.")
@click.option(
    "--audience",
    type=click.Choice([Audience.MEMBERS.value, Audience.PUBLIC.value]),
    default=Audience.MEMBERS.value,
    show_default=True,
    help="Whom the watch admits.",
)
@click.option("--lead", help="How early they may open: '30 min'.  [default: the site's]")
@click.option("--grace", help="How late it must be over.  [default: the site's]")
@SITE_OPTION
def authorize(
    *,
    member: str,
    start: str | None,
    end: str | None,
    weekly: str | None,
    title: str | None,
    audience: str,
    lead: str | None,
    grace: str | None,
    site: str | None,
) -> None:
    """Let a guardian, the MEMBER named by id or e-mail, open the site: once, or each week.

    Times are local to the site.
    """
    with open_installation(this_call().data) as installation:
        place = installation.site(SiteId(site) if site else None)
        here = here_now(place.zone, installation.clock.now())
        span = _span(start, end, weekly, here)
        with installation.database.writing() as connection:
            grant = registry.authorize(
                connection,
                site=SiteId(place.id),
                guardian=registry.find_member(connection, member).id,
                span=span,
                lead=_margin("--lead", lead, place.lead),
                grace=_margin("--grace", grace, place.grace),
                is_weekly=weekly is not None,
                title=title,
                audience=Audience(audience),
            )
    click.echo(f"{grant.id}: {grant.guardian} may open {place.name}, {_when(grant, here)}")


@command.command(
    "list", epilog=examples("gardien guardian list", "gardien guardian list --all --json")
)
@SITE_OPTION
@click.option("--all", "with_revoked", is_flag=True, help="With those that were revoked.")
@JSON_OPTION
def list_(*, site: str | None, with_revoked: bool, as_json: bool) -> None:
    """List what guardians were authorized to; for events see `gardien event list`."""
    with open_installation(this_call().data) as installation:
        place = installation.site(SiteId(site) if site else None)
        here = here_now(place.zone, installation.clock.now())
        with installation.database.reading() as connection:
            grants = registry.list_authorizations(
                connection, SiteId(place.id), with_revoked=with_revoked
            )
    if as_json:
        print_json(grants)
        return
    rows = [
        (
            one.id,
            one.guardian,
            _when(one, here),
            one.title,
            one.audience.value,
            here.told(one.revoked_at),
        )
        for one in grants
    ]
    columns = ("id", "guardian", "when", "title", "audience", "revoked")
    print_table(columns, rows, "no authorizations; grant one with `gardien guardian authorize`")


@command.command(epilog=examples("gardien guardian revoke 3f2a9c01d4e7"))
@click.argument("id_", metavar="ID")
def revoke(*, id_: str) -> None:
    """Take an authorization back, by its ID as `gardien guardian list` shows it."""
    with open_installation(this_call().data) as installation:
        now = installation.clock.now()
        with installation.database.writing() as connection:
            registry.revoke_authorization(connection, id_, now)
    click.echo(f"{id_} is revoked")


def _span(start: str | None, end: str | None, weekly: str | None, here: Here) -> Span:
    if weekly is not None:
        if end is not None:
            raise click.UsageError("--weekly holds until it is revoked; leave --to out")
        since = parse_moment(start, here).astimezone(here.zone).date() if start else None
        return parse_weekly(weekly, here, since)
    if start is None or end is None:
        raise click.UsageError("say when: --from and --to, or --weekly")
    return parse_span(start, end, here)


def _margin(name: str, text: str | None, of_site: timedelta) -> timedelta:
    try:
        return of_site if text is None else Duration.parse(text, Path())
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=f"'{name}'") from error


def _when(grant: registry.Grant, here: Here) -> str:
    if grant.is_weekly:
        first = grant.span.start.astimezone(here.zone).date()
        return f"{told_weekly(grant.span, here.zone)} each week, since {first}"
    return f"{here.told(grant.span.start)} to {here.told(grant.span.end)}"
