"""The API on looks: who looked at whose records, for staff who say why they ask."""

from datetime import datetime
from typing import Annotated

import msgspec

from dashboards.api_problems import Problem
from dashboards.looking import LEAST_REASON, MOST_REASON, plain
from dashboards.pages_looks import SHOWN, looks_of
from server.registry import UnknownError


class LooksQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which looks, and why the caller wants to know.

    `reason`: in words; it is recorded with the caller's own look, so write no names in it.
    `about`: only at the records of this member, by id or e-mail.
    `before`: only such as were noted before this one, by its `id`.
    `limit`: at most so many.
    """

    reason: Annotated[
        str, msgspec.Meta(min_length=LEAST_REASON, max_length=MOST_REASON, pattern=r"\S")
    ]
    about: Annotated[str, msgspec.Meta(min_length=1, max_length=254)] | None = None
    before: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=SHOWN)] = SHOWN


class LookReport(msgspec.Struct, frozen=True, kw_only=True):
    """One look. `about` has ids: of one member, or of those whom a roll-call listed."""

    id: int
    at: datetime
    who: str
    role: str | None
    what: str
    about: list[str]
    reason: str | None


class LooksAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Who looked at other people's records, newest first."""

    looks: list[LookReport]


def looks(query: LooksQuery) -> LooksAnswer:
    """List who looked; that the caller reads it is recorded, with their reason."""
    try:
        found = looks_of(query.about, plain(query.reason), before=query.before, limit=query.limit)
    except UnknownError as error:
        raise Problem("not-found") from error
    return LooksAnswer(
        looks=[
            LookReport(
                id=one.id,
                at=one.at,
                who=one.member,
                role=one.role,
                what=one.what,
                about=list(one.among) if one.about is None else [one.about],
                reason=one.reason,
            )
            for one in found
        ]
    )
