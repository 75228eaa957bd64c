"""Running a program until it is told to stop, by Ctrl-C or by the system."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_PATIENCE_S: Final = 1.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def told_to_stop() -> Iterator[threading.Event]:
    """Give an event that SIGTERM or SIGINT sets; for the main thread only.

    The first signal asks the program to end in good order. One that comes a second or more later
    ends it at once, as a Ctrl-C would, for a program that hangs.
    """
    stop = threading.Event()
    patience_ends = float("inf")

    def ask(_number: int, _frame: FrameType | None) -> None:
        nonlocal patience_ends
        if time.monotonic() >= patience_ends:
            raise KeyboardInterrupt
        if not stop.is_set():
            patience_ends = time.monotonic() + _PATIENCE_S
            stop.set()

    before = {number: signal.signal(number, ask) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
