"""Whether the ledger is whole: every chain of a site, record by record."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, bindparam, select

from access.ids import SiteId
from access.journal import SERVER, ChainError, Head, check, check_link
from server import forgotten, schema
from server.forgotten import Batch, batch_of, digest_of, is_forgotten, voucher_of
from server.gate import MISSING, SET_ASIDE
from server.ledger import StoredEntry, numbered_chain, read, sources

_ASIDE: Final = f"gardien.alert.{SET_ASIDE}"
_MISSING: Final = f"gardien.alert.{MISSING}"
_FORGOTTEN: Final = f"gardien.{forgotten.KIND}"
_TOLD_EVERY: Final = 1_000

Advance = Callable[[int], None]
"""Told how many records were looked at."""

_l: Final = schema.ledger.c
_select_between: Final = (
    select(_l.id, _l.body)
    .where(
        _l.site == bindparam("site"),
        _l.id.between(bindparam("first"), bindparam("last")),
        _l.body.like(bindparam("vouched")),
    )
    .order_by(_l.id)
)

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """What was found in one chain.

    Attributes:
        site: where.
        source: a door's id, or `access.journal.SERVER`.
        head: the end of what fits, of records that were set aside too.
        problem: what is wrong with the record after it; None when all is well.
    """

    site: SiteId
    source: str
    head: Head
    problem: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether every record fits."""
        return self.problem is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Testimony:
    """What the server's own chain vouches for at one site, where a record can't do so by itself.

    Attributes:
        holes: what is not in the chain of each door, by the number that comes first of it: the end
            of it, where it was set aside or is missing.
        batches: what was forgotten, by the number of the record that says so.
        changed: of those, the ones that are not as they were left.
    """

    holes: Mapping[str, Mapping[int, Head]]
    batches: Mapping[int, Batch]
    changed: frozenset[int]


def verify_site(connection: Connection, site: SiteId) -> list[ChainReport]:
    """Check each chain of a site. Takes time in the length of the ledger; reads only.

    A door's record that was set aside leaves a hole in its chain, and one whose persons were
    forgotten has a hash that nobody can recompute: for both the server's chain vouches. What can't
    be seen is that records are missing at the end of a chain: for that its last number and hash
    must be compared with a copy kept elsewhere.
    """
    heard = testimony(connection, site)
    return [verify_chain(connection, site, source, heard) for source in sources(connection, site)]


def testimony(connection: Connection, site: SiteId) -> Testimony:
    """Gather what the server's chain vouches for, and compare it with what is there.

    Takes time in the length of the ledger; reads only.
    """
    holes: dict[str, dict[int, Head]] = {}
    batches: dict[int, Batch] = {}
    for entry in _of_server(connection, site):
        if entry.kind == _ASIDE:
            data = entry.record["data"]
            end = Head(seq=data["seq"], hash=data["hash"])
            holes.setdefault(data["door"], {})[end.seq] = end
        elif entry.kind == _MISSING:
            data = entry.record["data"]
            end = Head(seq=data["last"], hash=data["hash"])
            holes.setdefault(data["door"], {})[data["first"]] = end
        else:
            batches[entry.seq] = batch_of(entry.record)
    changed = (one.seq for one in batches.values() if not _is_as_left(connection, site, one))
    return Testimony(holes=holes, batches=batches, changed=frozenset(changed))


def verify_chain(
    connection: Connection,
    site: SiteId,
    source: str,
    heard: Testimony,
    on_records: Advance = lambda _: None,
) -> ChainReport:
    """Check one chain up to the first record that does not fit.

    Args:
        connection: of a transaction.
        site: where.
        source: a door's id, or `access.journal.SERVER`.
        heard: what `testimony` gave for the site.
        on_records: called now and then.
    """
    head, holes = Head(), heard.holes.get(source, {})
    try:
        for id_, record in _records(connection, site, source):
            while record.get("seq") != head.seq + 1 and head.seq + 1 in holes:
                head = holes[head.seq + 1]
            head = _fitting(head, id_, record, heard)
            _must_be_filed(record, site, source)
            if source == SERVER:
                _must_be_as_told(record, heard)
            if head.seq % _TOLD_EVERY == 0:
                on_records(_TOLD_EVERY)
    except ChainError as error:
        return ChainReport(site=site, source=source, head=head, problem=str(error))
    while head.seq + 1 in holes:
        head = holes[head.seq + 1]
    return ChainReport(site=site, source=source, head=head)


def _of_server(connection: Connection, site: SiteId) -> Iterator[StoredEntry]:
    """Give the records in which the server vouches for others."""
    after = 0
    while entries := read(connection, site, after_id=after, kinds=[_ASIDE, _MISSING, _FORGOTTEN]):
        after = entries[-1].id
        yield from (entry for entry in entries if entry.source == SERVER)


def _is_as_left(connection: Connection, site: SiteId, batch: Batch) -> bool:
    """Whether the entries of a batch are those that were left, all of them, and unchanged."""
    asked = {
        "site": site,
        "first": batch.first,
        "last": batch.last,
        "vouched": f'%"vouched":{batch.seq}%',
    }
    try:
        rows = [
            (id_, body)
            for id_, body in connection.execute(_select_between, asked)
            if voucher_of(_decode(body)) == batch.seq and is_forgotten(_decode(body))
        ]
        return len(rows) == batch.entries and digest_of(rows) == batch.digest
    except (ValueError, KeyError):
        return False


def _records(
    connection: Connection, site: SiteId, source: str
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give a chain's records; one that is no JSON any more is a break of the chain like others."""
    records = numbered_chain(connection, site, source)
    while True:
        try:
            record = next(records, None)
        except ValueError as error:
            raise ChainError(f"a record of {site}/{source} can't be read: {error}") from error
        if record is None:
            return
        yield record


def _fitting(head: Head, id_: int, record: dict[str, Any], heard: Testimony) -> Head:
    if not is_forgotten(record):
        return check(head, record)
    end = check_link(head, record)
    voucher = voucher_of(record)
    batch = None if voucher is None else heard.batches.get(voucher)
    if batch is None or not batch.first <= id_ <= batch.last:
        raise ChainError(f"record {record.get('id')} is not what its hash says, nor forgotten")
    if batch.seq in heard.changed:
        raise ChainError(
            f"record {record.get('id')}, or one that was forgotten with it, has been changed since"
        )
    return end


def _must_be_filed(record: dict[str, Any], site: SiteId, source: str) -> None:
    if record.get("source") != f"/{site}/{source}":
        raise ChainError(f"record {record.get('id')} is filed under {site}/{source}")


def _must_be_as_told(record: dict[str, Any], heard: Testimony) -> None:
    if record["seq"] in heard.changed:
        raise ChainError(f"what record {record['id']} says was forgotten has been changed since")
