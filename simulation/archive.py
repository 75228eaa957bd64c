"""The ledger of a simulation that lasts, in a real database, with the real forgetting (11).

Each night it takes in what the day has brought, and takes out of it whom nobody may know any more.
"""

import mmap
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NoReturn, Self

from sqlalchemy import func, or_, select

from access.ids import MemberId
from access.journal import SERVER
from runtime.settings import MqttSettings
from server import ledger, schema
from server.api_tokens import api_token
from server.database import open_database
from server.folder import Folder
from server.forgetting import Forgetter
from server.gatehouse import Gatehouse
from server.history import HistoryError
from server.installation import Installation
from server.looks import look, look_about
from server.policy_source import PolicySource
from server.sessions import web_session
from server.settings import (
    MOST_KEPT_DAYS,
    DatabaseUrl,
    DoorSettings,
    ServerSettings,
    SiteSettings,
    ZoneName,
)
from server.upgrade import upgrade
from server.verify import verify_site
from simulation.clocks import NodeClock
from simulation.rulebook import DOORS, SITE, ZONE
from simulation.servers import Books, Kept
from simulation.traces import words_in
from simulation.world import World

KEPT: Final = timedelta(days=MOST_KEPT_DAYS)
"""How long the ledger knows who came and went, and what their badges have shown."""

ROWS_KEPT: Final = timedelta(days=90)
"""How long the registry knows a member who has left, or a program's token that is over."""

SESSIONS_KEPT: Final = timedelta(days=7)
"""How long somebody may be logged in."""

SMALL_BYTES: Final = 16_000_000
"""Up to half of what `gardien forget` takes for a small file."""

_DAY: Final = timedelta(days=1)
_FILE: Final = "year.db"

_t: Final = schema.ledger.c


class _WithoutHistory(Installation):
    """An installation whose history is away: nothing of the simulation is in one."""

    def open_history(self) -> NoReturn:
        """Open no history.

        Raises:
            HistoryError: always.
        """
        raise HistoryError("the simulation has no history")


class Archive:
    """A real installation on a real disk, of which nothing runs but what forgets.

    Args:
        folder: for its files.

    Attributes:
        database: of its ledger and its registry.
        forgetter: takes out of it what has been kept for long enough.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.database = open_database(f"sqlite:///{folder / _FILE}")
        upgrade(self.database)
        self.forgetter = Forgetter(self._installation(), rest_s=0.0)
        self._last = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()

    def add(self, entries: Sequence[Kept]) -> None:
        """Take in what was committed since. Blocks for the disk."""
        with self.database.writing() as connection:
            ledger.append(connection, [_entry(kept) for kept in entries])
            self._last = ledger.last_id(connection)

    def forget(
        self, books: Books, now: datetime, *, is_thorough: bool = False
    ) -> tuple[int, list[Kept]]:
        """Forget what is due, and let the state of the site say so too.

        Args:
            books: of the server.
            now: the time.
            is_thorough: write the files anew, however large they are.

        Returns:
            How many entries were rewritten, and what the server's chain says of it.
        """
        with self.database.writing() as connection:
            version = ledger.state_version(connection, SITE) + 1
            ledger.save_state(connection, SITE, version, books.body)
        done = self.forgetter.forget(now, is_thorough=is_thorough)
        with self.database.reading() as connection:
            told = ledger.read(connection, SITE, after_id=self._last)
            self._last = ledger.last_id(connection)
            _, body = ledger.load_state(connection, SITE) or (0, books.body)
        if body != books.body:
            books.version, books.body = books.version + 1, body
        books.numbers.update((SERVER, entry.seq) for entry in told)
        return done.entries + done.unknown_badges, [_kept(entry) for entry in told]

    def named_before(self, before: datetime) -> int:
        """Count the entries from before a time that are still filed under somebody."""
        with self.database.reading() as connection:
            is_old = (_t.time < before) & _t.member.is_not(None)
            return int(connection.execute(select(func.count()).where(is_old)).scalar_one())

    def naming(self, since: datetime, before: datetime, who: Collection[str]) -> list[str]:
        """Give the entries of some time in which one of these is named."""
        wanted = frozenset(who)
        with self.database.reading() as connection:
            is_then = (_t.time >= since) & (_t.time < before)
            bodies = connection.scalars(select(_t.body).where(is_then)).all()
        return [body for body in bodies if not wanted.isdisjoint(words_in(body))]

    def rows_too_old(self, now: datetime, left: Mapping[MemberId, datetime]) -> list[str]:
        """Say which rows beside the ledger are older than they may be.

        Args:
            now: the time of the server.
            left: when whose membership ended.
        """
        # What is due goes in the night after, and one's end is seen in the night after it.
        late = now - 2 * _DAY
        token, api, listed = schema.badge_token.c, api_token.c, look_about.c
        session, seen = web_session.c, look.c
        api_over = or_(api.expires < late - ROWS_KEPT, api.revoked_at < late - ROWS_KEPT)
        old_looks = select(seen.id).where(seen.at < late - KEPT)
        with self.database.reading() as connection:
            counted = {
                "tokens of badges": (token.badge, token.seen_at < late - KEPT),
                "tokens of programs": (api.id, api_over),
                "people on a roll-call": (listed.member, listed.look.in_(old_looks)),
                "sessions": (session.email, session.created < late - SESSIONS_KEPT),
            }
            found = {
                what: connection.execute(select(func.count(column)).where(where)).scalar_one()
                for what, (column, where) in counted.items()
            }
            known = set(connection.scalars(select(schema.member.c.id)))
        found["members"] = sum(
            member in known and at < late - ROWS_KEPT for member, at in left.items()
        )
        return [f"{number} {what}" for what, number in found.items() if number]

    @contextmanager
    def files(self) -> Iterator[dict[str, mmap.mmap]]:
        """Give all that is on the disk, byte by byte, without holding it in memory."""
        with ExitStack() as stack:
            found = {}
            for one in sorted(self._folder.glob("*.db*")):
                if one.stat().st_size:
                    file = stack.enter_context(one.open("rb"))
                    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                    found[one.name] = stack.enter_context(mapped)
            yield found

    def write_anew(self) -> None:
        """Write the files anew, as `gardien forget --thorough` does. Blocks for the disk."""
        self.database.maintain("VACUUM")
        self.database.checkpoint()

    @property
    def is_small(self) -> bool:
        """Whether a night's forgetting writes the whole file anew; a larger one waits a month."""
        return (self._folder / _FILE).stat().st_size <= SMALL_BYTES

    def problems(self) -> list[str]:
        """Say what is wrong with the chains, as `gardien verify` does; nothing, if all is well."""
        with self.database.reading() as connection:
            reports = verify_site(connection, SITE)
        return [f"{one.source}: {one.problem}" for one in reports if one.problem is not None]

    def _installation(self) -> Installation:
        # Whoever forgets here is told the time, and asks no clock.
        clock = NodeClock(World(0, datetime(2026, 1, 1, tzinfo=UTC)))
        doors = (DoorSettings(id=one.id, name=one.name, contact=True) for one in DOORS)
        settings = ServerSettings(
            database=DatabaseUrl(str(self.database.engine.url)),
            mqtt=MqttSettings(
                host="127.0.0.1", port=1883, username="server", password_file=self._folder / "none"
            ),
            sites=(
                SiteSettings(
                    id=SITE,
                    name="Malakoff",
                    zone=ZoneName(ZONE.key),
                    capacity=60,
                    keep_days=KEPT.days,
                    doors=tuple(doors),
                ),
            ),
        )
        policies = PolicySource(database=self.database, settings=settings, clock=clock)
        return _WithoutHistory(
            folder=Folder(path=self._folder),
            settings=settings,
            clock=clock,
            database=self.database,
            policies=policies,
            gatehouse=Gatehouse(database=self.database, policy_of=policies.current),
        )


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
