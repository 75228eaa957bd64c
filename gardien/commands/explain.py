"""`gardien explain`: what a door would decide, and why, row by row."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import click

from access.badge import digest
from access.explain import Explanation, explain, to_builtins, to_text
from access.ids import DoorId, SiteId
from access.model import BadgeLevel, Reader
from access.policy import Request, Token
from gardien.call import examples, this_call
from gardien.language import LANGUAGE_OPTION, chosen_language
from gardien.moments import HOW, NOW, here_now, parse_moment
from gardien.opening import open_installation
from gardien.places import find_door
from gardien.tables import JSON_OPTION, SITE_OPTION, print_json
from gardien.uids import UID_HELP, Uid
from gardien.what_if import Assumed, WhatIf, assume, told
from runtime.written import Duration
from server.installation import Installation
from server.policy_source import policy_at
from server.settings import SiteSettings

_PROOFS: Final = {"proves": Token.FITS, "number-only": Token.NONE, "copied": Token.COPIED}


@click.command(
    epilog=examples(
        "gardien explain --door main --badge 04:a1:b2:c3",
        "gardien explain --door main --badge 04a1b2c3 --at '2026-11-24 19:10' --json",
        "gardien explain --door main --badge 04a1b2c3 --at 23:00 --watch --present 60",
        "gardien explain --door main --badge 04a1b2c3 --at 19:40 --alone '80 h'",
    )
)
@click.option("--door", required=True, help="The door, as in gardien.toml.")
@click.option("--badge", "uid", required=True, type=Uid(), help=UID_HELP)
@click.option("--at", "when", default=NOW, show_default=True, help=f"The time: {HOW}.")
@click.option(
    "--reader", type=click.Choice(["in", "out"]), default="in", show_default=True, help="Which way."
)
@click.option("--watch/--no-watch", default=None, help="What if a watch is open, or none is?")
@click.option("--closing", is_flag=True, help="What if the watch is closing?")
@click.option("--present", type=click.IntRange(0), help="What if so many people are inside?")
@click.option("--inside", is_flag=True, help="What if the member is inside already?")
@click.option("--lockdown", is_flag=True, help="What if the door is locked down?")
@click.option(
    "--card",
    "proof",
    type=click.Choice(["proves", "number-only", "copied"]),
    default="proves",
    show_default=True,
    help="What if a badge of level L1 or more proves itself, is read by its number only, or is "
    "found to be a copy?",
)
@click.option("--alone", help="What if the door has been on its own for so long, such as '80 h'?")
@SITE_OPTION
@JSON_OPTION
@LANGUAGE_OPTION
def command(
    *,
    door: str,
    uid: bytes,
    when: str,
    reader: str,
    watch: bool | None,
    closing: bool,
    present: int | None,
    inside: bool,
    lockdown: bool,
    proof: str,
    alone: str | None,
    site: str | None,
    as_json: bool,
    language: str | None,
) -> None:
    """Say what a door would decide at a time, and why, row by row.

    For now, the state is that of the site as it is. For another time it is assumed that nobody is
    inside and no watch is open, unless the options say so. Nothing is recorded, and nothing opens.

    Exit status: 0 if it would be granted, 1 if refused.
    """
    what_if = WhatIf(
        watch=True if closing and watch is None else watch,
        is_closing=closing,
        present=present,
        is_inside=inside,
        is_locked_down=lockdown,
        alone=_duration(alone),
    )
    with open_installation(this_call().data) as installation:
        place, unit = find_door(installation.settings, site, door)
        explained = _explain(
            installation,
            place,
            Asked(
                door=DoorId(unit.id),
                uid=uid,
                reader=Reader(reader),
                when=when,
                token=_PROOFS[proof],
            ),
            what_if,
        )
        spoken = chosen_language(language, installation.settings.language)
    _print(explained, place, spoken, as_json=as_json)
    if not explained.explanation.decision.granted:
        raise click.exceptions.Exit(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be explained; `when` is as it was typed, `token` is of badges that have one."""

    door: DoorId
    uid: bytes
    reader: Reader
    when: str
    token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """An explanation with the state that it was made in."""

    explanation: Explanation
    assumed: Assumed


def _explain(
    installation: Installation, place: SiteSettings, asked: Asked, what_if: WhatIf
) -> Explained:
    site = SiteId(place.id)
    here = here_now(place.zone, installation.clock.now())
    at = parse_moment(asked.when, here)
    compiled_at = at - (what_if.alone or timedelta())
    policy = policy_at(installation.database, installation.settings, site, compiled_at)
    badge = digest(asked.uid, installation.read_badge_key(site))
    known = policy.badges.get(badge)
    is_now = at == here.now and what_if.alone is None
    assumed = assume(
        policy,
        what_if,
        door=asked.door,
        member=known.member if known is not None else None,
        at=at,
        site=installation.gatehouse.look(site) if is_now else None,
    )
    request = Request(
        at=at,
        door=asked.door,
        reader=asked.reader,
        badge=badge,
        token=asked.token if known is not None and known.level > BadgeLevel.L0 else Token.NONE,
    )
    return Explained(explanation=explain(policy, assumed.state, request), assumed=assumed)


def _duration(text: str | None) -> timedelta | None:
    try:
        return None if text is None else Duration.parse(text, Path())
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--alone'") from error


def _print(explained: Explained, place: SiteSettings, language: str, *, as_json: bool) -> None:
    if as_json:
        print_json(
            to_builtins(explained.explanation, language)
            | {
                "site": place.id,
                "state": "current" if explained.assumed.is_current else "assumed",
                "assumed": [words[1] for words in explained.assumed.words],
            }
        )
        return
    click.echo(told(explained.assumed.words, language))
    for line in to_text(explained.explanation, language, ZoneInfo(place.zone)):
        click.echo(line)
