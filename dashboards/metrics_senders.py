"""How the ledger's followers stand, as numbers for Prometheus' format; no name of a person."""

from collections.abc import Sequence
from dataclasses import dataclass

from runtime.clock import Clock
from server import follower, ledger, notifier_queue
from server.database import Database
from server.notifier_followers import standing


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowerNumbers:
    """One follower in numbers.

    Attributes:
        name: `history`, `history.embedded`, `alerts.<channel>` or `webhook.<hook>`.
        lag: entries of the ledger that it has still to do.
        lag_s: age of the first of them, in seconds.
        waiting: what waits to be sent by itself.
        dead: what was given up.
        is_failing: whether the last attempt to send failed.
    """

    name: str
    lag: int
    lag_s: float
    waiting: int = 0
    dead: int = 0
    is_failing: bool = False


class FollowersReader:
    """Reads how followers stand; safe to use from several threads.

    Args:
        database: where the ledger is.
        cursors: where followers keep what is theirs.
        names: of those that send things on.
        histories: of those that keep a history.
        clock: the time.
    """

    def __init__(
        self,
        *,
        database: Database,
        cursors: Database,
        names: Sequence[str],
        clock: Clock,
        histories: Sequence[str] = (follower.NAME,),
    ) -> None:
        self._histories = tuple(histories)
        self._database, self._cursors, self._clock = database, cursors, clock
        self._names = tuple(names)
        self._is_prepared = not names

    def read(self) -> list[FollowerNumbers]:
        """Give the numbers of all followers, histories first. Blocks for the databases.

        Raises:
            DatabaseError: not now.
        """
        if not self._is_prepared:
            notifier_queue.prepare(self._cursors)
            self._is_prepared = True
        return [*map(self._history, self._histories), *map(self._sender, self._names)]

    def _history(self, name: str) -> FollowerNumbers:
        with self._cursors.reading() as connection:
            done = ledger.cursor(connection, name)
        with self._database.reading() as connection:
            lag = max(0, ledger.last_id(connection) - done)
            first = ledger.read(connection, after_id=done, limit=1) if lag else []
        age_s = (self._clock.now() - first[0].received).total_seconds() if first else 0.0
        return FollowerNumbers(name=name, lag=lag, lag_s=max(0.0, age_s))

    def _sender(self, name: str) -> FollowerNumbers:
        found = standing(
            source=self._database, cursors=self._cursors, name=name, now=self._clock.now()
        )
        return FollowerNumbers(
            name=name,
            lag=found.lag,
            lag_s=found.lag_s,
            waiting=found.waiting,
            dead=found.dead,
            is_failing=found.target is not None and found.target.attempts > 0,
        )
