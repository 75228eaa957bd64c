"""`gardien broker`: run the embedded MQTT broker."""

import logging
from typing import Final

import click

from gardien.call import examples, this_call
from gardien.errors import CommandError
from gardien.founding import broker_clients
from gardien.programs import told_to_stop
from runtime.broker import BrokerError, choose_broker, embedded_broker
from server.folder import Folder

_log = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 0.5


@click.command(epilog=examples("gardien --data /srv/gardien broker"))
def command() -> None:
    """Run the embedded MQTT broker on 127.0.0.1, as [broker] in gardien.toml says.

    It lets in the server, each door and one screen, each with its own password and topics. Runs
    until Ctrl-C or SIGTERM.
    """
    call = this_call()
    call.log("INFO")
    folder = Folder(path=call.data)
    settings = folder.load_settings()
    if settings.broker.program == "none":
        raise CommandError(
            f'{folder.settings_file} says program = "none" under [broker]: a broker of its own '
            "serves this installation, so none is started here"
        )
    clients = broker_clients(folder, settings)
    chosen = choose_broker(settings.broker.program)
    with (
        told_to_stop() as stop,
        embedded_broker(
            clients=clients,
            folder=folder.path / "broker",
            port=settings.broker.port,
            program=settings.broker.program,
        ) as broker,
    ):
        _log.info("the broker listens on 127.0.0.1:%d (%s)", broker.port, chosen.why)
        while not stop.wait(_LOOK_EVERY_S):
            if not broker.is_running:
                raise BrokerError(
                    f"the broker has stopped by itself; its log is in {folder.path / 'broker'}"
                )
