"""The alerts of a site as they stand: which are open, and who has taken which in charge."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from access.ids import MemberId, SiteId
from server import ledger
from server.alerts import Alert, acknowledged, alert_of, is_alert
from server.ledger import StoredEntry

MOST: Final = 200
"""How many alerts and acknowledgements are looked at, newest first: a page costs the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAlert:
    """An alert, and who has taken it in charge.

    Attributes:
        entry: of the ledger.
        by: who took it; None where nobody has, or where it is forgotten who.
        taken_at: when; None while it is open.
    """

    alert: Alert
    entry: StoredEntry
    by: MemberId | None = None
    taken_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether nobody has taken it in charge."""
        return self.taken_at is None


def listed(connection: Connection, site: SiteId, most: int = MOST) -> list[ListedAlert]:
    """Give the latest alerts of a site, newest first; costs the same however long the ledger is.

    Args:
        connection: of a transaction.
        site: whose.
        most: how many alerts and acknowledgements are looked at. Whether one of them is open does
            not hang on it: who takes one in charge does so after it.
    """
    found = ledger.latest_alerts(connection, site, most)
    taken = acknowledged(found)
    return [_listed(one, taken.get((site, one.seq))) for one in found if is_alert(one.kind)]


def find(connection: Connection, site: SiteId, number: int) -> ListedAlert | None:
    """Give one of the latest alerts of a site by its number; None where there is none such."""
    return next((one for one in listed(connection, site) if one.alert.number == number), None)


def open_ones(alerts: Sequence[ListedAlert]) -> list[ListedAlert]:
    """Give those that nobody has taken in charge."""
    return [one for one in alerts if one.is_open]


def _listed(entry: StoredEntry, taken: StoredEntry | None) -> ListedAlert:
    if taken is None:
        return ListedAlert(alert=alert_of(entry), entry=entry)
    return ListedAlert(alert=alert_of(entry), entry=entry, by=taken.member, taken_at=taken.time)
