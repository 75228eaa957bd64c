"""A bad line on the loopback: a TCP proxy that delays, swallows, and cuts in mid-frame."""

import contextlib
import queue
import random
import socket
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

_CHUNK: Final = 65536


@dataclass(slots=True, kw_only=True)
class Line:
    """How the line is now; to be changed at any time.

    Attributes:
        to_server_s: the least and the most that bytes take to the broker, in seconds. Each
            connection has its own delay at each moment, so that one overtakes another.
        to_client_s: likewise, the other way.
        is_half_open: whether what comes is swallowed, while the connections stay as they are.
    """

    to_server_s: tuple[float, float] = (0.0, 0.0)
    to_client_s: tuple[float, float] = (0.0, 0.0)
    is_half_open: bool = False


@dataclass(slots=True)
class _Pair:
    """One connection: the client's end and the server's."""

    client: socket.socket
    server: socket.socket
    is_to_be_cut: bool = False

    def close(self) -> None:
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@dataclass(slots=True)
class Proxy:
    """Listens on a port of its own and passes everything on, as well as its line lets it.

    Args:
        target: the port of the loopback that it stands before.
        dice: chooses each delay.

    Attributes:
        line: how it is now.
        port: what it listens on.
    """

    target: int
    dice: random.Random
    line: Line = field(default_factory=Line)
    _listener: socket.socket = field(init=False)
    _pairs: list[_Pair] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._spawn(self._accept)

    @property
    def port(self) -> int:
        """What it listens on."""
        return int(self._listener.getsockname()[1])

    def cut(self) -> None:
        """Cut every connection in the middle of what is sent next, or at once if nothing is."""
        for pair in list(self._pairs):
            pair.is_to_be_cut = True

    def cut_now(self) -> None:
        """Cut every connection at once."""
        for pair in list(self._pairs):
            pair.close()

    def close(self) -> None:
        """Cut everything and stop. Closing twice is harmless."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_now()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _spawn(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = _Pair(client, server)
            self._pairs.append(pair)
            self._pass_on(pair, client, server, is_to_server=True)
            self._pass_on(pair, server, client, is_to_server=False)

    def _pass_on(
        self, pair: _Pair, source: socket.socket, sink: socket.socket, *, is_to_server: bool
    ) -> None:
        waiting: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        self._spawn(self._read, source, waiting, is_to_server)
        self._spawn(self._write, pair, sink, waiting)

    def _read(
        self,
        source: socket.socket,
        waiting: "queue.SimpleQueue[tuple[float, bytes]]",
        is_to_server: bool,  # noqa: FBT001 (started as a thread)
    ) -> None:
        part = b"-"
        while part:
            try:
                part = source.recv(_CHUNK)
            except OSError:
                part = b""
            limits = self.line.to_server_s if is_to_server else self.line.to_client_s
            if not self.line.is_half_open or not part:
                waiting.put((time.monotonic() + self.dice.uniform(*limits), part))

    def _write(
        self,
        pair: _Pair,
        sink: socket.socket,
        waiting: "queue.SimpleQueue[tuple[float, bytes]]",
    ) -> None:
        while True:
            due, part = waiting.get()
            time.sleep(max(0.0, due - time.monotonic()))
            is_last = pair.is_to_be_cut or not part
            with contextlib.suppress(OSError):
                sink.sendall(part[: len(part) // 2] if pair.is_to_be_cut else part)
                if not is_last:
                    continue
            pair.close()
            return
