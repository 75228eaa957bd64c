"""Whether the pages can be served, and how the parts around them are: what `/readyz` says.

Pages need the database alone: the roll-call must be there also while the broker or InfluxDB is
away, so neither takes the pages from people. Who watches over all of it asks for `/readyz?all`.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from dashboards.metrics_senders import FollowersReader
from dashboards.metrics_server import ServerReport
from server.board_reader import BoardReader
from server.database import Database, DatabaseError, DatabaseFaultError
from server.upgrade import newest, revision_of

# To find it reads all migrations, and it stays the same as long as the program does.
_newest: Final = functools.cache(newest)

MOST_LAG_S: Final = 300.0
"""A follower is well when the first entry that it has still to do is younger, in seconds."""


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one part is. Says nothing that not everybody may know.

    Attributes:
        ok: whether it is well.
        needed: whether pages need it.
        why: what is wrong, in a few words.
        lag_entries: of the follower that has most to do, how many entries.
        lag_seconds: of the one that is furthest behind, the age of the first of them.
    """

    ok: bool
    needed: bool
    why: str | None = None
    lag_entries: int | None = None
    lag_seconds: float | None = None


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of it.

    Attributes:
        ready: whether the parts that were asked about are well: those that pages need, or all.
        parts: by their names.
    """

    ready: bool
    parts: dict[str, Part]


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Looks at the parts; safe to use from several threads.

    Attributes:
        database: registry and ledger.
        reader: reads what the pages show.
        followers: how the ledger's followers stand; None to leave them out.
        report: what the server's program tells of itself; None to leave the broker out.
    """

    database: Database
    reader: BoardReader
    followers: FollowersReader | None = None
    report: ServerReport | None = None

    def look(self, *, at_all: bool = False) -> Ready:
        """Look at each part. Blocks for the databases.

        Args:
            at_all: whether those count that pages do not need.
        """
        parts = {
            "database": _part(self._read, needed=True),
            "migrations": _part(self._are_migrated, needed=True),
        }
        if self.report is not None:
            parts["broker_link"] = (
                Part(ok=True, needed=False)
                if self.report.is_linked()
                else Part(ok=False, needed=False, why="the server is not there, or not connected")
            )
        if self.followers is not None and parts["database"].ok:
            parts["followers"] = _part(self._followers, needed=False)
        is_ready = all(one.ok for one in parts.values() if one.needed or at_all)
        return Ready(ready=is_ready, parts=parts)

    def _read(self) -> Part:
        self.reader.versions()
        return Part(ok=True, needed=True)

    def _are_migrated(self) -> Part:
        if revision_of(self.database) == _newest():
            return Part(ok=True, needed=True)
        return Part(ok=False, needed=True, why="the tables are of another version")

    def _followers(self) -> Part:
        found = self.followers.read() if self.followers is not None else []
        lag_s = max((one.lag_s for one in found), default=0.0)
        is_late = lag_s > MOST_LAG_S
        return Part(
            ok=not is_late,
            needed=False,
            why="one is far behind the ledger" if is_late else None,
            lag_entries=max((one.lag for one in found), default=0),
            lag_seconds=round(lag_s, 1),
        )


def _part(look: Callable[[], Part], *, needed: bool) -> Part:
    try:
        return look()
    except DatabaseError:
        return Part(ok=False, needed=needed, why="can't be read now")
    except DatabaseFaultError:
        return Part(ok=False, needed=needed, why="is damaged, or of another version")
