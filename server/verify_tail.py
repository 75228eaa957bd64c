"""Whether the last records of each chain fit together: quick, for a look at an installation.

`server.verify` looks at whole chains, and at what the server's own chain vouches for.
"""

from typing import Final

from sqlalchemy import Connection

from access.ids import SiteId
from access.journal import ChainError, Head, check, check_link
from server.forgotten import is_forgotten
from server.ledger import head, numbered_chain, sources
from server.verify import ChainReport

MOST: Final = 200
"""How many records of each chain are looked at."""


def verify_tails(connection: Connection, site: SiteId, most: int = MOST) -> list[ChainReport]:
    """Check the end of each chain of a site. Takes time in the number of doors; reads only.

    Where a number is missing the next record is taken at its word, and so is the hash of one whose
    persons were forgotten.
    """
    return [_verify_tail(connection, site, source, most) for source in sources(connection, site)]


def _verify_tail(connection: Connection, site: SiteId, source: str, most: int) -> ChainReport:
    end = Head()
    try:
        after = max(0, head(connection, site, source).seq - most)
        for _, record in numbered_chain(connection, site, source, after=after):
            if record["seq"] != end.seq + 1:
                end = Head(seq=record["seq"] - 1, hash=record["prev"])
            end = (check_link if is_forgotten(record) else check)(end, record)
    except ChainError as error:
        return ChainReport(site=site, source=source, head=end, problem=str(error))
    except (ValueError, KeyError, TypeError) as error:
        problem = f"the record after number {end.seq} can't be read: {error}"
        return ChainReport(site=site, source=source, head=end, problem=problem)
    return ChainReport(site=site, source=source, head=end)
