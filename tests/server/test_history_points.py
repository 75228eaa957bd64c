"""What may be written to the history, and that nothing personal can be."""

import inspect
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.ids import DoorId, SiteId, SlugError
from access.model import Reader
from access.policy import Reason
from server import history_points
from server.history_points import (
    Measurement,
    Point,
    PointError,
    access_point,
    door_point,
    occupancy_point,
    watch_point,
)

AT = datetime(2026, 11, 17, 19, 15, tzinfo=UTC)
SITE = SiteId("lyon")
MAIN = DoorId("main")

# The table of `contract.md`.
CONTRACT = {
    "occupancy": ({"site"}, {"present", "margin", "members", "guests", "capacity"}),
    "access": ({"site", "door", "reader", "reason", "granted"}, {"count", "decide_ms"}),
    "door": ({"site", "door"}, {"open_s", "held", "forced", "online"}),
    "watch": ({"site"}, {"minutes", "guests", "peak"}),
}
MADE = [
    occupancy_point(site=SITE, at=AT, present=3, margin=1, members=2, guests=1, capacity=60),
    access_point(
        site=SITE,
        door=MAIN,
        reader=Reader.IN,
        reason=Reason.WATCH,
        granted=True,
        at=AT,
        decide_ms=2,
    ),
    door_point(site=SITE, door=MAIN, at=AT, open_s=3, held=False, forced=True, online=True),
    watch_point(site=SITE, at=AT, minutes=95, guests=4, peak=23),
]


@pytest.mark.parametrize("point", MADE, ids=lambda one: str(one.measurement.value))
def test_a_point_has_the_tags_and_fields_of_the_contract(point: Point) -> None:
    tags, fields = CONTRACT[point.measurement.value]
    assert point.tags.keys() == tags
    assert point.fields.keys() == fields


def test_fields_keep_their_type_whatever_number_is_given() -> None:
    assert [type(MADE[1].fields[name]) for name in ("count", "decide_ms")] == [int, float]
    assert dict(MADE[2].fields) == {"open_s": 3.0, "held": 0, "forced": 1, "online": 1}
    assert type(MADE[2].fields["open_s"]) is float


@pytest.mark.parametrize("word", ["member", "name", "email", "badge", "guardian", "uid", "digest"])
@pytest.mark.parametrize("point", MADE, ids=lambda one: str(one.measurement.value))
def test_no_tag_or_field_can_say_who_it_was(point: Point, word: str) -> None:
    with pytest.raises(PointError, match="nothing else may be kept"):
        remade(point, tags={**point.tags, word: "camille"})
    with pytest.raises(PointError, match="nothing else may be kept"):
        remade(point, fields={**point.fields, word: 1})


def test_no_function_that_makes_points_takes_a_person() -> None:
    makers = {
        name: made
        for name, made in vars(history_points).items()
        if name.endswith("_point") and callable(made)
    }
    assert makers.keys() == {"access_point", "door_point", "occupancy_point", "watch_point"}
    numbers = {int, bool, datetime, float | None, bool | None}
    for maker in makers.values():
        parts = inspect.signature(maker).parameters
        said = {name: one.annotation for name, one in parts.items()}
        worded = {name: kind for name, kind in said.items() if kind not in numbers}
        allowed = {"site": SiteId, "door": DoorId, "reader": Reader, "reason": Reason}
        assert worded.items() <= allowed.items()


def test_a_site_or_door_that_is_no_slug_is_refused() -> None:
    with pytest.raises(SlugError):
        door_point(site=SiteId("Camille Roy"), door=MAIN, at=AT, online=True)
    with pytest.raises(SlugError):
        door_point(site=SITE, door=DoorId("camille@example.org"), at=AT, online=True)


def test_a_point_about_a_door_says_something() -> None:
    with pytest.raises(PointError):
        door_point(site=SITE, door=MAIN, at=AT)


def test_a_count_of_people_is_whole_or_not_at_all() -> None:
    with pytest.raises(PointError, match="has all of"):
        remade(MADE[0], fields={"present": 3})


@pytest.mark.parametrize("value", [True, 3.0, "3", None, 2**63])
def test_a_whole_number_is_one_and_fits(value: Any) -> None:
    with pytest.raises(PointError):
        remade(MADE[3], fields={"minutes": value})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 3])
def test_a_duration_is_a_finite_float(value: float) -> None:
    with pytest.raises(PointError):
        remade(MADE[2], fields={"open_s": value})


def test_a_time_without_its_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        watch_point(site=SITE, at=AT.replace(tzinfo=None), minutes=1, guests=0, peak=0)


@pytest.mark.parametrize("value", ["", "a\nb", "a\\", "a\x00", "\ud800", "\x85", "é" * 65])
def test_a_tag_that_line_protocol_cannot_carry_is_refused(value: str) -> None:
    with pytest.raises(PointError):
        remade(MADE[0], tags={"site": value})


@given(st.dictionaries(st.sampled_from(["site", "door", "member"]), st.just("x")))
def test_a_point_of_a_door_has_exactly_its_tags(tags: dict[str, str]) -> None:
    if tags.keys() == {"site", "door"}:
        assert remade(MADE[2], tags=tags).tags == tags
    else:
        with pytest.raises(PointError):
            remade(MADE[2], tags=tags)


def test_a_point_does_not_change_when_what_it_was_made_from_does() -> None:
    tags = {"site": "lyon"}
    point = remade(MADE[0], tags=tags)
    tags["member"] = "camille"
    assert point.tags == {"site": "lyon"}


def remade(point: Point, **parts: Any) -> Point:
    given = {"tags": point.tags, "fields": point.fields, **parts}
    return Point(measurement=Measurement(point.measurement), at=point.at, **given)
