"""The programs of the demonstration as processes, none of which outlives it."""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

_STOP_S: Final = 8.0
_POLL_S: Final = 0.02


class ProcessError(OSError):
    """A program of the demonstration did not start, or stopped by itself."""


class Processes:
    """Starts programs of gardien's and stops them all.

    Where there is `setpriv` (util-linux), the kernel ends them too when this process is killed
    (prctl(2), PR_SET_PDEATHSIG).

    Args:
        data: the installation's folder.
        logs: a folder for what they print.
        stop: set when all is to end: nothing is started or waited for any more.
    """

    def __init__(self, *, data: Path, logs: Path, stop: threading.Event) -> None:
        self._data, self._logs, self._stop = data, logs, stop
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._files: list[IO[bytes]] = []

    def start(self, name: str, *words: str) -> None:
        """Start one program.

        Args:
            name: what it is called in messages and in its log's name.
            words: the command line after `gardien --data DIR`.
        """
        if self._stop.is_set():
            return
        log = (self._logs / f"{name}.log").open("ab")
        self._files.append(log)
        command = [sys.executable, "-m", "gardien", "--data", str(self._data), *words]
        self._running[name] = subprocess.Popen(  # noqa: S603 (our own program)
            [*_leash(), *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def wait_until(self, is_ready: Callable[[], bool], what: str, within_s: float = 30.0) -> None:
        """Wait for something that the programs bring about, or for `stop`; blocks.

        Raises:
            ProcessError: it did not come about in time, or a program has stopped.
        """
        deadline = time.monotonic() + within_s
        while not (self._stop.is_set() or is_ready()):
            self.check()
            if time.monotonic() > deadline:
                raise ProcessError(
                    f"{what} was not ready within {within_s:.0f} s; see the logs in {self._logs}"
                )
            time.sleep(_POLL_S)

    def check(self) -> None:
        """Make sure that all programs run.

        Raises:
            ProcessError: one has stopped by itself.
        """
        if self._stop.is_set():
            # Ctrl-C in the very moment of its start ends a program too: all is well.
            return
        for name, process in self._running.items():
            if process.poll() is not None:
                raise ProcessError(f"the {name} has stopped: {self._last_words(name)}")

    def close(self) -> None:
        """Stop all programs, the last one first. Closing twice is harmless."""
        running = [*reversed(self._running.values())]
        self._running.clear()
        for process in running:
            process.terminate()
        deadline = time.monotonic() + _STOP_S
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for file in self._files:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def _last_words(self, name: str) -> str:
        lines = (self._logs / f"{name}.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def _leash() -> list[str]:
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
