"""`gardien member`: who belongs to the place."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Final, NoReturn

import click
import msgspec

from access.ids import MemberId, SiteId
from access.model import Plan, Status, Validity
from gardien.call import examples, this_call
from gardien.errors import CommandError
from gardien.holdings import Erased, erase, holdings_of
from gardien.language import LANGUAGES
from gardien.moments import Here, here_now, parse_moment
from gardien.passphrases import ask_secret
from gardien.progress import progress_bar
from gardien.slugs import slug_of
from gardien.tables import JSON_OPTION, SITE_OPTION, print_json, print_table
from runtime.keys import write_secret
from server import registry
from server.accounts import set_password
from server.installation import Installation, open_installation

_PLANS: Final = [plan.value for plan in Plan]


@click.group(
    epilog=examples(
        "gardien member add 'Anna Petit' --email anna@example.org --plan resident",
        "gardien member import members.csv",
        "gardien member list --plan staff",
    )
)
def command() -> None:
    """Members: add, list, import, change, suspend, erase, export, password."""


@command.command(
    epilog=examples(
        "gardien member add 'Anna Petit' --email anna@example.org",
        "gardien member add 'Hugo Roy' --id hugo --plan resident --guardian",
    )
)
@click.argument("name")
@click.option("--id", "id_", help="A slug; by default made from the name.")
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
    """Add a member by their NAME, and print their id."""
    with open_installation(this_call().data) as installation:
        here = _here(installation)
        person = registry.Person(
            id=MemberId(id_ or slug_of(name, "--id")),
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
        here = _here(installation)
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


@command.command(
    epilog=examples("gardien member export anna", "gardien member export anna --out anna.json")
)
@click.argument("member")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="A new file, for you alone."
)
def export(*, member: str, out: Path | None) -> None:
    """Write all that is held on a MEMBER, given by id or e-mail, as JSON."""
    with (
        open_installation(this_call().data) as installation,
        installation.database.reading() as connection,
    ):
        held = holdings_of(connection, registry.find_member(connection, member))
    if out is None:
        print_json(held)
    else:
        write_secret(out, msgspec.json.format(msgspec.json.encode(held), indent=2) + b"\n")
        click.echo(f"{out}: all that is held on {held.personal.id}")


@command.command("erase", epilog=examples("gardien member erase anna"))
@click.argument("member")
@click.option("--yes", is_flag=True, help="Don't ask; there is no way back.")
def erase_(*, member: str, yes: bool) -> None:
    """End a membership and take the MEMBER out of the registry, with badges and log-ins.

    There is no way back. The ledger and the time bank keep their id, without a name.
    """
    with open_installation(this_call().data) as installation:
        with installation.database.reading() as connection:
            person = registry.find_member(connection, member)
        _refuse_on_watch(installation, person.id)
        if not yes:
            _ask(f"Erase {person.name} ({person.id}) for good?")
        with installation.database.writing() as connection:
            erased = erase(connection, person.id)
    for line in _told(erased):
        click.echo(line)


@command.command(
    epilog=examples(
        "gardien member password anna",
        "gardien member password anna --password-file anna.password",
    )
)
@click.argument("member")
@click.option("--email", help="The log-in.  [default: the member's e-mail]")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Holds the password in its first line. Without it you are asked.",
)
def password(*, member: str, email: str | None, password_file: Path | None) -> None:
    """Make a log-in of the dashboard for a MEMBER, or give theirs another password."""
    with open_installation(this_call().data) as installation:
        with installation.database.reading() as connection:
            person = registry.find_member(connection, member)
        login = email or person.email
        if login is None:
            raise CommandError(f"{person.id} has no e-mail address; give the log-in with --email")
        secret = ask_secret("password", password_file, "--password-file", is_new=True)
        set_password(installation.database, login, person.id, secret, installation.clock.now())
    click.echo(f"{person.id} logs in as {login.strip().lower()}")


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


def _text_of(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandError(
            f"{file} is not in UTF-8 (byte {error.start + 1}); save it as CSV UTF-8 and try again"
        ) from error


def _refuse_on_watch(installation: Installation, member: MemberId) -> None:
    for site in installation.settings.sites:
        watch = installation.gatehouse.look(SiteId(site.id)).watch
        if watch is not None and watch.guardian == member:
            raise CommandError(f"{member} is on watch now; close it with `gardien watch close`")


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("without a terminal to ask on, say --yes")
    click.confirm(question, abort=True)


def _told(erased: Erased) -> list[str]:
    return [
        (
            f"{erased.member} is erased: the member, {erased.badges} badges, "
            f"{erased.authorizations} authorizations, {erased.accounts} log-ins"
        ),
        (
            f"kept: {erased.entries} ledger entries with the id {erased.member} in place of a "
            "name, since the chain of records must stay whole"
        ),
        (
            f"kept: {erased.time_entries} entries of the time bank under the same id, being "
            f"accounts, and {erased.looks} of who looked at other people's records"
        ),
        "kept: what calendars and backups hold; correct the calendar, and let old backups go",
    ]
