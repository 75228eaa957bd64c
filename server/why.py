"""Why somebody was refused: what was decided then, and the same looked at again, row by row."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select

from access.explain import Explanation, explain
from access.ids import BadgeDigest, DoorId, MemberId, SiteId
from access.journal import SERVER
from access.model import Reader
from access.policy import Reason, Request, State, Token, UnknownDoorError
from server import ledger, schema
from server.board import Person
from server.board_events import is_line, to_happening
from server.database import Database
from server.ledger import StoredEntry
from server.policy_source import policy_at
from server.settings import ServerSettings
from server.state import SiteState, from_json

_MOST_ID: Final = 2**63 - 1
"""No database has a larger one, and to ask for it is an error."""

_KINDS: Final = ("gardien.access.decided", "gardien.access.denied")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One refusal, as the ledger has it.

    Attributes:
        id: of the ledger entry.
        person: whose badge it was; None for nobody's.
        row: of the table, which decided; None where a door decided alone, and kept none.
        is_alone: whether the door decided on its own.
    """

    id: int
    at: datetime
    door: DoorId
    door_name: str
    reader: Reader
    person: Person | None
    reason: str
    row: str | None
    is_alone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """A refusal, and the same request looked at again.

    Attributes:
        refusal: what was decided then.
        again: row by row, with today's rules; None where the door or the badge is no longer held.
    """

    refusal: Refusal
    again: Explanation | None

    @property
    def is_otherwise(self) -> bool:
        """Whether today's rules would decide otherwise, or for another reason."""
        return self.again is not None and self.again.decision.reason.value != self.refusal.reason


class NoRefusalError(LookupError):
    """The ledger of the site has no refusal by that id."""


def why(database: Database, settings: ServerSettings, site: SiteId, id_: int) -> Why:
    """Look at a refusal again. Blocks for the database, and for a policy to be compiled.

    The rules are those of now, for the time of the refusal. So is the state: who is inside now, and
    the watch that runs now if it had begun by then.

    Args:
        database: ledger and registry.
        settings: of all sites.
        site: where it was.
        id_: of the ledger entry.

    Raises:
        NoRefusalError: there is none by that id at that site.
        DatabaseError: not now.
    """
    with database.reading() as connection:
        entry = _entry(connection, site, id_)
        refusal = _refusal(connection, settings, entry)
        _, body = ledger.load_state(connection, site) or (0, "{}")
    request = _request(refusal, entry.record["data"])
    if request is None:
        return Why(refusal=refusal, again=None)
    policy = policy_at(database, settings, site, refusal.at)
    state = _state(from_json(body), refusal)
    try:
        return Why(refusal=refusal, again=explain(policy, state, request))
    except UnknownDoorError:
        return Why(refusal=refusal, again=None)


def _entry(connection: Connection, site: SiteId, id_: int) -> StoredEntry:
    after = min(id_, _MOST_ID) - 1
    found = ledger.read(connection, site, after_id=after, limit=1, kinds=_KINDS)
    if not found or found[0].id != id_ or not is_line(found[0]):
        raise NoRefusalError(f"the ledger of {site} has no refusal {id_}")
    if to_happening(found[0], _nameless, {}).is_granted is not False:
        raise NoRefusalError(f"entry {id_} of {site} is no refusal")
    return found[0]


def _refusal(connection: Connection, settings: ServerSettings, entry: StoredEntry) -> Refusal:
    data = entry.record["data"]
    line = to_happening(entry, _nameless, {})
    door = str(data.get("door")) if entry.source == SERVER else entry.source
    row = data.get("row")
    return Refusal(
        id=entry.id,
        at=entry.time,
        door=DoorId(door),
        door_name=_door_name(settings, entry.site, door),
        reader=Reader.OUT if line.is_out else Reader.IN,
        person=None if entry.member is None else _person(connection, entry.member),
        reason=str(line.reason),
        row=row if isinstance(row, str) else None,
        is_alone=line.is_alone,
    )


def _request(refusal: Refusal, data: dict[str, Any]) -> Request | None:
    badge = data.get("badge")
    if not isinstance(badge, str):
        return None  # an unknown badge's digest is kept for a day only
    return Request(
        at=refusal.at,
        door=refusal.door,
        reader=refusal.reader,
        badge=BadgeDigest(badge),
        token=_token(refusal, data),
    )


def _token(refusal: Refusal, data: dict[str, Any]) -> Token:
    """Say what had become of the badge's token; a door alone keeps the token, not its verdict."""
    proof = data.get("proof")
    if proof in {token.value for token in Token}:
        return Token(proof)
    if data.get("token") is None:
        return Token.NONE
    return Token.COPIED if refusal.reason == Reason.BADGE_CLONED.value else Token.FITS


def _state(now: SiteState, refusal: Refusal) -> State:
    """Give the state of now, without a watch that was opened later than the refusal."""
    state = now.situation()
    if state.watch is not None and state.watch.opened_at > refusal.at:
        state = replace(state, watch=None)
    # A door on its own can't know how many are inside.
    return replace(state, is_alone=True, present=None) if refusal.is_alone else state


def _nameless(member: MemberId) -> Person:
    return Person(id=member, name="")


def _person(connection: Connection, member: MemberId) -> Person:
    name = select(schema.member.c.name).where(schema.member.c.id == member)
    return Person(id=member, name=connection.execute(name).scalar() or "")


def _door_name(settings: ServerSettings, site: SiteId, door: str) -> str:
    doors = (one for place in settings.sites if place.id == site for one in place.doors)
    return next((one.name for one in doors if one.id == door), door)
