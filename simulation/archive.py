"""The ledger of a simulation that lasts, in a real database, with the real forgetting (11).

Each night it takes in what the day has brought, and takes out of it whom nobody may know any more.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Self

from sqlalchemy import func, select

from access.journal import SERVER
from server import ledger, schema
from server.database import open_database
from server.forgetting import UNKNOWN_KEPT
from server.forgetting_ledger import forget_in_state, take_out
from server.forgotten import What
from server.settings import MOST_KEPT_DAYS
from server.upgrade import upgrade
from server.verify import verify_site
from simulation.rulebook import SITE
from simulation.servers import Books, Kept

KEPT: Final = timedelta(days=MOST_KEPT_DAYS)
"""How long the ledger knows who came and went."""

_t: Final = schema.ledger.c


class Archive:
    """A real ledger on a real disk.

    Args:
        folder: for its file.
    """

    def __init__(self, folder: Path) -> None:
        self._database = open_database(f"sqlite:///{folder / 'year.db'}")
        upgrade(self._database)
        self._last = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(self, entries: Sequence[Kept]) -> None:
        """Take in what was committed since. Blocks for the disk."""
        with self._database.writing() as connection:
            ledger.append(connection, [_entry(kept) for kept in entries])
            self._last = ledger.last_id(connection)

    def forget(self, books: Books, now: datetime) -> tuple[int, list[Kept]]:
        """Forget what is due, and let the state of the site say so too.

        Returns:
            How many entries were rewritten, and what the server's chain says of it.
        """
        with self._database.writing() as connection:
            version = ledger.state_version(connection, SITE) + 1
            ledger.save_state(connection, SITE, version, books.body)
        terms = ((What.UNKNOWN_BADGES, now - UNKNOWN_KEPT), (What.MEMBERS, now - KEPT))
        gone = sum(
            take_out(self._database, SITE, what, before=before, now=now) for what, before in terms
        )
        forget_in_state(self._database, SITE, now - KEPT)
        with self._database.reading() as connection:
            told = ledger.read(connection, SITE, after_id=self._last)
            self._last = ledger.last_id(connection)
            _, body = ledger.load_state(connection, SITE) or (0, books.body)
        if body != books.body:
            books.version, books.body = books.version + 1, body
        books.numbers.update((SERVER, entry.seq) for entry in told)
        return gone, [_kept(entry) for entry in told]

    def named_before(self, before: datetime) -> int:
        """Count the entries from before a time that are still filed under somebody."""
        with self._database.reading() as connection:
            is_old = (_t.time < before) & _t.member.is_not(None)
            return int(connection.execute(select(func.count()).where(is_old)).scalar_one())

    def naming(self, since: datetime, before: datetime, who: Sequence[str]) -> list[str]:
        """Give the entries of some time in which one of these is named."""
        with self._database.reading() as connection:
            is_then = (_t.time >= since) & (_t.time < before)
            bodies = connection.scalars(select(_t.body).where(is_then)).all()
        return [body for body in bodies if any(f'"{one}"' in body for one in who)]

    def problems(self) -> list[str]:
        """Say what is wrong with the chains, as `gardien verify` does; nothing, if all is well."""
        with self._database.reading() as connection:
            reports = verify_site(connection, SITE)
        return [f"{one.source}: {one.problem}" for one in reports if one.problem is not None]


def _entry(kept: Kept) -> ledger.Entry:
    return ledger.Entry(
        site=SITE,
        source=kept.source,
        seq=kept.record["seq"],
        kind=kept.record["type"],
        time=kept.time,
        received=kept.received,
        member=kept.member,
        request=kept.request,
        record=kept.record,
    )


def _kept(entry: ledger.StoredEntry) -> Kept:
    return Kept(
        source=entry.source,
        record=dict(entry.record),
        time=entry.time,
        member=entry.member,
        request=entry.request,
        received=entry.received,
    )
