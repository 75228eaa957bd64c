"""What is held on a member: given to them, erased; and their log-in."""

import sys
from pathlib import Path

import click
import msgspec

from access.ids import MemberId, SiteId
from access.instants import to_rfc3339
from gardien.call import examples, this_call
from gardien.errors import CommandError
from gardien.opening import open_installation
from gardien.passphrases import ask_secret
from gardien.tables import JSON_OPTION, print_json, print_table
from runtime.keys import write_secret
from server import looks, registry
from server.accounts import set_password
from server.erasure import Erased, erase
from server.forgetting import Forgetter
from server.holdings import holdings_of
from server.installation import Installation


@click.command(
    epilog=examples(
        "gardien member export anna --out anna.json",
        "gardien member export anna --reason 'letter of 3 March'",
    )
)
@click.argument("member")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="A new file, for you alone."
)
@click.option(
    "--reason",
    default=looks.ASKED,
    show_default="they asked for it",
    help="Why, without a name: it is recorded for twelve months, and the member sees it.",
)
def export(*, member: str, out: Path | None, reason: str) -> None:
    """Write all that is held on a MEMBER, given by id or e-mail, as JSON.

    That somebody looked is recorded, and shown to the member on their page.
    """
    with open_installation(this_call().data) as installation:
        with installation.database.writing() as connection:
            person = registry.find_member(connection, member)
            looks.note_look(
                connection,
                site=SiteId(""),
                member=looks.OPERATOR,
                role="operator",
                what="export",
                about=person.id,
                reason=reason,
                at=installation.clock.now(),
            )
        with installation.database.reading() as connection:
            held = holdings_of(connection, person.id)
    if out is None:
        print_json(held)
    else:
        write_secret(out, msgspec.json.format(msgspec.json.encode(held), indent=2) + b"\n")
        click.echo(f"{out}: all that is held on {held.id}")


@click.command("looks", epilog=examples("gardien member looks", "gardien member looks anna"))
@click.argument("member", required=False)
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True)
@JSON_OPTION
def looks_(*, member: str | None, limit: int, as_json: bool) -> None:
    """Say who looked at other people's records, newest first; or at those of one MEMBER.

    Kept for twelve months, by ids alone.
    """
    with (
        open_installation(this_call().data) as installation,
        installation.database.reading() as connection,
    ):
        about = None if member is None else registry.find_member(connection, member).id
        found = looks.list_looks(connection, about=about, limit=limit)
    if as_json:
        print_json(found)
        return
    rows = [
        (to_rfc3339(one.at), one.member, one.role, one.what, _whose(one), one.reason)
        for one in found
    ]
    columns = ("when", "who", "role", "what", "about", "why")
    print_table(columns, rows, empty="nobody has looked at other people's records")


@click.command("erase", epilog=examples("gardien member erase anna"))
@click.argument("member")
@click.option("--yes", is_flag=True, help="Don't ask; there is no way back.")
def erase_(*, member: str, yes: bool) -> None:
    """End a membership and take the MEMBER out of the registry, with badges and log-ins.

    There is no way back. The ledger and the time bank keep their id, without a name. The database
    is written anew, which takes seconds where it is large; doors decide by themselves meanwhile.
    """
    with open_installation(this_call().data) as installation:
        with installation.database.reading() as connection:
            person = registry.find_member(connection, member)
        _refuse_on_watch(installation, person.id)
        if not yes:
            _ask(f"Erase {person.name} ({person.id}) for good?")
        with installation.database.writing() as connection:
            erased = erase(connection, person.id)
        is_wiped = Forgetter(installation).wipe()
    for line in _told(erased):
        click.echo(line)
    if not is_wiped:
        click.echo(
            "the database is busy, and its log may hold the name until the next night; run "
            "`gardien forget` in a quiet moment",
            err=True,
        )


@click.command(
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
    """Make a log-in of the dashboard for a MEMBER, or give theirs another password.

    With another password, whoever is logged in by it has to log in anew.
    """
    with open_installation(this_call().data) as installation:
        with installation.database.reading() as connection:
            person = registry.find_member(connection, member)
        login = email or person.email
        if login is None:
            raise CommandError(f"{person.id} has no e-mail address; give the log-in with --email")
        secret = ask_secret("password", password_file, "--password-file", is_new=True)
        set_password(installation.database, login, person.id, secret, installation.clock.now())
    click.echo(f"{person.id} logs in as {login.strip().lower()}")


def _whose(one: looks.Look) -> str:
    return one.about or ", ".join(one.among) or "several people"


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
