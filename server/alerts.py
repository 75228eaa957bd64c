"""Alerts: what one is, which are urgent, whom they concern, and when they are sent. All pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final
from zoneinfo import ZoneInfo

from access.ids import MemberId, SiteId
from runtime.written import Window
from server.alerts_settings import AlertsSettings, ChannelSettings
from server.ledger import StoredEntry

PREFIX: Final = "gardien.alert."
ACKNOWLEDGED: Final = "gardien.alert_acknowledged"
"""Somebody on duty has taken an alert upon them; its data has the alert's number."""

URGENT: Final = frozenset(
    {
        "fire_alarm",
        "door_forced",
        "unit_tampered",
        "badge_cloned",
        "still_inside",
        "admitted_under_lapsed_watch",
        "watch_without_authorization",
        "two_watches",
        "guardian_barred",
        "order_not_obeyed",
        "journal_failing",
    }
)
"""What is worth waking somebody: a place that may be open to anybody, or shut to all, or people
left alone."""

_CLOSED: Final = "gardien.watch.closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert.

    Attributes:
        number: its number in the server's chain of the site, by which it is acknowledged.
        entry: its id in the ledger.
        kind: such as `door_forced`.
        door: the door's id, if it is about one.
        person: whom it is about, if anybody.
        people: who else is in it.
        amount: how many people it is about, if any.
        why: a few words of whoever raised it.
    """

    number: int
    entry: int
    site: SiteId
    at: datetime
    kind: str
    door: str | None = None
    person: MemberId | None = None
    people: tuple[MemberId, ...] = ()
    amount: int | None = None
    why: str | None = None

    @property
    def is_urgent(self) -> bool:
        """Whether it does not wait for the end of quiet hours."""
        return self.kind in URGENT


def is_alert(kind: str) -> bool:
    """Whether a CloudEvents type is that of an alert."""
    return kind.startswith(PREFIX)


def is_urgent(kind: str) -> bool:
    """Whether a CloudEvents type is that of an urgent alert."""
    return kind.removeprefix(PREFIX) in URGENT


def alert_of(entry: StoredEntry) -> Alert:
    """Make an alert of its entry, whatever of its data is there still."""
    data = entry.record.get("data")
    told = data if isinstance(data, dict) else {}
    members = told.get("members")
    high, why, door = told.get("high"), told.get("why"), told.get("door")
    return Alert(
        number=entry.seq,
        entry=entry.id,
        site=entry.site,
        at=entry.time,
        kind=entry.kind.removeprefix(PREFIX),
        door=door if isinstance(door, str) else None,
        person=entry.member,
        people=tuple(map(MemberId, members)) if isinstance(members, list) else (),
        amount=high if isinstance(high, int) else None,
        why=why if isinstance(why, str) else None,
    )


def acknowledged(entries: Iterable[StoredEntry]) -> dict[tuple[SiteId, int], StoredEntry]:
    """Give the first acknowledgement of each alert, by site and number of the alert."""
    found: dict[tuple[SiteId, int], StoredEntry] = {}
    for entry in sorted(entries, key=lambda one: one.id):
        number = entry.record["data"].get("alert") if entry.kind == ACKNOWLEDGED else None
        if isinstance(number, int):
            found.setdefault((entry.site, number), entry)
    return found


def concerns(channel: ChannelSettings, site: SiteId, kind: str) -> bool:
    """Whether alerts of a kind at a site go out by a channel.

    Args:
        channel: as it is set up.
        site: where it happened.
        kind: such as `door_forced`.
    """
    if channel.sites and site not in channel.sites:
        return False
    if channel.urgent_only and kind not in URGENT:
        return False
    return any(fnmatchcase(kind, pattern) for pattern in channel.kinds)


def due_at(
    kind: str, now: datetime, zone: ZoneInfo, rules: AlertsSettings, last: datetime | None
) -> datetime:
    """Say when an alert is sent.

    The first of its kind goes out at once; what follows within the time of grouping waits for its
    end, together. In quiet hours what is not urgent waits for their end.

    Args:
        kind: such as `door_forced`.
        now: when it was seen.
        zone: of the site.
        rules: grouping and quiet hours.
        last: when the last message of this kind went out by this channel, if one did.
    """
    due = now
    if last is not None and now - rules.group < last <= now:
        due = last + rules.group
    if kind in URGENT or rules.quiet is None:
        return due
    return quiet_until(due, rules.quiet, zone) or due


def quiet_until(moment: datetime, quiet: Window, zone: ZoneInfo) -> datetime | None:
    """Say until when it is quiet; None if it is not quiet at that moment."""
    local = moment.astimezone(zone)
    minute = local.hour * 60 + local.minute
    for day in (0, -1):
        # An end of hours that lie across midnight is tomorrow's; those of yesterday run on today.
        shift = -day * 24 * 60
        if quiet.start_min <= minute + shift < quiet.end_min:
            ends_on = local.date() + timedelta(days=day + quiet.end_min // (24 * 60))
            end = datetime.combine(ends_on, quiet.end, zone)
            return max(end.astimezone(moment.tzinfo), moment)
    return None


def guardian_who_closed(after: Iterable[StoredEntry]) -> MemberId | None:
    """Find who held the watch that closed right after an alert, in the entries that follow it."""
    for entry in after:
        held = entry.record["data"].get("held") if entry.kind == _CLOSED else None
        if isinstance(held, list) and held and isinstance(held[-1], dict):
            guardian = held[-1].get("guardian")
            return MemberId(guardian) if isinstance(guardian, str) else None
    return None
