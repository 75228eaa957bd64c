"""`gardien server`: run the server."""

import logging

import click

from gardien.call import examples, this_call
from gardien.opening import open_installation
from gardien.programs import told_to_stop
from gardien.watchdog_sdnotify import Watchdog
from server.program import run

_log = logging.getLogger(__name__)


@click.command(
    epilog=examples("gardien --data /srv/gardien server", "gardien --log-level debug server")
)
def command() -> None:
    """Run the server: it decides, remembers and counts.

    Runs until Ctrl-C or SIGTERM. Tells systemd when it is ready, and that it lives.
    """
    call = this_call()
    call.log("INFO")
    with (
        told_to_stop() as stop,
        open_installation(call.data) as installation,
        Watchdog() as watchdog,
    ):
        mqtt = installation.settings.mqtt
        _log.info("the server runs; its broker is at %s:%d", mqtt.host, mqtt.port)
        run(installation, stop, on_turn=watchdog.alive)
