"""From ledger entries to points: each kind to its own, and odd data to none."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.ids import SiteId
from access.journal import SERVER
from server.history_points import Measurement, Point
from server.ledger import StoredEntry
from server.recorder import points_of

SITE = SiteId("malakoff")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def entry(kind: str, data: Any, source: str = "main") -> StoredEntry:
    return StoredEntry(
        id=1,
        site=SITE,
        source=source,
        seq=1,
        kind=f"gardien.{kind}",
        time=NOON,
        received=NOON + timedelta(seconds=3),
        record={"data": data},
    )


def one(kind: str, data: Any, source: str = "main") -> tuple[str, dict[str, str], dict[str, Any]]:
    """The one point of an entry: measurement, tags without the site, fields."""
    (point,) = points_of(entry(kind, data, source))
    tags = dict(point.tags)
    assert tags.pop("site") == SITE
    assert point.at == NOON
    return point.measurement.value, tags, dict(point.fields)


OCCUPANCY = {
    "present": 3,
    "margin": 1,
    "members": 3,
    "guests": 1,
    "capacity": 60,
    "open": "hours",
}
DECIDED = {
    "door": "main",
    "reader": "in",
    "badge": "0" * 32,
    "decide_ms": 1.5,
    "answer": {"granted": True, "reason": "opening_hours", "member": "anna"},
}
CLOSED = {
    "held": [
        {"guardian": "anna", "start": "2026-11-24T18:00:00Z", "end": "2026-11-24T19:00:00Z"},
        {"guardian": "bruno", "start": "2026-11-24T19:00:00Z", "end": "2026-11-24T19:30:40Z"},
    ],
    "guests": 2,
    "peak": 20,
}


def test_a_change_of_the_count_gives_the_numbers() -> None:
    numbers = {key: value for key, value in OCCUPANCY.items() if key != "open"}
    assert one("occupancy.changed", OCCUPANCY, SERVER) == ("occupancy", {}, numbers)


def test_a_decision_gives_one_access_with_how_long_it_took() -> None:
    tags = {"door": "main", "reader": "in", "reason": "opening_hours", "granted": "true"}
    fields = {"count": 1, "decide_ms": 1.5}
    assert one("access.decided", DECIDED, SERVER) == ("access", tags, fields)


@pytest.mark.parametrize("kind", ["access.granted", "access.denied"])
def test_what_a_door_decided_alone_gives_one_access(kind: str) -> None:
    data = {"reader": "in", "reason": "opening_hours", "offline": True}
    granted = "true" if kind == "access.granted" else "false"
    tags = {"door": "main", "reader": "in", "reason": "opening_hours", "granted": granted}
    assert one(kind, data) == ("access", tags, {"count": 1})


def test_a_way_out_gives_one_access() -> None:
    tags = {"door": "main", "reader": "out", "reason": "exit", "granted": "true"}
    data = {"reader": "out", "reason": "exit"}
    assert one("access.granted", data) == ("access", tags, {"count": 1})


def test_what_the_server_decided_is_not_counted_again_when_the_door_records_it() -> None:
    assert points_of(entry("access.granted", {"reader": "in", "reason": "opening_hours"})) == []


@pytest.mark.parametrize(
    ("kind", "source", "data", "fields"),
    [
        ("door.closed", "main", {"open_s": 4}, {"open_s": 4.0}),
        ("door.held", "main", {}, {"held": 1}),
        ("door.released", "main", {}, {"held": 0}),
        ("door.forced", "main", {}, {"forced": 1}),
        ("door.online", SERVER, {"door": "main"}, {"online": 1}),
        ("door.offline", SERVER, {"door": "main"}, {"online": 0}),
    ],
)
def test_what_happens_to_a_door_gives_one_field(
    kind: str, source: str, data: dict[str, Any], fields: dict[str, Any]
) -> None:
    assert one(kind, data, source) == ("door", {"door": "main"}, fields)


def test_a_watch_gives_its_minutes_guests_and_peak() -> None:
    fields = {"minutes": 91, "guests": 2, "peak": 20}
    assert one("watch.closed", CLOSED, SERVER) == ("watch", {}, fields)


@pytest.mark.parametrize("kind", ["door.opened", "lock.locked", "unit.started", "", "no.such"])
def test_all_else_makes_no_point(kind: str) -> None:
    assert points_of(entry(kind, {})) == []
    assert points_of(entry(kind, {}, SERVER)) == []


@pytest.mark.parametrize(
    ("kind", "data"),
    [("occupancy.changed", OCCUPANCY), ("access.decided", DECIDED), ("watch.closed", CLOSED)],
)
def test_a_door_cannot_say_what_is_the_servers_to_say(kind: str, data: dict[str, Any]) -> None:
    assert points_of(entry(kind, data)) == []


def test_a_door_cannot_speak_for_another() -> None:
    _, tags, _ = one("door.forced", {"door": "lab"})
    assert tags == {"door": "main"}


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("door.closed", {}),
        ("door.closed", {"open_s": "long"}),
        ("door.closed", {"open_s": 10**400}),
        ("door.closed", {"open_s": [1]}),
        ("access.granted", {"reader": "out", "reason": "magic"}),
        ("access.granted", {"reader": "side", "reason": "exit", "offline": True}),
        ("access.denied", {"reader": ["in"], "reason": {}, "offline": 1}),
    ],
)
def test_odd_data_makes_no_point(kind: str, data: object) -> None:
    assert points_of(entry(kind, data)) == []


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["in", "out", "exit", "main", "2026-11-24T12:00:00Z", 10**400]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["start", "end", "reason", "granted"]), inner, max_size=4)
    ),
    max_leaves=8,
)
_NAMES = sorted({*OCCUPANCY, *DECIDED, *CLOSED, "open_s", "offline", "reason"})
_KINDS = [
    "occupancy.changed",
    "access.decided",
    "access.granted",
    "access.denied",
    "door.closed",
    "door.held",
    "door.released",
    "door.forced",
    "door.online",
    "door.offline",
    "watch.closed",
]


@given(
    kind=st.sampled_from(_KINDS),
    data=st.dictionaries(st.sampled_from(_NAMES), _VALUES),
    source=st.sampled_from(["main", SERVER]),
)
def test_whatever_the_data_no_entry_raises_and_every_point_is_one(
    kind: str, data: dict[str, Any], source: str
) -> None:
    points = points_of(entry(kind, data, source))
    assert len(points) <= 1
    assert all(isinstance(point, Point) for point in points)
    assert {point.measurement for point in points} <= set(Measurement)
