"""Log-ins: strong passwords only, and nothing learnt by asking."""

import statistics
import time
from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update

from access.ids import MemberId, SiteId
from access.model import Plan, Status
from server import accounts, registry, sessions
from server.accounts import (
    Account,
    PasswordRefusedError,
    Role,
    check_password,
    find_account,
    hash_password,
    save_password,
    set_password,
)
from server.database import Database
from server.registry import Person, RegistryError, TakenError, UnknownError
from server.schema import account

ANNA = MemberId("anna")
NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
WORDS = "quatre mots au hasard"


@pytest.fixture
def place(database: Database) -> Database:
    """A database in which Anna, a guardian, has a log-in."""
    with database.writing() as connection:
        for id_ in ("anna", "bob"):
            person = Person(
                id=MemberId(id_),
                name=id_.title(),
                is_guardian=id_ == "anna",
                sites=frozenset({SiteId("lyon")}),
            )
            registry.add_member(connection, person, NOW)
    set_password(database, "Anna@Example.org", ANNA, WORDS, NOW)
    return database


def hashes(database: Database) -> list[str]:
    with database.reading() as connection:
        return list(connection.execute(select(account.c.password_hash)).scalars())


def test_the_right_password_gives_the_account(place: Database) -> None:
    assert check_password(place, " anna@example.ORG", WORDS) == Account(
        email="anna@example.org",
        member=ANNA,
        name="Anna",
        language="fr",
        role=Role.GUARDIAN,
        sites=frozenset({SiteId("lyon")}),
    )


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("anna@example.org", WORDS + " "),
        ("anna@example.org", WORDS.upper()),
        ("anna@example.org", ""),
        ("anna@example.org", "x" * 100_000),
        ("anna@example.org", "\ud800"),
        ("eve@example.org", WORDS),
        ("", WORDS),
    ],
)
def test_anything_else_gives_none(place: Database, email: str, password: str) -> None:
    assert check_password(place, email, password) is None


def test_who_left_can_log_in_no_more(place: Database) -> None:
    with place.writing() as connection:
        registry.change_status(connection, ANNA, Status.SUSPENDED)
    assert check_password(place, "anna@example.org", WORDS) is not None, "they may see their data"
    with place.writing() as connection:
        registry.change_status(connection, ANNA, Status.ENDED)
        assert find_account(connection, "anna@example.org") is None
    assert check_password(place, "anna@example.org", WORDS) is None


@pytest.mark.parametrize("password", ["fourteen chars", "", "abcabcabcabcabcabc", "x" * 1025])
def test_a_weak_password_is_refused_and_the_old_one_stays(place: Database, password: str) -> None:
    with pytest.raises(PasswordRefusedError, match="four words"):
        set_password(place, "anna@example.org", ANNA, password, NOW)
    assert check_password(place, "anna@example.org", WORDS) is not None


def test_fifteen_characters_of_any_kind_are_enough(place: Database) -> None:
    odd = "é 漢字\t😀 ab cde\x00f"
    assert len(odd) == 15
    set_password(place, "anna@example.org", ANNA, odd, NOW)
    assert check_password(place, "anna@example.org", odd) is not None
    assert check_password(place, "anna@example.org", WORDS) is None


def test_a_log_in_belongs_to_one_member_who_exists(place: Database) -> None:
    hashed = hash_password(WORDS)
    for email, member, error in (
        ("anna@example.org", MemberId("bob"), TakenError),
        ("eve@example.org", MemberId("eve"), UnknownError),
        ("nowhere", ANNA, RegistryError),
    ):
        with pytest.raises(error), place.writing() as connection:
            save_password(connection, email, member, hashed, NOW)
    assert len(hashes(place)) == 1


def test_passwords_are_kept_as_argon2id_only(place: Database) -> None:
    (kept,) = hashes(place)
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert hash_password(WORDS) != hash_password(WORDS), "each with a salt of its own"


def test_a_hash_of_older_parameters_is_made_anew_at_the_next_log_in(place: Database) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(WORDS)
    with place.writing() as connection:
        connection.execute(update(account).values(password_hash=weak))
    assert check_password(place, "anna@example.org", "wrong" + WORDS) is None
    assert hashes(place) == [weak]
    assert check_password(place, "anna@example.org", WORDS) is not None
    assert hashes(place)[0].startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert check_password(place, "anna@example.org", WORDS) is not None


def test_a_damaged_hash_lets_nobody_in(place: Database) -> None:
    with place.writing() as connection:
        connection.execute(update(account).values({"password_hash": "none"}))
    assert check_password(place, "anna@example.org", WORDS) is None


def test_an_unknown_log_in_takes_as_long_as_a_wrong_password(place: Database) -> None:
    def seconds(email: str) -> float:
        took = []
        for _ in range(5):
            start = time.process_time()
            check_password(place, email, "another wrong password")
            took.append(time.process_time() - start)
        return statistics.median(took)

    seconds("eve@example.org")  # the hash that stands in for it is made at its first use
    known, unknown = seconds("anna@example.org"), seconds("eve@example.org")
    assert unknown == pytest.approx(known, rel=0.5)


@pytest.mark.parametrize(
    ("plan", "is_guardian", "role"),
    [
        (Plan.STAFF, True, Role.STAFF),
        (Plan.STAFF, False, Role.STAFF),
        (Plan.RESIDENT, True, Role.GUARDIAN),
        (Plan.PARTNER, False, Role.MEMBER),
    ],
)
def test_the_role_follows_from_the_registry(plan: Plan, is_guardian: bool, role: Role) -> None:  # noqa: FBT001 (a case)
    person = Person(id=ANNA, name="Anna", plan=plan, is_guardian=is_guardian)
    assert accounts.role_of(person) is role


def test_when_the_password_changed_is_kept(place: Database) -> None:
    later = NOW + timedelta(days=1)
    set_password(place, "anna@example.org", ANNA, "cinq mots au hasard pur", later)
    with place.reading() as connection:
        assert connection.execute(select(account.c.changed_at)).scalar_one() == later


def test_another_password_ends_all_sessions_of_that_log_in_and_no_others(place: Database) -> None:
    set_password(place, "bob@example.org", MemberId("bob"), WORDS, NOW)
    with place.writing() as connection:
        mine = [sessions.begin(connection, "anna@example.org", NOW) for _ in range(2)]
        others = sessions.begin(connection, "bob@example.org", NOW)
    set_password(place, "Anna@Example.org", ANNA, "cinq mots au hasard pur", NOW)
    with place.reading() as connection:
        assert [sessions.find(connection, token, NOW) for token in mine] == [None, None]
        assert sessions.find(connection, others, NOW) is not None
