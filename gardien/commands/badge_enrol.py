"""`gardien badge enrol`: a door writes a card that can't be copied unseen; it becomes a badge."""

from typing import Final

import click

from access.ids import DoorId, MemberId, SiteId
from gardien.call import examples, this_call
from gardien.enrolment import ENROL_S, Enrolled, enrol
from gardien.opening import open_installation
from gardien.places import find_door
from gardien.tables import SITE_OPTION
from server import registry
from server.installation import Installation

_SHOWN: Final = 8


@click.command(
    "enrol",
    epilog=examples(
        "gardien badge enrol anna --door main",
        "gardien badge enrol anna@example.org --door main --label 'blue 12'",
    ),
)
@click.argument("member")
@click.option("--door", required=True, help="The door whose reader writes the card.")
@click.option("--label", help="What is written on the card, to tell it from others.")
@SITE_OPTION
def command(*, member: str, door: str, label: str | None, site: str | None) -> None:
    """Write a card at a DOOR, and give it to a MEMBER as a badge of level L1.

    The card is a MIFARE Classic: a new one, one of the place, or a badge of the member's that is
    to be written anew. Hold it at the reader `in` until the door signals. A copy of such a badge is
    found at the latest when both have been used. `gardien server` and the door must run.

    Exit status: 1 if no card was enrolled.
    """
    with open_installation(this_call().data) as installation:
        place, unit = find_door(installation.settings, site, door)
        with installation.database.reading() as connection:
            person = registry.find_member(connection, member)
        click.echo(f"hold the card at the reader `in` of {unit.id} within {ENROL_S} s", err=True)
        enrolled = enrol(installation, SiteId(place.id), DoorId(unit.id))
        badge = _give(installation, enrolled, person.id, label)
    click.echo(
        f"badge {badge.digest[:_SHOWN]} is that of {badge.member}, of level {badge.level.name}"
    )


def _give(
    installation: Installation, enrolled: Enrolled, member: MemberId, label: str | None
) -> registry.BadgeRecord:
    with installation.database.writing() as connection:
        return registry.enrol_badge(
            connection,
            enrolled.badge,
            member,
            token=enrolled.token,
            request=enrolled.request,
            at=enrolled.entry.time,
            label=label,
        )
