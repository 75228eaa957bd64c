"""The embedded broker: which program runs it, who may log in, and how it is started and stopped."""

import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

from runtime.acl import Client

Program = Literal["auto", "mosquitto", "amqtt"]

LOOPBACK = "127.0.0.1"
MOST_PACKET_BYTES = 1024 * 1024
"""The largest packet that a client may send. A policy of a few thousand members fits."""

# Debian keeps daemons here, which is not on the PATH of ordinary users.
_SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"


class BrokerError(OSError):
    """The embedded broker does not start, or has stopped by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerClient(Client):
    """A client that the embedded broker lets in.

    Attributes:
        password: what it shows; not empty, and never in a log.
    """

    password: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a client without a password.

        Raises:
            ValueError: as `Client`, or the password is empty.
        """
        # super() without arguments does not work in a dataclass with slots on Python 3.11.
        Client.__post_init__(self)
        if not self.password:
            raise ValueError(f"{self.name} has no password; give it one")


class Broker(Protocol):
    """A running embedded broker, on 127.0.0.1 only.

    Attributes:
        program: which one it is.
        port: the TCP port that it listens on.
    """

    program: str
    port: int

    @property
    def is_running(self) -> bool:
        """Whether it runs still."""

    def close(self) -> None:
        """Stop it; blocks until it is gone, 10 s at most. Closing twice is harmless."""

    def __enter__(self) -> Self:
        """Use it in a `with` block, which closes it."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which program runs the embedded broker, and why.

    Attributes:
        program: "mosquitto" or "amqtt".
        path: the program's file, for mosquitto.
        why: one sentence for people.
    """

    program: Literal["mosquitto", "amqtt"]
    path: Path | None
    why: str


def find_mosquitto() -> Path | None:
    """Find the mosquitto program on the PATH, or where Debian keeps daemons."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path=_SYSTEM_FOLDERS)
    return Path(found) if found else None


def choose_broker(program: Program) -> Choice:
    """Choose the program.

    Args:
        program: "auto" takes mosquitto where it is installed, else amqtt.

    Raises:
        BrokerError: mosquitto is asked for and is not installed.
    """
    if program == "amqtt":
        return Choice(program="amqtt", path=None, why="amqtt, as the settings say")
    path = find_mosquitto()
    if path is not None:
        return Choice(program="mosquitto", path=path, why=f"mosquitto, found at {path}")
    if program == "mosquitto":
        raise BrokerError(
            "mosquitto is not installed; install it (apt install mosquitto) "
            'or write program = "auto" under [broker]'
        )
    return Choice(program="amqtt", path=None, why="amqtt, since mosquitto is not installed")


def embedded_broker(
    *, clients: Sequence[BrokerClient], folder: Path, port: int = 0, program: Program = "auto"
) -> Broker:
    """Start a broker on 127.0.0.1; blocks until it accepts connections, 10 s at most.

    Each client logs in by its name and password, has its name as client id whatever it says, and
    does what `runtime.acl` allows. A second login with the same name ends the first.

    Args:
        clients: who may log in; at least one.
        folder: where it keeps its files; made if need be, readable by its owner only.
        port: TCP port; 0 takes a free one.
        program: which one; see `choose_broker`.

    Returns:
        The running broker, to be used in a `with` block or closed.

    Raises:
        ValueError: there is no client, or two have the same name.
        BrokerError: it cannot be started; the message says why.
    """
    names = [client.name for client in clients]
    if not names or len(set(names)) < len(names):
        raise ValueError("the broker needs clients with names of their own; none, or twins, given")
    choice = choose_broker(program)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    chosen = port or _free_port()
    _refuse_taken(chosen)
    # Only the broker that runs is loaded: amqtt takes as long to import as mosquitto to start.
    if choice.path is not None:
        from runtime.broker_mosquitto import MosquittoBroker  # noqa: PLC0415

        return MosquittoBroker(program=choice.path, clients=clients, folder=folder, port=chosen)
    from runtime.broker_amqtt import AmqttBroker  # noqa: PLC0415

    return AmqttBroker(clients=clients, port=chosen)


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as probe:
        return int(probe.getsockname()[1])


def _refuse_taken(port: int) -> None:
    # Without this, a foreign program on the port would be taken for the broker having started.
    try:
        socket.create_server((LOOPBACK, port)).close()
    except OSError as error:
        raise BrokerError(
            f"port {port} on {LOOPBACK} cannot be used ({error.strerror}); stop the program that "
            "has it, or choose another port under [broker] and [mqtt]"
        ) from error
