"""Server-sent events: one thread looks at the sites' versions, and all streams wait for it.

A stream carries no data, only a word (the *mark*) that is another one whenever the page would be:
the page then fetches itself. Format: HTML Standard, 9.2 *Server-sent events*.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from access.ids import SiteId
from server.database import DatabaseError

_log = logging.getLogger(__name__)

INTERVAL_S: Final = 0.3
HEARTBEAT_S: Final = 10.0
_GLANCE_S: Final = 1.0
"""How often a stream asks whether its browser is still there."""

_HELLO: Final = "retry: 2000\n\n"


class TooManyStreamsError(RuntimeError):
    """Each stream holds a thread, and all that may are held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The marks of one site.

    Attributes:
        board: another one whenever anything happened.
        public: another one whenever a number is; it tells no more than the public numbers do.
    """

    board: str
    public: str


class Hub:
    """Wakes the streams when something has changed.

    Args:
        read: gives the marks of each site; called in the hub's own thread.
        most: how many streams there may be at once; half of them may be of the public numbers, so
            that strangers leave room for those who keep the place.
        interval_s: how long to wait between two looks.
        heartbeat_s: how often a stream says something, which is how dead browsers are found.
    """

    def __init__(
        self,
        *,
        read: Callable[[], Mapping[SiteId, Marks]],
        most: int,
        interval_s: float = INTERVAL_S,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._read, self._most = read, most
        self._interval_s, self._heartbeat_s = interval_s, heartbeat_s
        self._news = threading.Condition()
        self._marks: Mapping[SiteId, Marks] = {}
        self._streams = 0
        self._public = 0
        self._is_closed = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return self._streams

    def stream(
        self,
        site: SiteId,
        *,
        is_public: bool,
        is_gone: Callable[[], bool] = lambda: False,
        is_welcome: Callable[[], bool] = lambda: True,
    ) -> "Stream":
        """Open a stream; close it when its browser has gone.

        Args:
            site: whose news.
            is_public: whether it tells only of the public numbers.
            is_gone: says whether the browser has gone; where nobody can tell, a heart-beat that
                can't be written does.
            is_welcome: says whether they may still read it; asked before each piece.

        Raises:
            TooManyStreamsError: there are as many as there may be; the page works without.
        """
        with self._news:
            if self._is_closed or self._is_full(is_public=is_public):
                raise TooManyStreamsError(f"{self._streams} live pages are open; no more fit")
            self._streams += 1
            self._public += is_public
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="live", daemon=True)
                self._thread.start()
        return Stream(self, site, is_public=is_public, is_gone=is_gone, is_welcome=is_welcome)

    def wait_for(
        self, site: SiteId, known: str, *, is_public: bool, is_gone: Callable[[], bool]
    ) -> str | None:
        """Wait until the mark is another one than `known`; blocks for a heart-beat at the most.

        Returns:
            The mark, the same one if nothing has changed; None when the stream should end: the hub
            is closed, or the browser has gone.
        """

        def mark() -> str:
            marks = self._marks.get(site)
            if marks is None:
                return known
            return marks.public if is_public else marks.board

        waited_s = 0.0
        with self._news:
            while not self._is_closed and mark() == known and waited_s < self._heartbeat_s:
                if is_gone():
                    return None
                self._news.wait(min(_GLANCE_S, self._heartbeat_s))
                waited_s += _GLANCE_S
            return None if self._is_closed else mark()

    def leave(self, *, is_public: bool) -> None:
        """Count one stream less."""
        with self._news:
            self._streams -= 1
            self._public -= is_public

    def close(self) -> None:
        """End all streams and the thread. Closing twice is harmless."""
        self._stop.set()
        with self._news:
            self._is_closed = True
            self._news.notify_all()
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _is_full(self, *, is_public: bool) -> bool:
        most_public = max(1, self._most // 2)
        return self._streams >= self._most or (is_public and self._public >= most_public)

    def _watch(self) -> None:
        while True:
            if self._streams:
                self._look()
            if self._stop.wait(self._interval_s):
                return

    def _look(self) -> None:
        try:
            marks = self._read()
        except DatabaseError as error:
            _log.warning("the live pages wait: %s", error)
            return
        except Exception:  # noqa: BLE001 (the thread serves all pages: it must not end)
            _log.exception("a fault in reading what changed")
            return
        if marks != self._marks:
            with self._news:
                self._marks = marks
                self._news.notify_all()


class Stream(Iterator[str]):
    """The text of one stream, piece by piece; `close` gives its place back."""

    def __init__(
        self,
        hub: Hub,
        site: SiteId,
        *,
        is_public: bool,
        is_gone: Callable[[], bool],
        is_welcome: Callable[[], bool],
    ) -> None:
        self._hub, self._site, self._is_public = hub, site, is_public
        self._is_gone, self._is_welcome = is_gone, is_welcome
        self._known = ""
        self._is_greeted = False
        self._is_closed = False

    def __next__(self) -> str:
        """Give the next piece; blocks for a heart-beat at the most.

        Raises:
            StopIteration: the hub is closed, the browser has gone, or it may read no more.
        """
        if not self._is_greeted:
            # At once, so that the browser knows that it is connected.
            self._is_greeted = True
            return _HELLO
        mark = self._hub.wait_for(
            self._site, self._known, is_public=self._is_public, is_gone=self._is_gone
        )
        # The token that opened the stream may have been revoked since.
        if mark is None or not self._is_welcome():
            raise StopIteration
        if mark == self._known:
            return ": still here\n\n"
        self._known = mark
        return f"data: {mark}\n\n"

    def close(self) -> None:
        """Leave. Closing twice is harmless."""
        if not self._is_closed:
            self._is_closed = True
            self._hub.leave(is_public=self._is_public)
