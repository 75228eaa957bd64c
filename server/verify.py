"""Whether the ledger is whole: every chain of a site, record by record."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from access.ids import SiteId
from access.journal import ChainError, Head, check
from server.gate import SET_ASIDE
from server.ledger import chain, read, sources

_ASIDE: Final = f"gardien.alert.{SET_ASIDE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """What was found in one chain.

    Attributes:
        site: where.
        source: a door's id, or `access.journal.SERVER`.
        head: the end of what fits.
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


def verify_site(connection: Connection, site: SiteId) -> list[ChainReport]:
    """Check each chain of a site. Takes time in the length of the ledger; reads only.

    A door's record that was set aside leaves a hole in its chain, for which the server's chain
    vouches. What can't be seen is that records are missing at the end of a chain: for that its last
    number and hash must be compared with a copy kept elsewhere.
    """
    holes = _holes(connection, site)
    return [
        verify_chain(connection, site, source, holes.get(source, {}))
        for source in sources(connection, site)
    ]


def verify_chain(
    connection: Connection, site: SiteId, source: str, holes: Mapping[int, str] | None = None
) -> ChainReport:
    """Check one chain up to the first record that does not fit.

    Args:
        connection: of a transaction.
        site: where.
        source: a door's id, or `access.journal.SERVER`.
        holes: hashes of the records that were set aside, by their numbers.
    """
    head, holes = Head(), holes or {}
    try:
        for record in _records(connection, site, source):
            while record.get("seq") != head.seq + 1 and head.seq + 1 in holes:
                head = Head(seq=head.seq + 1, hash=holes[head.seq + 1])
            head = _fitting(head, record, site, source)
    except ChainError as error:
        return ChainReport(site=site, source=source, head=head, problem=str(error))
    return ChainReport(site=site, source=source, head=head)


def _holes(connection: Connection, site: SiteId) -> dict[str, dict[int, str]]:
    """Find which records of each door were set aside, as the server's chain tells it."""
    holes: dict[str, dict[int, str]] = {}
    after = 0
    while entries := read(connection, site, after_id=after, kinds=[_ASIDE]):
        after = entries[-1].id
        for entry in entries:
            data = entry.record["data"]
            holes.setdefault(data["door"], {})[data["seq"]] = data["hash"]
    return holes


def _records(connection: Connection, site: SiteId, source: str) -> Iterator[dict[str, Any]]:
    """Give a chain's records; one that is no JSON any more is a break of the chain like others."""
    records = chain(connection, site, source)
    while True:
        try:
            record = next(records, None)
        except ValueError as error:
            raise ChainError(f"a record of {site}/{source} can't be read: {error}") from error
        if record is None:
            return
        yield record


def _fitting(head: Head, record: dict[str, Any], site: SiteId, source: str) -> Head:
    end = check(head, record)
    if record.get("source") != f"/{site}/{source}":
        raise ChainError(f"record {record.get('id')} is filed under {site}/{source}")
    return end
