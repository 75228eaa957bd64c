"""The API on people: what happened, who may be inside, why somebody was refused."""

from datetime import datetime
from typing import Annotated, Any

import msgspec

from access.explain import to_builtins
from access.messages import OccupancyReport
from dashboards import words
from dashboards.api_caller import sees_people
from dashboards.api_place import DoorReport, door_report, occupancy
from dashboards.looking import note_look, note_what_goes_on, plain
from dashboards.pages_why import look_at
from dashboards.parts import parts, site_id
from dashboards.texts import language
from server import event_feed
from server.board import Happening
from server.why import Why


class EventReport(msgspec.Struct, frozen=True, kw_only=True):
    """One line of what happened; who is in it is told with the scope `people:read` only.

    `id` is that of the ledger entry, and `text` what the board says, in the caller's language.
    """

    id: int
    at: datetime
    kind: str
    text: str
    alert: bool
    door: str | None
    member: str | None
    member_id: str | None
    granted: bool | None
    out: bool
    reason: str | None
    alone: bool
    amount: int | None


class EventsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What happened, in the order in which the server learnt of it; go on with `after=<next>`."""

    events: list[EventReport]
    next: int
    more: bool


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """From where on, and how many.

    `after`: the `next` of an earlier answer; the newest events if it is left out.
    `limit`: at most so many.
    """

    after: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50


class InsideReport(msgspec.Struct, frozen=True, kw_only=True):
    """A member who may be inside."""

    id: str
    name: str
    guardian: bool
    since: datetime
    door: str | None


class RollCallAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Who may be inside, by name.

    `gone`: members in the list who are known to have left, without knowing which.
    `certain_at`: when the count was last certain.
    """

    at: datetime
    occupancy: OccupancyReport
    people: list[InsideReport]
    gone: int
    certain_at: datetime | None
    doors: list[DoorReport]


class RollCallQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Why the list is looked at.

    `reason`: in words; it is recorded with the look, so write no names in it.
    """

    reason: Annotated[str, msgspec.Meta(min_length=3, max_length=200, pattern=r"\S")]


class WhyDecided(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided then, from the ledger."""

    reason: str
    row: str | None
    alone: bool


class WhyRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row that was looked at, and what it saw."""

    row: str
    asks: str
    facts: dict[str, Any]
    matched: bool
    granted: bool | None
    reason: str | None


class WhyAgain(msgspec.Struct, frozen=True, kw_only=True):
    """What would be decided with the rules of now."""

    granted: bool
    reason: str
    row: str
    rows: list[WhyRow]


class WhyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal, and the same request looked at again."""

    id: int
    at: datetime
    door: str
    reader: str
    member: str | None
    decided: WhyDecided
    recomputed: WhyAgain | None


def events(query: EventsQuery) -> EventsAnswer:
    """Give what happened lately, or since an earlier answer; with names, it is a look."""
    is_named = sees_people()
    if is_named:
        note_what_goes_on("events")
    with parts().database.reading() as connection:
        feed = event_feed.follow(
            connection,
            site_id(),
            after=query.after,
            limit=query.limit,
            now=parts().clock.now(),
            is_named=is_named,
        )
    reports = [_event(one, is_named=is_named) for one in feed.happenings]
    return EventsAnswer(events=reports, next=feed.cursor, more=feed.has_more)


def roll_call(query: RollCallQuery) -> RollCallAnswer:
    """List who may be inside, by name; each look is recorded with its reason."""
    call = parts().reader.roll_call(site_id())
    among = [one.person.id for one in call.people]
    note_look("roll-call", plain(query.reason), among=among)
    people = [
        InsideReport(
            id=one.person.id,
            name=one.person.name,
            guardian=one.is_guardian,
            since=one.since,
            door=one.door,
        )
        for one in call.people
    ]
    return RollCallAnswer(
        at=call.at,
        occupancy=occupancy(),
        people=people,
        gone=call.gone,
        certain_at=call.certain_at,
        doors=[door_report(one) for one in call.doors],
    )


def why(entry: int) -> WhyAnswer:
    """Tell why somebody was refused; each look is recorded, but for one's own."""
    return _why(look_at(entry))


def _event(line: Happening, *, is_named: bool) -> EventReport:
    person = line.person if is_named else None
    return EventReport(
        id=line.id,
        at=line.at,
        kind=line.kind,
        text=words.say(line),
        alert=line.is_alert,
        door=line.door,
        member=None if person is None else person.name,
        member_id=None if person is None else person.id,
        granted=line.is_granted,
        out=line.is_out,
        reason=line.reason,
        alone=line.is_alone,
        amount=line.amount,
    )


def _why(found: Why) -> WhyAnswer:
    refusal = found.refusal
    again = None if found.again is None else to_builtins(found.again, language())
    return WhyAnswer(
        id=refusal.id,
        at=refusal.at,
        door=refusal.door,
        reader=refusal.reader.value,
        member=None if refusal.person is None else refusal.person.id,
        decided=WhyDecided(reason=refusal.reason, row=refusal.row, alone=refusal.is_alone),
        recomputed=None if again is None else msgspec.convert(again, WhyAgain),
    )
