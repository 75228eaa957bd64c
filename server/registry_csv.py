"""Members from a CSV file (RFC 4180): read whole, with each bad line named, before any is written.

A first line names the columns: `id` and `name`, and maybe the others of `COLUMNS`. Files of
spreadsheets that separate by `;` are read too, as is the byte order mark that some put first.
"""

import csv
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from access.calendar import instant
from access.ids import MemberId, SiteId
from access.model import Plan, Status, Validity
from server.registry_base import RegistryError
from server.registry_members import Person, checked, emails_taken, put_members

COLUMNS: Final = (
    "id",
    "name",
    "email",
    "language",
    "plan",
    "status",
    "since",
    "until",
    "guardian",
    "sites",
)
"""The columns, in any order; `id` and `name` must be there, and no others may be."""

MOST_LINES: Final = 100_000
"""The most lines that a file may have."""

_NEEDED: Final = ("id", "name")
_YES: Final = frozenset({"yes", "true", "1", "oui", "x"})
_NO: Final = frozenset({"", "no", "false", "0", "non"})
_UTC: Final = ZoneInfo("UTC")

E = TypeVar("E", bound=Enum)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRow:
    """One member of the file, and the line that it stands on, from 1."""

    line: int
    person: Person


@dataclass(frozen=True, slots=True, kw_only=True)
class LineError:
    """What is wrong with a line, and what to do."""

    line: int
    problem: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.problem}"


class ImportRefusedError(RegistryError):
    """Nothing was imported, for some lines are bad.

    Attributes:
        errors: each bad line, in order.
    """

    def __init__(self, errors: Sequence[LineError]) -> None:
        super().__init__("nothing was imported; " + "; ".join(map(str, errors)))
        self.errors = tuple(errors)


def read_members_csv(
    text: str, *, sites: Collection[SiteId] = (), zone: ZoneInfo = _UTC
) -> tuple[list[MemberRow], list[LineError]]:
    """Read members from CSV. Touches no database, and raises nothing whatever the text is.

    Args:
        text: the whole file.
        sites: the sites that there are. A line without `sites` belongs to all of them; with none
            given here, any site may be named.
        zone: whose midnight the dates in `since` and `until` mean. `until` is the last day.

    Returns:
        The members of the good lines, and what is wrong with the bad ones, both in order of line.
    """
    reading = _Reading(frozenset(sites), zone)
    try:
        reading.read(text)
    except csv.Error as error:
        reading.errors.append(LineError(line=reading.line, problem=f"is not CSV ({error})"))
    return reading.rows, sorted(reading.errors, key=lambda error: error.line)


def import_members(
    connection: Connection, rows: Sequence[MemberRow], at: datetime
) -> tuple[int, int]:
    """Add the members of a file, and write those anew whose id is known: all, or none.

    Args:
        connection: of a transaction that writes.
        rows: from `read_members_csv`.
        at: now.

    Returns:
        How many were added, and how many were known.

    Raises:
        ImportRefusedError: an e-mail is that of a member who is not in the file.
        RegistryError: a row can't be used.
    """
    lines = {row.person.id: row.line for row in rows}
    errors = [
        LineError(
            line=lines[person.id],
            problem=f"e-mail {person.email!r} is that of member {owner}; give another",
        )
        for person, owner in emails_taken(connection, [checked(row.person) for row in rows])
    ]
    if errors:
        raise ImportRefusedError(sorted(errors, key=lambda error: error.line))
    return put_members(connection, [row.person for row in rows], at)


class _Reading:
    """The state of reading one file."""

    def __init__(self, sites: frozenset[SiteId], zone: ZoneInfo) -> None:
        self.rows: list[MemberRow] = []
        self.errors: list[LineError] = []
        self.line = 1
        self._sites = sites
        self._zone = zone
        self._seen: dict[str, int] = {}

    def read(self, text: str) -> None:
        records = self._records(text.removeprefix("\ufeff"))
        header = next(records, None)
        if header is None:
            self._refuse("the file is empty; its first line names the columns, such as id,name")
            return
        columns = [name.strip().lower() for name in header]
        problem = _problem_of(columns)
        if problem is not None:
            self._refuse(problem)
            return
        for values in records:
            if any(value.strip() for value in values):
                self._take(columns, values)

    def _records(self, text: str) -> Iterator[list[str]]:
        """Give each record, noting the line on which it begins."""
        first = text.partition("\n")[0]
        reader = csv.reader(
            io.StringIO(text, newline=""),
            delimiter=";" if first.count(";") > first.count(",") else ",",
            strict=True,
        )
        before = 0
        while before < MOST_LINES:
            self.line = before + 1
            values = next(reader, None)
            if values is None:
                return
            before = reader.line_num
            yield values
        self._refuse(f"a file has at most {MOST_LINES} lines; split it")

    def _take(self, columns: Sequence[str], values: Sequence[str]) -> None:
        if len(values) != len(columns):
            self._refuse(f"has {len(values)} values for {len(columns)} columns; check its commas")
            return
        fields = dict(zip(columns, (value.strip() for value in values), strict=True))
        try:
            person = checked(self._person(fields))
            self._claim(f"member id {person.id}")
            if person.email is not None:
                self._claim(f"e-mail {person.email}")
        except RegistryError as error:
            self._refuse(str(error))
        else:
            self.rows.append(MemberRow(line=self.line, person=person))

    def _person(self, fields: Mapping[str, str]) -> Person:
        since, until = fields.get("since", ""), fields.get("until", "")
        return Person(
            id=MemberId(fields["id"]),
            name=fields["name"],
            email=fields.get("email") or None,
            language=fields.get("language", "").lower() or "fr",
            plan=_choice(Plan, "plan", fields.get("plan", ""), Plan.NOMAD),
            status=_choice(Status, "status", fields.get("status", ""), Status.ACTIVE),
            validity=Validity(
                since=_midnight("since", since, self._zone, days=0),
                until=_midnight("until", until, self._zone, days=1),
            ),
            is_guardian=_is_yes("guardian", fields.get("guardian", "")),
            sites=self._sites_in(fields.get("sites", "")),
        )

    def _sites_in(self, text: str) -> frozenset[SiteId]:
        named = frozenset(SiteId(name) for name in text.replace(",", " ").split())
        unknown = sorted(named - self._sites) if self._sites else []
        if unknown:
            known = " ".join(sorted(self._sites))
            raise RegistryError(f"there is no site {unknown[0][:40]!r}; write some of: {known}")
        return named or self._sites

    def _claim(self, value: str) -> None:
        if value in self._seen:
            raise RegistryError(f"{value} stands on line {self._seen[value]} already; keep one")
        self._seen[value] = self.line

    def _refuse(self, problem: str) -> None:
        self.errors.append(LineError(line=self.line, problem=problem))


def _problem_of(columns: Sequence[str]) -> str | None:
    """Say what is wrong with the names of the columns."""
    for name in _NEEDED:
        if name not in columns:
            return f"there is no column {name!r}; the first line names them, such as id,name,email"
    for name in columns:
        if name not in COLUMNS:
            return f"column {name[:40]!r} is not known; there are {', '.join(COLUMNS)}"
        if columns.count(name) > 1:
            return f"column {name!r} is there twice; keep one"
    return None


def _choice(kind: type[E], what: str, text: str, default: E) -> E:
    try:
        return kind(text.lower()) if text else default
    except ValueError:
        choices = ", ".join(str(one.value) for one in kind)
        raise RegistryError(f"{what} {text[:40]!r}: write one of {choices}") from None


def _is_yes(what: str, text: str) -> bool:
    if text.lower() in _YES:
        return True
    if text.lower() in _NO:
        return False
    raise RegistryError(f"{what} {text[:40]!r}: write yes or no")


def _midnight(what: str, text: str, zone: ZoneInfo, *, days: int) -> datetime | None:
    """Give the instant at which a day begins, `days` later; None for an empty text."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text) + timedelta(days=days)
        return instant(datetime.combine(day, time()), zone, is_end=False).astimezone(UTC)
    except (ValueError, OverflowError):
        raise RegistryError(f"{what} {text[:40]!r}: write a date such as 2026-09-30") from None
