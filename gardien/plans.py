"""The doors and the opening hours of a new installation, as they are typed."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from access.ids import DoorId
from gardien.errors import CommandError
from gardien.founding import DoorPlan
from runtime.written import Window

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_DAY: Final = "|".join(DAYS)
_HOURS: Final = re.compile(rf"({_DAY})(?:-({_DAY}))?\s+(\S+)", re.IGNORECASE)
_DOOR: Final = re.compile(r"([a-z0-9][a-z0-9-]{0,31})(?:=(.+?))?(:out)?")


def read_door(text: str) -> DoorPlan:
    """Read a door: `main`, `main=Main entrance`, or `main=Main entrance:out` with a reader inside.

    Raises:
        CommandError: it is none of these.
    """
    found = _DOOR.fullmatch(text)
    if found is None:
        raise CommandError(f"door {text[:60]!r}: write a slug and a name, 'main=Main entrance'")
    id_, name, out = found.groups()
    return DoorPlan(
        id=DoorId(id_),
        name=name or id_.replace("-", " ").capitalize(),
        readers=("in", "out") if out else ("in",),
    )


def read_hours(texts: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Read opening hours: each `tue 14:00-18:00` or `mon-fri 09:00-18:30`.

    Returns:
        Windows by day, in the order of the week.

    Raises:
        CommandError: one is none of these.
    """
    by_day: defaultdict[str, list[str]] = defaultdict(list)
    for text in texts:
        found = _HOURS.fullmatch(text.strip())
        if found is None:
            raise CommandError(f"hours {text[:60]!r}: write them as 'mon-fri 09:00-18:30'")
        first = DAYS.index(found[1].lower())
        last = DAYS.index((found[2] or found[1]).lower())
        _check(found[3], text)
        for offset in range((last - first) % len(DAYS) + 1):
            by_day[DAYS[(first + offset) % len(DAYS)]].append(found[3])
    return {day: tuple(sorted(by_day[day])) for day in DAYS if day in by_day}


def _check(window: str, text: str) -> None:
    try:
        Window.parse(window, Path())
    except ValueError as error:
        raise CommandError(f"hours {text[:60]!r}: {error}") from error
