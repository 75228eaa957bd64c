"""Members: who they are, which sites they belong to, and whether their membership runs."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, bindparam, delete, insert, or_, select, update

from access.ids import MemberId, SiteId, SlugError, slug
from access.model import Member, Plan, Status, Validity
from server import schema
from server.registry_base import RegistryError, TakenError, UnknownError, bump

MOST_NAME: Final = 80
"""The longest name, in characters."""

LANGUAGES: Final = ("fr", "en")
"""The languages that gardien speaks."""

_MOST_EMAIL: Final = 254  # RFC 5321, 4.5.3.1.3, less the angle brackets
_EMAIL: Final = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One member, with what people need to know of them.

    Attributes:
        id: slug.
        name: 1 to 80 printable characters.
        email: in lower case; None for none.
        language: of what is said to them.
        plan: what they pay for, or are.
        status: whether their membership runs.
        validity: from when until when it runs.
        is_guardian: whether they may be given authorizations.
        sites: where they belong; none is nowhere.
    """

    id: MemberId
    name: str
    email: str | None = None
    language: str = "fr"
    plan: Plan = Plan.NOMAD
    status: Status = Status.ACTIVE
    validity: Validity = Validity()  # noqa: RUF009 (immutable)
    is_guardian: bool = False
    sites: frozenset[SiteId] = field(default_factory=frozenset)

    def for_rules(self) -> Member:
        """Give what the rules need of them: everything but their name and address."""
        return Member(
            id=self.id,
            plan=self.plan,
            status=self.status,
            validity=self.validity,
            is_guardian=self.is_guardian,
            language=self.language,
        )


_m: Final = schema.member.c
_at: Final = schema.member_site.c
_select_all: Final = select(schema.member).order_by(_m.id)
_select_site: Final = _select_all.join(schema.member_site).where(_at.site == bindparam("site"))
_select_one: Final = _select_all.where(
    or_(_m.id == bindparam("key"), _m.email == bindparam("email"))
)
_select_emails: Final = select(_m.email, _m.id).where(
    _m.email.in_(bindparam("emails", expanding=True))
)
_select_ids: Final = select(_m.id).where(_m.id.in_(bindparam("ids", expanding=True)))
_select_sites: Final = select(_at.member, _at.site).where(
    _at.member.in_(bindparam("ids", expanding=True))
)
_insert_member: Final = insert(schema.member)
_insert_site: Final = insert(schema.member_site)
_update_member: Final = (
    update(schema.member)
    .where(_m.id == bindparam("key"))
    .values({name: bindparam(name) for name in _m.keys() if name not in ("id", "created")})  # noqa: SIM118 (not a dict)
)
_update_status: Final = (
    update(schema.member).where(_m.id == bindparam("key")).values(status=bindparam("new_status"))
)
_delete_sites: Final = delete(schema.member_site).where(
    _at.member.in_(bindparam("ids", expanding=True))
)

_CHUNK: Final = 500
"""How many values one statement may ask for; both databases take more."""


def checked(person: Person) -> Person:
    """Check a person's fields, and give them with the e-mail in lower case.

    Raises:
        RegistryError: a field can't be used; the message says which, and what to write.
    """
    _check_slug(person.id, "member")
    for site in person.sites:
        _check_slug(site, "site")
    name = person.name.strip()
    if not name or len(name) > MOST_NAME or not name.isprintable():
        raise RegistryError(f"name {person.name[:90]!r}: write 1 to {MOST_NAME} characters")
    if person.language not in LANGUAGES:
        raise RegistryError(f"language {person.language[:20]!r}: write fr or en")
    since, until = person.validity.since, person.validity.until
    if since is not None and until is not None and until <= since:
        raise RegistryError(f"member {person.id}: the end, {until}, must be after {since}")
    email = None if person.email is None else normal_email(person.email)
    return replace(person, name=name, email=email)


def normal_email(text: str) -> str:
    """Give an e-mail address in lower case, without spaces around it.

    Raises:
        RegistryError: it is not one.
    """
    email = text.strip().lower()
    if not _EMAIL.fullmatch(email) or len(email) > _MOST_EMAIL or not email.isprintable():
        raise RegistryError(f"e-mail {text[:90]!r}: write one such as anna@example.org")
    return email


def add_member(connection: Connection, person: Person, at: datetime) -> Person:
    """Add a member; give them as they were written.

    Raises:
        TakenError: the id or the e-mail is somebody's already.
        RegistryError: a field can't be used.
    """
    person = checked(person)
    if _known_ids(connection, [person.id]):
        raise TakenError(f"member id {person.id!r} is taken; choose another")
    _refuse_taken_emails(connection, [person])
    _write_new(connection, [person], at)
    bump(connection)
    return person


def change_member(connection: Connection, person: Person) -> Person:
    """Write a member's fields anew, all of them; give them as they were written.

    Raises:
        UnknownError: there is no member of this id.
        TakenError: the e-mail is somebody else's.
        RegistryError: a field can't be used.
    """
    person = checked(person)
    if not _known_ids(connection, [person.id]):
        raise unknown_member(person.id)
    _refuse_taken_emails(connection, [person])
    _write_changed(connection, [person])
    bump(connection)
    return person


def change_status(connection: Connection, member: MemberId, status: Status) -> None:
    """Suspend a member, end a membership, or let it run again.

    Raises:
        UnknownError: there is no such member.
    """
    values = {"key": member, "new_status": status.value}
    if connection.execute(_update_status, values).rowcount == 0:
        raise unknown_member(member)
    bump(connection)


def put_members(connection: Connection, people: Sequence[Person], at: datetime) -> tuple[int, int]:
    """Add members, and write those anew whose id is known: all of them, or none.

    Returns:
        How many were added, and how many were known.

    Raises:
        TakenError: an e-mail is somebody else's.
        RegistryError: a field can't be used, or an id or an e-mail is written twice.
    """
    people = [checked(person) for person in people]
    _refuse_twins(people)
    known = _known_ids(connection, [person.id for person in people])
    _refuse_taken_emails(connection, people)
    changed = [person for person in people if person.id in known]
    # An address that passes from one to another within the list must be free in between.
    for person in changed:
        _write_changed(connection, [replace(person, email=None)])
    _write_new(connection, [person for person in people if person.id not in known], at)
    _write_changed(connection, changed)
    bump(connection)
    return len(people) - len(changed), len(changed)


def list_members(connection: Connection, site: SiteId | None = None) -> list[Person]:
    """Give all members, or those of one site, in order of their ids."""
    statement = _select_all if site is None else _select_site
    return _people(connection, statement, {} if site is None else {"site": site})


def find_member(connection: Connection, key: str) -> Person:
    """Find a member by id or e-mail.

    Raises:
        UnknownError: there is none.
    """
    found = _people(connection, _select_one, {"key": key, "email": key.strip().lower()})
    if not found:
        raise unknown_member(key)
    return found[0]


def unknown_member(key: str) -> UnknownError:
    """Make the error for somebody whom the registry does not know."""
    return UnknownError(f"no member {key[:90]!r}; see `gardien member list`")


def emails_taken(connection: Connection, people: Iterable[Person]) -> list[tuple[Person, MemberId]]:
    """Find whose e-mail is that of a member outside the list; with that member's id."""
    by_email = {person.email: person for person in people if person.email is not None}
    inside = {person.id for person in by_email.values()} | {person.id for person in people}
    owners: list[tuple[str, str]] = []
    for part in _chunks(list(by_email)):
        owners += [
            (row.email, row.id) for row in connection.execute(_select_emails, {"emails": part})
        ]
    return [(by_email[email], MemberId(owner)) for email, owner in owners if owner not in inside]


def _refuse_taken_emails(connection: Connection, people: Sequence[Person]) -> None:
    for person, owner in emails_taken(connection, people):
        raise TakenError(f"e-mail {person.email!r} is that of member {owner}; give another")


def _refuse_twins(people: Sequence[Person]) -> None:
    for values in (
        [f"member id {person.id}" for person in people],
        [f"e-mail {person.email}" for person in people if person.email is not None],
    ):
        seen: set[str] = set()
        for value in values:
            if value in seen:
                raise RegistryError(f"{value} is written twice; keep one")
            seen.add(value)


def _check_slug(text: str, what: str) -> None:
    try:
        slug(text, what)
    except SlugError as error:
        raise RegistryError(str(error)) from error


def _known_ids(connection: Connection, ids: Sequence[str]) -> set[str]:
    known: set[str] = set()
    for part in _chunks(ids):
        known |= set(connection.execute(_select_ids, {"ids": part}).scalars())
    return known


def _write_new(connection: Connection, people: Sequence[Person], at: datetime) -> None:
    if people:
        rows = [_fields(person) | {"id": person.id, "created": at} for person in people]
        connection.execute(_insert_member, rows)
        _write_sites(connection, people)


def _write_changed(connection: Connection, people: Sequence[Person]) -> None:
    if people:
        rows = [_fields(person) | {"key": person.id} for person in people]
        connection.execute(_update_member, rows)
        for part in _chunks([person.id for person in people]):
            connection.execute(_delete_sites, {"ids": part})
        _write_sites(connection, people)


def _write_sites(connection: Connection, people: Sequence[Person]) -> None:
    rows = [
        {"member": person.id, "site": site} for person in people for site in sorted(person.sites)
    ]
    if rows:
        connection.execute(_insert_site, rows)


def _fields(person: Person) -> dict[str, Any]:
    return {
        "name": person.name,
        "email": person.email,
        "language": person.language,
        "plan": person.plan.value,
        "status": person.status.value,
        "since": person.validity.since,
        "until": person.validity.until,
        "is_guardian": person.is_guardian,
    }


def _people(connection: Connection, statement: Select[Any], values: dict[str, Any]) -> list[Person]:
    rows = connection.execute(statement, values).all()
    sites = _sites_of(connection, [row.id for row in rows])
    return [_person(row, frozenset(sites.get(row.id, ()))) for row in rows]


def _sites_of(connection: Connection, ids: Collection[str]) -> dict[str, list[SiteId]]:
    sites: dict[str, list[SiteId]] = {}
    for part in _chunks(list(ids)):
        for row in connection.execute(_select_sites, {"ids": part}):
            sites.setdefault(row.member, []).append(SiteId(row.site))
    return sites


def _person(row: Row[Any], sites: frozenset[SiteId]) -> Person:
    return Person(
        id=MemberId(row.id),
        name=row.name,
        email=row.email,
        language=row.language,
        plan=Plan(row.plan),
        status=Status(row.status),
        validity=Validity(since=row.since, until=row.until),
        is_guardian=row.is_guardian,
        sites=sites,
    )


def _chunks(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))
