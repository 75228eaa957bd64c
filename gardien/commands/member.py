"""`gardien member`: who belongs to the place."""

from typing import Final

import click

from access.ids import MemberId, SiteId
from access.model import Plan, Status, Validity
from gardien.call import examples, this_call
from gardien.commands.member_data import erase_, export, looks_, password
from gardien.commands.member_import import import_
from gardien.language import LANGUAGES
from gardien.moments import Here, here_now, parse_moment
from gardien.opening import open_installation
from gardien.slugs import pseudonym, tells_name
from gardien.tables import JSON_OPTION, SITE_OPTION, print_json, print_table
from server import registry
from server.installation import Installation

_PLANS: Final = [plan.value for plan in Plan]


@click.group(
    epilog=examples(
        "gardien member add 'Anna Petit' --email anna@example.org --plan resident",
        "gardien member import members.csv",
        "gardien member list --plan staff",
    )
)
def command() -> None:
    """Members: add, list, import, change, suspend, erase, export, looks, password."""


@command.command(
    epilog=examples(
        "gardien member add 'Anna Petit' --email anna@example.org",
        "gardien member add 'Hugo Roy' --id hugo --plan resident --guardian",
    )
)
@click.argument("name")
@click.option("--id", "id_", help="A slug; better no name.  [default: drawn, and says nothing]")
@click.option("--email", help="Their e-mail address.")
@click.option("--plan", type=click.Choice(_PLANS), default="nomad", show_default=True)
@click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    help="In which they are spoken to.  [default: the installation's]",
)
@click.option("--guardian", is_flag=True, help="They may be authorized to open the place.")
@click.option("--since", help="From when, in local time: 2026-09-01.")
@click.option("--until", help="Until when; it does not belong.")
@click.option("--site", "sites", multiple=True, help="Where they belong.  [default: every site]")
def add(
    *,
    name: str,
    id_: str | None,
    email: str | None,
    plan: str,
    language: str | None,
    guardian: bool,
    since: str | None,
    until: str | None,
    sites: tuple[str, ...],
) -> None:
    """Add a member by their NAME, and print their id.

    The ledger and the time bank keep the id, and nothing else, once the member is erased: so one is
    drawn that says nothing. Commands take the e-mail address in its place.
    """
    with open_installation(this_call().data) as installation:
        here = _here(installation)
        person = registry.Person(
            id=MemberId(id_ or pseudonym()),
            name=name,
            email=email,
            language=language or installation.settings.language,
            plan=Plan(plan),
            validity=_validity(since, until, here),
            is_guardian=guardian,
            sites=_sites(installation, sites),
        )
        with installation.database.writing() as connection:
            added = registry.add_member(connection, person, here.now)
    click.echo(added.id)
    if tells_name(added.id, name):
        click.echo(
            f"the id {added.id} tells the name, and is kept when they are erased; leave --id out "
            "for one that says nothing",
            err=True,
        )


@command.command("list", epilog=examples("gardien member list", "gardien member list --json"))
@SITE_OPTION
@click.option("--plan", type=click.Choice(_PLANS), help="Of this plan only.")
@click.option("--status", type=click.Choice([s.value for s in Status]), help="Of this status only.")
@JSON_OPTION
def list_(*, site: str | None, plan: str | None, status: str | None, as_json: bool) -> None:
    """List the members."""
    with open_installation(this_call().data) as installation:
        where = SiteId(installation.site(SiteId(site)).id) if site else None
        with installation.database.reading() as connection:
            found = registry.list_members(connection, where)
        here = _here(installation)
    people = [
        person
        for person in found
        if plan in (None, person.plan.value) and status in (None, person.status.value)
    ]
    if as_json:
        print_json(people)
        return
    rows = [
        (
            one.id,
            one.name,
            one.plan.value,
            one.status.value,
            "yes" if one.is_guardian else None,
            here.told(one.validity.until),
            one.email,
        )
        for one in people
    ]
    columns = ("id", "name", "plan", "status", "guardian", "until", "e-mail")
    print_table(columns, rows, "no members; add one with `gardien member add`")


@command.command(
    epilog=examples(
        "gardien member change anna --guardian",
        "gardien member change anna@example.org --plan resident",
    )
)
@click.argument("member")
@click.option("--name", help="Their name.")
@click.option("--email", help="Their e-mail address; '' for none.")
@click.option("--plan", type=click.Choice(_PLANS), help="What they pay for.")
@click.option("--language", type=click.Choice(LANGUAGES), help="In which they are spoken to.")
@click.option("--guardian/--no-guardian", default=None, help="Whether they may be authorized.")
@click.option("--since", help="From when, in local time.")
@click.option("--until", help="Until when; it does not belong.")
@click.option("--site", "sites", multiple=True, help="Where they belong from now on.")
def change(
    *,
    member: str,
    name: str | None,
    email: str | None,
    plan: str | None,
    language: str | None,
    guardian: bool | None,
    since: str | None,
    until: str | None,
    sites: tuple[str, ...],
) -> None:
    """Change what is known of a MEMBER, given by id or e-mail; what is not named stays."""
    with open_installation(this_call().data) as installation:
        here = _here(installation)
        with installation.database.writing() as connection:
            old = registry.find_member(connection, member)
            new = _validity(since, until, here)
            registry.change_member(
                connection,
                registry.Person(
                    id=old.id,
                    name=old.name if name is None else name,
                    email=old.email if email is None else email or None,
                    language=language or old.language,
                    plan=Plan(plan) if plan else old.plan,
                    status=old.status,
                    validity=Validity(
                        since=new.since or old.validity.since, until=new.until or old.validity.until
                    ),
                    is_guardian=old.is_guardian if guardian is None else guardian,
                    sites=_sites(installation, sites) if sites else old.sites,
                ),
            )
    click.echo(f"{old.id} is changed")


@command.command(
    epilog=examples("gardien member suspend anna", "gardien member suspend --lift anna")
)
@click.argument("member")
@click.option("--lift", is_flag=True, help="Let the membership run again.")
@click.option("--end", is_flag=True, help="End the membership, and keep the record.")
def suspend(*, member: str, lift: bool, end: bool) -> None:
    """Suspend a MEMBER, given by id or e-mail: their badges are refused from now on."""
    if lift and end:
        raise click.UsageError("--lift and --end don't go together; give one")
    status = Status.ACTIVE if lift else Status.ENDED if end else Status.SUSPENDED
    with (
        open_installation(this_call().data) as installation,
        installation.database.writing() as connection,
    ):
        found = registry.find_member(connection, member)
        registry.change_status(connection, found.id, status)
    click.echo(f"{found.id} is {status.value}")


def _here(installation: Installation) -> Here:
    return here_now(installation.settings.sites[0].zone, installation.clock.now())


def _validity(since: str | None, until: str | None, here: Here) -> Validity:
    return Validity(
        since=parse_moment(since, here) if since else None,
        until=parse_moment(until, here) if until else None,
    )


def _sites(installation: Installation, named: tuple[str, ...]) -> frozenset[SiteId]:
    chosen = named or tuple(site.id for site in installation.settings.sites)
    return frozenset(SiteId(installation.site(SiteId(site)).id) for site in chosen)


for _part in (import_, export, erase_, looks_, password):
    command.add_command(_part)
