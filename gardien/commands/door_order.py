"""`gardien door unlock` and its like: tell doors what to do, and say whether they did it.

The server's program sends what is ordered here. A door unit itself never loads this.
"""

import time
from collections.abc import Collection
from typing import Any, Final
from zoneinfo import ZoneInfo

import click

from access.ids import DoorId, SiteId
from gardien.call import examples, this_call
from gardien.language import LANGUAGE_OPTION, chosen_language
from gardien.opening import open_installation
from gardien.tables import SITE_OPTION
from server import ledger
from server.desk import OPERATOR
from server.effects import SendOrder, WaitingOrder
from server.events import DoorOrdered, Order
from server.installation import Installation

WAIT_S: Final = 5.0
"""How long a command waits for the doors to say that they did it."""

_LOOK_EVERY_S: Final = 0.1
_MOST: Final = 10_000

_REFUSED: Final = "gardien.passage.ended"
"""What a door records in answer to a hold that it does not do."""

_DONE: Final = {
    "fr": "{door} : c'est fait ({do})",
    "en": "{door}: done ({do})",
}
_NOT_DONE: Final = {
    "fr": "{door} : la porte a refusé ({do})",
    "en": "{door}: the door refused ({do})",
}
_ONLY_SENT: Final = {
    "fr": "{door} : ordre donné ({do}), mais la porte ne l'a pas encore exécuté ; elle peut encore "
    "le faire jusqu'au {by}. Voyez si `gardien server` tourne et si la porte est en ligne "
    "(`gardien doctor`)",
    "en": "{door}: ordered ({do}), but the door has not done it yet; it still may until {by}. "
    "See whether `gardien server` runs and the door is online (`gardien doctor`)",
}

_Answers = dict[str, bool]
"""Whether it was done, by the id of the command, of those that were answered."""


def _command(do: Order, summary: str, *, is_for_all: bool = False) -> click.Command:
    """Make the command for one order.

    Args:
        do: what is ordered.
        summary: its help.
        is_for_all: whether it is for all doors of the site where none is named.
    """

    @click.command(do, help=summary, epilog=examples(*_examples(do, is_for_all=is_for_all)))
    @click.option("--door", required=not is_for_all, help=_door_help(is_for_all=is_for_all))
    @SITE_OPTION
    @LANGUAGE_OPTION
    def command(*, door: str | None, site: str | None, language: str | None) -> None:
        doors = () if door is None else (DoorId(door),)
        with open_installation(this_call().data) as installation:
            place = SiteId(installation.site(SiteId(site) if site else None).id)
            spoken = chosen_language(language, installation.settings.language)
            before = _last_id(installation)
            orders = _give(installation, place, DoorOrdered(by=OPERATOR, doors=doors, do=do))
            answers = _wait(installation, place, before, orders)
            zone = ZoneInfo(installation.site(place).zone)
        for order in orders:
            click.echo(_told(order, answers.get(order.id), zone, spoken))
        if not all(answers.get(order.id) for order in orders):
            raise click.exceptions.Exit(1)

    return command


def _examples(do: Order, *, is_for_all: bool) -> tuple[str, ...]:
    named = f"gardien door {do} --door main"
    return (f"gardien door {do}", named) if is_for_all else (named,)


def _door_help(*, is_for_all: bool) -> str:
    return "Which door; all of the site's without it." if is_for_all else "Which door."


def _give(installation: Installation, site: SiteId, event: DoorOrdered) -> list[WaitingOrder]:
    effects = installation.gatehouse.handle(site, [event], installation.clock.now())
    return [e.order for e in effects if isinstance(e, SendOrder) and e.order.do == event.do]


def _wait(
    installation: Installation, site: SiteId, after_id: int, orders: Collection[WaitingOrder]
) -> _Answers:
    """Wait for the doors' records that name the orders; blocks for `WAIT_S` seconds at the most."""
    answers: _Answers = {}
    deadline = time.monotonic() + WAIT_S
    while len(answers) < len(orders) and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_S)
        with installation.database.reading() as connection:
            entries = ledger.read(connection, site, after_id=after_id, limit=_MOST)
        for order in orders:
            kinds = [e.kind for e in entries if _names(order, e.source, e.record["data"])]
            if kinds:
                answers[order.id] = not (order.do == "hold" and kinds[0] == _REFUSED)
    return answers


def _names(order: WaitingOrder, source: str, data: dict[str, Any]) -> bool:
    return source == order.door and data.get("command") == order.id


def _told(order: WaitingOrder, answer: bool | None, zone: ZoneInfo, language: str) -> str:  # noqa: FBT001 (an answer of three)
    texts = _ONLY_SENT if answer is None else _DONE if answer else _NOT_DONE
    by = f"{order.expires.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    return texts[language].format(door=order.door, do=order.do, by=by)


def _last_id(installation: Installation) -> int:
    with installation.database.reading() as connection:
        return ledger.last_id(connection)


unlock: Final = _command("unlock", "Unlock a door once, as a badge would.")
hold: Final = _command(
    "hold", "Hold a door unlocked for everybody, while a public event is being watched."
)
release: Final = _command("release", "Hold a door unlocked no more.")
lockdown: Final = _command(
    "lockdown",
    "Lock all doors down, or one: only staff come in until it is lifted. The way out stays free.",
    is_for_all=True,
)
lift: Final = _command("lift", "Lift the lockdown of all doors, or of one.", is_for_all=True)
restart: Final = _command("restart", "Restart the program of a door unit.")
