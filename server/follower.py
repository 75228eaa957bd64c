"""Followers: each reads the ledger at its own pace, with a cursor of its own, and does its work.

When what a follower writes to is away it waits and catches up. The history's follower is here: when
its cursor is lost it begins at zero and comes to the same, since a point written again changes
nothing.
"""

import logging
import threading
import time
from abc import ABC, abstractmethod
from typing import Final

from server import ledger
from server.database import Database, DatabaseError
from server.history import History, HistoryRejected, HistoryUnavailable
from server.recorder import points_of

_log = logging.getLogger(__name__)

NAME: Final = "history"
STAND_IN: Final = "history.embedded"
"""The cursor of the embedded store, where the history is another one."""

_BATCH: Final = 5_000
_SMALL_BATCH: Final = 500
"""How many entries at a time while badges are read: some milliseconds of work."""
_IDLE_S: Final = 5.0
_GATHER_S: Final = 1.0
_RETRY_S: Final = 5.0
_FAULT_S: Final = 60.0

_CALM_S: Final = 2.0
"""So long after the last commit nobody is taken to be at a door."""
_RESTS: Final = 3.0
"""For how much longer than it works a follower rests while badges are read."""
_PIECE_S: Final = 0.002
_LONGEST_REST_S: Final = 0.1


class Follower(ABC):
    """Something that follows the ledger in a thread of its own."""

    name: str
    """Of its cursor."""
    label: str = "a follower"
    """What it is called in the log; each is called otherwise, since its thread is named for it."""
    gather_s: float = _GATHER_S
    """How long news wait for company, in seconds, so that no badge waits for what follows it."""

    def __init__(self) -> None:
        self._news = threading.Event()
        self._woken_at = -_CALM_S
        self._worked_s = 0.0

    def wake(self) -> None:
        """Say that there is something new; does not block."""
        self._woken_at = time.monotonic()
        self._news.set()

    @property
    def is_among_badges(self) -> bool:
        """Whether the server has just committed something, and so may well decide again."""
        return time.monotonic() - self._woken_at < _CALM_S

    def breathe(self) -> None:
        """Rest for a while in which badges go first, if there are any; call it after each piece.

        Threads share one interpreter: a decision beside one that only works takes several times
        as long. What counts as work is the processor's time, not the waiting for others.
        """
        worked_s = time.thread_time() - self._worked_s
        if worked_s < _PIECE_S:
            return
        if self.is_among_badges:
            time.sleep(min(worked_s * _RESTS, _LONGEST_REST_S))
        self._worked_s = time.thread_time()

    def run(self, stop: threading.Event) -> None:
        """Follow until `stop` is set and `wake` is called."""
        while not stop.is_set():
            self._news.clear()
            try:
                while not stop.is_set() and self.step():
                    self.breathe()
            except (HistoryUnavailable, DatabaseError) as error:
                _log.warning("%s waits: %s", self.label, error)
                self.on_trouble()
                stop.wait(_RETRY_S)
            except Exception:  # noqa: BLE001 (it may be behind, but never silently at an end)
                _log.exception("a fault keeps %s from going on", self.label)
                stop.wait(_FAULT_S)
            else:
                self._news.wait(self.idle_s())
                # What is committed meanwhile is done with it.
                stop.wait(self.gather_s)

    @abstractmethod
    def step(self) -> int:
        """Do one batch; blocks until it is done.

        Returns:
            How many entries it did; 0 when there is nothing to do now.

        Raises:
            DatabaseError: the ledger is away.
        """

    def idle_s(self) -> float:
        """For how long to wait for news at the most, in seconds."""
        return _IDLE_S

    def on_trouble(self) -> None:  # noqa: B027 (most have nothing to do then)
        """Be told that a step could not be done now."""


class HistoryFollower(Follower):
    """Copies the ledger into the history.

    Args:
        source: where the ledger is.
        cursors: where the cursor is kept; another database than the ledger's where the ledger has
            one writer at a time, so that no badge waits for a cursor.
        history: what to write to.
        name: of its cursor.
    """

    def __init__(
        self, *, source: Database, cursors: Database, history: History, name: str = NAME
    ) -> None:
        super().__init__()
        self.name = name
        self.label = "the history" if name == NAME else "the embedded history"
        self._source, self._cursors, self._history = source, cursors, history
        self._is_prepared = False

    def on_trouble(self) -> None:
        """Prepare again: another store may answer when it is back."""
        self._is_prepared = False

    def step(self) -> int:
        """Copy one batch; blocks until it is stored.

        Returns:
            How many entries it did; 0 when there is nothing new.

        Raises:
            HistoryUnavailable: the history is away; nothing is lost, call again later.
            DatabaseError: the ledger is.
        """
        if not self._is_prepared:
            self._history.prepare()
            self._is_prepared = True
        with self._cursors.reading() as connection:
            done = ledger.cursor(connection, self.name)
        limit = _SMALL_BATCH if self.is_among_badges else _BATCH
        with self._source.reading() as connection:
            entries = ledger.read(connection, after_id=done, limit=limit)
        if not entries:
            return 0
        try:
            self._history.write([point for entry in entries for point in points_of(entry)])
        except HistoryRejected as error:
            _log.error("the history refused %d points for good: %s", error.dropped, error)
        with self._cursors.writing() as connection:
            ledger.advance(connection, self.name, entries[-1].id)
        return len(entries)

    def restart(self) -> None:
        """Begin again at the first entry."""
        with self._cursors.writing() as connection:
            ledger.rewind(connection, self.name)
