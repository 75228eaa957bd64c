"""`gardien tap`: be the member at a simulated door."""

from pathlib import Path

import click

from access.ids import slug
from edge.simulated.client import NoSuchDoorError, tap
from edge.simulated.messages import Answer
from gardien.call import examples, this_call
from gardien.language import LANGUAGE_OPTION, chosen_language
from gardien.uids import UID_HELP, Uid

_REFUSED = {"fr": "Refusé : la porte reste fermée", "en": "Refused: the door stays locked"}
_UNLOCKED = {"fr": "Accordé : la porte est déverrouillée", "en": "Granted: the door is unlocked"}
_ENTERED = {"fr": "Accordé : vous passez la porte", "en": "Granted: you go through the door"}
_SIGNAL = {"fr": "signal", "en": "signal"}


@click.command(
    epilog=examples(
        "gardien tap --door main --badge 04:a1:b2:c3",
        "gardien tap --door main --badge 04a1b2c3 --reader out",
        "echo 04a1b2c3 | gardien tap --door main --badge -",
        "gardien tap --door main --badge 04a1b2c3 --copy thief",
    )
)
@click.option("--door", required=True, help="The door, as in gardien.toml.")
@click.option("--badge", "uid", required=True, type=Uid(), help=UID_HELP)
@click.option(
    "--reader", type=click.Choice(["in", "out"]), default="in", show_default=True, help="Which way."
)
@click.option("--no-push", is_flag=True, help="Do not open the door, even if it unlocks.")
@click.option(
    "--copy",
    default="",
    metavar="NAME",
    help="Present a copy of the card, which is made when it is first named.",
)
@click.option("--uid-only", is_flag=True, help="Make that copy of the UID alone.")
@click.option(
    "--pull-after",
    type=click.IntRange(0, 100_000),
    metavar="BYTES",
    help="Pull the card away after so many bytes over the air.",
)
@LANGUAGE_OPTION
def command(
    *,
    door: str,
    uid: bytes,
    reader: str,
    no_push: bool,
    copy: str,
    uid_only: bool,
    pull_after: int | None,
    language: str | None,
) -> None:
    """Present a badge to a simulated door, and walk in if it unlocks.

    Exit status: 0 if the door unlocked, 1 if not, or if no such door is running.
    """
    path = socket_of(this_call().data, slug(door, "door"))
    if not path.exists():
        raise NoSuchDoorError(
            f"no simulated door {door!r} is running ({path} is not there); start one, for "
            "instance with `gardien demo`, and name its folder with --data"
        )
    if uid_only and not copy:
        raise click.UsageError("--uid-only goes with --copy; give a name for the copy")
    answer = tap(
        path,
        uid=uid,
        reader=reader,
        push=not no_push,
        copy=slug(copy, "copy") if copy else "",
        uid_only=uid_only,
        pull_after=pull_after,
    )
    click.echo(_told(answer, chosen_language(language)))
    if answer.lock != "unlocked":
        raise click.exceptions.Exit(1)


def socket_of(data: Path, door: str) -> Path:
    """Where a simulated door of an installation listens."""
    return data / "doors" / door / "sim.sock"


def _told(answer: Answer, language: str) -> str:
    words = _ENTERED if answer.opened else _UNLOCKED if answer.lock == "unlocked" else _REFUSED
    seen = f" ({_SIGNAL[language]}: {answer.signal})" if answer.signal else ""
    return words[language] + seen
