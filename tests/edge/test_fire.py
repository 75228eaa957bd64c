"""A fire alarm at the door: it is free by wiring, the unit moves nothing, nobody is a burglar."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from access.ids import BadgeDigest, DoorId, RequestId, SiteId
from access.model import Reader
from edge.condition import Rules
from edge.door import Door
from edge.effects import Effect, Record, Relock, Show, Unlock
from edge.events import (
    BadgeRead,
    BadgeUnreadable,
    ContactChanged,
    DecisionReceived,
    Event,
    FireChanged,
    LinkChanged,
    Moment,
    Started,
    TamperChanged,
    Tick,
)
from edge.ports import Signal

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
BADGE = BadgeDigest("a" * 32)


class Scene:
    """A door in a time of its own, and what it did since it was last asked."""

    def __init__(self, *, starts_in_fire: bool = False) -> None:
        ids = itertools.count(1)
        self.door = Door(
            rules=Rules(site=SiteId("malakoff"), door=DoorId("main")),
            new_id=lambda: RequestId(f"00000000-0000-7000-8000-{next(ids):012x}"),
        )
        self.mono = 100.0
        self.effects: list[Effect] = []
        self.do(Started(version="0", is_fire=starts_in_fire))
        self.do(LinkChanged(is_up=True))

    def do(self, event: Event) -> None:
        at = NOON + timedelta(seconds=self.mono)
        self.effects += self.door.handle(event, Moment(at=at, mono=self.mono))

    def wait(self, seconds: float) -> None:
        end = self.mono + seconds
        while (due := self.door.due) is not None and due <= end:
            self.mono = max(due, self.mono)
            self.do(Tick())
        self.mono = end
        self.do(Tick())

    def grant(self) -> None:
        self.do(BadgeRead(reader=Reader.IN, badge=BADGE))
        request = RequestId("00000000-0000-7000-8000-000000000001")
        self.do(
            DecisionReceived(
                request=request,
                granted=True,
                reason="opening_hours",
                unlock_s=5.0,
                member=None,
                message="Bonjour !",
                watch=None,
            )
        )

    def told(self) -> list[tuple[str, object]]:
        """The records since the last call, with their causes."""
        found: list[tuple[str, object]] = [
            (e.kind, e.data.get("cause")) for e in self.effects if isinstance(e, Record)
        ]
        self.effects.clear()
        return found


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    scene.effects.clear()
    return scene


def test_a_fire_moves_no_lock_and_is_seen_heard_and_told(scene: Scene) -> None:
    scene.do(FireChanged(is_on=True))
    assert not any(isinstance(each, Unlock | Relock) for each in scene.effects)
    assert Show(signal=Signal.ALARM, message="Alarme incendie : sortez") in scene.effects
    assert (scene.door.view.fire, scene.door.view.lock) == (True, "unlocked")
    assert scene.told() == [("lock.unlocked", "fire")]
    assert not scene.door.is_unlocked


def test_its_end_is_told_and_the_door_is_as_before(scene: Scene) -> None:
    scene.do(FireChanged(is_on=True))
    scene.do(FireChanged(is_on=True))
    scene.do(FireChanged(is_on=False))
    assert scene.told() == [("lock.unlocked", "fire"), ("lock.locked", "fire")]
    assert (scene.door.view.fire, scene.door.view.lock) == (False, "locked")
    scene.do(ContactChanged(is_open=True))
    assert scene.told() == [("door.opened", "forced"), ("door.forced", None)]


def test_openings_in_a_fire_are_neither_forced_nor_held(scene: Scene) -> None:
    scene.do(FireChanged(is_on=True))
    for _ in range(2):
        scene.do(ContactChanged(is_open=True))
        scene.wait(600)
        scene.do(ContactChanged(is_open=False))
    assert [kind for kind, _ in scene.told()] == [
        "lock.unlocked",
        "door.opened",
        "door.closed",
        "door.opened",
        "door.closed",
    ]


def test_a_door_that_stands_open_when_the_fire_ends_has_its_time_from_then(scene: Scene) -> None:
    scene.do(FireChanged(is_on=True))
    scene.do(ContactChanged(is_open=True))
    assert scene.told()[-1] == ("door.opened", "fire")
    scene.wait(600)
    scene.do(FireChanged(is_on=False))
    scene.wait(29)
    assert scene.told() == [("lock.locked", "fire")]
    scene.wait(2)
    assert scene.told() == [("door.held", None)]


def test_a_door_held_open_is_so_no_more_when_a_fire_begins(scene: Scene) -> None:
    scene.do(ContactChanged(is_open=True))
    scene.wait(31)
    scene.told()
    scene.do(FireChanged(is_on=True))
    assert scene.told() == [("lock.unlocked", "fire"), ("door.released", None)]


def test_whoever_was_granted_in_a_fire_comes_in_by_the_grant(scene: Scene) -> None:
    scene.do(FireChanged(is_on=True))
    scene.grant()
    scene.do(ContactChanged(is_open=True))
    assert ("door.opened", "grant") in scene.told()
    scene.wait(120)
    assert "door.held" not in [kind for kind, _ in scene.told()]


def test_the_alarm_is_shown_again_after_an_answer(scene: Scene) -> None:
    scene.do(FireChanged(is_on=True))
    scene.effects.clear()
    scene.do(BadgeUnreadable(reader=Reader.IN, why="several"))
    scene.wait(3)
    shown = [each for each in scene.effects if isinstance(each, Show)]
    assert shown == [
        Show(signal=Signal.REFUSED, message="Une seule carte à la fois"),
        Show(signal=Signal.ALARM, message="Alarme incendie : sortez"),
    ]


def test_the_words_are_shown_where_the_alarm_sounds_already(scene: Scene) -> None:
    scene.do(TamperChanged(is_open=True))
    scene.effects.clear()
    scene.do(FireChanged(is_on=True))
    assert Show(signal=Signal.ALARM, message="Alarme incendie : sortez") in scene.effects


def test_while_the_relay_is_released_too_the_lock_is_not_said_to_be_locked(scene: Scene) -> None:
    scene.do(FireChanged(is_on=True))
    scene.grant()
    scene.told()
    scene.do(FireChanged(is_on=False))
    assert scene.told() == []
    assert scene.door.view.lock == "unlocked"
    scene.wait(6)
    assert scene.told() == [("lock.locked", "time")]


def test_a_unit_that_starts_in_a_fire_says_so() -> None:
    scene = Scene(starts_in_fire=True)
    assert scene.told() == [("unit.started", None), ("lock.unlocked", "fire")]
    assert scene.door.view.fire
