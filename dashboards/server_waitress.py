"""Serve an application with waitress. The only module that imports it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from flask import Flask
from waitress import wasyncore
from waitress.server import create_server
from waitress.trigger import trigger

_MORE_CONNECTIONS: Final = 100
_DRAIN_S: Final = 2.0
_END_S: Final = 5.0


@contextmanager
def served(app: Flask, *, host: str, port: int, threads: int) -> Iterator[int]:
    """Serve an application until the block is left; all that it started has ended then.

    Args:
        app: to serve. What holds its threads (live streams) must have ended before the block is
            left, or leaving takes some seconds.
        host: name or address to listen on.
        port: TCP port; 0 for a free one.
        threads: how many requests at once.

    Yields:
        The port.

    Raises:
        OSError: the address can't be listened on.
    """
    sockets: dict[int, Any] = {}
    server = create_server(
        app,
        map=sockets,
        host=host,
        port=port,
        threads=threads,
        connection_limit=2 * threads + _MORE_CONNECTIONS,
        ident=None,
        # Reads on while it answers, and so hears when a browser has gone.
        channel_request_lookahead=1,
    )
    serving = threading.Thread(target=server.run, name="pages", daemon=True)
    serving.start()
    try:
        yield _port_of(server)
    finally:
        server.task_dispatcher.shutdown()
        _drain(sockets)
        _end(sockets)
        serving.join(_END_S)


def _port_of(server: Any) -> int:  # noqa: ANN401 (waitress has no types)
    # A name that stands for several addresses has a socket for each, and one port.
    listens = getattr(server, "effective_listen", None)
    return int(listens[0][1] if listens else server.effective_port)


def _drain(sockets: dict[int, Any]) -> None:
    """Let what has been answered be sent."""
    ends_at = time.monotonic() + _DRAIN_S
    while time.monotonic() < ends_at:
        if not any(getattr(one, "total_outbufs_len", 0) for one in list(sockets.values())):
            return
        time.sleep(0.01)


def _end(sockets: dict[int, Any]) -> None:
    """End the loop, in its own thread: closing its sockets in another would pull them away."""
    for one in list(sockets.values()):
        if isinstance(one, trigger):
            one.pull_trigger(lambda: wasyncore.close_all(sockets, ignore_all=True))
            return
