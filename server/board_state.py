"""Make of a site's state what the pages show. Pure: names and the time are given."""

import unicodedata
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

from access.ids import DoorId, MemberId
from access.presence import Presence
from access.watch import Phase, Watch
from server.board import Contact, DoorView, InsideView, Leaf, Occupancy, Person, WatchView
from server.settings import DoorSettings, SiteSettings
from server.silence import SILENT_AFTER
from server.state import DoorTrack, OrderTrack, SiteState
from server.turn import Opening

_ORDER_SHOWN: Final = timedelta(minutes=10)
"""For how long after it was given an order is shown that is settled."""

Naming = Callable[[MemberId], Person]


def members_in(state: SiteState) -> frozenset[MemberId]:
    """Give the members whose names the watch needs."""
    watch = state.watch
    if watch is None:
        return frozenset()
    offered = () if watch.offered_to is None else (watch.offered_to,)
    return frozenset((watch.guardian, *offered))


def occupancy_of(state: SiteState, site: SiteSettings, now: datetime) -> Occupancy:
    """Count who is inside."""
    presence: Presence = state.presence
    return Occupancy(
        present=presence.present,
        high=presence.high,
        members=presence.members,
        guests=presence.guests,
        capacity=site.capacity,
        open=_opening(state, now),
    )


def watch_of(state: SiteState, name: Naming, now: datetime) -> WatchView | None:
    """Show the watch, if one runs."""
    watch = state.watch
    if watch is None or watch.phase_at(now) is Phase.CLOSED:
        return None
    return WatchView(
        id=watch.id,
        guardian=name(watch.guardian),
        since=watch.tenures[-1].start,
        minutes=_minutes(watch, now),
        opened_at=watch.opened_at,
        over_by=watch.over_by,
        closes_by=watch.closes_by(),
        phase=watch.phase_at(now),
        title=watch.title,
        audience=watch.audience,
        offered_to=None if watch.offered_to is None else name(watch.offered_to),
    )


def doors_of(
    state: SiteState, site: SiteSettings, now: datetime, silent_after: timedelta = SILENT_AFTER
) -> tuple[DoorView, ...]:
    """Show each door of the site, in the order of the settings."""
    return tuple(_door(door, state, now, silent_after) for door in site.doors)


def inside_of(
    state: SiteState, site: SiteSettings, name: Naming, guardians: frozenset[MemberId]
) -> tuple[InsideView, ...]:
    """List the members who may be inside, by name."""
    return tuple(
        sorted(
            _inside(state, site, name, guardians),
            key=lambda one: (_sort_key(one.person.name), one.person.id),
        )
    )


def _inside(
    state: SiteState, site: SiteSettings, name: Naming, guardians: frozenset[MemberId]
) -> Iterator[InsideView]:
    doors = {door.id: door.name for door in site.doors}
    for member, stay in state.presence.inside.items():
        yield InsideView(
            person=name(member),
            is_guardian=member in guardians,
            since=stay.since,
            door=None if stay.door is None else doors.get(stay.door, stay.door),
        )


def _sort_key(name: str) -> str:
    """Give a name as a list is searched by it: E and É are the same letter."""
    plain = unicodedata.normalize("NFKD", name)
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()


def _opening(state: SiteState, now: datetime) -> Opening:
    """What keeps the site open: the watch as the clock has it, else as it was last counted."""
    if state.watch is not None:
        phase = state.watch.phase_at(now)
        if phase is not Phase.CLOSED:
            return "watch" if phase is Phase.OPEN else "closing"
    if state.reported is not None and state.reported.open == "hours":
        return "hours"
    return "closed"


def _minutes(watch: Watch, now: datetime) -> int:
    held = sum(
        (
            max((tenure.end or now) - tenure.start, timedelta())
            for tenure in watch.tenures
            if tenure.guardian == watch.guardian
        ),
        timedelta(),
    )
    return held // timedelta(minutes=1)


def _door(door: DoorSettings, state: SiteState, now: datetime, silent_after: timedelta) -> DoorView:
    track = state.doors.get(DoorId(door.id))
    said = None if track is None else track.state
    readers = {} if said is None or said.readers is None else said.readers
    return DoorView(
        id=DoorId(door.id),
        name=door.name,
        contact=_contact(track, now - silent_after),
        leaf=Leaf.UNKNOWN if track is None else _leaf(track),
        open_since=None if track is None else track.opened_at,
        queue=None if said is None else said.queue,
        policy=None if said is None else said.policy,
        heard_at=None if track is None else track.heard_at,
        faulty=tuple(reader for reader, word in sorted(readers.items()) if word != "ok"),
        journal=None if said is None else said.journal,
        is_held=track is not None and track.is_held,
        is_locked_down=door.id in state.locked_down,
        order=None if track is None else _recent(track.order, now),
    )


def _recent(order: OrderTrack | None, now: datetime) -> OrderTrack | None:
    """Give an order that somebody may be waiting for; None where it is long done or given up."""
    if order is None or (order.outcome is not None and now >= order.at + _ORDER_SHOWN):
        return None
    return order


def _contact(track: DoorTrack | None, silent_since: datetime) -> Contact:
    if track is None or track.state is None:
        return Contact.NEVER
    if not track.is_online:
        return Contact.OFFLINE
    if track.heard_at is None or track.heard_at <= silent_since:
        return Contact.SILENT
    return Contact.ONLINE


def _leaf(track: DoorTrack) -> Leaf:
    """How the door stands; an open door is said first, for it is what one must act on."""
    said = track.state
    if track.is_open or (said is not None and said.contact == "open"):
        return Leaf.OPEN
    if track.is_held or (said is not None and said.lock == "held"):
        return Leaf.HELD
    if said is None or said.lock is None:
        return Leaf.UNKNOWN
    return Leaf(said.lock)
