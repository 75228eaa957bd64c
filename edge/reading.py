"""The thread that looks at one reader, and brings it back when it fails."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Self

from edge.ports import Card, Reader, ReaderError, Unreadable
from edge.presentation import (
    DEFAULT_REARM_S,
    CardRead,
    CardUnreadable,
    Presentations,
    ReaderEvent,
    ReaderFailed,
    ReaderRecovered,
)

_log = logging.getLogger(__name__)

DEFAULT_POLL_S: Final = 0.06
_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 10.0
_TRUSTED_AFTER_S: Final = 30.0


class ReaderWatch:
    """Looks at one reader at a steady pace and says what happens to it.

    Each failure is told once, and so is each recovery. Attempts to recover begin at once and are
    then 0.25 s apart, twice as far each time, up to 10 s; a reader that failed again within 30 s
    goes on where it was, so that one that comes and goes cannot flood the journal.
    """

    def __init__(
        self,
        *,
        name: str,
        reader: Reader,
        on_event: Callable[[ReaderEvent], None],
        poll_s: float = DEFAULT_POLL_S,
        rearm_s: float = DEFAULT_REARM_S,
        meet: Callable[[bytes], CardRead | CardUnreadable] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing happens before `start` or `step`.

        Args:
            name: which reader of the door, as "in" or "out".
            reader: is used by this watch alone, and closed by it.
            on_event: is called from the watch's thread; must not block.
            poll_s: seconds between two looks.
            rearm_s: see `Presentations`.
            meet: opens a card that is presented, by its UID; without it only the UID is read. It
                may raise `ReaderError`.
            monotonic: seconds, as `time.monotonic`.
        """
        self._name, self._reader, self._on_event = name, reader, on_event
        self._poll_s, self._meet, self._monotonic = poll_s, meet, monotonic
        self._presentations = Presentations(rearm_s=rearm_s)
        self._is_failed = False
        self._pause_s = 0.0
        self._good_since_s = monotonic()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_failed(self) -> bool:
        """Whether the reader is out of order now."""
        return self._is_failed

    def start(self) -> Self:
        """Start the thread. Starting twice is harmless."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name=f"reader-{self._name}", daemon=True
            )
            self._thread.start()
        return self

    def close(self) -> None:
        """Stop the thread, then close the reader; blocks for at most a look and a recovery."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self._reader.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def step(self) -> float:
        """Look once, or try once to recover; returns the seconds to wait before the next step."""
        return self._mend() if self._is_failed else self._look()

    def _run(self) -> None:
        while True:
            begun_s = self._monotonic()
            pause_s = self.step()
            took_s = self._monotonic() - begun_s
            if self._stopping.wait(max(pause_s - took_s, 0.0)):
                return

    def _look(self) -> float:
        try:
            card = self._reader.poll()
        except ReaderError as error:
            return self._fail(error)
        now_s = self._monotonic()
        if self._pause_s and now_s - self._good_since_s >= _TRUSTED_AFTER_S:
            self._pause_s = 0.0
        presented = self._presentations.see(card, now_s)
        if isinstance(presented, Unreadable):
            self._tell(CardUnreadable(reader=self._name, why=presented.why))
        elif presented is not None:
            return self._take(presented)
        return self._poll_s

    def _take(self, card: Card) -> float:
        """Meet a card whose presentation begins."""
        if self._meet is None:
            self._tell(CardRead(reader=self._name, uid=card.uid))
            return self._poll_s
        try:
            met = self._meet(card.uid)
        except ReaderError as error:
            self._presentations.forget(card.uid)
            return self._fail(error)
        if isinstance(met, CardUnreadable) and met.why == "moved":
            self._presentations.forget(card.uid)
        self._tell(met)
        return self._poll_s

    def _fail(self, error: ReaderError) -> float:
        self._is_failed = True
        self._tell(ReaderFailed(reader=self._name, error=str(error)))
        return self._pause_s

    def _mend(self) -> float:
        try:
            self._reader.recover()
        except ReaderError as error:
            _log.debug("reader %s is still out of order: %s", self._name, error)
            return self._lengthen()
        self._is_failed, self._good_since_s = False, self._monotonic()
        self._lengthen()
        self._tell(ReaderRecovered(reader=self._name))
        return self._poll_s

    def _lengthen(self) -> float:
        self._pause_s = min(max(2 * self._pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
        return self._pause_s

    def _tell(self, event: ReaderEvent) -> None:
        try:
            self._on_event(event)
        except Exception:  # noqa: BLE001 - a fault in the door must not blind its reader
            _log.exception("reader %s: %s was not taken", self._name, type(event).__name__)
