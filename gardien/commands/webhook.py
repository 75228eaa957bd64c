"""`gardien webhook`: how webhooks stand, what was given up, and sending that again."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

from gardien.call import examples, this_call
from gardien.errors import CommandError
from gardien.language import LANGUAGE_OPTION, chosen_language
from gardien.moments import here_now
from gardien.opening import open_installation
from gardien.tables import JSON_OPTION, print_json, print_table
from server import ledger, notifier_queue
from server.database import Database
from server.installation import Installation
from server.notifier_followers import Standing, standing
from server.notifier_queue import Delivery, Stage
from server.webhooks import write_key
from server.webhooks_follower import name_of

_KEY_BYTES: Final = 32
_COLUMNS: Final = {
    "fr": (
        "webhook",
        "en retard de",
        "en attente",
        "abandonnés",
        "dernier succès",
        "dernière erreur",
    ),
    "en": ("webhook", "behind by", "waiting", "given up", "last success", "last error"),
}
_DEAD: Final = {
    "fr": ("entrée", "quoi", "abandonnée", "essais", "pourquoi"),
    "en": ("entry", "what", "given up", "attempts", "why"),
}
_NONE: Final = {"fr": "aucun webhook dans gardien.toml", "en": "no webhooks in gardien.toml"}
_NONE_DEAD: Final = {"fr": "rien n'a été abandonné", "en": "nothing was given up"}
_REVIVED: Final = {
    "fr": "{count} envois sont tentés à nouveau",
    "en": "{count} are tried again",
}


@click.group(epilog=examples("gardien webhook list", "gardien webhook retry books"))
def command() -> None:
    """Webhooks: list, what was given up, retry, a secret."""


@command.command("list", epilog=examples("gardien webhook list", "gardien webhook list --json"))
@JSON_OPTION
@LANGUAGE_OPTION
def list_(*, as_json: bool, language: str | None) -> None:
    """List the webhooks of the settings, and how they stand."""
    with _opened() as (installation, cursors):
        now = installation.clock.now()
        here = here_now(installation.settings.sites[0].zone, now)
        source = installation.database
        found = [
            standing(source=source, cursors=cursors, name=name_of(hook.id), now=now)
            for hook in installation.settings.webhooks
        ]
        spoken = chosen_language(language, installation.settings.language)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one.name.partition(".")[2],
            one.lag,
            one.waiting,
            one.dead,
            here.told(one.target.delivered_at) if one.target else None,
            _error(one),
        )
        for one in found
    ]
    print_table(_COLUMNS[spoken], rows, _NONE[spoken])


@command.command(epilog=examples("gardien webhook dead books", "gardien webhook dead books --json"))
@click.argument("hook")
@JSON_OPTION
@LANGUAGE_OPTION
def dead(*, hook: str, as_json: bool, language: str | None) -> None:
    """List what a webhook, HOOK, has not taken and was given up."""
    with _opened() as (installation, cursors):
        name = _known(installation, hook)
        here = here_now(installation.settings.sites[0].zone, installation.clock.now())
        with cursors.reading() as connection:
            found = notifier_queue.listed(connection, name, Stage.DEAD)
        spoken = chosen_language(language, installation.settings.language)
    if as_json:
        print_json([_plain(one) for one in found])
        return
    rows = [
        (one.entry, one.kind.removeprefix("gardien."), here.told(one.due), one.attempts, one.error)
        for one in found
    ]
    print_table(_DEAD[spoken], rows, _NONE_DEAD[spoken])


@command.command(epilog=examples("gardien webhook retry books", "gardien webhook retry books 812"))
@click.argument("hook")
@click.argument("entries", nargs=-1, type=click.IntRange(1))
@LANGUAGE_OPTION
def retry(*, hook: str, entries: tuple[int, ...], language: str | None) -> None:
    """Let the server try again what a webhook, HOOK, has not taken: all, or these ENTRIES.

    A target that is being waited for is tried at once as well.
    """
    with _opened() as (installation, cursors):
        name, now = _known(installation, hook), installation.clock.now()
        with cursors.writing() as connection:
            count = notifier_queue.revive(connection, name, now, entries or None)
            notifier_queue.hurry(connection, name)
        spoken = chosen_language(language, installation.settings.language)
    click.echo(_REVIVED[spoken].format(count=count))


@command.command(
    epilog=examples("gardien webhook replay books --after 0", "gardien webhook replay books")
)
@click.argument("hook")
@click.option(
    "--after", type=click.IntRange(0), default=0, show_default=True, help="The entry before them."
)
def replay(*, hook: str, after: int) -> None:
    """Tell a webhook, HOOK, once more of all that is in the ledger after an entry.

    Each request has the id that it had before, so that the receiver can tell a repeat. To be done
    while the server is stopped.
    """
    with _opened() as (installation, cursors):
        name = _known(installation, hook)
        with cursors.writing() as connection:
            notifier_queue.begin(connection, name, 0)
            ledger.rewind(connection, name)
            ledger.advance(connection, name, after)
    click.echo(f"{hook}: goes on after entry {after}")


@command.command(epilog=examples("gardien webhook secret > data/keys/books.secret"))
def secret() -> None:
    """Make a new secret for a webhook, and print it: for its file, and for the receiver."""
    click.echo(write_key(secrets.token_bytes(_KEY_BYTES)))


@contextmanager
def _opened() -> Iterator[tuple[Installation, Database]]:
    with (
        open_installation(this_call().data) as installation,
        installation.open_history() as (_, cursors),
    ):
        notifier_queue.prepare(cursors)
        yield installation, cursors


def _known(installation: Installation, hook: str) -> str:
    known = [one.id for one in installation.settings.webhooks]
    if hook not in known:
        there = ", ".join(known) or "none"
        raise CommandError(f"there is no webhook {hook!r}; in gardien.toml there are: {there}")
    return name_of(hook)


def _error(one: Standing) -> str | None:
    return one.target.error if one.target and one.target.attempts else None


def _plain(one: Delivery) -> dict[str, object]:
    return {
        "entry": one.entry,
        "site": one.site,
        "kind": one.kind,
        "given_up": one.due,
        "attempts": one.attempts,
        "error": one.error,
    }
