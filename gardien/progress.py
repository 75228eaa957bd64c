"""A progress bar for work that turns out to be long: it comes after two seconds, on a terminal."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

PATIENCE_S: Final = 2.0
"""How long people wait without being told anything."""

Advance = Callable[[int], None]
"""Says that so many more are done."""

ShowProgress = Callable[[str, int | None], AbstractContextManager[Advance]]
"""Shows how far some work is: `progress_bar`, or something that shows nothing."""


@contextmanager
def progress_bar(
    title: str, total: int | None, patience_s: float = PATIENCE_S
) -> Iterator[Advance]:
    """Show a bar on standard error once the work in the block has lasted too long.

    Args:
        title: what is being done.
        total: how many there are to do; None where it can't be known.
        patience_s: when the bar comes, in seconds.
    """
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *([MofNCompleteColumn()] if total is not None else []),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = progress.add_task(title, total=total)
    gate = _Gate(progress)
    timer = threading.Timer(patience_s, gate.open)
    timer.daemon = True
    if progress.console.is_terminal:
        timer.start()
    try:
        yield lambda done: progress.advance(task, done)
    finally:
        timer.cancel()
        gate.close()


class _Gate:
    """Lets the bar start from the timer's thread, and never after the work has ended."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._is_over = self._is_shown = False

    def open(self) -> None:
        with self._lock:
            if not self._is_over:
                self._progress.start()
                self._is_shown = True

    def close(self) -> None:
        with self._lock:
            self._is_over = True
            # One that was never shown would leave an empty line behind.
            if self._is_shown:
                self._progress.stop()
