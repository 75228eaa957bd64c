"""What the pages show of a site's state: pure, so each case is one line."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from access.ids import DoorId, MemberId, WatchId
from access.journal import SERVER
from access.messages import DoorState, OccupancyReport
from access.watch import Tenure, Watch
from runtime.written import Duration
from server.board import Contact, Leaf, Person
from server.board_events import is_line, to_happening
from server.board_state import doors_of, occupancy_of, watch_of
from server.ledger import StoredEntry
from server.settings import DoorSettings, SiteSettings
from server.state import DoorTrack, SiteState

NOW = datetime(2026, 11, 24, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SITE: Any = SiteSettings(
    id="here",
    name="Here",
    zone="Europe/Paris",  # type: ignore[arg-type]
    capacity=10,
    doors=(DoorSettings(id="main", name="Main", contact=True, unlock=Duration(seconds=5)),),
)


def named(member: MemberId) -> Person:
    return Person(id=member, name=f"{member.title()} Martin")


def watch_held(*tenures: tuple[str, int, int | None]) -> Watch:
    return Watch(
        id=WatchId("w"),
        door=DoorId("main"),
        tenures=tuple(
            Tenure(
                guardian=MemberId(who),
                start=NOW + start * MINUTE,
                end=None if end is None else NOW + end * MINUTE,
            )
            for who, start, end in tenures
        ),
        authorized_until=NOW + 60 * MINUTE,
        over_by=NOW + 90 * MINUTE,
        closing_delay=15 * MINUTE,
    )


def door_of(**track: Any) -> tuple[Contact, Leaf]:
    state = SiteState(doors={DoorId("main"): DoorTrack(**track)})
    (door,) = doors_of(state, SITE, NOW)
    return door.contact, door.leaf


def said(**state: Any) -> DoorState:
    return DoorState(**({"online": True} | state))


@pytest.mark.parametrize(
    ("track", "contact", "leaf"),
    [
        ({}, Contact.NEVER, Leaf.UNKNOWN),
        ({"state": said(lock="locked"), "heard_at": NOW}, Contact.ONLINE, Leaf.LOCKED),
        (
            {"state": said(lock="locked"), "heard_at": NOW - timedelta(seconds=90)},
            Contact.SILENT,
            Leaf.LOCKED,
        ),
        (
            {"state": said(online=False, lock="unlocked"), "heard_at": NOW},
            Contact.OFFLINE,
            Leaf.UNLOCKED,
        ),
        (
            {"state": said(lock="locked", contact="open"), "heard_at": NOW},
            Contact.ONLINE,
            Leaf.OPEN,
        ),
        ({"state": said(lock="held"), "heard_at": NOW}, Contact.ONLINE, Leaf.HELD),
        (
            {"state": said(lock="unlocked"), "heard_at": NOW, "is_held": True},
            Contact.ONLINE,
            Leaf.HELD,
        ),
        ({"state": said(), "heard_at": NOW, "is_open": True}, Contact.ONLINE, Leaf.OPEN),
    ],
)
def test_a_door_is_shown_as_it_last_said(
    track: dict[str, Any], contact: Contact, leaf: Leaf
) -> None:
    assert door_of(**track) == (contact, leaf)


def test_a_guardian_who_took_the_watch_back_has_both_their_times_counted() -> None:
    state = SiteState(watch=watch_held(("ann", -60, -40), ("bob", -40, -10), ("ann", -10, None)))
    shown = watch_of(state, named, NOW)
    assert shown is not None
    assert (shown.guardian.first_name, shown.minutes) == ("Ann", 30)
    assert shown.since == NOW - 10 * MINUTE


def test_a_watch_is_shown_as_the_clock_has_it_before_any_timer_has_told() -> None:
    state = SiteState(watch=watch_held(("ann", -60, None)))
    shown = watch_of(state, named, NOW + 90 * MINUTE)
    assert shown is not None
    assert shown.is_closing
    assert occupancy_of(state, SITE, NOW + 90 * MINUTE).open == "closing"
    assert watch_of(state, named, NOW + 105 * MINUTE) is None
    assert occupancy_of(state, SITE, NOW + 105 * MINUTE).open == "closed"


def test_without_a_watch_the_place_is_as_it_was_last_counted() -> None:
    report = OccupancyReport(
        at=NOW, present=0, margin=0, members=0, guests=0, capacity=10, open="hours"
    )
    assert occupancy_of(SiteState(reported=report), SITE, NOW).open == "hours"
    assert occupancy_of(SiteState(), SITE, NOW).open == "closed"


def test_a_place_with_more_people_than_it_may_hold_is_full_and_no_fuller() -> None:
    state = SiteState()
    state.presence.change_guests(14)
    seen = occupancy_of(state, SITE, NOW)
    assert (seen.is_full, seen.percent, seen.present) == (True, 100, 14)


def entry(source: str, kind: str, member: str | None = None, **data: Any) -> StoredEntry:
    return StoredEntry(
        id=1,
        site=SITE.id,
        source=source,
        seq=1,
        kind=f"gardien.{kind}",
        time=NOW,
        received=NOW,
        member=None if member is None else MemberId(member),
        record={"data": data},
    )


@pytest.mark.parametrize(
    ("one", "is_shown"),
    [
        (entry(SERVER, "access.decided", reader="in"), True),
        (entry("main", "access.granted", reader="in", offline=False), False),
        (entry("main", "access.granted", reader="in", offline=True), True),
        (entry(SERVER, "access.decided", reader="out"), False),
        (entry("main", "access.granted", reader="out", offline=False), True),
        (entry(SERVER, "alert.badge_revoked"), False),
        (entry(SERVER, "alert.door_forced"), True),
    ],
)
def test_each_passage_is_told_once(one: StoredEntry, *, is_shown: bool) -> None:
    assert is_line(one) == is_shown


def test_somebody_who_was_erased_has_no_name() -> None:
    line = to_happening(
        entry(SERVER, "watch.opened", "gone", door="main"),
        lambda member: Person(id=member, name=""),
        {"main": "Main"},
    )
    assert line.person is not None
    assert line.person.first_name == ""
    assert line.door == "Main"


def test_a_door_that_was_taken_away_is_called_by_its_id() -> None:
    one = replace(entry("attic", "exit.requested"), seq=2)
    assert to_happening(one, named, {}).door == "attic"
