"""Statements straight to SQLite's driver: one transaction with those that go through SQLAlchemy."""

from collections.abc import Callable
from itertools import permutations

import pytest
from sqlalchemy import Connection, insert, select

from server.database import ConflictError, Database
from server.schema import follower
from server.straight import Straight

STRAIGHT = Straight(insert(follower), ["name", "cursor"])


def straight(connection: Connection, name: str) -> None:
    STRAIGHT.run(connection, [{"name": name, "cursor": 1}])


def through_sqlalchemy(connection: Connection, name: str) -> None:
    connection.execute(insert(follower), [{"name": name, "cursor": 1}])


Way = Callable[[Connection, str], None]
ORDERS: list[tuple[Way, ...]] = [
    (straight,),
    *permutations((straight, through_sqlalchemy)),
]


def names(database: Database) -> set[str]:
    with database.reading() as connection:
        return set(connection.scalars(select(follower.c.name)))


def write(connection: Connection, order: tuple[Way, ...]) -> None:
    for number, way in enumerate(order):
        way(connection, str(number))


@pytest.mark.parametrize("order", ORDERS)
def test_what_was_written_in_either_way_is_kept(database: Database, order: tuple[Way, ...]) -> None:
    with database.writing() as connection:
        write(connection, order)
    assert names(database) == {str(number) for number in range(len(order))}


@pytest.mark.parametrize("order", ORDERS)
def test_an_error_takes_back_what_was_written_in_either_way(
    database: Database, order: tuple[Way, ...]
) -> None:
    def stumble() -> None:
        with database.writing() as connection:
            write(connection, order)
            raise KeyError

    with pytest.raises(KeyError):
        stumble()
    assert names(database) == set()
    # The connection that is kept for the next one has nothing left over.
    with database.writing() as connection:
        straight(connection, "after")
    assert names(database) == {"after"}


@pytest.mark.parametrize("way", [straight, through_sqlalchemy])
def test_a_conflict_takes_back_what_was_written_in_either_way(database: Database, way: Way) -> None:
    with database.writing() as connection:
        straight(connection, "0")

    def collide() -> None:
        with database.writing() as connection:
            straight(connection, "1")
            way(connection, "0")

    with pytest.raises(ConflictError):
        collide()
    assert names(database) == {"0"}


def test_a_rollback_in_the_block_takes_everything_back(database: Database) -> None:
    with database.writing() as connection:
        straight(connection, "gone")
        through_sqlalchemy(connection, "gone too")
        connection.rollback()
    assert names(database) == set()
