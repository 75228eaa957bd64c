"""All that is held on one member: the same for the command line, the API and their own page."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import Connection, select

from access.ids import BadgeDigest, MemberId, SiteId
from access.tokens import SeenToken
from server import badge_tokens, ledger, registry, schema
from server.forgetting_ledger import sites_of
from server.looks import list_looks
from server.own_events import NamedIn, events_of
from server.own_records import Misfit, misfits_of, records_of
from server.personal import EVERYTHING, LookTold, Personal, look_told, personal
from server.sessions import web_session
from server.state import from_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser that is logged in: since when, and when it last asked for a page."""

    created: datetime
    seen: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A log-in of the dashboard; its password is kept as a hash, which is not given out.

    Attributes:
        changed_at: when the password was set.
    """

    email: str
    changed_at: datetime
    sessions: tuple[Session, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """They are inside now, as far as is known."""

    site: SiteId
    since: datetime
    door: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings(Personal):
    """All that is held on one member. A new table with people in it belongs here.

    Attributes:
        tokens: what each badge of level L1 has shown at its visits, oldest first; by its digest,
            which stands for a card's number here.
        authorizations: rights to open a site, revoked ones too.
        logins: of the dashboard.
        inside: where they are now.
        events: of calendars, that name them.
        looked: at other people's records.
        records: of the ledger, wherever they are in one, without other people; newest first.
        set_aside: what doors sent of them that did not fit; likewise.
    """

    tokens: Mapping[BadgeDigest, tuple[SeenToken, ...]]
    authorizations: tuple[registry.Grant, ...]
    logins: tuple[Login, ...]
    inside: tuple[Inside, ...]
    events: tuple[NamedIn, ...]
    looked: tuple[LookTold, ...]
    records: tuple[dict[str, object], ...]
    set_aside: tuple[Misfit, ...]


def holdings_of(connection: Connection, member: MemberId) -> Holdings:
    """Gather all that is held on a member. Blocks for the database.

    Args:
        connection: of a transaction.
        member: who.

    Raises:
        UnknownMemberError: they are not in the registry.
    """
    own = personal(connection, member)
    badges = [badge.digest for badge in own.badges]
    return Holdings(
        **{field.name: getattr(own, field.name) for field in fields(Personal)},
        tokens=badge_tokens.seen_of(connection, member),
        authorizations=tuple(registry.list_authorizations_of(connection, member)),
        logins=_logins(connection, member),
        inside=_inside(connection, member),
        events=events_of(connection, member, own.email),
        looked=_looked(connection, member),
        records=records_of(connection, member, badges),
        set_aside=misfits_of(connection, member, badges),
    )


def _logins(connection: Connection, member: MemberId) -> tuple[Login, ...]:
    account, session = schema.account.c, web_session.c
    rows = connection.execute(select(schema.account).where(account.member == member)).all()
    return tuple(
        Login(
            email=row.email,
            changed_at=row.changed_at,
            sessions=tuple(
                Session(created=one.created, seen=one.seen)
                for one in connection.execute(
                    select(session.created, session.seen).where(session.email == row.email)
                )
            ),
        )
        for row in rows
    )


def _inside(connection: Connection, member: MemberId) -> tuple[Inside, ...]:
    found = []
    for site in sites_of(connection):
        state = ledger.load_state(connection, site)
        stay = None if state is None else from_json(state[1]).presence.inside.get(member)
        if stay is not None:
            found.append(Inside(site=site, since=stay.since, door=stay.door))
    return tuple(found)


def _looked(connection: Connection, member: MemberId) -> tuple[LookTold, ...]:
    return tuple(map(look_told, list_looks(connection, by=member, limit=EVERYTHING)))
