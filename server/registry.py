"""The registry: members, badges, authorizations, calendars and the time bank, under one name.

Every function works on a connection that the caller got from `Database.writing` or `reading`, and
blocks for the database. Each change bumps the revision in the same transaction.
"""

from server.registry_authorizations import (
    Grant,
    authorize,
    list_authorizations,
    list_authorizations_of,
    revoke_authorization,
)
from server.registry_badges import (
    BadgeRecord,
    assign_badge,
    enrol_badge,
    find_badge,
    list_badges,
    mark_badge,
    suspend_badge,
)
from server.registry_base import RegistryError, TakenError, UnknownError, bump, revision
from server.registry_calendars import (
    Calendar,
    calendar_stamps,
    list_calendars,
    note_failing,
    put_calendar,
    remove_calendar,
    renew_calendar,
)
from server.registry_csv import (
    ImportRefusedError,
    LineError,
    MemberRow,
    import_members,
    read_members_csv,
)
from server.registry_members import (
    Person,
    add_member,
    change_member,
    change_status,
    find_member,
    list_members,
)
from server.registry_time_bank import accounts, balance, balances, newest_postings, postings

__all__ = [
    "BadgeRecord",
    "Calendar",
    "Grant",
    "ImportRefusedError",
    "LineError",
    "MemberRow",
    "Person",
    "RegistryError",
    "TakenError",
    "UnknownError",
    "accounts",
    "add_member",
    "assign_badge",
    "authorize",
    "balance",
    "balances",
    "bump",
    "calendar_stamps",
    "change_member",
    "change_status",
    "enrol_badge",
    "find_badge",
    "find_member",
    "import_members",
    "list_authorizations",
    "list_authorizations_of",
    "list_badges",
    "list_calendars",
    "list_members",
    "mark_badge",
    "newest_postings",
    "note_failing",
    "postings",
    "put_calendar",
    "read_members_csv",
    "remove_calendar",
    "renew_calendar",
    "revision",
    "revoke_authorization",
    "suspend_badge",
]
