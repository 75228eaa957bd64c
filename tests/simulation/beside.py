"""Many simulations beside the other tests: they take what those leave of the processors."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Event

from gardien.progress import Advance
from simulation.many import Tally, simulate_many

_GIVE_WAY = 19


class CancelledError(Exception):
    """Nobody waits for the rest any more."""


@dataclass(slots=True, kw_only=True)
class Beside:
    """Simulations that run while other tests do.

    Attributes:
        seeds: what each is made of.
        hours: how long each lasts.
    """

    seeds: range
    hours: float
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _tally: Future[Tally] | None = None
    _done: SimpleQueue[int] = field(default_factory=SimpleQueue)
    _is_cancelled: Event = field(default_factory=Event)

    def start(self) -> None:
        """Begin, unless they run already."""
        if self._tally is None:
            self._tally = self._thread.submit(
                simulate_many, self.seeds, self.hours, self._count, niceness=_GIVE_WAY
            )

    def wait(self, advance: Advance) -> Tally:
        """Wait until all are done, and give what they came to; blocks for minutes."""
        self.start()
        assert self._tally is not None
        while not self._tally.done():
            try:
                advance(self._done.get(timeout=0.5))
            except Empty:
                continue
        return self._tally.result()

    def cancel(self) -> None:
        """Let those end that run, and begin no more."""
        self._is_cancelled.set()
        self._thread.shutdown(cancel_futures=True)

    def _count(self, number: int) -> None:
        if self._is_cancelled.is_set():
            raise CancelledError
        self._done.put(number)
