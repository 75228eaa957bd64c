"""`gardien badge`: whose card is whose. A UID becomes a digest at once, and is never kept."""

from collections.abc import Collection
from datetime import timedelta
from typing import Final

import click

from access.badge import digest
from access.ids import BadgeDigest, DoorId, SiteId
from access.model import BadgeLevel, BadgeStatus
from gardien.call import examples, this_call
from gardien.commands import badge_enrol
from gardien.errors import CommandError, NoSuchThingError
from gardien.moments import here_now
from gardien.opening import open_installation
from gardien.places import find_door
from gardien.tables import JSON_OPTION, SITE_OPTION, print_json, print_table
from gardien.uids import UID_HELP, Uid
from server import registry
from server.installation import Installation
from server.unknown_badges import last_unknown

SHOWN: Final = 8
"""How many digits of a digest are shown: enough to tell two cards apart."""

_LEAST: Final = 4
_KEPT: Final = timedelta(hours=24)
_LOST: Final = frozenset({BadgeStatus.LOST})
_NOT_LOST: Final = frozenset(BadgeStatus) - _LOST
_LEVELS: Final = {
    BadgeLevel.L0: "L0: copied in seconds",
    BadgeLevel.L1: "L1: a copy is found",
    BadgeLevel.L3: "L3",
}
_STATUSES: Final = {BadgeStatus.SUSPENDED: "suspended: a copy exists"}
_UID_OPTION = click.option("--uid", type=Uid(), help=UID_HELP)


@click.group(
    epilog=examples(
        "gardien badge assign anna --uid 04:a1:b2:c3:d4:e5:80 --label 'blue 12'",
        "gardien badge enrol anna --door main",
        "gardien badge lost --member anna",
        "gardien badge restore 3f9a12c4",
        "gardien badge list",
    )
)
def command() -> None:
    """Badges: assign, enrol, lost, restore, list."""


command.add_command(badge_enrol.command)


@command.command(
    epilog=examples(
        "gardien badge assign anna --uid 04:a1:b2:c3",
        "gardien badge assign anna@example.org --uid - --label 'blue 12' < uid.txt",
        "gardien badge assign anna --last-at main",
    )
)
@click.argument("member")
@_UID_OPTION
@click.option(
    "--last-at", metavar="DOOR", help="The last card of nobody's that was presented at this door."
)
@click.option("--label", help="What is written on the card, to tell it from others.")
@click.option(
    "--level",
    type=click.Choice([level.name for level in BadgeLevel]),
    default=BadgeLevel.L0.name,
    show_default=True,
    help="How hard it is to copy. L0 is the UID alone, copied in seconds; `gardien badge enrol` "
    "makes badges of L1. Say L1 only of a card that was enrolled before: any other one would be "
    "taken for a copy.",
)
@SITE_OPTION
def assign(
    *,
    member: str,
    uid: bytes | None,
    last_at: str | None,
    label: str | None,
    level: str,
    site: str | None,
) -> None:
    """Give a badge to a MEMBER, named by id or e-mail.

    Name the card by --uid, or by --last-at: present it at a door, where it is refused, and then
    call this within a day.
    """
    if (uid is None) is (last_at is None):
        raise click.UsageError("name the card in one way: --uid or --last-at")
    with open_installation(this_call().data) as installation:
        if uid is not None:
            name = _digest(installation, uid, site)
        else:
            name = _last_unknown(installation, str(last_at), site)
        with installation.database.writing() as connection:
            person = registry.find_member(connection, member)
            badge = registry.assign_badge(
                connection,
                name,
                person.id,
                at=installation.clock.now(),
                level=BadgeLevel[level],
                label=label,
            )
    click.echo(f"badge {badge.digest[:SHOWN]} is that of {badge.member}")


@command.command(
    epilog=examples(
        "gardien badge lost --member anna",
        "gardien badge lost --member anna --label 'blue 12'",
        "gardien badge lost 3f9a12c4",
        "gardien badge lost --found 3f9a12c4",
    )
)
@click.argument("badge", required=False)
@_UID_OPTION
@click.option("--member", help="All badges of this member, by id or e-mail.")
@click.option("--label", help="With --member: only the one with this written on it.")
@click.option("--found", is_flag=True, help="It was found: let it be used again.")
@SITE_OPTION
def lost(
    *,
    badge: str | None,
    uid: bytes | None,
    member: str | None,
    label: str | None,
    found: bool,
    site: str | None,
) -> None:
    """Mark a badge as lost: it is refused from now on, and its use raises an alert.

    Name it by the first digits of BADGE as `gardien badge list` shows them, by --member, or by
    --uid.
    """
    if sum(one is not None for one in (badge, uid, member)) != 1:
        raise click.UsageError("name the badge in one way: BADGE, --member or --uid")
    status = BadgeStatus.ACTIVE if found else BadgeStatus.LOST
    with open_installation(this_call().data) as installation:
        if uid is not None:
            badge = _digest(installation, uid, site)
        with installation.database.writing() as connection:
            named = registry.find_member(connection, member).id if member is not None else None
            every = registry.list_badges(connection, named)
            chosen = _chosen(every, badge, label, _LOST if found else _NOT_LOST)
            for one in chosen:
                registry.mark_badge(connection, one.digest, status)
    for one in chosen:
        click.echo(f"badge {one.digest[:SHOWN]} of {one.member} is {status.value}")


@command.command(
    epilog=examples("gardien badge restore 3f9a12c4", "gardien badge restore --uid 04:a1:b2:c3")
)
@click.argument("badge", required=False)
@_UID_OPTION
@SITE_OPTION
def restore(*, badge: str | None, uid: bytes | None, site: str | None) -> None:
    """Let a badge be used again that was suspended because a copy of it exists.

    Name it by the first digits of BADGE as `gardien badge list` shows them, or by --uid. What it
    has shown stays remembered: the card that was used last works, the other one suspends the badge
    again. Where the copy was used last, write the owner's card anew with `gardien badge enrol`.
    """
    if (badge is None) is (uid is None):
        raise click.UsageError("name the badge in one way: BADGE or --uid")
    with open_installation(this_call().data) as installation:
        if uid is not None:
            badge = _digest(installation, uid, site)
        with installation.database.writing() as connection:
            (one,) = _chosen(registry.list_badges(connection), badge, None, {BadgeStatus.SUSPENDED})
            registry.mark_badge(connection, one.digest, BadgeStatus.ACTIVE)
    click.echo(
        f"badge {one.digest[:SHOWN]} of {one.member} is active; the card that was used last works, "
        "a copy of it suspends the badge again"
    )


@command.command("list", epilog=examples("gardien badge list", "gardien badge list anna --json"))
@click.argument("member", required=False)
@JSON_OPTION
def list_(*, member: str | None, as_json: bool) -> None:
    """List the badges, or those of one MEMBER, named by id or e-mail."""
    with open_installation(this_call().data) as installation:
        with installation.database.reading() as connection:
            named = registry.find_member(connection, member).id if member is not None else None
            badges = registry.list_badges(connection, named)
        here = here_now(installation.settings.sites[0].zone, installation.clock.now())
    if as_json:
        print_json(badges)
        return
    rows = [
        (
            one.digest[:SHOWN],
            one.member,
            one.label,
            _STATUSES.get(one.status, one.status.value),
            _LEVELS[one.level],
            here.told(one.assigned_at),
        )
        for one in badges
    ]
    columns = ("badge", "member", "label", "status", "level", "since")
    print_table(columns, rows, "no badges; give one with `gardien badge assign`")


def _digest(installation: Installation, uid: bytes, site: str | None) -> BadgeDigest:
    where = SiteId(installation.site(SiteId(site) if site else None).id)
    return digest(uid, installation.read_badge_key(where))


def _last_unknown(installation: Installation, door: str, site: str | None) -> BadgeDigest:
    place, unit = find_door(installation.settings, site, door)
    now = installation.clock.now()
    with installation.database.reading() as connection:
        found = last_unknown(connection, SiteId(place.id), DoorId(unit.id), now - _KEPT)
    if found is None:
        raise NoSuchThingError(
            f"no card of nobody's was presented at {unit.id} in the last 24 h; present it there "
            "first"
        )
    told = here_now(place.zone, now).told(found.at)
    click.echo(f"the card that was presented at {unit.id}: {told}", err=True)
    return found.badge


def _chosen(
    badges: list[registry.BadgeRecord],
    digits: str | None,
    label: str | None,
    statuses: Collection[BadgeStatus],
) -> list[registry.BadgeRecord]:
    """Choose the badges that are meant, among those that the change would change."""
    if digits is not None and len(digits) < _LEAST:
        raise CommandError(f"{digits!r} is too short; give {_LEAST} digits of the badge or more")
    found = [
        one
        for one in badges
        if one.digest.startswith((digits or "").lower())
        and label in (None, one.label)
        and one.status in statuses
    ]
    if not found:
        kind = f"{next(iter(statuses)).value} " if len(statuses) == 1 else ""
        raise NoSuchThingError(f"there is no such {kind}badge; see `gardien badge list`")
    if digits and len(found) > 1:
        raise CommandError(f"{len(found)} badges begin with {digits!r}; give more digits")
    return found
