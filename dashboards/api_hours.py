"""The API on one's own time bank: the statement of a month, one's presence, spending."""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from flask import request

from access.model import Plan
from access.presence_hours import NotOverError, PresenceMonth
from access.time_bank import (
    MOST_MINUTES,
    Month,
    OverdrawnError,
    StatementLine,
    TimeBankError,
    month_of,
    parse_month,
)
from dashboards.api_once import HEADER
from dashboards.api_problems import Problem
from dashboards.parts import a_viewer, parts, site, zone
from dashboards.texts import gettext
from server import time_bank
from server.presence_accounts import presence_of
from server.registry import RegistryError, find_member

_MONTH: Final = r"^2\d{3}-\d{2}$"


class PostingReport(msgspec.Struct, frozen=True, kw_only=True):
    """Minutes that moved: to the member above zero; `balance` is what they had after it."""

    at: datetime
    site: str
    minutes: int
    balance: int
    cause: str
    watch: str | None
    for_month: str | None
    reason: str | None


class PresenceReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a nomad was present at the site in the month, in minutes.

    `included`: what the plan has. `left`: what is beyond it and not paid for. `spendable`: the most
    that may be spent against it now; null where only the balance says.
    """

    present: int
    included: int | None
    spent: int
    left: int
    spendable: int | None


class HoursAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to the member's minutes in a month; `presence` is counted for nomads only."""

    month: str
    opening: int
    closing: int
    postings: list[PostingReport]
    presence: PresenceReport | None


class HoursQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which month.

    `month`: such as 2026-11; this one if it is left out.
    """

    month: Annotated[str, msgspec.Meta(pattern=_MONTH)] | None = None


class SpendBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many minutes are spent against the presence of which month."""

    minutes: Annotated[int, msgspec.Meta(ge=1, le=MOST_MINUTES)]
    month: Annotated[str, msgspec.Meta(pattern=_MONTH)]


def hours(query: HoursQuery) -> HoursAnswer:
    """Give one's own statement of the time bank."""
    return _answer(_month(query.month))


def spend(body: SpendBody) -> HoursAnswer:
    """Spend one's own minutes; with a key, once for good."""
    caller, month = a_viewer().member, _month(body.month)
    key = request.headers.get(HEADER)
    try:
        with parts().database.writing() as connection:
            time_bank.spend(
                connection,
                place=site(),
                member=caller,
                minutes=body.minutes,
                month=month,
                by=caller,
                at=parts().clock.now(),
                key=None if key is None else f"{caller}/api/{key}",
            )
    except (TimeBankError, RegistryError) as error:
        raise Problem("refused", _refused(error)) from error
    return _answer(month)


def _answer(month: Month) -> HoursAnswer:
    with parts().database.reading() as connection:
        found = time_bank.statement(connection, a_viewer().member, month, zone())
    return HoursAnswer(
        month=str(found.month),
        opening=found.opening,
        closing=found.closing,
        postings=[_posting(line) for line in found.lines],
        presence=_presence(month),
    )


def _presence(month: Month) -> PresenceReport | None:
    if site().plans.nomad.hours_a_month is None:
        return None
    caller, now = a_viewer().member, parts().clock.now()
    with parts().database.reading() as connection:
        if find_member(connection, caller).plan is not Plan.NOMAD:
            return None
        return _told(presence_of(connection, site(), caller, month, now))


def _told(found: PresenceMonth) -> PresenceReport:
    return PresenceReport(
        present=found.present,
        included=found.included,
        spent=found.spent,
        left=found.left,
        spendable=found.spendable,
    )


def _month(asked: str | None) -> Month:
    try:
        if asked is None:
            return month_of(parts().clock.now(), zone())
        return parse_month(asked)
    except TimeBankError as error:
        raise Problem("bad-request", gettext("Write the month as 2026-11.")) from error


def _posting(line: StatementLine) -> PostingReport:
    posting = line.posting
    return PostingReport(
        at=posting.at,
        site=posting.site,
        minutes=posting.minutes,
        balance=line.balance,
        cause=posting.cause.value,
        watch=posting.watch,
        for_month=None if posting.month is None else str(posting.month),
        reason=posting.reason,
    )


def _refused(error: Exception) -> str:
    if isinstance(error, NotOverError):
        return gettext("That is more than what is left to pay of this month.")
    if isinstance(error, OverdrawnError):
        return gettext("That is more than what your time bank holds.")
    return gettext("That can't be spent. Load the page again, or ask the desk.")
