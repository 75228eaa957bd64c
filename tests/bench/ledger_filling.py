"""A place with years behind it: real chained records, put in through the ledger's own `append`.

Members come and go at a few doors, at an even pace up to a given moment. The state that follows is
saved with the last of it, so that the server goes on from there as if it had seen it all.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from access.ids import BadgeDigest, DoorId, MemberId, RequestId, SiteId
from access.journal import SERVER, Head, chained
from access.messages import OccupancyReport
from access.presence import Presence
from server import ledger
from server.database import Database
from server.ledger import Entry
from server.state import DoorTrack, SiteState, to_json

INSIDE: Final = 60
"""How many members are inside at a time, or a few more or less."""

SPAN: Final = timedelta(days=365)
"""Over how long what happened is spread."""

_VISIT: Final = 6.5
"""How many records a coming or a going makes, on average."""

_ALERT_EVERY: Final = 500
_BATCH: Final = 20_000


def badge_of(number: int) -> BadgeDigest:
    """Give the digest of a member's badge."""
    return BadgeDigest(f"{number:032x}")


def member_of(number: int) -> MemberId:
    """Give the id of a member by their number."""
    return MemberId(f"member-{number}")


def opening(request: str, *, reader: str, number: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give what a door records when it lets a member pass: kinds and data, in order."""
    yield (
        "access.granted",
        {
            "request": request,
            "reader": reader,
            "badge": badge_of(number),
            "member": member_of(number),
            "reason": "opening_hours" if reader == "in" else "exit",
            "granted": True,
            "offline": False,
            "passback": False,
            "watch": None,
        },
    )
    yield "lock.unlocked", {"request": request}
    yield "door.opened", {"request": request, "cause": "grant"}
    yield "door.closed", {"open_s": 2.5}
    yield "lock.locked", {"cause": "closed"}


@dataclass(slots=True, kw_only=True)
class Filling:
    """Fills the ledger of one site.

    Attributes:
        site: which.
        doors: of the site.
        members: how many members come and go, `member-0` and on.
        capacity: of the site.
        end: when the last of it happens.
    """

    site: SiteId
    doors: tuple[DoorId, ...]
    members: int
    capacity: int
    end: datetime
    _dice: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311 (not for secrets)
    _heads: dict[str, Head] = field(default_factory=dict)
    _last_at: dict[DoorId, datetime] = field(default_factory=dict)
    _presence: Presence = field(default_factory=Presence)
    _report: OccupancyReport | None = None

    def fill(self, database: Database, records: int, on_batch: Callable[[int], None]) -> None:
        """Add so many records, or a few more, to a ledger without any; blocks until it is done."""
        made, batch = 0, list[Entry]()
        step = SPAN / max(1.0, records / _VISIT)
        at = self.end - SPAN
        for number in range(int(records / _VISIT) + 1):
            at += step
            batch += self._come_or_go(number, min(at, self.end))
            if len(batch) >= _BATCH:
                made += self._append(database, batch)
                on_batch(made)
        self._append(database, batch)
        with database.writing() as connection:
            ledger.save_state(connection, self.site, 1, to_json(self._state()))

    def _append(self, database: Database, batch: list[Entry]) -> int:
        with database.writing() as connection:
            ledger.append(connection, batch)
        size = len(batch)
        batch.clear()
        return size

    def _come_or_go(self, number: int, at: datetime) -> Iterator[Entry]:
        door = self._dice.choice(self.doors)
        request = str(UUID(int=(int(at.timestamp() * 1000) << 80) | 7 << 76 | 2 << 62 | number))
        inside = self._presence.inside
        who = self._dice.randrange(self.members)
        if len(inside) > INSIDE or (inside and self._dice.random() < len(inside) / INSIDE / 2):
            who = int(self._dice.choice(list(inside)).removeprefix("member-"))
        member = member_of(who)
        if member in inside:
            yield from self._pass(door, request, at, who, "out")
            self._presence.leave(member, at)
        else:
            yield self._decided(door, request, at, who)
            yield from self._pass(door, request, at, who, "in")
            self._presence.enter(member, door, at)
        yield self._counted(at)
        if number % _ALERT_EVERY == _ALERT_EVERY - 1:
            yield self._entry(SERVER, "alert.door_held", at, {"door": door})

    def _pass(
        self, door: DoorId, request: str, at: datetime, who: int, reader: str
    ) -> Iterator[Entry]:
        for kind, data in opening(request, reader=reader, number=who):
            member = member_of(who) if kind == "access.granted" else None
            yield self._entry(door, kind, at, data, member=member)
        self._last_at[door] = at

    def _decided(self, door: DoorId, request: str, at: datetime, who: int) -> Entry:
        answer = {
            "request": request,
            "granted": True,
            "reason": "opening_hours",
            "unlock_s": 5.0,
            "member": member_of(who),
            "message": "Bienvenue",
            "watch": None,
        }
        data = {
            "door": door,
            "reader": "in",
            "badge": badge_of(who),
            "row": "11",
            "passback": False,
            "asked": at,
            "decide_ms": 0.4,
            "answer": answer,
        }
        return self._entry(
            SERVER, "access.decided", at, data, member=member_of(who), request=request
        )

    def _counted(self, at: datetime) -> Entry:
        presence = self._presence
        self._report = OccupancyReport(
            at=at,
            present=presence.present,
            margin=presence.margin,
            members=presence.members,
            guests=presence.guests,
            capacity=self.capacity,
            open="hours",
        )
        names = ("present", "margin", "members", "guests", "capacity", "open")
        data = {name: getattr(self._report, name) for name in names}
        return self._entry(SERVER, "occupancy.changed", at, data)

    def _entry(
        self,
        source: str,
        kind: str,
        at: datetime,
        data: Mapping[str, Any],
        *,
        member: MemberId | None = None,
        request: str | None = None,
    ) -> Entry:
        head = self._heads.get(source, Head())
        record, self._heads[source] = chained(
            head, site=self.site, source=source, kind=kind, time=at, data=data
        )
        return Entry(
            site=self.site,
            source=source,
            seq=record["seq"],
            kind=record["type"],
            time=at,
            received=at,
            member=member,
            request=None if request is None else RequestId(request),
            record=record,
        )

    def _state(self) -> SiteState:
        doors = {
            door: DoorTrack(head=self._heads.get(door, Head()), last_at=self._last_at.get(door))
            for door in self.doors
        }
        own = self._heads.get(SERVER, Head())
        return SiteState(presence=self._presence, doors=doors, own=own, reported=self._report)
