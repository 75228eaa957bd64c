"""The API on alerts: which there are, and taking one in charge."""

from datetime import datetime

import msgspec

from dashboards import words
from dashboards.api_caller import sees_people
from dashboards.api_problems import Problem
from dashboards.api_watch import ask
from dashboards.parts import parts, site_id
from server import alerts_list
from server.alerts_list import ListedAlert
from server.board import Person
from server.board_events import to_happening
from server.events import AlertAcknowledged


class AlertReport(msgspec.Struct, frozen=True, kw_only=True):
    """An alert; `number` is that by which it is taken, `text` what the board says."""

    number: int
    at: datetime
    kind: str
    text: str
    door: str | None
    is_open: bool
    taken_at: datetime | None
    taken_by_id: str | None


class AlertsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The latest alerts, newest first."""

    alerts: list[AlertReport]


def alerts() -> AlertsAnswer:
    """List the latest alerts."""
    with parts().database.reading() as connection:
        found = alerts_list.listed(connection, site_id())
    return AlertsAnswer(alerts=[_report(one) for one in found])


def take(number: int) -> AlertReport:
    """Take an alert in charge; one that is taken already stays as it is."""
    if _find(number).is_open:
        ask(lambda by: AlertAcknowledged(by=by, alert=number))
    return _report(_find(number))


def _find(number: int) -> ListedAlert:
    with parts().database.reading() as connection:
        found = alerts_list.find(connection, site_id(), number)
    if found is None:
        raise Problem("not-found")
    return found


def _report(one: ListedAlert) -> AlertReport:
    # Nobody's name is in it: the board tells of people beside the text.
    line = to_happening(one.entry, lambda who: Person(id=who, name=""), {})
    return AlertReport(
        number=one.alert.number,
        at=line.at,
        kind=line.kind,
        text=words.say(line),
        door=line.door,
        is_open=one.is_open,
        taken_at=one.taken_at,
        taken_by_id=one.by if sees_people() else None,
    )
