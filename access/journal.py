"""A door's own record, and the server's: CloudEvents chained by hash.

Each record is a CloudEvents 1.0 JSON object with `seq`, `prev` and `hash` (`contract.md`,
*journal*). The hash is SHA-256 over the canonical JSON of the record without `hash`: sorted keys,
no spaces, UTF-8.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from access.ids import SiteId
from access.instants import to_rfc3339

NO_HASH: Final = "0" * 64
"""What stands for the hash before the first record."""

SERVER: Final = "server"
"""The name under which the server keeps its own chain; no door may have it."""

TYPES: Final = frozenset(
    f"gardien.{what}"
    for what in (
        "access.granted",
        "access.denied",
        "door.opened",
        "door.closed",
        "door.forced",
        "door.held",
        "door.released",
        "exit.requested",
        "lock.unlocked",
        "lock.locked",
        "passage.started",
        "passage.ended",
        "watch.opened",
        "watch.passed",
        "watch.closed",
        "unit.started",
        "unit.tampered",
        "clock.untrusted",
    )
)
"""What a door may record."""

Json = Mapping[str, Any]

_canonical: Final = msgspec.json.Encoder(order="deterministic")


class ChainError(ValueError):
    """A record does not follow from the one before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of a chain: the number and the hash of its last record."""

    seq: int = 0
    hash: str = NO_HASH


def hash_of(record: Json) -> str:
    """Give the hash of a record, whether or not it has one already: 64 hex digits."""
    body = {key: value for key, value in record.items() if key != "hash"}
    return hashlib.sha256(_canonical.encode(body)).hexdigest()


def chained(
    head: Head, *, site: SiteId, source: str, kind: str, time: datetime, data: Json
) -> tuple[dict[str, Any], Head]:
    """Make the record that follows `head`.

    Args:
        head: the end of the chain so far.
        site: where it happened.
        source: the door's id, or `SERVER`.
        kind: what happened, without the leading `gardien.`.
        time: when it happened.
        data: what else there is to say, JSON values only.

    Returns:
        The record, and the new end of the chain.
    """
    record: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"{site}/{source}/{head.seq + 1}",
        "source": f"/{site}/{source}",
        "type": f"gardien.{kind}",
        "time": to_rfc3339(time),
        "seq": head.seq + 1,
        "prev": head.hash,
        "data": dict(data),
    }
    record["hash"] = hash_of(record)
    return record, Head(seq=head.seq + 1, hash=record["hash"])


def check(head: Head, record: Json) -> Head:
    """Check that `record` follows `head`.

    Returns:
        The new end of the chain.

    Raises:
        ChainError: its number, its `prev` or its own hash does not fit.
    """
    end = check_link(head, record)
    if record.get("hash") != hash_of(record):
        raise ChainError(f"record {record.get('id')} is not what its hash says")
    return end


def check_link(head: Head, record: Json) -> Head:
    """Check that `record` names `head` as what it follows; its own hash is taken at its word.

    Returns:
        The new end of the chain.

    Raises:
        ChainError: its number or its `prev` does not fit.
    """
    where = record.get("id")
    if record.get("seq") != head.seq + 1:
        raise ChainError(f"record {where} should have number {head.seq + 1}")
    if record.get("prev") != head.hash:
        raise ChainError(f"record {where} does not follow the one before it")
    return Head(seq=head.seq + 1, hash=str(record.get("hash")))


def verify(records: Iterable[Json], head: Head | None = None) -> Head:
    """Check a whole chain, from `head` or from its beginning.

    Returns:
        The end of the chain.

    Raises:
        ChainError: at the first record that does not fit.
    """
    end = head or Head()
    for record in records:
        end = check(end, record)
    return end
