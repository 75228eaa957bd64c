"""Who is told of an alert, and in which language: read from the registry at the time of sending."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from sqlalchemy import Connection, select

from access.ids import MemberId, SiteId
from access.model import Plan, Status
from server import ledger, schema
from server.alerts import Alert, guardian_who_closed
from server.state import from_json

_FOLLOWS: Final = 30
_LATELY: Final = timedelta(hours=1)

_m: Final = schema.member.c
_of: Final = schema.member_site.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Somebody who is written to.

    Attributes:
        email: where.
        language: `fr` or `en`.
    """

    member: MemberId
    email: str
    language: str


def readers(
    connection: Connection, to: Literal["staff", "guardian"], alerts: Sequence[Alert]
) -> list[Reader]:
    """Find who is told of alerts at one site. Blocks for the database.

    The guardian is the one on watch; after the watch has closed, the one who closed it. Where there
    is none, or none who can be written to, it is the staff.

    Args:
        connection: of a transaction.
        to: as the channel says.
        alerts: of one site, at least one.
    """
    site = alerts[0].site
    if to == "guardian":
        found = _with_address(connection, _on_watch(connection, site, alerts[-1]))
        if found:
            return found
    return _with_address(connection, _staff(connection, site))


def names(connection: Connection, members: Iterable[MemberId | None]) -> dict[MemberId, str]:
    """Give the names of members; those who are not in the registry any more are left out."""
    ids = sorted({one for one in members if one is not None})
    if not ids:
        return {}
    rows = connection.execute(select(_m.id, _m.name).where(_m.id.in_(ids)))
    return {MemberId(row.id): row.name for row in rows}


def _on_watch(connection: Connection, site: SiteId, alert: Alert) -> list[MemberId]:
    loaded = ledger.load_state(connection, site)
    watch = None if loaded is None else from_json(loaded[1]).watch
    if watch is not None:
        return [watch.guardian]
    after = ledger.read(connection, site, after_id=alert.entry, limit=_FOLLOWS)
    closed = guardian_who_closed(one for one in after if one.time - alert.at <= _LATELY)
    return [] if closed is None else [closed]


def _staff(connection: Connection, site: SiteId) -> list[MemberId]:
    rows = connection.scalars(
        select(_m.id)
        .join(schema.member_site, _of.member == _m.id)
        .where(_of.site == site, _m.plan == Plan.STAFF.value, _m.status == Status.ACTIVE.value)
        .order_by(_m.id)
    )
    return [MemberId(one) for one in rows]


def _with_address(connection: Connection, members: Collection[MemberId]) -> list[Reader]:
    if not members:
        return []
    rows = connection.execute(
        select(_m.id, _m.email, _m.language)
        .where(_m.id.in_(sorted(members)), _m.email.is_not(None))
        .order_by(_m.id)
    )
    return [Reader(member=MemberId(row.id), email=row.email, language=row.language) for row in rows]
