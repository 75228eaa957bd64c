"""What is left of a record when its time has come, and what vouches for that.

A record whose persons were taken out keeps its number, its `prev` and its `hash`, so that its chain
still links; but nobody can recompute that hash. So the server's own chain says what is left: one
record `gardien.ledger.forgotten` for each transaction, with a digest of all that it rewrote. A
record is rewritten once at the most: no later transaction changes what an earlier one vouched for.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

import msgspec

from access.ids import MemberId
from access.instants import to_rfc3339
from access.journal import Json, hash_of

KIND: Final = "ledger.forgotten"
"""What the server records when it has taken persons out of other records."""

_VOUCHED: Final = "vouched"
NAMES: Final = frozenset(
    {"member", "badge", "token", "guardian", "by", "from", "to", "authorization", "name", "email"}
)
"""Keys that name one person, or a badge, or what leads to them."""

GATHERS: Final = frozenset({"members", "inside", "minutes"})
"""Keys that name several: in a list, or as the keys of an object."""


_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


class What(Enum):
    """What is taken out of the ledger, each after a time of its own."""

    MEMBERS = "members"
    UNKNOWN_BADGES = "unknown_badges"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What was rewritten in one transaction, as the server's chain has it.

    Attributes:
        seq: number of the record that says so, in the server's chain.
        first: lowest id in the ledger of an entry that was rewritten.
        last: highest id.
        entries: how many were.
        digest: SHA-256 over id, hash and body of each, in order of the ids; hex.
    """

    seq: int
    first: int
    last: int
    entries: int
    digest: str


def is_due(what: What, member: MemberId | None, record: Json) -> bool:
    """Whether there is something to take out of a record whose time has come.

    Args:
        what: `UNKNOWN_BADGES` where a badge is in it that is nobody's; else `MEMBERS`.
        member: whom the ledger has it under.
        record: as it is kept.
    """
    if is_forgotten(record):
        return False
    if (what is What.UNKNOWN_BADGES) != _has_unknown_badge(member, record):
        return False
    return member is not None or without_persons(record) != record


def is_forgotten(record: Json) -> bool:
    """Whether persons were taken out of a record, so that its own hash says nothing any more.

    A door may send a record that only says so: its hash fits.
    """
    return _VOUCHED in record and record.get("hash") != hash_of(record)


def voucher_of(record: Json) -> int | None:
    """Say which record of the server's chain vouches for what is left of this one, by number."""
    found = record.get(_VOUCHED)
    return found if type(found) is int else None


def without_persons(record: Json) -> dict[str, Any]:
    """Give a record without what names a person or a badge; counts stay.

    What one key names becomes null; a list of members their number; minutes by guardian their sum.
    """
    try:
        return {key: _left(key, value) for key, value in record.items()}
    except RecursionError:
        # Deeper than a door has reason to write: nobody can say what is in it.
        return {**record, "data": {}}


def left_of(record: Json, at: datetime, voucher: int) -> str:
    """Write what is left of a record.

    Args:
        record: as it is kept.
        at: when it was forgotten.
        voucher: number of the record of the server's chain that vouches for it.
    """
    left = without_persons(record) | {"forgotten": to_rfc3339(at), _VOUCHED: voucher}
    return _encode(left).decode()


def digest_of(rows: Iterable[tuple[int, str]]) -> str:
    """Give the digest over the ids and bodies of rewritten entries, in order of the ids; hex."""
    digest = hashlib.sha256()
    for id_, body in rows:
        digest.update(f"{id_} {_decode(body)['hash']} {body}\n".encode())
    return digest.hexdigest()


def told_of(what: What, before: datetime, rows: list[tuple[int, str]]) -> dict[str, Any]:
    """Make the data of the record that vouches for rewritten entries.

    Args:
        what: was taken out.
        before: it happened before then.
        rows: id and new body of each, in order of the ids, at least one.
    """
    return {
        "what": what.value,
        "before": to_rfc3339(before),
        "first": rows[0][0],
        "last": rows[-1][0],
        "entries": len(rows),
        "digest": digest_of(rows),
    }


def batch_of(record: Json) -> Batch:
    """Read a record that vouches.

    Raises:
        msgspec.ValidationError: it is none.
    """
    return msgspec.convert({**record["data"], "seq": record["seq"]}, Batch)


def _has_unknown_badge(member: MemberId | None, record: Json) -> bool:
    data = record.get("data")
    if member is not None or not isinstance(data, dict) or not data.get("badge"):
        return False
    answer = data.get("answer")
    answered = answer.get("member") if isinstance(answer, dict) else None
    return data.get("member") is None and answered is None


def _left(key: str, value: object) -> object:
    if key in NAMES:
        return None
    if key in GATHERS and value and isinstance(value, list):
        return len(value)
    if key in GATHERS and value and isinstance(value, dict):
        return sum(part for part in value.values() if isinstance(part, int))
    if isinstance(value, dict):
        return {inner: _left(inner, part) for inner, part in value.items()}
    if isinstance(value, list):
        return [_left("", part) for part in value]
    return value
