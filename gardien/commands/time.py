"""`gardien time`: the time bank: what guardians have earned, and what members have spent."""

from pathlib import Path
from typing import Final

import click
from sqlalchemy import Connection

from access.ids import MemberId, SiteId
from access.presence_hours import PresenceMonth
from access.time_bank import Cause, Month, Posting, Statement, month_of, parse_month
from gardien.call import examples, this_call
from gardien.errors import CommandError
from gardien.language import LANGUAGE_OPTION, chosen_language
from gardien.moments import Here, here_now
from gardien.opening import open_installation
from gardien.tables import JSON_OPTION, SITE_OPTION, print_json, print_table
from server import registry, time_bank
from server.desk import OPERATOR
from server.installation import Installation
from server.presence_accounts import presence_of
from server.settings import SiteSettings

_CAUSES: Final = {
    "fr": {Cause.WATCH: "garde", Cause.CORRECTION: "correction", Cause.SPENDING: "dépense"},
    "en": {Cause.WATCH: "watch", Cause.CORRECTION: "correction", Cause.SPENDING: "spent"},
}
_COLUMNS: Final = {
    "fr": ("date", "lieu", "cause", "minutes", "solde", "motif"),
    "en": ("date", "site", "cause", "minutes", "balance", "reason"),
}
_BALANCES: Final = {"fr": ("membre", "minutes", "soit"), "en": ("member", "minutes", "which is")}
_NO_BALANCES: Final = {
    "fr": "la banque de temps est vide ; une garde la remplit",
    "en": "the time bank is empty; a watch fills it",
}
_NOTHING: Final = {"fr": "rien ce mois-ci", "en": "nothing in this month"}
_HEAD: Final = {
    "fr": "{member}, {month} : {opening} au début, {closing} à la fin",
    "en": "{member}, {month}: {opening} at the start, {closing} at the end",
}
_PRESENCE: Final = {
    "fr": (
        "{member}, {month} à {site} : {present} de présence, {included} comprises dans la formule, "
        "{over} au-delà, dont {spent} réglées par la banque de temps ; reste {left}"
    ),
    "en": (
        "{member}, {month} at {site}: {present} present, {included} included in the plan, "
        "{over} over, of which {spent} paid from the time bank; {left} left"
    ),
}
_NOT_COUNTED: Final = {
    "fr": (
        "{site} ne compte pas les heures de présence ; voir hours_a_month dans gardien.toml "
        "({spent} dépensées pour {month})"
    ),
    "en": (
        "{site} counts no presence hours; see hours_a_month in gardien.toml "
        "({spent} spent against {month})"
    ),
}
_DONE: Final = {
    "fr": "{member} : {minutes:+} min, solde {balance}",
    "en": "{member}: {minutes:+} min, balance {balance}",
}

BY_OPTION: Final = click.option(
    "--by", "by", help="Member of the staff who does it.  [default: the operator]"
)
KEY_OPTION: Final = click.option(
    "--key", help="A name for this request: the same one again posts nothing."
)
MONTH_OPTION: Final = click.option(
    "--month", help="Which month, such as 2026-11.  [default: this one]"
)


@click.group(
    epilog=examples(
        "gardien time balance",
        "gardien time statement zoe --month 2026-11",
        "gardien time correct zoe --minutes 30 --reason 'Came early to open'",
        "gardien time presence zoe --month 2026-11",
        "gardien time spend zoe --minutes 120 --month 2026-11",
    )
)
def command() -> None:
    """The time bank: balance, statement, presence, correct, spend."""


@command.command(epilog=examples("gardien time balance", "gardien time balance zoe --json"))
@click.argument("member", required=False)
@JSON_OPTION
@LANGUAGE_OPTION
def balance(*, member: str | None, as_json: bool, language: str | None) -> None:
    """Say how many minutes each member has, over all sites; or one MEMBER, by id or e-mail."""
    with open_installation(this_call().data) as installation:
        with installation.database.reading() as connection:
            held = _balances(connection, member)
        spoken = chosen_language(language, installation.settings.language)
    if as_json:
        print_json(held)
        return
    rows = [(who, minutes, _told(minutes)) for who, minutes in held.items()]
    print_table(_BALANCES[spoken], rows, _NO_BALANCES[spoken])


@command.command(
    epilog=examples(
        "gardien time statement zoe",
        "gardien time statement zoe --month 2026-11 --json",
        "gardien time statement --month 2026-11 --csv november.csv",
    )
)
@click.argument("member", required=False)
@MONTH_OPTION
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write it there as CSV; a dash for standard output.",
)
@SITE_OPTION
@JSON_OPTION
@LANGUAGE_OPTION
def statement(
    *,
    member: str | None,
    month: str | None,
    csv_file: Path | None,
    site: str | None,
    as_json: bool,
    language: str | None,
) -> None:
    """Tell a month of the time bank: of one MEMBER, or of everybody to whom it posted anything.

    The month begins and ends at the site's midnight.
    """
    with open_installation(this_call().data) as installation:
        place, here = _place(installation, site)
        which = _month(month, here)
        with installation.database.reading() as connection:
            found = _statements(connection, place if site else None, member, which, here)
        spoken = chosen_language(language, installation.settings.language)
    if csv_file is not None:
        _write(csv_file, time_bank.to_csv(found, here.zone))
    elif as_json:
        print_json([_plain(one) for one in found])
    else:
        _print(found, here, spoken)


@command.command(
    epilog=examples("gardien time presence zoe", "gardien time presence zoe --month 2026-10 --json")
)
@click.argument("member")
@MONTH_OPTION
@SITE_OPTION
@JSON_OPTION
@LANGUAGE_OPTION
def presence(
    *, member: str, month: str | None, site: str | None, as_json: bool, language: str | None
) -> None:
    """Tell how long a MEMBER was present in a month, and what of it is over their plan's hours."""
    with open_installation(this_call().data) as installation:
        place, here = _place(installation, site)
        with installation.database.reading() as connection:
            who = registry.find_member(connection, member)
            time_bank.must_be_nomad(who)
            found = presence_of(connection, place, who.id, _month(month, here), here.now)
        spoken = chosen_language(language, installation.settings.language)
    if as_json:
        print_json(_plain_presence(found))
    else:
        click.echo(_told_presence(found, spoken))


@command.command(
    epilog=examples(
        "gardien time correct zoe --minutes 30 --reason 'Came early to open'",
        "gardien time correct zoe --minutes -45 --reason 'Left before the end' --by sonia",
    )
)
@click.argument("member")
@click.option("--minutes", type=int, required=True, help="To add; below zero to take away.")
@click.option("--reason", required=True, help="Why, for people.")
@BY_OPTION
@KEY_OPTION
@SITE_OPTION
@LANGUAGE_OPTION
def correct(
    *,
    member: str,
    minutes: int,
    reason: str,
    by: str | None,
    key: str | None,
    site: str | None,
    language: str | None,
) -> None:
    """Put the balance of a MEMBER right by a new posting; none is ever changed."""
    with open_installation(this_call().data) as installation:
        place, here = _place(installation, site)
        with installation.database.writing() as connection:
            done = time_bank.correct(
                connection,
                site=SiteId(place.id),
                member=_account(connection, member),
                minutes=minutes,
                reason=reason,
                by=_who(connection, by),
                at=here.now,
                key=key,
            )
            left = registry.balance(connection, done.member)
        spoken = chosen_language(language, installation.settings.language)
    _tell(done, left, spoken)


@command.command(
    epilog=examples(
        "gardien time spend zoe --minutes 120",
        "gardien time spend zoe --minutes 120 --month 2026-10 --overdraw --by sonia",
    )
)
@click.argument("member")
@click.option("--minutes", type=int, required=True, help="How many, above zero.")
@MONTH_OPTION
@click.option("--overdraw", is_flag=True, help="Even if less than nothing is left.")
@BY_OPTION
@KEY_OPTION
@SITE_OPTION
@LANGUAGE_OPTION
def spend(
    *,
    member: str,
    minutes: int,
    month: str | None,
    overdraw: bool,
    by: str | None,
    key: str | None,
    site: str | None,
    language: str | None,
) -> None:
    """Spend minutes of a MEMBER, who is a nomad, against their presence hours in a month.

    No more than what they were present beyond the hours of their plan: `gardien time presence`.
    """
    with open_installation(this_call().data) as installation:
        place, here = _place(installation, site)
        with installation.database.writing() as connection:
            done = time_bank.spend(
                connection,
                place=place,
                member=registry.find_member(connection, member).id,
                minutes=minutes,
                month=_month(month, here),
                by=_who(connection, by),
                at=here.now,
                may_overdraw=overdraw,
                key=key,
            )
            left = registry.balance(connection, done.member)
        spoken = chosen_language(language, installation.settings.language)
    _tell(done, left, spoken)


def _place(installation: Installation, site: str | None) -> tuple[SiteSettings, Here]:
    place = installation.site(SiteId(site) if site else None)
    return place, here_now(place.zone, installation.clock.now())


def _month(text: str | None, here: Here) -> Month:
    return month_of(here.now, here.zone) if text is None else parse_month(text)


def _who(connection: Connection, by: str | None) -> MemberId:
    return OPERATOR if by is None else registry.find_member(connection, by).id


def _account(connection: Connection, key: str) -> MemberId:
    """Find whose account it is, of somebody who has left too: the bank knows them by their id."""
    try:
        return registry.find_member(connection, key).id
    except registry.UnknownError:
        if not registry.newest_postings(connection, MemberId(key), limit=1):
            raise
    return MemberId(key)


def _balances(connection: Connection, member: str | None) -> dict[MemberId, int]:
    if member is None:
        return registry.balances(connection)
    who = _account(connection, member)
    return {who: registry.balance(connection, who)}


def _statements(
    connection: Connection,
    place: SiteSettings | None,
    member: str | None,
    month: Month,
    here: Here,
) -> list[Statement]:
    if member is None:
        site = None if place is None else SiteId(place.id)
        return time_bank.statements(connection, month, here.zone, site)
    return [time_bank.statement(connection, _account(connection, member), month, here.zone)]


def _plain(one: Statement) -> dict[str, object]:
    lines = [
        {
            "at": line.posting.at,
            "site": line.posting.site,
            "cause": line.posting.cause.value,
            "minutes": line.posting.minutes,
            "balance": line.balance,
            "watch": line.posting.watch,
            "for_month": None if line.posting.month is None else str(line.posting.month),
            "by": line.posting.made_by,
            "reason": line.posting.reason,
        }
        for line in one.lines
    ]
    return {
        "member": one.member,
        "month": str(one.month),
        "opening": one.opening,
        "closing": one.closing,
        "lines": lines,
    }


def _plain_presence(found: PresenceMonth) -> dict[str, object]:
    return {
        "site": found.site,
        "member": found.member,
        "month": str(found.month),
        "present": found.present if found.included is not None else None,
        "included": found.included,
        "over": found.over,
        "spent": found.spent,
        "left": found.left,
        "spendable": found.spendable,
        "balance": found.balance,
    }


def _told_presence(found: PresenceMonth, language: str) -> str:
    numbers = {
        "present": found.present,
        "included": found.included or 0,
        "over": found.over,
        "spent": found.spent,
        "left": found.left,
    }
    told = {name: _told(minutes) for name, minutes in numbers.items()}
    text = (_NOT_COUNTED if found.included is None else _PRESENCE)[language]
    return text.format(site=found.site, member=found.member, month=found.month, **told)


def _print(found: list[Statement], here: Here, language: str) -> None:
    for one in found:
        opening, closing = _told(one.opening), _told(one.closing)
        words = {"member": one.member, "month": one.month, "opening": opening, "closing": closing}
        click.echo(_HEAD[language].format(**words))
        rows = [
            (
                here.told(line.posting.at),
                line.posting.site,
                _CAUSES[language][line.posting.cause],
                f"{line.posting.minutes:+}",
                line.balance,
                line.posting.reason or line.posting.month,
            )
            for line in one.lines
        ]
        print_table(_COLUMNS[language], rows, _NOTHING[language])
    if not found:
        click.echo(_NOTHING[language])


def _tell(done: Posting, left: int, language: str) -> None:
    words = {"member": done.member, "minutes": done.minutes, "balance": _told(left)}
    click.echo(_DONE[language].format(**words))


def _told(minutes: int) -> str:
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else ''}{hours} h {rest:02}"


def _write(file: Path, text: str) -> None:
    if str(file) == "-":
        click.echo(text, nl=False)
        return
    try:
        file.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}; name another file") from error
