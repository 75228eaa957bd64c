"""Start FabOMatic 1.0.7 as its own program does, but for its web server, which is open to all.

Run by the Python that FabOMatic is installed in, with its settings below $HOME/.config; says
`ready` once it answers. With `--no-delay` its socket has TCP_NODELAY, for which it has no setting.
"""

import socket
import sys
import threading

import paho.mqtt.client as paho
from FabOMatic.__main__ import Backend
from FabOMatic.database.models import Role, User
from FabOMatic.logger import configure_logger

MEMBERS = 148
DEBUG = 10
"""Its own default."""

AsShipped = paho.Client


def without_delay(*args: object, **how: object) -> paho.Client:
    """Make a client that sends at once."""
    client = AsShipped(*args, **how)  # type: ignore[arg-type]
    client.on_socket_open = send_at_once
    return client


def send_at_once(_client: paho.Client, _data: object, sock: object) -> None:
    """Hold no small packet back."""
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def main() -> None:
    """Fill an empty database with members, and answer until the process is ended."""
    configure_logger(DEBUG)
    if "--no-delay" in sys.argv:
        paho.Client = without_delay  # type: ignore[misc, assignment]
    backend = Backend()
    backend._db.createAndUpdateDatabase()  # noqa: SLF001 (as its `connect` does)
    with backend._db.getSession() as session:  # noqa: SLF001
        role = session.query(Role).filter_by(role_name="Fab Users").one()
        session.add_all(
            User(name=f"Member {n}", surname="M", role_id=role.role_id, card_UUID=f"{n:08x}")
            for n in range(MEMBERS)
        )
        session.commit()
    if not backend.connect():
        sys.exit("FabOMatic could not connect")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main()
