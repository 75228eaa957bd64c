"""The small world round a simulated door, spoken to over a Unix socket, one JSON object a line.

The lines and the answers are in `edge.simulated.messages`. Whoever may open the socket is the
person at the door: it is for its owner alone (mode 0600).
"""

import os
import socket
import socketserver
import stat
import threading
from collections.abc import Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from edge.signals import recognise
from edge.simulated.card import cascade
from edge.simulated.chip import Chip, Fault
from edge.simulated.messages import (
    MAX_LINE_BYTES,
    Answer,
    BreakReader,
    Contact,
    ExitButton,
    FirePanel,
    Line,
    LineError,
    Look,
    Push,
    Tap,
    decode_line,
    encode,
)
from edge.simulated.person import NobodyThereError, Person
from edge.simulated.pins import SimulatedPins
from edge.simulated.surroundings import LOCKED, UNLOCKED, Surroundings, Wiring
from edge.simulated.wallet import Wallet

_SOCKET_MODE: Final = 0o600
_POLL_S: Final = 0.02


class WorldInUseError(OSError):
    """Something else answers at the socket, or a file that is no socket is there."""


class World:
    """Serves the people and things at one simulated door until it is closed."""

    def __init__(
        self,
        socket_path: Path,
        *,
        chips: Mapping[str, Chip],
        wiring: Wiring,
        pins: SimulatedPins,
        cards: Path | None = None,
    ) -> None:
        """Close the door, and listen.

        Args:
            socket_path: where to listen; at most 107 bytes long. A socket that was left behind
                there is replaced.
            chips: the emulated chip of each reader, by the reader's name.
            wiring: which pin is what.
            pins: the emulated pins that the door unit uses too.
            cards: the folder in which cards keep their memory; None: they forget it with the world.

        Raises:
            WorldInUseError: the path is taken.
            OSError: the path is too long, or cannot be written.
        """
        self._path = socket_path
        self._surroundings = Surroundings(chips=chips, wiring=wiring, pins=pins)
        self._stopping = threading.Event()
        self._person = Person(
            surroundings=self._surroundings, stopping=self._stopping, wallet=Wallet(cards)
        )
        self._server = _Server(socket_path, self)
        self._queue = ThreadPoolExecutor(max_workers=1, thread_name_prefix="person")
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="world", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Send whoever is at the door away, and stop listening. Closing twice is harmless."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._queue.shutdown(wait=True, cancel_futures=True)
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def answer(self, raw: bytes) -> Answer:
        """Do what one line asks for; blocks until it is done. Bad input changes nothing."""
        try:
            return self._do(decode_line(raw))
        except (ValueError, OSError, NobodyThereError, CancelledError) as error:
            return Answer(ok=False, error=str(error) or "the world ended")
        except RuntimeError as error:  # the queue was shut down meanwhile
            return Answer(ok=False, error=f"the world ended: {error}")

    def _do(self, line: Line) -> Answer:
        match line:
            case Tap():
                self._check_tap(line)
                return self._queue.submit(self._person.tap, line).result()
            case Push():
                return self._queue.submit(self._person.push, line).result()
            case ExitButton():
                return self._queue.submit(self._person.leave, line).result()
            case BreakReader():
                return self._break_reader(line)
            case Contact():
                self._set_contact(line)
            case FirePanel():
                self._surroundings.raise_fire(is_on=line.on)
            case Look():
                pass
        return self._look()

    def _check_tap(self, line: Tap) -> None:
        """Refuse what cannot be done before it stands in the queue."""
        self._chip(line.reader)
        cascade(bytes.fromhex(line.uid))

    def _chip(self, reader: str) -> Chip:
        chips = self._surroundings.chips
        if reader not in chips:
            raise LineError(f"no reader {reader!r}: this door has {', '.join(sorted(chips))}")
        return chips[reader]

    def _set_contact(self, line: Contact) -> None:
        if not self._surroundings.has_contact:
            raise LineError("this door has no contact")
        self._surroundings.set_open(is_open=line.open)

    def _break_reader(self, line: BreakReader) -> Answer:
        self._chip(line.reader).fault = Fault.SILENT_LOW if line.on else Fault.NONE
        return Answer(ok=True)

    def _look(self) -> Answer:
        seen = self._surroundings
        signal = recognise(seen.light())
        contact = "open" if seen.is_open() else "closed"
        return Answer(
            ok=True,
            lock=UNLOCKED if seen.is_unlocked() else LOCKED,
            contact=contact if seen.has_contact else "none",
            light=seen.colour(),
            buzzer_hz=seen.buzzer_hz(),
            signal=None if signal is None else signal.value,
        )


class _Handler(socketserver.StreamRequestHandler):
    """One connection: a line in, a line out, until the other end hangs up."""

    server: "_Server"

    def handle(self) -> None:
        with suppress(ConnectionError):
            while raw := self.rfile.readline(MAX_LINE_BYTES + 1):
                self.wfile.write(encode(self.server.world.answer(raw)))
                if len(raw) > MAX_LINE_BYTES:
                    return  # the rest of that line would be taken for others


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Listens at a path that only its owner may open."""

    def __init__(self, path: Path, world: World) -> None:
        self.world = world
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        _clear(path)
        super().__init__(str(path), _Handler)

    def server_bind(self) -> None:
        super().server_bind()
        # Before `listen`: until then nobody can connect, so there is no moment of openness.
        Path(str(self.server_address)).chmod(_SOCKET_MODE)

    def process_request(self, request: object, client_address: object) -> None:
        if isinstance(request, socket.socket):
            with self._guard:
                self._open.add(request)
            super().process_request(request, client_address)

    def shutdown_request(self, request: object) -> None:
        if isinstance(request, socket.socket):
            with self._guard:
                self._open.discard(request)
            super().shutdown_request(request)

    def hang_up(self) -> None:
        """End the connections that are still open, so that their threads end too."""
        with self._guard:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


def _clear(path: Path) -> None:
    """Remove a socket that was left behind; refuse one that is alive, and any other file."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise WorldInUseError(f"{path} is there and is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise WorldInUseError(f"a door is already running at {path}")
