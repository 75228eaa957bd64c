"""Authorizations granted directly: once, or again each week at the same local time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from access.ids import MemberId, SiteId
from access.instants import Span
from access.model import Audience
from server import schema
from server.registry_base import RegistryError, UnknownError, bump
from server.registry_members import find_member

_WEEK: Final = timedelta(days=7)
_MOST_MARGIN: Final = timedelta(hours=12)
_MOST_TITLE: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """An authorization as it was granted.

    Attributes:
        id: of the grant.
        site: which site may be opened.
        guardian: by whom.
        span: when, without lead and grace; of the first time, where it is weekly.
        lead: how early before the start they may open.
        grace: how long after the end the watch must be over.
        is_weekly: whether it holds again each week at the same local time, until it is revoked.
        title: what for, for people.
        audience: whom the watch admits.
        revoked_at: since when it holds no more.
    """

    id: str
    site: SiteId
    guardian: MemberId
    span: Span
    lead: timedelta = timedelta(minutes=30)
    grace: timedelta = timedelta(minutes=30)
    is_weekly: bool = False
    title: str | None = None
    audience: Audience = Audience.MEMBERS
    revoked_at: datetime | None = None


_a: Final = schema.authorization.c
_in_order: Final = select(schema.authorization).order_by(_a.start_at, _a.id)
_select_all: Final = _in_order.where(_a.site == bindparam("site"))
_select_standing: Final = _select_all.where(_a.revoked_at.is_(None))
_select_of: Final = _in_order.where(_a.guardian == bindparam("guardian"))
_select_one: Final = select(schema.authorization).where(_a.id == bindparam("id"))
_insert: Final = insert(schema.authorization)
_revoke: Final = (
    update(schema.authorization)
    .where(_a.id == bindparam("key"), _a.revoked_at.is_(None))
    .values(revoked_at=bindparam("at"))
)


def authorize(
    connection: Connection,
    *,
    site: SiteId,
    guardian: MemberId,
    span: Span,
    lead: timedelta = timedelta(minutes=30),
    grace: timedelta = timedelta(minutes=30),
    is_weekly: bool = False,
    title: str | None = None,
    audience: Audience = Audience.MEMBERS,
) -> Grant:
    """Grant a guardian the right to open a site; see `Grant` for the arguments.

    Raises:
        UnknownError: there is no such member.
        RegistryError: the member is no guardian or does not belong to the site, or a value can't
            be used.
    """
    _check(span, lead=lead, grace=grace, is_weekly=is_weekly, title=title, audience=audience)
    grant = Grant(
        id=uuid4().hex[:12],
        site=site,
        guardian=_guardian(connection, guardian, site),
        span=span,
        lead=lead,
        grace=grace,
        is_weekly=is_weekly,
        title=title,
        audience=audience,
    )
    connection.execute(_insert, [_fields(grant)])
    bump(connection)
    return grant


def revoke_authorization(connection: Connection, id_: str, at: datetime) -> None:
    """Take a grant back; one that is revoked already stays as it is.

    Raises:
        UnknownError: there is no such grant.
    """
    if connection.execute(_revoke, {"key": id_, "at": at}).rowcount:
        bump(connection)
    elif connection.execute(_select_one, {"id": id_}).first() is None:
        raise UnknownError(f"no authorization {id_[:40]!r}; see `gardien guardian list`")


def list_authorizations(
    connection: Connection, site: SiteId, *, with_revoked: bool = False
) -> list[Grant]:
    """Give the grants of a site in order of their (first) start, revoked ones only if asked for."""
    statement = _select_all if with_revoked else _select_standing
    return [_grant(row) for row in connection.execute(statement, {"site": site})]


def list_authorizations_of(connection: Connection, guardian: MemberId) -> list[Grant]:
    """Give the grants of one guardian, at all sites, revoked ones too."""
    return [_grant(row) for row in connection.execute(_select_of, {"guardian": guardian})]


def _check(
    span: Span,
    *,
    lead: timedelta,
    grace: timedelta,
    is_weekly: bool,
    title: str | None,
    audience: Audience,
) -> None:
    for name, margin in (("lead", lead), ("grace", grace)):
        if not timedelta() <= margin <= _MOST_MARGIN or margin % timedelta(seconds=1):
            raise RegistryError(f"{name} {margin}: write whole seconds, 0 to 12 hours")
    if span.length > _WEEK or (is_weekly and span.length == _WEEK):
        raise RegistryError(f"an authorization lasts less than a week, not {span.length}")
    if audience is Audience.REGISTERED:
        raise RegistryError(
            "an authorization for who is registered needs their list; import it as an event"
        )
    if title is not None and (len(title) > _MOST_TITLE or not title.isprintable()):
        raise RegistryError(f"title {title[:90]!r}: write at most {_MOST_TITLE} characters")


def _guardian(connection: Connection, guardian: MemberId, site: SiteId) -> MemberId:
    person = find_member(connection, guardian)
    if not person.is_guardian:
        raise RegistryError(f"member {person.id} is not a guardian; make them one first")
    if site not in person.sites:
        raise RegistryError(f"member {person.id} does not belong to site {site}; add it first")
    return person.id


def _fields(grant: Grant) -> dict[str, Any]:
    return {
        "id": grant.id,
        "site": grant.site,
        "guardian": grant.guardian,
        "start_at": grant.span.start,
        "end_at": grant.span.end,
        "lead_s": grant.lead // timedelta(seconds=1),
        "grace_s": grant.grace // timedelta(seconds=1),
        "is_weekly": grant.is_weekly,
        "title": grant.title,
        "audience": grant.audience.value,
        "revoked_at": grant.revoked_at,
    }


def _grant(row: Row[Any]) -> Grant:
    return Grant(
        id=row.id,
        site=SiteId(row.site),
        guardian=MemberId(row.guardian),
        span=Span(start=row.start_at, end=row.end_at),
        lead=timedelta(seconds=row.lead_s),
        grace=timedelta(seconds=row.grace_s),
        is_weekly=row.is_weekly,
        title=row.title,
        audience=Audience(row.audience),
        revoked_at=row.revoked_at,
    )
