"""An open installation: settings, database, policies and gates, for the programs to build on."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from access.ids import SiteId
from access.snapshot import Sign
from runtime.clock import Clock, clock_from
from runtime.keys import read_badge_key, signer
from runtime.settings import read_secret
from server import schema
from server.database import Database, open_database
from server.folder import Folder, InstallationError
from server.follower import NAME, STAND_IN, HistoryFollower
from server.gatehouse import Gatehouse
from server.history import History
from server.history_embedded import EmbeddedHistory
from server.moving import refuse_unfinished
from server.policy_source import PolicySource
from server.settings import HistorySettings, ServerSettings, SiteSettings
from server.silence import Patience
from server.upgrade import Show, unseen, upgrade


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """An open installation: what the programs build on."""

    folder: Folder
    settings: ServerSettings
    clock: Clock
    database: Database
    policies: PolicySource
    gatehouse: Gatehouse

    def site(self, site: SiteId | None = None) -> SiteSettings:
        """Give a site's settings; the only one if none is named.

        Raises:
            InstallationError: there is no such site, or several to choose from.
        """
        known = {s.id: s for s in self.settings.sites}
        if site is None and len(known) == 1:
            return next(iter(known.values()))
        if site is None or site not in known:
            raise InstallationError(f"name one of the sites with --site: {', '.join(known)}")
        return known[site]

    def sign(self) -> Sign:
        """Give the function that signs with the server's key.

        Raises:
            KeyFileError: the key is missing or not one.
        """
        return signer(self.folder.signing_key)

    def read_badge_key(self, site: SiteId) -> bytes:
        """Read the badge key of a site.

        Raises:
            KeyFileError: the key is missing or not one.
        """
        return read_badge_key(self.folder.badge_key(site))

    @contextmanager
    def open_history(self) -> Iterator[tuple[History, Database]]:
        """Open the history, and the database that keeps the followers' cursors."""
        with ExitStack() as stack:
            cursors = self.database
            if self.database.is_sqlite:
                # A file of its own, so that no badge waits for the history's commits.
                cursors = stack.enter_context(
                    open_database(f"sqlite:///{self.folder.history_file.absolute()}")
                )
                # To look and to make in one turn: server and dashboard may well start together.
                with cursors.writing() as connection:
                    schema.follower.create(connection, checkfirst=True)
            yield stack.enter_context(_history(self.settings.history, cursors)), cursors

    def stand_in(self, cursors: Database) -> EmbeddedHistory | None:
        """Give the embedded store where the history is another one; None where it is this one.

        It is kept all the same, for the curves while the other one is away.

        Args:
            cursors: what `open_history` gives.
        """
        return EmbeddedHistory(cursors.engine) if self.settings.history.url else None

    def history_followers(self, history: History, cursors: Database) -> list[HistoryFollower]:
        """Give what copies the ledger into the history, and into the stand-in if there is one.

        Args:
            history: what `open_history` gives.
            cursors: likewise.
        """
        stand_in = self.stand_in(cursors)
        stores = {NAME: history} | ({} if stand_in is None else {STAND_IN: stand_in})
        return [
            HistoryFollower(source=self.database, cursors=cursors, history=store, name=name)
            for name, store in stores.items()
        ]


def _history(settings: HistorySettings, embedded: Database) -> History:
    if not settings.url:
        return EmbeddedHistory(embedded.engine)
    # Half a second to load, for those alone who have it.
    from server.history_influx import InfluxHistory  # noqa: PLC0415
    from server.history_influx_client import InfluxSettings  # noqa: PLC0415

    return InfluxHistory(
        InfluxSettings(
            url=settings.url,
            database=settings.database,
            user=settings.username,
            password=read_secret(settings.password_file) if settings.password_file else None,
            token=read_secret(settings.token_file) if settings.token_file else None,
        )
    )


def open_ledger(settings: ServerSettings) -> Database:
    """Open the database that the settings name; blocks for the disk or the network.

    Raises:
        SettingsError: the password's file can't be read.
        DatabaseError: it can't be reached.
    """
    secret = settings.database_password_file
    return open_database(settings.database, password=read_secret(secret) if secret else None)


@contextmanager
def open_installation(path: Path, show: Show = unseen) -> Iterator[Installation]:
    """Open an installation, its database brought to the newest schema.

    Args:
        path: the folder that `--data` names.
        show: shows how far that has come.

    Raises:
        InstallationError: there is none.
        SettingsError: its settings can't be used.
        DatabaseError: its database can't be reached.
        MoveError: the restore of a backup into its database was broken off.
    """
    folder = Folder(path=path)
    settings = folder.load_settings()
    clock = clock_from(settings.clock)
    with open_ledger(settings) as database:
        refuse_unfinished(database)
        upgrade(database, show)
        policies = PolicySource(database=database, settings=settings, clock=clock)
        yield Installation(
            folder=folder,
            settings=settings,
            clock=clock,
            database=database,
            policies=policies,
            gatehouse=Gatehouse(
                database=database, policy_of=policies.current, patience=_patience(settings, clock)
            ),
        )


def _patience(settings: ServerSettings, clock: Clock) -> Patience | None:
    """Give how long doors may be silent: for ever in a demonstration, whose clock leaps."""
    return None if settings.clock.demo_file is not None else Patience(since=clock.now())
