"""Who looked at other people's records: with what right, at whose, and why.

Ids only, which are pseudonyms: no name, e-mail address or badge. Kept for twelve months, longer
than what was looked at (CNIL, deliberation 2021-122); see `server.forgetting_registry`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    Table,
    Text,
    event,
    insert,
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

OPERATOR: Final = MemberId("operator")

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

LOOK_GUARD: Final = only_added_to("look", "who looked")
"""Statements by dialect that make the table append-only; a purge may pass: see `server.schema`."""


@event.listens_for(look, "after_create")
def _guard(target: Table, connection: Connection, **_: object) -> None:  # noqa: ARG001 (SQLAlchemy's)
    for statement in LOOK_GUARD[connection.dialect.name]:
        connection.exec_driver_sql(statement)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Somebody looked at other people's records.

    Attributes:
        member: who looked.
        role: with what right; None where it is not known any more.
        what: at which page: `roll-call`, `why/123`, `export`.
        about: whose records; None where it was everybody's.
        reason: why; None where it is not known any more.
    """

    site: SiteId
    member: MemberId
    role: str | None
    what: str
    about: MemberId | None
    reason: str | None
    at: datetime


_l: Final = look.c


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
        about: at whose records; None for everybody's.
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
    connection.execute(insert(look), values)


def list_looks(
    connection: Connection,
    site: SiteId | None = None,
    *,
    about: MemberId | None = None,
    limit: int = 100,
) -> list[Look]:
    """List who looked at other people's records, newest first.

    Args:
        connection: of a transaction.
        site: only at this one; what is held at all of them counts everywhere.
        about: only at this member's records.
        limit: at most so many.
    """
    query = select(look).order_by(_l.id.desc()).limit(limit)
    if site is not None:
        query = query.where(_l.site.in_([site, ""]))
    if about is not None:
        query = query.where(_l.about == about)
    return [
        Look(
            site=SiteId(row.site),
            member=MemberId(row.member),
            role=row.role,
            what=row.what,
            about=None if row.about is None else MemberId(row.about),
            reason=row.reason,
            at=row.at,
        )
        for row in connection.execute(query)
    ]
