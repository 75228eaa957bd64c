"""The rows of a real registry for the people of a simulation, and what hangs on them."""

from datetime import datetime, timedelta
from random import Random
from typing import Final

from sqlalchemy import Connection

from access.ids import BadgeDigest, MemberId
from access.model import Plan
from access.tokens import SeenToken
from server import accounts, api_tokens, badge_tokens, looks, registry, sessions
from server.api_tokens import Scope
from simulation.rulebook import SITE, Rulebook
from simulation.servers import Books

_MAKES_A_TOKEN: Final = 0.5
_ENDS_A_TOKEN: Final = 0.4
_LISTED: Final = 6
_DAY: Final = timedelta(days=1)
_A_HASH: Final = accounts.PasswordHash("no log-in of the simulation is tried")


def enter(connection: Connection, rules: Rulebook, member: MemberId, now: datetime) -> None:
    """Write somebody into the registry, with a log-in."""
    known, person = rules.members[member], rules.persons[member]
    written = registry.Person(
        id=member,
        name=person.name,
        email=person.email,
        language=known.language,
        plan=known.plan,
        status=known.status,
        validity=known.validity,
        is_guardian=known.is_guardian,
        sites=frozenset({SITE}),
    )
    registry.add_member(connection, written, now)
    accounts.save_password(connection, person.email, member, _A_HASH, now)


def keep_statuses(connection: Connection, rules: Rulebook) -> None:
    """Tell the registry what the evening has suspended or revoked."""
    for person in registry.list_members(connection, SITE):
        known = rules.members.get(person.id)
        if known is not None and known.status is not person.status:
            registry.change_status(connection, person.id, known.status)
    for badge in registry.list_badges(connection):
        status = rules.badges[badge.digest].status
        if status is not badge.status:
            registry.mark_badge(connection, badge.digest, status)


def keep_tokens(connection: Connection, books: Books) -> None:
    """Remember what badges have shown in the day."""
    people = registry.list_members(connection, SITE)
    for badge, before in tokens_of(connection, [one.id for one in people]).items():
        seen = books.tokens[badge]
        floor = min(seen) - 1
        for counter in sorted(set(seen) - set(before)):
            badge_tokens.keep(connection, badge, seen[counter], floor)


def tokens_of(
    connection: Connection, members: list[MemberId]
) -> dict[BadgeDigest, dict[int, SeenToken]]:
    """Give what the registry remembers of these members' badges, by counter."""
    return {
        badge: {one.counter: one for one in seen}
        for member in members
        for badge, seen in badge_tokens.seen_of(connection, member).items()
    }


def use_pages(connection: Connection, chance: Random, now: datetime) -> list[str]:
    """Let somebody log in, make a token for a program and end one, and look at a roll-call.

    Returns:
        The secrets that browsers and programs were given.
    """
    people = registry.list_members(connection, SITE)
    person, staff = chance.choice(people), next(p for p in people if p.plan is Plan.STAFF)
    secrets = [] if person.email is None else [sessions.begin(connection, person.email, now)]
    if chance.random() < _MAKES_A_TOKEN:
        days = chance.choice([None, 3, 20])
        _, token = api_tokens.make(
            connection,
            name="a program",
            scopes=[Scope.ME_READ],
            member=person.id,
            now=now,
            expires=None if days is None else now + days * _DAY,
        )
        secrets.append(token)
    running = [one for one in api_tokens.list_tokens(connection) if not one.is_over(now)]
    if running and chance.random() < _ENDS_A_TOKEN:
        api_tokens.revoke(connection, chance.choice(running).id, now)
    looks.note_look(
        connection,
        site=SITE,
        member=staff.id,
        role="staff",
        what="roll-call",
        reason=looks.DUTY,
        at=now,
        among=[one.id for one in chance.sample(people, _LISTED)],
    )
    return secrets
