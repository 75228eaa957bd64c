"""What is held on a member and given to them: no table with people in it is forgotten."""

import json
from typing import Final

from sqlalchemy import Column

# Tables of other modules belong to the schema once these are loaded.
from server import api_requests, api_tokens, calendar_addresses, schema, sessions
from tests.gardien.conftest import CommandLine

__all__ = ["api_requests", "api_tokens", "calendar_addresses", "sessions"]

_PEOPLE: Final = frozenset({"member", "guardian", "made_by", "by", "about", "email", "badge"})
_KEYS: Final = frozenset({"member.id", "account.email", "badge.digest"})

GIVEN: Final = {
    "ledger.member": "records",
    "member.email": "email",
    "member_site.member": "sites",
    "badge.member": "badges",
    "badge_token.badge": "tokens",
    "authorization.guardian": "authorizations",
    "account.email": "logins",
    "account.member": "logins",
    "web_session.email": "logins",
    "time_entry.member": "hours",
    "presence_month.member": "presence",
    "api_token.member": "api_tokens",
    "calendar_address.member": "calendar_address_since",
    "look.member": "looked",
    "look.about": "looks",
    "look_about.member": "looks",
}
"""Where in the export stands what each column has of a member."""

EXPLAINED: Final = {
    "time_entry.made_by": "who wrote in an entry of another's hours: an act of the desk",
    "door_order.made_by": "gone when the door has done it; the ledger's record is given",
    "ended_member.member": "when the server saw that a membership had ended, for its forgetting",
}
"""What is not given, and why."""


def names_people(column: Column[object]) -> bool:
    """Whether a column says whom a row is about: by its name, or by what it refers to."""
    refers = any(key.target_fullname in _KEYS for key in column.foreign_keys)
    return refers or column.name in _PEOPLE


def test_each_column_with_a_member_in_it_is_given_to_them_or_explained(house: CommandLine) -> None:
    columns = {
        f"{table.name}.{column.name}"
        for table in schema.metadata.tables.values()
        for column in table.columns
        if names_people(column)
    }
    known = GIVEN.keys() | EXPLAINED.keys()
    assert columns - known == set(), "give it in server.holdings, or explain here why not"
    held = json.loads(house.done("member", "export", "gaelle"))
    for column in columns & GIVEN.keys():
        part = held
        for name in GIVEN[column].split("."):
            assert name in part, f"{column} is not in the export: {GIVEN[column]}"
            part = part[name]


def test_all_that_the_registry_says_of_a_member_is_given_to_them(house: CommandLine) -> None:
    held = json.loads(house.done("member", "export", "gaelle"))
    assert {column.name for column in schema.member.columns} <= held.keys()
