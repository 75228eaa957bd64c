"""What all parts of the registry share: its errors, and the counter of its changes."""

from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Insert, select
from sqlalchemy.dialects import postgresql, sqlite

from server import schema


class RegistryError(ValueError):
    """The registry refuses a change; nothing of it is written. The message says the way out."""


class UnknownError(RegistryError, LookupError):
    """The registry does not know who or what is named."""


class TakenError(RegistryError):
    """What should be unique belongs to somebody else already."""


_select_revision: Final = select(schema.revision.c.counter)


def revision(connection: Connection) -> int:
    """Give the number of changes of the registry so far; a policy is as old as this number."""
    counter = connection.execute(_select_revision).scalar()
    return 0 if counter is None else int(counter)


def bump(connection: Connection) -> None:
    """Count a change; every function that changes the registry does so in its transaction."""
    connection.execute(_count_up(connection.dialect.name), {"id": 1, "counter": 1})


@cache
def _count_up(dialect: str) -> Insert:
    make: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    counted: Insert = make(schema.revision).on_conflict_do_update(
        index_elements=["id"], set_={"counter": schema.revision.c.counter + 1}
    )
    return counted
