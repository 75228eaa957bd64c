"""`gardien token`: tokens with which programs use the API. They are made here and nowhere else."""

from datetime import datetime
from pathlib import Path
from typing import Final

import click

from access.ids import MemberId, SiteId
from gardien.call import examples, this_call
from gardien.moments import here_now
from gardien.opening import open_installation
from gardien.tables import JSON_OPTION, print_json, print_table
from runtime.written import Duration
from server import api_tokens, registry
from server.api_tokens import OF_MEMBERS, ApiToken, Scope

NEVER: Final = "never"
_LONGEST: Final = "365 d"


@click.group(
    epilog=examples(
        "gardien token create 'hall screen' --scope occupancy:read",
        "gardien token list",
        "gardien token revoke 3f2a9c01d4e7",
    )
)
def command() -> None:
    """Tokens of the API: create, list, revoke."""


@command.command(
    epilog=examples(
        "gardien token create 'hall screen' --scope occupancy:read --scope doors:read",
        "gardien token create 'guest counter' --scope watch:write --member anna --expires '90 d'",
    )
)
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    required=True,
    help="What it may be used for; write it again for each.",
)
@click.option("--site", help="The only site where it counts.  [default: every site]")
@click.option("--member", help="For whom it acts, by id or e-mail: it may do what they may.")
@click.option(
    "--expires",
    default=_LONGEST,
    show_default=True,
    help=f"After how long it counts no more: '90 d', or {NEVER}.",
)
def create(
    *, name: str, scopes: tuple[str, ...], site: str | None, member: str | None, expires: str
) -> None:
    """Make a token with a NAME that says what for, and print it: this once, it is not kept.

    The token stands alone on standard output; what is known of it goes to standard error.
    """
    wanted = frozenset(Scope(scope) for scope in scopes)
    if member is None and wanted & OF_MEMBERS:
        told = ", ".join(sorted(scope.value for scope in wanted & OF_MEMBERS))
        raise click.UsageError(f"somebody must answer for {told}; name them with --member")
    with open_installation(this_call().data) as installation:
        now = installation.clock.now()
        where = None if site is None else SiteId(installation.site(SiteId(site)).id)
        with installation.database.writing() as connection:
            made, token = api_tokens.make(
                connection,
                name=name,
                scopes=wanted,
                member=_member(registry.find_member(connection, member) if member else None),
                site=where,
                now=now,
                expires=_end(expires, now),
            )
        here = here_now(installation.settings.sites[0].zone, now)
    click.echo(token)
    until = "never" if made.expires is None else here.told(made.expires)
    click.echo(f"{made.id}: kept nowhere, so put it where it belongs; over: {until}", err=True)


@command.command("list", epilog=examples("gardien token list", "gardien token list --all --json"))
@click.option("--member", help="Those of this member, by id or e-mail.")
@click.option("--all", "with_over", is_flag=True, help="With those that are over.")
@JSON_OPTION
def list_(*, member: str | None, with_over: bool, as_json: bool) -> None:
    """List the tokens; what they are secret for is not kept, and not shown."""
    with open_installation(this_call().data) as installation:
        now = installation.clock.now()
        with installation.database.reading() as connection:
            named = _member(registry.find_member(connection, member) if member else None)
            every = api_tokens.list_tokens(connection, named)
        here = here_now(installation.settings.sites[0].zone, now)
    found = [one for one in every if with_over or not one.is_over(now)]
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one.id,
            one.name,
            " ".join(scope.value for scope in one.scopes),
            one.member,
            one.site,
            here.told(one.last_used),
            _over(one, here.told(one.revoked_at), here.told(one.expires)),
        )
        for one in found
    ]
    columns = ("id", "name", "scopes", "member", "site", "last used", "over")
    print_table(columns, rows, "no tokens; make one with `gardien token create`")


@command.command(epilog=examples("gardien token revoke 3f2a9c01d4e7"))
@click.argument("id_", metavar="ID")
def revoke(*, id_: str) -> None:
    """End a token at once, by its ID as `gardien token list` shows it."""
    with open_installation(this_call().data) as installation:
        now = installation.clock.now()
        with installation.database.writing() as connection:
            ended = api_tokens.revoke(connection, id_, now)
    click.echo(f"{ended.id} ({ended.name}) is revoked")


def _member(person: registry.Person | None) -> MemberId | None:
    return None if person is None else person.id


def _end(text: str, now: datetime) -> datetime | None:
    if text.strip().lower() == NEVER:
        return None
    try:
        return now + Duration.parse(text, Path())
    except (ValueError, OverflowError) as error:
        told = f"write a length of time such as '90 d', or {NEVER}"
        raise click.BadParameter(told, param_hint="'--expires'") from error


def _over(one: ApiToken, revoked: str, expires: str) -> str:
    return f"revoked {revoked}" if one.revoked_at is not None else expires
