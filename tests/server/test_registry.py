"""The registry: who may be known, and that nothing is ever half-written."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from access.ids import BadgeDigest, MemberId, SiteId
from access.instants import Span
from access.model import Audience, BadgeLevel, BadgeStatus, Plan, Status, Validity
from server import registry
from server.database import Database
from server.registry import (
    ImportRefusedError,
    LineError,
    MemberRow,
    Person,
    RegistryError,
    TakenError,
    UnknownError,
    read_members_csv,
)
from server.registry_csv import COLUMNS

LYON = SiteId("lyon")
PARIS = SiteId("paris")
ANNA = MemberId("anna")
BOB = MemberId("bob")
NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
CARD = BadgeDigest("0123456789abcdef" * 2)
EVENING = Span(start=NOW + timedelta(hours=11), end=NOW + timedelta(hours=14))
HOME = ZoneInfo("Europe/Paris")


def person(id_: str = "anna", **changes: object) -> Person:
    made = Person(
        id=MemberId(id_), name=id_.title(), email=f"{id_}@example.org", sites=frozenset({LYON})
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def add(database: Database, *people: Person) -> None:
    with database.writing() as connection:
        for one in people:
            registry.add_member(connection, one, NOW)


def members(database: Database, site: SiteId | None = None) -> list[Person]:
    with database.reading() as connection:
        return registry.list_members(connection, site)


def revision(database: Database) -> int:
    with database.reading() as connection:
        return registry.revision(connection)


def write(database: Database, change: Callable[[Connection], object]) -> None:
    with database.writing() as connection:
        change(connection)


def import_text(database: Database, text: str, **options: object) -> tuple[int, int]:
    rows, errors = read_members_csv(text, **options)  # type: ignore[arg-type]
    assert errors == []
    with database.writing() as connection:
        return registry.import_members(connection, rows, NOW)


def test_a_member_comes_back_as_they_were_added(database: Database) -> None:
    anna = person(
        plan=Plan.RESIDENT,
        language="en",
        is_guardian=True,
        validity=Validity(since=NOW, until=NOW + timedelta(days=365)),
        sites=frozenset({LYON, PARIS}),
    )
    add(database, anna)
    assert members(database) == [anna]


def test_members_are_listed_by_site_in_order(database: Database) -> None:
    add(database, person("bob"), person("anna"), person("zoe", sites=frozenset({PARIS})))
    assert [one.id for one in members(database, LYON)] == ["anna", "bob"]
    assert [one.id for one in members(database)] == ["anna", "bob", "zoe"]


@pytest.mark.parametrize("key", ["anna", "anna@example.org", " Anna@Example.ORG "])
def test_a_member_is_found_by_id_and_by_email(database: Database, key: str) -> None:
    add(database, person())
    with database.reading() as connection:
        assert registry.find_member(connection, key) == person()


def test_nobody_is_found_by_an_empty_key_or_a_stranger(database: Database) -> None:
    add(database, person(email=None))
    with database.reading() as connection:
        for key in ("", "eve", "%"):
            with pytest.raises(UnknownError):
                registry.find_member(connection, key)


@pytest.mark.parametrize(
    ("twin", "says"),
    [
        (person("anna", email=None), "id 'anna' is taken"),
        (person("bob", email="ANNA@example.org"), "is that of member anna"),
    ],
)
def test_a_second_member_with_the_same_id_or_email_is_refused(
    database: Database, twin: Person, says: str
) -> None:
    add(database, person())
    with pytest.raises(TakenError, match=says):
        add(database, twin)
    assert members(database) == [person()]


@pytest.mark.parametrize(
    "bad",
    [
        person("Anna"),
        person("anna\n"),
        person(name=""),
        person(name="x" * 81),
        person(name="a\nb"),
        person(email="nowhere"),
        person(email="a b@example.org"),
        person(language="de"),
        person(sites=frozenset({SiteId("No Slug")})),
        person(validity=Validity(since=NOW, until=NOW)),
    ],
)
def test_a_member_with_a_bad_field_is_refused(database: Database, bad: Person) -> None:
    with pytest.raises(RegistryError):
        add(database, bad)
    assert members(database) == []
    assert revision(database) == 0


def test_a_member_is_changed_whole(database: Database) -> None:
    add(database, person(), person("bob"))
    new = person(name="Anna B.", email=None, sites=frozenset({PARIS}), plan=Plan.STAFF)
    write(database, lambda connection: registry.change_member(connection, new))
    assert members(database) == [new, person("bob")]
    with pytest.raises(UnknownError):
        write(database, lambda connection: registry.change_member(connection, person("eve")))


def test_a_status_is_changed(database: Database) -> None:
    add(database, person(), person("bob"))
    write(database, lambda one: registry.change_status(one, ANNA, Status.SUSPENDED))
    assert [one.status for one in members(database)] == [Status.SUSPENDED, Status.ACTIVE]
    with pytest.raises(UnknownError, match="eve"):
        write(database, lambda one: registry.change_status(one, MemberId("eve"), Status.ENDED))


def test_every_change_bumps_the_revision_and_a_failed_one_does_not(database: Database) -> None:
    changes: list[Callable[[Connection], object]] = [
        lambda one: registry.add_member(one, person(is_guardian=True), NOW),
        lambda one: registry.change_member(one, person(is_guardian=True)),
        lambda one: registry.change_status(one, ANNA, Status.ACTIVE),
        lambda one: registry.import_members(one, [MemberRow(line=2, person=person("bob"))], NOW),
        lambda one: registry.assign_badge(one, CARD, ANNA, at=NOW),
        lambda one: registry.mark_badge(one, CARD, BadgeStatus.LOST),
        lambda one: registry.authorize(one, site=LYON, guardian=ANNA, span=EVENING),
        lambda one: registry.revoke_authorization(
            one, registry.list_authorizations(one, LYON)[0].id, NOW
        ),
    ]
    for number, change in enumerate(changes):
        assert revision(database) == number
        write(database, change)
        assert revision(database) == number + 1
    with pytest.raises(TakenError):
        write(database, changes[0])
    assert revision(database) == len(changes)


def test_a_badge_is_given_and_comes_back(database: Database) -> None:
    add(database, person(), person("bob"))
    with database.writing() as connection:
        given = registry.assign_badge(
            connection, CARD, ANNA, at=NOW, level=BadgeLevel.L1, label="042"
        )
    with database.reading() as connection:
        assert registry.list_badges(connection) == [given]
        assert registry.list_badges(connection, ANNA) == [given]
        assert registry.list_badges(connection, BOB) == []
        assert registry.find_badge(connection, CARD) == given
    assert (given.for_rules().member, given.for_rules().level) == (ANNA, BadgeLevel.L1)


def test_a_badge_in_use_is_given_to_nobody_else(database: Database) -> None:
    add(database, person(), person("bob"))
    write(database, lambda one: registry.assign_badge(one, CARD, ANNA, at=NOW))
    with pytest.raises(TakenError, match="anna"):
        write(database, lambda one: registry.assign_badge(one, CARD, BOB, at=NOW))
    write(database, lambda one: registry.mark_badge(one, CARD, BadgeStatus.REVOKED))
    write(database, lambda one: registry.assign_badge(one, CARD, BOB, at=NOW))
    with database.reading() as connection:
        assert [badge.member for badge in registry.list_badges(connection)] == [BOB]


@pytest.mark.parametrize("digest", ["04a1b2c3", "X" * 32, "0" * 33])
def test_what_is_no_digest_is_not_kept(database: Database, digest: str) -> None:
    add(database, person())
    with pytest.raises(RegistryError, match="32 hex digits"):
        write(database, lambda one: registry.assign_badge(one, BadgeDigest(digest), ANNA, at=NOW))


def test_a_badge_needs_a_member_and_a_mark_needs_a_badge(database: Database) -> None:
    with pytest.raises(UnknownError):
        write(database, lambda one: registry.assign_badge(one, CARD, ANNA, at=NOW))
    with pytest.raises(UnknownError):
        write(database, lambda one: registry.mark_badge(one, CARD, BadgeStatus.LOST))


def test_a_grant_comes_back_until_it_is_revoked(database: Database) -> None:
    add(database, person(is_guardian=True))
    with database.writing() as connection:
        grant = registry.authorize(
            connection,
            site=LYON,
            guardian=ANNA,
            span=EVENING,
            lead=timedelta(minutes=10),
            is_weekly=True,
            title="Chess",
            audience=Audience.PUBLIC,
        )
        assert registry.list_authorizations(connection, LYON) == [grant]
        assert registry.list_authorizations(connection, PARIS) == []
    later = NOW + timedelta(days=1)
    write(database, lambda one: registry.revoke_authorization(one, grant.id, later))
    write(database, lambda one: registry.revoke_authorization(one, grant.id, NOW))
    with database.reading() as connection:
        assert registry.list_authorizations(connection, LYON) == []
        (found,) = registry.list_authorizations(connection, LYON, with_revoked=True)
    assert found == replace(grant, revoked_at=later)
    with pytest.raises(UnknownError):
        write(database, lambda one: registry.revoke_authorization(one, "nothing", NOW))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"guardian": BOB}, "is not a guardian"),
        ({"guardian": MemberId("eve")}, "no member 'eve'"),
        ({"site": PARIS}, "does not belong to site paris"),
        ({"lead": timedelta(hours=13)}, "lead"),
        ({"grace": timedelta(seconds=-1)}, "grace"),
        ({"audience": Audience.REGISTERED}, "import it as an event"),
        ({"title": "x" * 81}, "title"),
        ({"span": Span(start=NOW, end=NOW + timedelta(days=8))}, "less than a week"),
    ],
)
def test_a_grant_that_makes_no_sense_is_refused(
    database: Database, changes: dict[str, object], says: str
) -> None:
    add(database, person(is_guardian=True), person("bob"))
    values = {"site": LYON, "guardian": ANNA, "span": EVENING} | changes
    with pytest.raises(RegistryError, match=says):
        write(database, lambda one: registry.authorize(one, **values))  # type: ignore[arg-type]
    with database.reading() as connection:
        assert registry.list_authorizations(connection, LYON) == []


GOOD = """\
id,name,email,plan,guardian,since,until,sites
anna,Anna A.,Anna@Example.org,resident,yes,2026-01-01,2026-12-31,lyon paris
bob,"Bob, the builder",,,,,,lyon
"""


def test_a_file_of_members_is_imported(database: Database) -> None:
    assert import_text(database, GOOD, sites=[LYON, PARIS], zone=HOME) == (2, 0)
    anna, bob = members(database)
    assert anna == Person(
        id=ANNA,
        name="Anna A.",
        email="anna@example.org",
        plan=Plan.RESIDENT,
        is_guardian=True,
        sites=frozenset({LYON, PARIS}),
        validity=Validity(
            since=datetime(2025, 12, 31, 23, tzinfo=UTC),
            until=datetime(2026, 12, 31, 23, tzinfo=UTC),
        ),
    )
    assert bob == Person(id=BOB, name="Bob, the builder", sites=frozenset({LYON}))


def test_importing_a_file_again_changes_who_is_known(database: Database) -> None:
    import_text(database, GOOD)
    again = GOOD.replace("Anna A.", "Anna Z.") + "zoe,Zoé,,,,,,lyon\n"
    assert import_text(database, again) == (1, 2)
    assert [one.name for one in members(database)] == ["Anna Z.", "Bob, the builder", "Zoé"]


def test_two_members_may_swap_their_addresses(database: Database) -> None:
    add(database, person("anna"), person("bob"))
    swapped = "id,name,email\nanna,Anna,bob@example.org\nbob,Bob,anna@example.org\n"
    import_text(database, swapped, sites=[LYON])
    assert [one.email for one in members(database)] == ["bob@example.org", "anna@example.org"]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffid;name\r\nanna;Anna\r\n",
        "ID, Name\nanna, Anna",
        "name,id\n\nAnna,anna\n\n",
        'id,name\nanna,"Anna"\n,\n',
    ],
)
def test_files_of_spreadsheets_are_read(text: str) -> None:
    rows, errors = read_members_csv(text)
    assert errors == []
    assert [row.person for row in rows] == [Person(id=ANNA, name="Anna")]


def test_who_names_no_site_belongs_to_all() -> None:
    rows, _ = read_members_csv("id,name\nanna,Anna\n", sites=[LYON, PARIS])
    assert rows[0].person.sites == {LYON, PARIS}


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "empty"),
        ("name\nAnna\n", 1, "no column 'id'"),
        ("id,name,uid\n", 1, "column 'uid' is not known"),
        ("id,name,name\n", 1, "there twice"),
        ("id,name\nanna\n", 2, "1 values for 2 columns"),
        ("id,name\nanna,Anna,x\n", 2, "3 values for 2 columns"),
        ("id,name\nAnna,Anna\n", 2, "member id 'Anna' must be"),
        ("id,name\nanna,\n", 2, "write 1 to 80 characters"),
        ("id,name\nanna,Anna\nanna,Bob\n", 3, "member id anna stands on line 2 already"),
        ("id,name,email\na,A,a@b.fr\nb,B,A@B.FR\n", 3, "e-mail a@b.fr stands on line 2"),
        ("id,name,plan\nanna,Anna,gold\n", 2, "nomad, resident, staff, partner"),
        ("id,name,status\nanna,Anna,on\n", 2, "active, suspended, ended"),
        ("id,name,guardian\nanna,Anna,maybe\n", 2, "write yes or no"),
        ("id,name,since\nanna,Anna,31/12/2026\n", 2, "write a date such as"),
        ("id,name,until\nanna,Anna,9999-12-31\n", 2, "write a date such as"),
        ("id,name,since\nanna,Anna,0001-01-01\n", 2, "write a date such as"),
        ("id,name,since,until\nanna,Anna,2026-02-01,2026-01-01\n", 2, "must be after"),
        ("id,name,language\nanna,Anna,de\n", 2, "write fr or en"),
        ("id,name,sites\nanna,Anna,rome\n", 2, "no site 'rome'; write some of: lyon paris"),
        ('id,name\nanna,"Anna\n', 2, "is not CSV"),
        ('id,name\nbob,"Bob\nthe builder"\nanna,\n', 4, "write 1 to 80"),
    ],
)
def test_a_bad_line_is_named_with_what_to_do(text: str, line: int, says: str) -> None:
    _, errors = read_members_csv(text, sites=[LYON, PARIS], zone=HOME)
    assert (errors[-1].line, says in errors[-1].problem) == (line, True), errors


def test_every_bad_line_is_named_at_once() -> None:
    text = "id,name,plan\nanna,Anna,gold\nbob,Bob,nomad\n,,resident\n"
    rows, errors = read_members_csv(text)
    assert [row.person.id for row in rows] == ["bob"]
    assert [error.line for error in errors] == [2, 4]
    assert str(errors[0]).startswith("line 2: plan 'gold'")


def test_an_import_that_takes_anothers_address_is_refused_whole(database: Database) -> None:
    add(database, person())
    rows, _ = read_members_csv("id,name,email\nzoe,Z,\nbob,Bob,anna@example.org\n")
    with pytest.raises(ImportRefusedError, match=r"line 3.*member anna") as refused:
        write(database, lambda one: registry.import_members(one, rows, NOW))
    assert [error.line for error in refused.value.errors] == [3]
    assert members(database) == [person()]


def test_a_large_file_is_imported_in_one_go(database: Database) -> None:
    lines = "".join(f"m{number},Member {number},m{number}@example.org\n" for number in range(3000))
    assert import_text(database, "id,name,email\n" + lines, sites=[LYON]) == (3000, 0)
    assert len(members(database, LYON)) == 3000


FIELD = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["anna", "bob", "a@b.fr", "yes", "lyon", "staff", "2026-01-01", "", "fr", '"', ";"]
    ),
)
LINES = st.lists(st.lists(FIELD, min_size=1, max_size=10).map(",".join), max_size=6)
FILES = st.one_of(
    st.text(),
    st.builds(
        lambda columns, lines: "\n".join([",".join(columns), *lines]),
        st.permutations(COLUMNS),
        LINES,
    ),
    st.builds(lambda lines: "\n".join(["id,name,email", *lines]), LINES),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=FILES)
def test_no_file_whatever_raises_or_is_half_written(database: Database, text: str) -> None:
    before = members(database)
    rows, errors = read_members_csv(text, sites=[LYON], zone=HOME)
    assert all(error.line >= 1 and error.problem for error in errors)
    assert all(isinstance(error, LineError) for error in errors)
    try:
        write(database, lambda one: registry.import_members(one, rows, NOW))
    except RegistryError:
        assert members(database) == before
    else:
        found = {one.id: one for one in members(database)}
        assert all(found[row.person.id] == row.person for row in rows)


def test_a_calendar_is_kept_once_for_each_location_of_a_site(database: Database) -> None:
    def put(connection: Connection, body: str, site: SiteId = LYON) -> int:
        return registry.put_calendar(
            connection, site=site, kind="url", location="https://x/c.ics", body=body, at=NOW
        )

    with database.writing() as connection:
        first, elsewhere = put(connection, "one"), put(connection, "two", PARIS)
        assert put(connection, "three") == first != elsewhere
        (kept,) = registry.list_calendars(connection, LYON)
        assert (kept.body, kept.id, kept.fetched_at) == ("three", first, NOW)
        assert registry.calendar_stamps(connection, LYON) == ((first, NOW),)
        assert registry.revision(connection) == 3
        registry.remove_calendar(connection, first)
        assert registry.list_calendars(connection, LYON) == []
        assert len(registry.list_calendars(connection, PARIS)) == 1
        with pytest.raises(UnknownError, match="no calendar"):
            registry.remove_calendar(connection, first)
