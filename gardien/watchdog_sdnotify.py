"""Tells systemd that a program is ready, and goes on being alive: sd_notify(3), over sdnotify."""

import os
import time
from types import TracebackType
from typing import Any, Final, Self

import sdnotify

_EVERY_S: Final = 1.0


class Watchdog:
    """Speaks to the service manager that started us; does nothing where there is none.

    Call `alive` from the very loop that must not get stuck: the first call says that the program
    is ready, and each later one, once a second at most, that it lives.
    """

    def __init__(self) -> None:
        # Without an address sdnotify would open a socket and forget it.
        self._notifier: Any = sdnotify.SystemdNotifier() if os.getenv("NOTIFY_SOCKET") else None
        self._is_ready = False
        self._next = 0.0

    def alive(self) -> None:
        """Say that the program has come round its loop; does not block."""
        if self._notifier is None or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY_S
        self._notifier.notify("WATCHDOG=1" if self._is_ready else "READY=1")
        self._is_ready = True

    def close(self) -> None:
        """Say that the program is stopping. Closing twice is harmless."""
        if self._notifier is None:
            return
        self._notifier.notify("STOPPING=1")
        if self._notifier.socket is not None:
            self._notifier.socket.close()
        self._notifier = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
