"""Mosquitto as a child process, with a generated configuration that denies by default.

Settings are those of mosquitto.conf(5), version 2.0.
"""

import base64
import contextlib
import hashlib
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from runtime.acl import mosquitto_acl
from runtime.broker import LOOPBACK, MOST_PACKET_BYTES, BrokerClient, BrokerError

_START_S = 10.0
_STOP_S = 10.0
_POLL_S = 0.005

# mosquitto hashes on the thread that serves everybody, so the count is small; the passwords are
# long and random (`gardien init`), which is what keeps the file safe.
_ITERATIONS = 1000
_SALT_BYTES = 12

# The child must not outlive us, not even when we are killed with -9. So a small shell stands
# between: its standard input is a pipe that we hold, and when that ends it stops the broker.
# (Linux's parent-death signal would not do: it fires when the thread that started the child ends.)
_KEEPER = """
exec 3<&0
"$@" & broker=$!
(cat <&3 >/dev/null; kill "$broker" 2>/dev/null) &
exec 3<&-
wait "$broker"
"""

# "user root": started by root, mosquitto would become "mosquitto", who cannot read our private
# folder. Started by anybody else it stays who it is, and the line does nothing.
_CONFIG = """\
# Written by gardien at each start; changes are lost.
user root
per_listener_settings false
listener {port} {host}
allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/acl
use_username_as_clientid true
set_tcp_nodelay true
max_inflight_messages 200
max_queued_messages 10000
max_queued_bytes 16777216
max_packet_size {packet}
check_retain_source true
persistence true
persistence_location {folder}/
autosave_interval 60
log_dest file {folder}/mosquitto.log
log_type error
log_type warning
log_type notice
log_timestamp_format %Y-%m-%dT%H:%M:%S
"""


class MosquittoBroker:
    """A mosquitto of our own (see `runtime.broker.Broker`).

    Args:
        program: the mosquitto program.
        clients: who may log in.
        folder: an existing folder for its files, without spaces around its name.
        port: a free TCP port on 127.0.0.1.

    Raises:
        BrokerError: it does not start within 10 s; the message has its last line of log.
    """

    program = "mosquitto"

    def __init__(
        self, *, program: Path, clients: Sequence[BrokerClient], folder: Path, port: int
    ) -> None:
        self.port = port
        self._folder = folder.absolute()
        _write_private(self._folder / "passwords", password_lines(clients))
        _write_private(self._folder / "acl", mosquitto_acl(clients))
        _write_private(self._folder / "mosquitto.conf", _config(self._folder, port))
        (self._folder / "mosquitto.log").unlink(missing_ok=True)
        self._keeper = _start(program, self._folder)
        try:
            self._wait_until_accepting()
        except BaseException:
            self.close()
            raise

    @property
    def is_running(self) -> bool:
        """Whether it runs still."""
        return self._keeper.poll() is None

    def close(self) -> None:
        """Stop it and wait until it is gone, 10 s at most. Closing twice is harmless."""
        if self._keeper.stdin is not None:
            self._keeper.stdin.close()
        try:
            self._keeper.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._keeper.pid, signal.SIGKILL)
            self._keeper.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _wait_until_accepting(self) -> None:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            if not self.is_running:
                break
            with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, self.port), 1):
                return
            time.sleep(_POLL_S)
        raise BrokerError(f"mosquitto does not start on port {self.port}: {self._last_words()}")

    def _last_words(self) -> str:
        for name in ("mosquitto.log", "mosquitto.err"):
            with contextlib.suppress(OSError):
                text = (self._folder / name).read_text(encoding="utf-8", errors="replace").strip()
                if text:
                    return text.splitlines()[-1]
        return f"it left no log in {self._folder}"


def password_lines(clients: Iterable[BrokerClient]) -> str:
    """Write the `password_file` of mosquitto, as `mosquitto_passwd` would."""
    return "".join(f"{client.name}:{_hashed(client.password)}\n" for client in clients)


def _hashed(password: str) -> str:
    """Hash as mosquitto 2 does: $7$, PBKDF2 with HMAC-SHA512 (its password_mosq.c)."""
    salt = secrets.token_bytes(_SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    parts = (base64.b64encode(part).decode("ascii") for part in (salt, digest))
    return f"$7${_ITERATIONS}${'$'.join(parts)}"


def _config(folder: Path, port: int) -> str:
    return _CONFIG.format(
        host=LOOPBACK,
        port=port,
        folder=folder,
        packet=MOST_PACKET_BYTES,
    )


def _start(program: Path, folder: Path) -> "subprocess.Popen[bytes]":
    with (folder / "mosquitto.err").open("wb") as errors:
        return subprocess.Popen(  # noqa: S603 (the program is the one that was found, no shell text)
            ["/bin/sh", "-c", _KEEPER, "sh", str(program), "-c", str(folder / "mosquitto.conf")],
            stdin=subprocess.PIPE,
            stdout=errors,
            stderr=errors,
            # Ctrl-C is for us: we stop the broker last, after the programs that talk through it.
            start_new_session=True,
        )


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
