"""Take out of the registry, and of what hangs on it, what has been kept for long enough."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Table, delete, insert, or_, select

from access.ids import SiteId
from access.model import Status
from server import api_requests, api_tokens, badge_tokens, registry, schema
from server.looks import look, look_about
from server.sessions import IDLE, LONGEST, web_session

MEMBERS_KEPT: Final = timedelta(days=90)
"""How long the registry knows somebody after their membership has ended."""

LOOKS_KEPT: Final = timedelta(days=365)
"""How long it is known who looked at other people's records: CNIL, deliberation 2021-122."""

TIME_KEPT: Final = timedelta(days=5 * 365 + 2)
"""How long postings of the time bank are kept, being accounts: five years, however many leap."""

_CHUNK: Final = 500

_m: Final = schema.member.c
_e: Final = schema.ended_member.c


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenOut:
    """How many rows of each kind were taken out; `listed` is whom roll-calls listed."""

    members: int
    badges: int
    authorizations: int
    accounts: int
    sessions: int
    looks: int
    listed: int
    set_aside: int
    time_entries: int
    presence_months: int
    tokens: int
    api_tokens: int
    api_requests: int


def take_out(
    connection: Connection, now: datetime, kept: Mapping[SiteId, timedelta], otherwise: timedelta
) -> TakenOut:
    """Take out what has been kept for long enough. Blocks for the database.

    Args:
        connection: of a transaction that writes.
        now: the time of the server.
        kept: how long each site keeps who came and went, and with it what was set aside.
        otherwise: the same, for sites that the settings have no more.
    """
    sessions = web_session.c
    is_over = (sessions.seen < now - IDLE) | (sessions.created < now - LONGEST)
    ended = connection.execute(delete(web_session).where(is_over)).rowcount
    aside = schema.set_aside.c
    rows = sum(
        _where(connection, schema.set_aside, aside.site == site, aside.received < now - length)
        for site, length in kept.items()
    )
    rows += _where(
        connection,
        schema.set_aside,
        aside.site.not_in(list(kept)),
        aside.received < now - otherwise,
    )
    return TakenOut(
        **_members(connection, now),
        sessions=ended,
        listed=_listed(connection, now, kept, otherwise),
        looks=_purged(connection, look, look.c.at < now - LOOKS_KEPT),
        set_aside=rows,
        time_entries=_purged(
            connection, schema.time_entry, schema.time_entry.c.at < now - TIME_KEPT
        ),
        presence_months=_where(
            connection,
            schema.presence_month,
            schema.presence_month.c.month < f"{now - TIME_KEPT:%Y-%m}",
        ),
        # A badge serves at several sites: what it has shown is kept no longer than at any of them.
        tokens=badge_tokens.forget(connection, now - min([otherwise, *kept.values()])),
        api_tokens=api_tokens.forget(connection, now),
        api_requests=api_requests.forget(connection, now),
    )


def _members(connection: Connection, now: datetime) -> dict[str, int]:
    """Take out who is no member any more, with all that hangs on them."""
    _note_ended(connection, now)
    before = now - MEMBERS_KEPT
    over = or_(_m.until < before, _m.id.in_(select(_e.member).where(_e.seen < before)))
    ids = list(connection.scalars(select(_m.id).where(over).order_by(_m.id)))
    gone = dict.fromkeys(("badges", "authorizations", "accounts", "members"), 0)
    for start in range(0, len(ids), _CHUNK):
        part = ids[start : start + _CHUNK]
        gone["badges"] += _where(connection, schema.badge, schema.badge.c.member.in_(part))
        gone["authorizations"] += _where(
            connection, schema.authorization, schema.authorization.c.guardian.in_(part)
        )
        gone["accounts"] += _where(connection, schema.account, schema.account.c.member.in_(part))
        gone["members"] += _where(connection, schema.member, _m.id.in_(part))
    if ids:
        registry.bump(connection)
    return gone


def _note_ended(connection: Connection, now: datetime) -> None:
    """Note whose membership was ended by hand: the registry does not say when."""
    ended = select(_m.id).where(_m.status == Status.ENDED.value)
    _where(connection, schema.ended_member, _e.member.not_in(ended))
    known = select(_e.member)
    new = list(connection.scalars(ended.where(_m.id.not_in(known))))
    if new:
        connection.execute(
            insert(schema.ended_member), [{"member": member, "seen": now} for member in new]
        )


def _listed(
    connection: Connection, now: datetime, kept: Mapping[SiteId, timedelta], otherwise: timedelta
) -> int:
    """Take out whom roll-calls listed: it says who was inside, and is kept as long as that."""
    seen = look.c
    is_old = or_(
        *((seen.site == site) & (seen.at < now - length) for site, length in kept.items()),
        seen.site.not_in(list(kept)) & (seen.at < now - otherwise),
    )
    return _purged(connection, look_about, look_about.c.look.in_(select(seen.id).where(is_old)))


def _purged(connection: Connection, table: Table, *which: Any) -> int:  # noqa: ANN401 (SQLAlchemy's)
    """Take out rows of a table that is append-only."""
    connection.execute(insert(schema.purge_permit).values(id=1))
    gone = _where(connection, table, *which)
    connection.execute(delete(schema.purge_permit))
    return gone


def _where(connection: Connection, table: Table, *which: Any) -> int:  # noqa: ANN401 (SQLAlchemy's)
    return connection.execute(delete(table).where(*which)).rowcount
