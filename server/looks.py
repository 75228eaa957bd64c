"""Who looked at other people's records: with what right, at whose, and why.

Ids only, which are pseudonyms: no name, e-mail address or badge. Kept for twelve months, longer
than what was looked at (CNIL, deliberation 2021-122); see `server.forgetting_registry`. Whom a
roll-call listed says who was inside: that goes with who badged. What counts as a look, and why:
`docs/decisions/0009-what-is-a-look.md`.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    event,
    insert,
    or_,
    select,
)

from access.ids import MemberId, SiteId
from server.database import Instant
from server.schema import metadata, only_added_to

Role = Literal["staff", "guardian", "operator"]
"""With what right: of the staff, as the guardian on watch, or at the command line."""

DUTY: Final = "duty"
"""The reason of a roll-call on the page: who is responsible for the place must know who is inside.

Nobody should have to type one while the house is on fire.
"""

REFUSAL: Final = "refusal"
"""The reason of a look at a refusal: somebody stands at the door and asks why."""

ASKED: Final = "asked"
"""The reason of an export: the member asked for what is held on them."""

BOARD: Final = "board"
"""The reason of a look at the board of the day by somebody who is not on watch."""

DAILY_EVERY: Final = timedelta(hours=1)
"""How often a look at what goes on is noted while it lasts: a page that moves is read all day."""

OPERATOR: Final = MemberId("operator")

_CHUNK: Final = 500

look: Final = Table(
    "look",
    metadata,
    Column(
        "id",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    Column("site", Text, nullable=False),
    Column("member", Text, nullable=False, comment="id of who looked; never a name"),
    Column("what", Text, nullable=False, comment="the page: 'roll-call'"),
    Column("at", Instant, nullable=False),
    Column("role", Text, comment="'staff', 'guardian' or 'operator'; none in old rows"),
    Column("about", Text, comment="id of whom it was about; none where it was about everybody"),
    Column("reason", Text, comment="'duty', 'refusal', 'asked', or words without a name"),
    Index(None, "site", "at"),
    Index(None, "about"),
    comment="Who looked at other people's records.",
    sqlite_autoincrement=True,
)

look_about: Final = Table(
    "look_about",
    metadata,
    Column(
        "look",
        BigInteger().with_variant(Integer, "sqlite"),
        ForeignKey("look.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("member", Text, primary_key=True, index=True, comment="id of one whom it listed"),
    comment="Whom a roll-call listed, and so who was inside then.",
)

LOOK_GUARD: Final = only_added_to("look", "who looked")
"""Statements by dialect that make the table append-only; a purge may pass: see `server.schema`."""

LOOK_ABOUT_GUARD: Final = only_added_to("look_about", "whom a roll-call listed")
"""The same of those whom a look listed."""

_GUARDS: Final = {look.name: LOOK_GUARD, look_about.name: LOOK_ABOUT_GUARD}


@event.listens_for(look, "after_create")
@event.listens_for(look_about, "after_create")
def _guard(target: Table, connection: Connection, **_: object) -> None:
    for statement in _GUARDS[target.name][connection.dialect.name]:
        connection.exec_driver_sql(statement)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Somebody looked at other people's records.

    Attributes:
        id: in the order in which they were noted.
        member: who looked.
        role: with what right; None where it is not known any more.
        what: at what: `roll-call`, `board`, `events`, `looks`, `why/123`, `export`.
        about: whose records; None where it was several people's.
        among: those whom a roll-call listed, in order of their ids; empty once it is forgotten.
        reason: why; None where it is not known any more.
    """

    id: int
    site: SiteId
    member: MemberId
    role: str | None
    what: str
    about: MemberId | None
    among: tuple[MemberId, ...] = ()
    reason: str | None
    at: datetime


_l: Final = look.c
_a: Final = look_about.c


def note_look(
    connection: Connection,
    *,
    site: SiteId,
    member: MemberId,
    role: Role,
    what: str,
    reason: str,
    at: datetime,
    about: MemberId | None = None,
    among: Collection[MemberId] = (),
) -> None:
    """Record that somebody looks at other people's records: before they are shown.

    Args:
        connection: of a transaction that writes.
        site: where; empty for what is held at all of them.
        member: who looks.
        role: with what right.
        what: at what.
        reason: why; no name may be in it.
        at: when.
        about: at whose records; None for several people's.
        among: whose, where each of them is to see it.
    """
    values = {
        "site": site,
        "member": member,
        "role": role,
        "what": what,
        "about": about,
        "reason": reason,
        "at": at,
    }
    noted = connection.execute(insert(look).returning(_l.id), values).scalar_one()
    if among:
        listed = [{"look": noted, "member": one} for one in sorted(set(among))]
        connection.execute(insert(look_about), listed)


def is_noted(
    connection: Connection, *, site: SiteId, member: MemberId, what: str, at: datetime
) -> bool:
    """Whether somebody's look at what goes on was noted within `DAILY_EVERY`, or after."""
    of_late = select(_l.id).where(
        _l.site == site, _l.at > at - DAILY_EVERY, _l.member == member, _l.what == what
    )
    return connection.execute(of_late.limit(1)).first() is not None


def list_looks(
    connection: Connection,
    site: SiteId | None = None,
    *,
    about: MemberId | None = None,
    by: MemberId | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Look]:
    """List who looked at other people's records, newest first.

    Args:
        connection: of a transaction.
        site: only at this one; what is held at all of them counts everywhere.
        about: only at this member's records.
        by: only this member's own looks.
        before: only such as were noted before this one, by its id.
        limit: at most so many.
    """
    query = select(look).order_by(_l.id.desc()).limit(limit)
    if site is not None:
        query = query.where(_l.site.in_([site, ""]))
    if about is not None:
        listed = select(_a.look).where(_a.member == about)
        query = query.where(or_(_l.about == about, _l.id.in_(listed)))
    if by is not None:
        query = query.where(_l.member == by)
    if before is not None:
        query = query.where(_l.id < before)
    rows = connection.execute(query).all()
    among = _among(connection, [row.id for row in rows])
    return [
        Look(
            id=row.id,
            site=SiteId(row.site),
            member=MemberId(row.member),
            role=row.role,
            what=row.what,
            about=None if row.about is None else MemberId(row.about),
            among=tuple(among.get(row.id, ())),
            reason=row.reason,
            at=row.at,
        )
        for row in rows
    ]


def _among(connection: Connection, ids: Iterable[int]) -> dict[int, list[MemberId]]:
    found: dict[int, list[MemberId]] = {}
    # In parts: SQLite takes so many values in one statement, and an export has no limit.
    every = list(ids)
    for start in range(0, len(every), _CHUNK):
        part = every[start : start + _CHUNK]
        listed = select(look_about).where(_a.look.in_(part)).order_by(_a.look, _a.member)
        for row in connection.execute(listed):
            found.setdefault(row.look, []).append(MemberId(row.member))
    return found
