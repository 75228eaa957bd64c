"""What may be written to the history: the four measurements of the contract, and nothing personal.

A point refuses every tag and field that the contract does not name, and the functions that make
points take sites, doors, readers and reasons only. So no name, member, e-mail address or badge
can get in.
"""

import math
import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import Final

from access.ids import DoorId, SiteId, slug
from access.instants import utc
from access.model import Reader
from access.policy import Reason

TAG_VALUE_MAX: Final = 64
"""The longest value of a tag, in characters; slugs have at most 32."""

_LARGEST: Final = {int: 2**63 - 1, float: sys.float_info.max}


class Measurement(Enum):
    """What a point is about."""

    OCCUPANCY = "occupancy"
    ACCESS = "access"
    DOOR = "door"
    WATCH = "watch"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """The tags and fields of one measurement. A field keeps its type, or InfluxDB drops points."""

    tags: frozenset[str]
    fields: Mapping[str, type[int] | type[float]]
    is_whole: bool = False


_SHAPES: Final[Mapping[Measurement, _Shape]] = {
    Measurement.OCCUPANCY: _Shape(
        tags=frozenset({"site"}),
        fields={"present": int, "margin": int, "members": int, "guests": int, "capacity": int},
        is_whole=True,
    ),
    Measurement.ACCESS: _Shape(
        tags=frozenset({"site", "door", "reader", "reason", "granted"}),
        fields={"count": int, "decide_ms": float},
    ),
    Measurement.DOOR: _Shape(
        tags=frozenset({"site", "door"}),
        fields={"open_s": float, "held": int, "forced": int, "online": int},
    ),
    Measurement.WATCH: _Shape(
        tags=frozenset({"site"}),
        fields={"minutes": int, "guests": int, "peak": int},
    ),
}


class PointError(ValueError):
    """A point is not one that the contract knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One thing that happened, as numbers.

    Measurement, tags and `at` together say which point it is: the same point written again
    changes nothing.

    Attributes:
        measurement: what it is about.
        tags: the tags that the contract gives the measurement, all of them, each 1 to 64
            characters without control characters and backslashes (line protocol cannot carry
            those faithfully).
        fields: one or more of the measurement's fields, each of its own type; floats are finite.
        at: when it happened, aware; kept in UTC, to the microsecond.
    """

    measurement: Measurement
    tags: Mapping[str, str]
    fields: Mapping[str, int | float]
    at: datetime

    def __post_init__(self) -> None:
        shape = _SHAPES[self.measurement]
        _check_tags(self.measurement, self.tags, shape)
        _check_fields(self.measurement, self.fields, shape)
        object.__setattr__(self, "tags", MappingProxyType(dict(sorted(self.tags.items()))))
        object.__setattr__(self, "fields", MappingProxyType(dict(sorted(self.fields.items()))))
        object.__setattr__(self, "at", utc(self.at))


def tag_value(text: str, what: str) -> str:
    """Check that `text` can be the value of a tag.

    Args:
        text: the value.
        what: what it names, for the message.

    Returns:
        The same text.

    Raises:
        PointError: it is empty, longer than 64 characters, or holds a backslash, a control
            character or half of a surrogate pair.
    """
    if not 1 <= len(text) <= TAG_VALUE_MAX:
        raise PointError(f"{what} {text!r} must have 1 to {TAG_VALUE_MAX} characters")
    if "\\" in text or any(unicodedata.category(sign) in {"Cc", "Cs"} for sign in text):
        raise PointError(f"{what} {text!r} must hold no backslash and no control character")
    return text


def _check_tags(measurement: Measurement, tags: Mapping[str, str], shape: _Shape) -> None:
    if tags.keys() != shape.tags:
        raise PointError(
            f"a point of {measurement.value!r} has the tags {sorted(shape.tags)}, not "
            f"{sorted(tags)}; nothing else may be kept"
        )
    for name, value in tags.items():
        tag_value(value, name)


def _check_fields(
    measurement: Measurement, fields: Mapping[str, int | float], shape: _Shape
) -> None:
    if not fields or not fields.keys() <= shape.fields.keys():
        raise PointError(
            f"a point of {measurement.value!r} has fields of {sorted(shape.fields)}, not "
            f"{sorted(fields)}; nothing else may be kept"
        )
    if shape.is_whole and fields.keys() != shape.fields.keys():
        raise PointError(f"a point of {measurement.value!r} has all of {sorted(shape.fields)}")
    for name, value in fields.items():
        _check_value(name, value, shape.fields[name])


def _check_value(name: str, value: float, kind: type[int] | type[float]) -> None:
    # The exact type: a bool is an int to Python and something else to InfluxDB.
    if type(value) is not kind:
        raise PointError(f"field {name!r} must be {kind.__name__}, not {value!r}")
    if not math.isfinite(value) or abs(value) > _LARGEST[kind]:
        raise PointError(f"field {name!r} must be finite and fit in 64 bits, not {value!r}")


def occupancy_point(
    *,
    site: SiteId,
    at: datetime,
    present: int,
    margin: int,
    members: int,
    guests: int,
    capacity: int,
) -> Point:
    """Make the point that says how many are inside, from `at` on.

    Args:
        site: which site.
        at: when the count became so, aware.
        present: people present, 0 or more.
        margin: how many more there may be, 0 or more.
        members: members inside, 0 or more.
        guests: guests inside, 0 or more.
        capacity: the most people that the site may hold.

    Raises:
        SlugError: `site` is not a slug.
        NaiveTimeError: `at` has no time zone.
    """
    fields: dict[str, int | float] = {
        "present": present,
        "margin": margin,
        "members": members,
        "guests": guests,
        "capacity": capacity,
    }
    return Point(measurement=Measurement.OCCUPANCY, tags=_site(site), fields=fields, at=at)


def access_point(
    *,
    site: SiteId,
    door: DoorId,
    reader: Reader,
    reason: Reason,
    granted: bool,
    at: datetime,
    decide_ms: float | None = None,
    count: int = 1,
) -> Point:
    """Make the point that says a badge was answered.

    Args:
        site: which site.
        door: which door.
        reader: which of its readers.
        reason: the one reason of the decision.
        granted: whether somebody was admitted.
        at: when the badge was read, aware.
        decide_ms: how long the decision took, in milliseconds; None when not known, as for a
            door that decided on its own.
        count: how many such decisions the point stands for; more than 1 in hourly figures.

    Raises:
        SlugError: `site` or `door` is not a slug.
        NaiveTimeError: `at` has no time zone.
    """
    tags = _door(site, door) | {
        "reader": reader.value,
        "reason": reason.value,
        "granted": "true" if granted else "false",
    }
    fields: dict[str, int | float] = {"count": count}
    if decide_ms is not None:
        fields["decide_ms"] = float(decide_ms)
    return Point(measurement=Measurement.ACCESS, tags=tags, fields=fields, at=at)


def door_point(
    *,
    site: SiteId,
    door: DoorId,
    at: datetime,
    open_s: float | None = None,
    held: bool | None = None,
    forced: bool | None = None,
    online: bool | None = None,
) -> Point:
    """Make the point that says something about a door. What is None is left as it was.

    Flags are written as 0 and 1, so that InfluxQL can sum and average them.

    Args:
        site: which site.
        door: which door.
        at: when it happened, aware.
        open_s: how long the door had been open when it closed, in seconds.
        held: whether it is held open too long.
        forced: whether it was opened without being unlocked.
        online: whether its unit is connected.

    Raises:
        PointError: nothing is said.
        SlugError: `site` or `door` is not a slug.
        NaiveTimeError: `at` has no time zone.
    """
    flags = {"held": held, "forced": forced, "online": online}
    fields: dict[str, int | float] = {k: int(v) for k, v in flags.items() if v is not None}
    if open_s is not None:
        fields["open_s"] = float(open_s)
    return Point(measurement=Measurement.DOOR, tags=_door(site, door), fields=fields, at=at)


def watch_point(*, site: SiteId, at: datetime, minutes: int, guests: int, peak: int) -> Point:
    """Make the point that sums up a watch that is over.

    Args:
        site: which site.
        at: when the watch was closed, aware.
        minutes: how long it lasted, in whole minutes.
        guests: how many guests it had counted when it closed.
        peak: the most people present during it.

    Raises:
        SlugError: `site` is not a slug.
        NaiveTimeError: `at` has no time zone.
    """
    fields: dict[str, int | float] = {"minutes": minutes, "guests": guests, "peak": peak}
    return Point(measurement=Measurement.WATCH, tags=_site(site), fields=fields, at=at)


def _site(site: SiteId) -> dict[str, str]:
    return {"site": slug(site, "site")}


def _door(site: SiteId, door: DoorId) -> dict[str, str]:
    return {"site": slug(site, "site"), "door": slug(door, "door")}
